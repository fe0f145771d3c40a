"""Evaluates the user's rule groups on their interval and keeps every alert's life: pending, firing, resolved.

Nothing in a rehearsal of today reads an alert back, so groups are *observed*: a stretch of virtual time is evaluated at
once, which gives the same transitions as step by step and costs a tenth. Groups that read each other in a circle run on
time instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pilothouse.assemble.facts import AlertLife, RuleLives
from pilothouse.base.clock import Clock
from pilothouse.engines.alerting import Evaluation, GroupState, RuleGroup
from pilothouse.engines.alerting.dependencies import may_read, written_names
from pilothouse.engines.alerting.evaluation import Transition
from pilothouse.engines.alerting.observation import observe
from pilothouse.engines.tsdb import Database
from pilothouse.report.model import Span
from pilothouse.signals.metrics.rules import RuleRunner, first_ms

DEFAULT_INTERVAL_MS = 60_000
"""Prometheus' own global evaluation_interval."""
STRETCH_S = 3600.0
"""How much time is evaluated at once: long enough to be cheap, short enough to bound what must be kept."""


@dataclass(slots=True)
class _Observed:
    """A group and the next moment it is due (Unix ms)."""

    state: GroupState
    due_ms: int


class AlertLog:
    """All rule groups of a run; `finish` gives the lives of their alerts.

    keep_ms: how far back samples are kept after a stretch has been evaluated; None: for ever.
    """

    def __init__(
        self, groups: Sequence[RuleGroup], database: Database, clock: Clock, keep_ms: int | None = None
    ) -> None:
        self._groups = groups
        self._database = database
        self._clock = clock
        self._keep_ms = keep_ms
        self._transitions: list[Transition] = []
        self._errors: dict[tuple[str, str], str] = {}
        ordered, circular = in_reading_order(groups)
        now_ms = round(clock.time() * 1000)
        self._observed = []
        for group in ordered:
            state = GroupState(group, default_interval_ms=DEFAULT_INTERVAL_MS)
            self._observed.append(_Observed(state, first_ms(f"{group.file};{group.name}", state.interval_ms, now_ms)))
        self._runner = RuleRunner(
            database, clock, circular, default_interval_ms=DEFAULT_INTERVAL_MS, on_evaluation=self._on_time
        )

    async def run(self) -> None:
        """Evaluates until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._runner.run())
            tasks.create_task(self._observe())

    async def _observe(self) -> None:
        while True:
            await asyncio.sleep(STRETCH_S)
            now_ms = round(self._clock.time() * 1000)
            # Samples of this very moment may still be written.
            self._observe_until(now_ms - 1)
            if self._keep_ms is not None:
                self._database.drop_before(now_ms - self._keep_ms)

    def _observe_until(self, end_ms: int) -> None:
        for observed in self._observed:
            interval_ms = observed.state.interval_ms
            steps = (end_ms - observed.due_ms) // interval_ms
            if steps < 0:
                continue
            last_ms = observed.due_ms + steps * interval_ms
            for result in observe(observed.state, self._database, observed.due_ms, last_ms):
                self._note(result)
            observed.due_ms = last_ms + interval_ms

    def _on_time(self, _state: GroupState, result: Evaluation) -> None:
        self._note(result)

    def _note(self, result: Evaluation) -> None:
        self._transitions += result.transitions
        for error in result.errors:
            self._errors[error.group, error.rule] = error.message

    @property
    def transitions(self) -> Sequence[Transition]:
        """All that happened, a stretch and a group after the other; complete after `finish`."""
        return self._transitions

    def finish(self, start_epoch_s: float, duration_s: float) -> list[RuleLives]:
        """One entry per alerting rule, in the order of the files; spans are cut to the rehearsal."""
        self._observe_until(round((start_epoch_s + duration_s) * 1000))
        return rule_lives(self._groups, self._transitions, self._errors, start_epoch_s, duration_s)


def rule_lives(
    groups: Sequence[RuleGroup],
    transitions: Sequence[Transition],
    errors: Mapping[tuple[str, str], str],
    start_epoch_s: float,
    duration_s: float,
) -> list[RuleLives]:
    """One entry per alerting rule, in the order of the groups. errors: the last one by (group, rule)."""
    by_rule: dict[tuple[str, object], list[Transition]] = {}
    for step in transitions:
        by_rule.setdefault((step.group, step.place), []).append(step)
    return [
        RuleLives(
            name=rule.name,
            severity=dict(rule.labels).get("severity", ""),
            group=group.name,
            place=rule.place,
            lives=lives(by_rule.get((group.name, rule.place), ()), start_epoch_s, duration_s),
            error=errors.get((group.name, rule.name), ""),
        )
        for group in groups
        for rule in group.alerting_rules()
    ]


def in_reading_order(groups: Sequence[RuleGroup]) -> tuple[list[RuleGroup], list[RuleGroup]]:
    """(groups so that each comes after those it reads, groups in a circle or behind one)."""
    waiting = list(groups)
    ordered: list[RuleGroup] = []
    while waiting:
        free = [g for g in waiting if not any(_reads(g, other) for other in waiting if other is not g)]
        if not free:
            return ordered, waiting
        ordered += free
        waiting = [g for g in waiting if g not in free]
    return ordered, []


def _reads(group: RuleGroup, other: RuleGroup) -> bool:
    names = [name for rule in other.rules for name in written_names(rule)]
    return any(may_read(rule, names) for rule in group.rules)


_Labels = tuple[tuple[str, str], ...]


def lives(transitions: Sequence[Transition], start_epoch_s: float, duration_s: float) -> list[AlertLife]:
    """The spans of every label set, in the order of first appearance; times in seconds since the start."""
    found: dict[_Labels, AlertLife] = {}
    open_spans: dict[_Labels, tuple[str, float]] = {}
    for step in transitions:
        at_s = round(step.time_ms / 1000 - start_epoch_s, 3)
        life = found.setdefault(step.labels, AlertLife(dict(step.labels)))
        was = open_spans.pop(step.labels, None)
        if was is not None and at_s > 0:
            life.spans.append(_span(was[0], max(0.0, was[1]), at_s))
        if step.after != "inactive":
            open_spans[step.labels] = (step.after, at_s)
    for labels, (state, from_s) in open_spans.items():
        if from_s <= duration_s:
            found[labels].spans.append(_span(state, max(0.0, from_s), None))
    return [life for life in found.values() if life.spans]


def _span(state: str, from_s: float, to_s: float | None) -> Span:
    return Span(state="firing" if state == "firing" else "pending", from_s=from_s, to_s=to_s)
