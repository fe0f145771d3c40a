"""Rule groups on a clock: each evaluated at its own moment of its interval, results into the database.

Thin: evaluation, states and restoration are `engines.alerting`; here are time, order and what the API shows of the last
run. One task per group; in virtual time the same code is a rehearsal's rule loop. Called by the live server.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pilothouse.base.clock import Clock
from pilothouse.engines.alerting import Evaluation, GroupState, RuleGroup
from pilothouse.engines.tsdb import Database

OUTAGE_TOLERANCE_MS = 3_600_000
"""--rules.alert.for-outage-tolerance: alerts older than this are not restored."""


@dataclass(slots=True)
class RunningGroup:
    """A group with the figures of its last run; `last_s` is 0 before the first."""

    state: GroupState
    duration_s: float = 0.0
    last_s: float = 0.0
    rule_durations_s: dict[int, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.state.group.file};{self.state.group.name}"


class RuleRunner:
    """Evaluates groups until cancelled.

    restore(group, database, now_ms, tolerance_ms) puts alerts back after a restart, once per group.
    None: there is no past.
    on_evaluation gets every result: it feeds notifications and logs.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        groups: Sequence[RuleGroup],
        *,
        external_labels: Mapping[str, str] | None = None,
        external_url: str = "",
        default_interval_ms: int = 60_000,
        restore: Callable[[GroupState, Database, int, int], None] | None = None,
        on_evaluation: Callable[[GroupState, Evaluation], None] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._on_evaluation = on_evaluation
        self._restore = restore
        self._restored: dict[str, bool] = {}
        self.groups: list[RunningGroup] = []
        for group in sorted(groups, key=lambda group: (group.file, group.name)):
            state = GroupState(
                group,
                external_labels=external_labels,
                external_url=external_url,
                default_interval_ms=default_interval_ms,
                restored=restore is None,
            )
            running = RunningGroup(state)
            self._restored[running.key] = restore is None
            self.groups.append(running)

    async def run(self) -> None:
        """Runs all groups until cancelled; a restart restores their alerts from `ALERTS_FOR_STATE`."""
        async with asyncio.TaskGroup() as tasks:
            for running in self.groups:
                tasks.create_task(self._loop(running))

    def evaluate(self, running: RunningGroup, time_ms: int) -> Evaluation:
        """One evaluation at `time_ms`; a time that does not rise is left out, as a step back of the clock would be."""
        if running.state.last_ms is not None and time_ms <= running.state.last_ms:
            return Evaluation(time_ms)
        began = self._clock.monotonic()
        result = running.state.evaluate(self._database, time_ms)
        running.duration_s = self._clock.monotonic() - began
        running.last_s = time_ms / 1000
        if self._restore is not None and not self._restored[running.key]:
            # After the first evaluation, as rules/group.go does it: only alerts that are active can be put back.
            self._restore(running.state, self._database, time_ms, OUTAGE_TOLERANCE_MS)
            self._restored[running.key] = True
        if self._on_evaluation is not None:
            self._on_evaluation(running.state, result)
        return result

    async def _loop(self, running: RunningGroup) -> None:
        interval_ms = running.state.interval_ms
        due_ms = first_ms(running.key, interval_ms, round(self._clock.time() * 1000))
        while True:
            await asyncio.sleep(max(0.0, due_ms / 1000 - self._clock.time()))
            # Evaluated at the planned time: results stand at even steps however late the loop woke.
            self.evaluate(running, due_ms)
            late_ms = round(self._clock.time() * 1000) - due_ms
            due_ms += interval_ms * max(1, -(-late_ms // interval_ms))


def first_ms(key: str, interval_ms: int, now_ms: int) -> int:
    """The first moment after now at the group's offset in its interval: spread by name, the same in every run."""
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    offset_ms = int.from_bytes(digest, "big") % interval_ms
    return now_ms - (now_ms - offset_ms) % interval_ms + interval_ms
