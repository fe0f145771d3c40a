"""Rule groups on a clock: each evaluated at its own moment of its interval, results into the database.

Thin: evaluation, states and restoration are `engines.alerting`; here are time, order and what the API shows of the last
run. One task per group; in virtual time the same code is a rehearsal's rule loop. Called by the live server.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pilothouse.base.clock import Clock
from pilothouse.engines.alerting import Evaluation, GroupState, RuleGroup
from pilothouse.engines.alerting.restoration import restore
from pilothouse.engines.tsdb import Database

RESTORE_AFTER = 2
"""Evaluations before a restarted group's alerts are put back: only then are those that go on known (rules/group.go)."""


@dataclass(slots=True)
class RunningGroup:
    """A group with the figures of its last run; `last_s` is 0 before the first."""

    state: GroupState
    duration_s: float = 0.0
    last_s: float = 0.0
    failure: str = ""
    """Why the last run broke off, when it was no rule's own error."""
    unrestored: int = 0
    """Evaluations left until the past is looked at; 0: it has been, or there is none."""

    @property
    def key(self) -> str:
        return f"{self.state.group.file};{self.state.group.name}"


class RuleRunner:
    """Evaluates groups until cancelled.

    resume: whether the database may hold the past of these rules (a restart), whose `for` times then go on.
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
        resume: bool = False,
        on_evaluation: Callable[[GroupState, Evaluation], None] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._on_evaluation = on_evaluation
        self.groups: list[RunningGroup] = []
        for group in sorted(groups, key=lambda group: (group.file, group.name)):
            state = GroupState(
                group,
                external_labels=external_labels,
                external_url=external_url,
                default_interval_ms=default_interval_ms,
                restored=not resume,
            )
            self.groups.append(RunningGroup(state, unrestored=RESTORE_AFTER if resume else 0))

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
        if running.unrestored:
            running.unrestored -= 1
            if not running.unrestored:
                restore(running.state, self._database, time_ms)
        if self._on_evaluation is not None:
            self._on_evaluation(running.state, result)
        return result

    async def _loop(self, running: RunningGroup) -> None:
        interval_ms = running.state.interval_ms
        due_ms = first_ms(running.key, interval_ms, round(self._clock.time() * 1000))
        while True:
            await asyncio.sleep(max(0.0, due_ms / 1000 - self._clock.time()))
            # Evaluated at the planned time: results stand at even steps however late the loop woke.
            try:
                self.evaluate(running, due_ms)
                running.failure = ""
            except Exception as failure:  # the loop's edge: a full disk or a defect must not end the other groups
                running.failure = repr(failure)
            late_ms = round(self._clock.time() * 1000) - due_ms
            due_ms += interval_ms * max(1, -(-late_ms // interval_ms))


def first_ms(key: str, interval_ms: int, now_ms: int) -> int:
    """The first moment after now at the group's offset in its interval: spread by name, the same in every run."""
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    offset_ms = int.from_bytes(digest, "big") % interval_ms
    return now_ms - (now_ms - offset_ms) % interval_ms + interval_ms
