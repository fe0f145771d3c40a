"""Brings the `for` state of alerts back after a restart, from `ALERTS_FOR_STATE` in the database (rules/group.go,
Prometheus 3).

Call once, after the group's second evaluation: GroupState(…, restored=False), evaluate, evaluate, restore.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pilothouse.engines.alerting.evaluation import AlertingState, GroupState
from pilothouse.engines.tsdb import Database, Labels, Matcher, is_absent, is_stale_value, make_matcher

OUTAGE_TOLERANCE_MS = 3_600_000
"""--rules.alert.for-outage-tolerance: older states are not restored."""

FOR_GRACE_MS = 600_000
"""--rules.alert.for-grace-period: a shorter `for` is not restored, and at least this much must pass again before
firing.
"""


@dataclass(frozen=True, slots=True)
class Restored:
    """An alert whose active time was moved."""

    rule: str
    labels: Labels
    active_at_ms: int


def restore(
    state: GroupState,
    db: Database,
    time_ms: int,
    outage_tolerance_ms: int = OUTAGE_TOLERANCE_MS,
    *,
    for_grace_ms: int = FOR_GRACE_MS,
) -> list[Restored]:
    """Restores all alerts of a group and lets it write `ALERTS` from now on; returns what was moved."""
    out = []
    for rule_state in state.alerting_states():
        if rule_state.rule.for_ms >= for_grace_ms and not rule_state.restored:
            last = _last_samples(rule_state, db, time_ms - outage_tolerance_ms, time_ms)
            for alert in rule_state.active.values():
                seen = last.get(alert.labels)
                if seen is None:
                    continue
                alert.active_at_ms = _restored_at(seen, rule_state.rule.for_ms, time_ms, for_grace_ms)
                out.append(Restored(rule_state.rule.name, alert.labels, alert.active_at_ms))
        rule_state.restored = True
    return out


def _restored_at(seen: tuple[int, float], for_ms: int, now_ms: int, grace_ms: int) -> int:
    """Since when the alert counts as active: as before the outage, or later by what it may not take credit for."""
    down_at_ms, active_at_ms = seen[0], int(seen[1]) * 1000
    remaining_ms = for_ms - (down_at_ms - active_at_ms)
    if remaining_ms <= 0:
        return active_at_ms
    if remaining_ms < grace_ms:
        return now_ms + grace_ms - for_ms
    return active_at_ms + (now_ms - down_at_ms)


def _last_samples(
    rule_state: AlertingState, db: Database, after_ms: int, upto_ms: int
) -> dict[Labels, tuple[int, float]]:
    """Newest (time, value) of the rule's ALERTS_FOR_STATE series; those that ended with a staleness marker are left
    out.
    """
    matchers = [make_matcher("__name__", "=", "ALERTS_FOR_STATE"), make_matcher("alertname", "=", rule_state.rule.name)]
    # A label from a template differs per alert, so it cannot select.
    matchers += [make_matcher(n, "=", t.text) for n, t in rule_state.rule.label_templates if "{{" not in t.text]
    found: dict[Labels, tuple[int, float]] = {}
    for labels, time_ms, value in _newest(db, tuple(matchers), after_ms, upto_ms):
        if not is_stale_value(value):
            found[tuple(pair for pair in labels if pair[0] != "__name__")] = (time_ms, value)
    return found


def _newest(
    db: Database, matchers: tuple[Matcher, ...], after_ms: int, upto_ms: int
) -> Iterator[tuple[Labels, int, float]]:
    """(labels, time, value) of each series' newest sample with after <= time <= upto, markers included."""
    selection = db.select(matchers)
    for part in selection.parts:
        first, last = part.row_span(after_ms - 1, upto_ms)
        block, times = part.block(first, last), part.frame.times[first:last]
        positions = np.arange(selection.size)[part.positions].tolist()
        for column, position in enumerate(positions):
            cells = np.ascontiguousarray(block[:, column])
            held = np.flatnonzero(~is_absent(cells))
            if len(held):
                yield selection.labels[position], int(times[held[-1]]), float(cells[held[-1]])
    for series in selection.odd:
        samples = series.samples(after_ms - 1, upto_ms)
        if samples:
            yield selection.labels[series.position], samples[-1][0], samples[-1][1]
