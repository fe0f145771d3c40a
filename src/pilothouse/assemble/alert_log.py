"""Evaluates the user's rule groups on their interval and keeps every alert's life: pending, firing, resolved.

Alerts feed nothing back in a rehearsal of today, so what they do is only watched; recording rules are evaluated on time since
other rules and queries read them.
"""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.assemble.facts import AlertLife, RuleLives
from pilothouse.base.clock import Clock
from pilothouse.engines.alerting import Evaluation, GroupState, RuleGroup
from pilothouse.engines.alerting.evaluation import Transition
from pilothouse.engines.tsdb import Database
from pilothouse.report.model import Span
from pilothouse.signals.metrics.rules import RuleRunner

DEFAULT_INTERVAL_MS = 60_000
"""Prometheus' own global evaluation_interval."""


class AlertLog:
    """All rule groups of a run; `finish` gives the lives of their alerts."""

    def __init__(self, groups: Sequence[RuleGroup], database: Database, clock: Clock) -> None:
        self._transitions: list[Transition] = []
        self._errors: dict[tuple[str, str], str] = {}
        self._runner = RuleRunner(
            database, clock, groups, default_interval_ms=DEFAULT_INTERVAL_MS, on_evaluation=self._note
        )
        self._groups = groups

    async def run(self) -> None:
        """Evaluates until cancelled."""
        if self._groups:
            await self._runner.run()

    def _note(self, _state: GroupState, result: Evaluation) -> None:
        self._transitions += result.transitions
        for error in result.errors:
            self._errors[error.group, error.rule] = error.message

    def finish(self, start_epoch_s: float, duration_s: float) -> list[RuleLives]:
        """One entry per alerting rule, in the order of the files; spans are cut to the rehearsal."""
        out = []
        for group in self._groups:
            for rule in group.alerting_rules():
                mine = [t for t in self._transitions if t.group == group.name and t.place == rule.place]
                out.append(
                    RuleLives(
                        name=rule.name,
                        severity=dict(rule.labels).get("severity", ""),
                        group=group.name,
                        place=rule.place,
                        lives=lives(mine, start_epoch_s, duration_s),
                        error=self._errors.get((group.name, rule.name), ""),
                    )
                )
        return out


def lives(transitions: Sequence[Transition], start_epoch_s: float, duration_s: float) -> list[AlertLife]:
    """The spans of every label set, in the order of first appearance; times in seconds since the start."""
    found: dict[tuple[tuple[str, str], ...], AlertLife] = {}
    open_spans: dict[tuple[tuple[str, str], ...], tuple[str, float]] = {}
    for step in transitions:
        at_s = step.time_ms / 1000 - start_epoch_s
        life = found.setdefault(step.labels, AlertLife(dict(step.labels)))
        was = open_spans.pop(step.labels, None)
        if was is not None:
            _close(life, was, at_s)
        if step.after != "inactive":
            open_spans[step.labels] = (step.after, at_s)
    for labels, (state, from_s) in open_spans.items():
        if from_s <= duration_s:
            found[labels].spans.append(_span(state, max(0.0, from_s), None))
    return [life for life in found.values() if life.spans]


def _close(life: AlertLife, was: tuple[str, float], to_s: float) -> None:
    state, from_s = was
    if to_s > 0:
        life.spans.append(_span(state, max(0.0, from_s), to_s))


def _span(state: str, from_s: float, to_s: float | None) -> Span:
    return Span(state="firing" if state == "firing" else "pending", from_s=from_s, to_s=to_s)
