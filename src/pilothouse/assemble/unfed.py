"""Alerts that cannot fire because nothing produces what they read: silence that must not be taken for health. Pure.

An expression is followed from its selectors: a sum of nothing is nothing, `absent(x)` is something. Only names are
looked at, so nothing is called unfed that might have had a sample.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from pilothouse.base.errors import Finding, Place
from pilothouse.engines.alerting.rules import AlertingRule, RecordingRule, Rule, RuleGroup
from pilothouse.engines.promql import ast
from pilothouse.engines.tsdb import METRIC_NAME

_ALWAYS = ("absent", "absent_over_time", "vector", "time", "pi", "scalar")
"""Functions that give something even of nothing."""


@dataclass(frozen=True, slots=True)
class Unfed:
    """An alerting rule and the metric names whose absence keeps it silent."""

    group: RuleGroup
    rule: AlertingRule
    missing: tuple[str, ...]


def unfed_alerts(groups: Sequence[RuleGroup], produced: Collection[str]) -> list[Unfed]:
    """The alerts that cannot fire, in the order of the files. produced: names of all series there are or were."""
    known = _with_recorded(groups, produced)
    return [
        Unfed(group, rule, tuple(n for n in names_read(rule) if n not in known))
        for group in groups
        for rule in group.alerting_rules()
        if not may_give(rule.query.plan.expr, known)
    ]


def unfed_finding(alert: str, missing: Sequence[str], place: Place, what: str, remedy: str) -> Finding:
    """An alert that stays silent for want of series."""
    names = ", ".join(missing) or "a series"
    return Finding(
        "PH310",
        f"{alert} cannot fire: {what} has no series {names}",
        place,
        f"its silence says nothing: {remedy}",
        "warning",
    )


def _with_recorded(groups: Sequence[RuleGroup], produced: Collection[str]) -> frozenset[str]:
    """The names with those that the rules themselves make of them, through any number of rules."""
    rules: list[Rule] = [rule for group in groups for rule in group.rules]
    known = frozenset(produced)
    while True:
        fed = [rule for rule in rules if may_give(rule.query.plan.expr, known)]
        more = known.union(*(_writes(rule) for rule in fed))
        if more == known:
            return known
        known = more


def _writes(rule: Rule) -> tuple[str, ...]:
    return (rule.name,) if isinstance(rule, RecordingRule) else ("ALERTS", "ALERTS_FOR_STATE")


def names_read(rule: Rule) -> tuple[str, ...]:
    """The metric names in a rule's expression, in order, each once."""
    return tuple(dict.fromkeys(n for s in selectors(rule.query.plan.expr) if (n := metric_name(s))))


def selectors(expr: ast.Expr) -> Iterator[ast.VectorSelector]:
    """All selectors of an expression."""
    if isinstance(expr, ast.VectorSelector):
        yield expr
    for child in ast.children(expr):
        yield from selectors(child)


def metric_name(selector: ast.VectorSelector) -> str:
    """The metric name it asks for; "" when it may be any."""
    if selector.name:
        return selector.name
    return next((m.value for m in selector.matchers if m.name == METRIC_NAME and m.op == "="), "")


def may_give(expr: ast.Expr, produced: Collection[str]) -> bool:
    """Whether the expression can have a result when only these metrics have samples."""
    match expr:
        case ast.VectorSelector():
            name = metric_name(expr)
            return not name or name in produced
        case ast.Call() if expr.name in _ALWAYS:
            return True
        case ast.Binary() if expr.op == "or":
            return may_give(expr.left, produced) or may_give(expr.right, produced)
        case ast.Binary() if expr.op == "unless":
            return may_give(expr.left, produced)
        case ast.Binary() if expr.matching is not None and _fills(expr.matching):
            return may_give(expr.left, produced) or may_give(expr.right, produced)
    return all(may_give(child, produced) for child in ast.children(expr))


def _fills(matching: ast.Matching) -> bool:
    return matching.fill_left is not None or matching.fill_right is not None
