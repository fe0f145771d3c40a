"""What traffic needs to know about the ready pods, gathered once and used until the pod set or a fault changes.

A `Layout` has one entry per ready pod, sorted by service, in plain arrays; `Layouts` builds it from the pod table
and remembers the latency tables of every kind of pod met so far in one stacked array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilothouse.engines.queueing.response import DELAY_ROWS, ROWS, ResponseTable
from pilothouse.worlds.rehearsal.faults import ActiveFaults
from pilothouse.worlds.rehearsal.pods import PodTable, Slots
from pilothouse.worlds.rehearsal.service import IDLE_CPU_CORES, PodNumbers, Service, pod_numbers, response_table

Floats = NDArray[np.float64]
WARM_LEVELS = 5


@dataclass(slots=True, eq=False)
class Layout:
    """All ready pods of modelled services, and those that still have a backlog; arrays of one entry per pod unless
    said otherwise.

    services: indexes of the services that have ready pods; first, counts: where each one's pods begin, and how many.
    matrix, column: see `_share_matrix`.
    position: for each pod the position of its service in `services`. share: of the service's requests.
    valid_until_s: a warm-up moves on. ready, routed: per
    service in `services`, how many are ready and whether any takes requests. deaf: pods that get requests and do not
    answer (None: there are none). late,
    slow: which latency columns are past the timeout and the slow threshold, [pod, bucket].
    """

    slots: Slots
    services: Slots
    first: Slots
    counts: Slots
    position: Slots
    share: Floats
    ready: NDArray[np.intp]
    routed: NDArray[np.bool_]
    matrix: Floats
    column: Slots
    table: NDArray[np.intp]
    group: NDArray[np.intp]
    rate_per_s: Floats
    service_s: Floats
    cpu_s: Floats
    error_rate: Floats
    any_errors: bool
    memory_base: Floats
    memory_per_request: Floats
    leak_bytes_per_s: Floats
    any_leak: bool
    queue: Floats
    deaf: NDArray[np.bool_] | None
    late: NDArray[np.int64]
    slow: NDArray[np.int64]
    idle_cpu_cores: float
    valid_until_s: float


class Layouts:
    """Builds layouts; keeps the stacked latency tables `steady`, `delayed` ([table, row, bucket]) and `mean_s`
    ([table, row])."""

    def __init__(self, services: list[Service], faults: ActiveFaults, columns: int) -> None:
        self._services = services
        self._faults = faults
        self._columns = columns
        # By identity: the engine gives the same object for the same pods, and the list keeps it alive.
        self._table_index: dict[int, int] = {}
        self._known: dict[tuple[int, int], tuple[PodNumbers, int]] = {}
        self._known_at = -1
        self._tables: list[ResponseTable] = []
        self.steady = np.zeros((0, ROWS, columns))
        self.delayed = np.zeros((0, DELAY_ROWS, columns))
        self.mean_s = np.zeros((0, ROWS))
        self._late = np.zeros((len(services), columns), dtype=np.int64)
        self._slow = np.zeros((len(services), columns), dtype=np.int64)
        for i, service in enumerate(services):
            self._late[i, service.edge_column(service.timeout_s) :] = 1
            self._slow[i, service.edge_column(service.slow_s) :] = 1

    def build(self, pods: PodTable, now_s: float) -> Layout:
        """The layout of the pods that are ready now."""
        # Pods that are not ready any more still work off what they had accepted.
        slots = np.flatnonzero((pods.ready | (pods.running & (pods.backlog > 0))) & (pods.service >= 0))
        service = pods.service[slots].astype(np.intp)
        if len(slots) and np.any(service[:-1] > service[1:]):
            order = np.argsort(service, kind="stable")
            slots, service = slots[order], service[order]
        everyone = np.bincount(service, minlength=len(self._services))
        present = np.flatnonzero(everyone)
        counts = everyone[present]
        first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.intp) if len(present) else present
        position = np.repeat(np.arange(len(present)), counts)
        weight = pods.weight[slots] * pods.ready[slots]
        total = np.bincount(position, weight, minlength=len(present)) if len(present) else np.zeros(0)
        share = np.divide(weight, total[position], out=np.zeros_like(weight), where=total[position] > 0)
        matrix, place = _share_matrix(share, first, counts, position)
        levels, until_s = self._warm_levels(pods, slots, service, now_s)
        kinds, kind = np.unique(pods.group[slots].astype(np.int64) * (WARM_LEVELS + 1) + levels, return_inverse=True)
        found = [self._numbers(pods, k, everyone) for k in kinds.tolist()]
        numbers = [n for n, _ in found]

        def column(values: list[float]) -> Floats:
            return np.array(values, dtype=np.float64)[kind] if values else np.zeros(0)

        error_rate = column([n.error_rate for n in numbers])
        leak = column([n.leak_bytes_per_s for n in numbers])
        return Layout(
            slots=slots,
            services=present,
            first=first,
            counts=counts,
            position=position,
            share=share,
            ready=np.add.reduceat(pods.ready[slots].astype(np.intp), first) if len(present) else present,
            routed=total > 0,
            matrix=matrix,
            column=place,
            table=np.array([t for _, t in found], dtype=np.intp)[kind],
            group=pods.group[slots].astype(np.intp),
            rate_per_s=column([n.rate_per_s for n in numbers]),
            service_s=column([n.service_s for n in numbers]),
            cpu_s=column([n.cpu_s for n in numbers]),
            error_rate=error_rate,
            any_errors=bool(error_rate.any()),
            memory_base=column([n.memory_base for n in numbers]),
            memory_per_request=np.array([s.memory_per_request for s in self._services], dtype=np.float64)[service],
            leak_bytes_per_s=leak,
            any_leak=bool(leak.any()),
            queue=np.array([s.queue for s in self._services], dtype=np.float64)[service],
            deaf=None if pods.listening[slots].all() else ~pods.listening[slots],
            late=self._late[service],
            slow=self._slow[service],
            idle_cpu_cores=IDLE_CPU_CORES,
            valid_until_s=until_s,
        )

    def _warm_levels(
        self, pods: PodTable, slots: Slots, service: Slots, now_s: float
    ) -> tuple[NDArray[np.int64], float]:
        """How cold each pod still is, 0 (warm) to WARM_LEVELS, and when that changes next."""
        warmup = np.array([s.warmup_s if s.warmup_factor != 1 else 0.0 for s in self._services])
        if not warmup.any():
            return np.zeros(len(slots), dtype=np.int64), math.inf
        lasts = np.maximum(warmup[service], 1e-9)
        age = np.maximum(now_s - pods.started_s[slots], 0.0)
        levels = np.ceil(np.clip(1 - age / lasts, 0, 1) * WARM_LEVELS - 1e-9).astype(np.int64)
        cold = levels > 0
        if not cold.any():
            return levels, math.inf
        following = pods.started_s[slots][cold] + lasts[cold] * (1 - (levels[cold] - 1) / WARM_LEVELS)
        return levels, float(following.min())

    def _numbers(self, pods: PodTable, kind: int, everyone: NDArray[np.intp]) -> tuple[PodNumbers, int]:
        number, level = divmod(kind, WARM_LEVELS + 1)
        group = pods.groups[number]
        ready = max(int(everyone[group.service]), 1)
        if self._known_at != self._faults.generation:
            self._known.clear()
            self._known_at = self._faults.generation
        known = self._known.get((kind, ready))
        if known is None:
            service = self._services[group.service]
            warm = 1 + (service.warmup_factor - 1) * level / WARM_LEVELS
            numbers = pod_numbers(service, group, self._faults.on(service.name, group.image), warm)
            known = self._known[kind, ready] = numbers, self._table(group.service, numbers, ready)
        return known

    def _table(self, service: int, numbers: PodNumbers, ready: int) -> int:
        """The number of this pod's latency table; equal tables are stacked once."""
        made = response_table(self._services[service], numbers, ready, self._columns)
        index = self._table_index.get(id(made))
        if index is None:
            index = self._table_index[id(made)] = len(self._tables)
            self._tables.append(made)
            if index == len(self.steady):
                more = max(8, index)
                self.steady = np.concatenate([self.steady, np.zeros((more, *self.steady.shape[1:]))])
                self.delayed = np.concatenate([self.delayed, np.zeros((more, *self.delayed.shape[1:]))])
                self.mean_s = np.concatenate([self.mean_s, np.zeros((more, ROWS))])
            self.steady[index], self.delayed[index], self.mean_s[index] = made.steady, made.delayed, made.mean_s
        return index


def _share_matrix(share: Floats, first: Slots, counts: Slots, position: Slots) -> tuple[Floats, Slots]:
    """The shares as [service, pod] so that one draw splits all services, and each pod's column in it; empty places
    come first.

    Too ragged (one huge service among many small ones) gives an empty matrix: then each service is drawn alone.
    """
    widest = int(counts.max()) if len(counts) else 0
    if len(counts) * widest > 4 * len(share) + 64:
        return np.zeros((0, 0)), position
    matrix = np.zeros((len(counts), widest))
    column = np.arange(len(share)) - first[position] + widest - counts[position]
    matrix[position, column] = share
    return matrix, column
