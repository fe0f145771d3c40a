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
from pilothouse.worlds.rehearsal.pods import Group, PodTable, Slots
from pilothouse.worlds.rehearsal.service import IDLE_CPU_CORES, PodNumbers, Service, pod_numbers, response_table

Floats = NDArray[np.float64]
WARM_LEVELS = 5
_LEVELS = WARM_LEVELS + 1


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
    memory_limit: Floats
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
        self._known: dict[tuple[int, int], int] = {}
        self._numbers = np.zeros((8, 64))
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
        kinds, kind = np.unique(pods.group[slots].astype(np.int64) * _LEVELS + levels, return_inverse=True)
        rows = self._rows_of(pods, kinds.tolist(), everyone.tolist())
        numbers = self._numbers[:, rows]
        table, rate_per_s, service_s, cpu_s, error_rate, memory_base, leak, limit = (row[kind] for row in numbers)
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
            table=table.astype(np.intp),
            group=pods.group[slots].astype(np.intp),
            rate_per_s=rate_per_s,
            service_s=service_s,
            cpu_s=cpu_s,
            error_rate=error_rate,
            any_errors=bool(error_rate.any()),
            memory_base=memory_base,
            memory_per_request=np.array([s.memory_per_request for s in self._services], dtype=np.float64)[service],
            leak_bytes_per_s=leak,
            memory_limit=limit,
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

    def _rows_of(self, pods: PodTable, kinds: list[int], everyone: list[int]) -> list[int]:
        """For each kind of pod where its numbers are; remembered while the same faults are in force. everyone: pods of
        each service."""
        if self._known_at != self._faults.generation:
            self._known.clear()
            self._known_at = self._faults.generation
        known, groups = self._known, pods.groups
        rows = []
        for kind in kinds:
            key = (kind, everyone[groups[kind // _LEVELS].service])
            row = known.get(key)
            if row is None:
                row = known[key] = self._add(groups[kind // _LEVELS], kind % _LEVELS, max(key[1], 1))
            rows.append(row)
        return rows

    def _add(self, group: Group, level: int, ready: int) -> int:
        """Work out the numbers of a kind of pod among `ready` peers."""
        service = self._services[group.service]
        warm = 1 + (service.warmup_factor - 1) * level / WARM_LEVELS
        n = pod_numbers(service, group, self._faults.on(service.name, group.image), warm)
        row = len(self._known)
        if row >= self._numbers.shape[1]:
            self._numbers = np.concatenate([self._numbers, np.zeros_like(self._numbers)], axis=1)
        table = self._table(group.service, n, ready)
        limit = group.memory_limit or np.inf
        made = (table, n.rate_per_s, n.service_s, n.cpu_s, n.error_rate, n.memory_base, n.leak_bytes_per_s, limit)
        self._numbers[:, row] = made
        return row

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
