"""What happened that nobody planned, from the Events of controllers and kubelets: rescaling, crashes, lost nodes."""

from __future__ import annotations

from pilothouse.assemble.facts import Played
from pilothouse.base.clock import Clock
from pilothouse.base.errors import Place
from pilothouse.machinery.events import Event, EventRecorder

TOLD_PER_REASON = 200
"""Moments kept per reason and run; a crash loop of a day says the same thing hundreds of times."""

_SORTS = {
    "SuccessfulRescale": "scale",
    "FailedScheduling": "pod",
    "OOMKilling": "pod",
    "BackOff": "pod",
    "Unhealthy": "pod",
    "Evicted": "pod",
    "TaintManagerEviction": "pod",
    "ProgressDeadlineExceeded": "note",
    "NodeNotReady": "nodes",
    "RegisteredNode": "nodes",
    "RemovingNode": "nodes",
    "TriggeredScaleUp": "nodes",
    "ScaleDown": "nodes",
    "FailedGetScale": "note",
    "FailedGetResourceMetric": "note",
    "FailedGetPodsMetric": "note",
    "FailedComputeMetricsReplicas": "note",
    "FailedCreate": "note",
}


class Incidents:
    """Listens from `begin` on. `found` is in order of time; times are seconds since `begin`."""

    def __init__(self, events: EventRecorder, clock: Clock) -> None:
        self._clock = clock
        self._began_s: float | None = None
        self._told: dict[str, int] = {}
        self.found: list[Played] = []
        events.subscribe(self._hear)

    def begin(self) -> None:
        """The rehearsal's second 0 is now."""
        self._began_s = self._clock.time()

    def _hear(self, event: Event) -> None:
        sort = _SORTS.get(event.reason)
        if self._began_s is None or sort is None:
            return
        told = self._told[event.reason] = self._told.get(event.reason, 0) + 1
        if told > TOLD_PER_REASON or (event.count > 1 and sort == "pod"):
            return
        text = f"{event.kind} {event.name}: {event.reason}: {event.message}"
        self.found.append(Played(sort, self._clock.time() - self._began_s, event.name, text, Place()))
