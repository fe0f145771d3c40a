"""The pod table: one row per pod slot, one column per fact. What is steady about pods lives here, not in objects.

Rows never move; a freed row is reused and then starts new series, so counter resets are honest. The kubelet adds and
removes rows and turns `ready` on and off; traffic adds to the counters; the recorder and the metrics reader look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Slots = NDArray[np.intp]

OK, ERROR, REFUSED, TIMEOUT = range(4)
STATUSES = ("200", "500", "503", "504")
"""What each column of `requests` counts: answered, failed, refused by a full queue, answered after the client's
timeout."""

_FIRST_CAPACITY = 64
MATTERS = 10
"""A change of the ready set matters when it is at least one in so many of the service's pods; in a large world under
steady churn single pods do not force fine steps."""


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Group:
    """What equal pods share: the service's index (-1: no modelled service), the image, CPU and memory limits and
    requests.

    Limits: cores and bytes, 0 for none.
    """

    service: int
    image: str
    cpu_limit: float = 0.0
    memory_limit: int = 0
    cpu_request: float = 0.0
    memory_request: int = 0


@dataclass(slots=True)
class Identity:
    """Whose row it is. instance: address and port of its metrics page; incarnation grows with every reuse of the
    row."""

    namespace: str
    name: str
    uid: str
    container: str
    image: str
    node: str = ""
    owner: str = ""
    instance: str = ""
    incarnation: int = 0


class Ended:
    """What containers that are gone counted, per group; kept only when groups have series (`histograms` is off)."""

    def __init__(self) -> None:
        self._requests: dict[int, NDArray[np.float64]] = {}
        self._cpu_s: dict[int, float] = {}

    def add(self, group: int, requests: NDArray[np.float64], cpu_s: float) -> None:
        known = self._requests.get(group)
        self._requests[group] = requests.copy() if known is None else known + requests
        self._cpu_s[group] = self._cpu_s.get(group, 0.0) + cpu_s

    def requests(self, count: int) -> NDArray[np.float64]:
        """[group, status] for groups 0 to count - 1."""
        out = np.zeros((count, len(STATUSES)))
        for group, values in self._requests.items():
            out[group] = values
        return out

    def cpu_s(self, count: int) -> NDArray[np.float64]:
        """CPU seconds of groups 0 to count - 1."""
        out = np.zeros(count)
        for group, value in self._cpu_s.items():
            out[group] = value
        return out


class PodTable:
    """All pods of the world. Columns are numpy arrays of `capacity` rows; use the slots that `add` gave.

    generation: grows when the ready set, weights or anything that traffic derives from rows changes.
    group_latency, group_latency_sum: histograms per group, instead of `latency`, once there are too many pods.
    before_change, after_change: called around changes of the ready set that matter, a tenth of a service's pods or
    more.
    population: grows when rows are added or removed, or a container restarts.
    """

    def __init__(self, buckets: int, *, histograms: bool = True) -> None:
        self.buckets = buckets
        self.histograms = histograms
        self.capacity = 0
        self.generation = 0
        self.population = 0
        self.changed_s = -1e18
        self.before_change: Callable[[], None] = _nothing
        self.after_change: Callable[[], None] = _nothing
        self._ready_count: dict[int, int] = {}
        self._settled: dict[int, int] = {}
        self.group_latency: dict[int, NDArray[np.int64]] = {}
        self.group_latency_sum: dict[int, float] = {}
        self.ended = Ended()
        self.groups: list[Group] = []
        self._group_index: dict[Group, int] = {}
        self._free: list[int] = []
        self.identity: list[Identity | None] = []
        self.by_uid: dict[str, int] = {}
        self.alive = np.zeros(0, dtype=bool)
        self.running = np.zeros(0, dtype=bool)
        self.ready = np.zeros(0, dtype=bool)
        self.listening = np.zeros(0, dtype=bool)
        self.group = np.zeros(0, dtype=np.int32)
        self.service = np.zeros(0, dtype=np.int32)
        self.node = np.zeros(0, dtype=np.int32)
        self.weight = np.zeros(0)
        self.started_s = np.zeros(0)
        self.backlog = np.zeros(0)
        self.carry = np.zeros(0)
        self.leaked = np.zeros(0)
        self.memory = np.zeros(0)
        self.requests = np.zeros((0, len(STATUSES)))
        self.latency = np.zeros((0, buckets))
        self.latency_sum = np.zeros(0)
        self.cpu_s = np.zeros(0)
        self.throttled_s = np.zeros(0)
        self.restarts = np.zeros(0, dtype=np.int64)
        self.incarnation = np.zeros(0, dtype=np.int64)
        self._grow(_FIRST_CAPACITY)

    def __len__(self) -> int:
        return len(self.by_uid)

    def group_of(self, group: Group) -> int:
        """The number of this group; equal groups have one."""
        index = self._group_index.get(group)
        if index is None:
            index = self._group_index[group] = len(self.groups)
            self.groups.append(group)
        return index

    def add(self, identity: Identity, group: Group, node: int = -1) -> int:
        """A new pod's slot: not running, counters zero."""
        if not self._free:
            self._grow(2 * self.capacity)
        slot = self._free.pop()
        self.incarnation[slot] += 1
        identity.incarnation = int(self.incarnation[slot])
        self.identity[slot] = identity
        self.by_uid[identity.uid] = slot
        self.alive[slot] = True
        self.group[slot] = self.group_of(group)
        self.service[slot] = group.service
        self.node[slot] = node
        self.weight[slot] = 1.0
        self.restarts[slot] = 0
        self._zero(slot)
        self.population += 1
        return slot

    def remove(self, slot: int, now_s: float) -> None:
        """The pod is gone; the row may be reused from now on."""
        identity = self.identity[slot]
        assert identity is not None
        assert self.alive[slot], f"slot {slot} is free already"
        self.stop(slot, now_s)
        del self.by_uid[identity.uid]
        self.alive[slot] = False
        self._free.append(slot)
        self.population += 1

    def start(self, slot: int, now_s: float) -> None:
        """The container's process runs: counters begin at zero."""
        self._zero(slot)
        self.running[slot] = True
        self.started_s[slot] = now_s
        self.population += 1

    def stop(self, slot: int, now_s: float) -> None:
        """The container's process ended: it holds no requests and no memory."""
        self.set_ready(slot, False, now_s)
        self.listening[slot] = False
        if self.running[slot]:
            self.running[slot] = False
            self.population += 1
            if not self.histograms:
                # The group's counters go on without this container.
                self.ended.add(int(self.group[slot]), self.requests[slot], float(self.cpu_s[slot]))
        self.backlog[slot] = self.carry[slot] = self.memory[slot] = self.leaked[slot] = 0.0

    def set_listening(self, slot: int, listening: bool, now_s: float) -> None:
        """Whether requests sent there are answered at all: not while the process starts, not on a lost node."""
        if bool(self.listening[slot]) != listening:
            matters = bool(self.ready[slot]) and self._ready_count.get(int(self.service[slot]), 0) <= MATTERS
            if matters:
                self.before_change()
            self.listening[slot] = listening
            self.generation += 1
            if matters:
                self.touch(now_s)

    def set_ready(self, slot: int, ready: bool, now_s: float) -> None:
        """Whether the pod's endpoint takes requests."""
        if bool(self.ready[slot]) == ready:
            return
        service = int(self.service[slot])
        count = self._ready_count.get(service, 0)
        settled = self._settled.get(service, 0)
        after = count + 1 if ready else count - 1
        matters = MATTERS * abs(after - settled) >= settled
        if matters:
            self.before_change()
        self.ready[slot] = ready
        self._ready_count[service] = after
        self.generation += 1
        if matters:
            self._settled[service] = after
            self.touch(now_s)

    def touch(self, now_s: float) -> None:
        """Something that traffic derives from rows changed so much that it matters at once."""
        self.generation += 1
        self.changed_s = now_s
        self.after_change()

    def drop_histograms(self) -> None:
        """Too many pods for a histogram each: from now on traffic keeps them per service and version."""
        self.histograms = False
        self.latency = np.zeros((0, self.buckets))
        self.population += 1

    def ready_slots(self) -> Slots:
        return np.flatnonzero(self.ready)

    def running_slots(self) -> Slots:
        return np.flatnonzero(self.running)

    def alive_slots(self) -> Slots:
        return np.flatnonzero(self.alive)

    def _zero(self, slot: int) -> None:
        for column in (
            self.backlog,
            self.carry,
            self.leaked,
            self.memory,
            self.latency_sum,
            self.cpu_s,
            self.throttled_s,
        ):
            column[slot] = 0.0
        self.requests[slot] = 0.0
        if self.histograms:
            self.latency[slot] = 0.0

    def _grow(self, capacity: int) -> None:
        extra = capacity - self.capacity
        for name, column in list(vars(self).items()):
            if isinstance(column, np.ndarray):
                rows = extra if name != "latency" or self.histograms else 0
                grown = np.concatenate([column, np.zeros((rows, *column.shape[1:]), column.dtype)])
                setattr(self, name, grown)
        # Lowest slots first, so that small worlds stay dense.
        self._free.extend(range(capacity - 1, self.capacity - 1, -1))
        self.identity.extend([None] * extra)
        self.capacity = capacity
