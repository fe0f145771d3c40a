"""Several rule groups over recorded time, a stretch at once: as evaluating all of them, in order, at every step.

For time whose samples are known beforehand: rule unit tests and backtests. Groups keep their order, as promtool has
it: one that reads a later group's result sees the one of the step before, which only single steps give.
"""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.engines.alerting.dependencies import may_read, written_names
from pilothouse.engines.alerting.evaluation import Evaluation, GroupState
from pilothouse.engines.alerting.observation import observe, why_not_observable
from pilothouse.engines.alerting.queries import QueryError, compile_query
from pilothouse.engines.alerting.rules import AlertingRule, Rule, RuleGroup
from pilothouse.engines.tsdb import Database

SHORT_STEPS = 3
"""Fewer steps than this are evaluated one by one: the range form has a price of its own."""


def why_not_at_once(groups: Sequence[RuleGroup]) -> str:
    """ "" when the groups may be evaluated one after another over a whole stretch; else the reason, naming the rule."""
    for index, group in enumerate(groups):
        reason = why_not_observable(group)
        if reason:
            return reason
        later = [name for other in groups[index + 1 :] for rule in other.rules for name in written_names(rule)]
        for rule in group.rules:
            if later and may_read(rule, later):
                return f'rule "{rule.name}" may read the result of a later group than "{group.name}"'
            if looks_ahead(rule):
                return f'rule "{rule.name}" looks ahead of its evaluation'
    return ""


def looks_ahead(rule: Rule) -> bool:
    """Whether the rule, or a query in its templates, may read samples younger than the evaluation."""
    if rule.query.looks_ahead:
        return True
    if not isinstance(rule, AlertingRule):
        return False
    texts = [t for _n, template in (*rule.label_templates, *rule.annotation_templates) for t in template.query_texts]
    return any(text is None or _text_looks_ahead(text) for text in texts)


def _text_looks_ahead(text: str) -> bool:
    try:
        return compile_query(text).looks_ahead
    except QueryError:
        return False


def evaluate_all(
    states: Sequence[GroupState], db: Database, times: range, *, at_once: bool
) -> list[tuple[GroupState, Evaluation]]:
    """Every group at all times (Unix ms): what happened, by time, at one time in the order of the groups.

    at_once: `why_not_at_once` found nothing. All groups are evaluated at the same times, whatever interval they name.
    """
    if at_once and len(times) >= SHORT_STEPS:
        found = [(state, e) for state in states for e in observe(state, db, times[0], times[-1], step_ms=times.step)]
        return sorted(found, key=lambda item: item[1].time_ms)
    return [
        (state, evaluation)
        for time_ms in times
        for state in states
        if (evaluation := state.evaluate(db, time_ms)).transitions or evaluation.errors
    ]
