"""Rule groups over recorded time: each on its interval, a stretch at once where that gives the same. Pure.

Evaluation times are multiples of a group's interval since 1970, so that two versions of a rule are looked at in the
same moments. Called by `backtest`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pilothouse.assemble.alert_log import in_reading_order
from pilothouse.engines.alerting import Evaluation, GroupState, RuleGroup
from pilothouse.engines.alerting.evaluation import Transition
from pilothouse.engines.alerting.observation import observe
from pilothouse.engines.tsdb import Database

STRETCH_MS = 6 * 3_600_000
"""How much time is evaluated at once, and how often progress is told."""

OnTime = Callable[[int], None]
"""Called with the Unix ms up to which everything is evaluated."""


@dataclass(slots=True)
class Replayed:
    """transitions: in order of time within each group. errors: the last message by (group, rule); counts: how many."""

    transitions: list[Transition] = field(default_factory=list)
    errors: dict[tuple[str, str], str] = field(default_factory=dict)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def note(self, result: Evaluation) -> None:
        self.transitions += result.transitions
        for error in result.errors:
            key = (error.group, error.rule)
            self.errors[key] = error.message
            self.counts[key] = self.counts.get(key, 0) + 1


@dataclass(slots=True)
class _Due:
    state: GroupState
    due_ms: int


def replay(
    groups: Sequence[RuleGroup],
    database: Database,
    start_ms: int,
    end_ms: int,
    default_interval_ms: int,
    on_time: OnTime | None = None,
) -> Replayed:
    """Evaluates all groups from start to end (Unix ms, both included). Results go into the database."""
    ordered, circular = in_reading_order(groups)
    whole = [_due(group, start_ms, default_interval_ms) for group in ordered]
    stepped = [_due(group, start_ms, default_interval_ms) for group in circular]
    out = Replayed()
    at_ms = start_ms
    while at_ms <= end_ms:
        at_ms = min(at_ms + STRETCH_MS, end_ms)
        for each in whole:
            _observe(each, database, at_ms, out)
        _step(stepped, database, at_ms, out)
        if on_time is not None:
            on_time(at_ms)
        if at_ms == end_ms:
            break
    return out


def _due(group: RuleGroup, start_ms: int, default_interval_ms: int) -> _Due:
    state = GroupState(group, default_interval_ms=default_interval_ms)
    return _Due(state, -(-start_ms // state.interval_ms) * state.interval_ms)


def _observe(each: _Due, database: Database, until_ms: int, out: Replayed) -> None:
    interval_ms = each.state.interval_ms
    steps = (until_ms - each.due_ms) // interval_ms
    if steps < 0:
        return
    last_ms = each.due_ms + steps * interval_ms
    for result in observe(each.state, database, each.due_ms, last_ms):
        out.note(result)
    each.due_ms = last_ms + interval_ms


def _step(circle: Sequence[_Due], database: Database, until_ms: int, out: Replayed) -> None:
    """Groups that read each other: in order of time, as a server would come to them."""
    while circle:
        each = min(circle, key=lambda d: d.due_ms)
        if each.due_ms > until_ms:
            return
        out.note(each.state.evaluate(database, each.due_ms))
        each.due_ms += each.state.interval_ms
