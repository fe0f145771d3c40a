"""What a monitoring system would have scraped: columns of the pod table, and facts of objects, written into frames
each interval.

Three sources with the names and labels that the real ones use: the applications' own pages, cAdvisor (`container_*`)
and kube-state- metrics (`kube_*`, in `object_series`). Only families whose metric names somebody reads are written.
Times are int64 Unix ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilothouse.engines.tsdb import ABSENT, STALE, Database, Frame, make_labels
from pilothouse.worlds.rehearsal.faults import ActiveFaults
from pilothouse.worlds.rehearsal.pods import STATUSES, Identity, PodTable, Slots
from pilothouse.worlds.rehearsal.service import Service
from pilothouse.worlds.rehearsal.versions import LARGEST, RESTARTS, GroupFamily, VersionPages

Floats = NDArray[np.float64]

METHOD, PATH = "GET", "/"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric of every pod. names: all series names it makes; series: the label sets of one pod, in the order in
    which `values` gives their numbers as [pod, series]. app: scraped from the application, so it stops with a scrape
    gap and exists for services only."""

    names: tuple[str, ...]
    series: Callable[[Identity, int], list[dict[str, str]]]
    values: Callable[[Slots], Floats]
    app: bool


class Recorder:
    """Writes samples of all running pods. `metric_names`: those that are read; None: all."""

    def __init__(
        self,
        database: Database,
        pods: PodTable,
        services: list[Service],
        faults: ActiveFaults,
        metric_names: Iterable[str] | None,
    ) -> None:
        self._database = database
        self._pods = pods
        self._services = services
        self._faults = faults
        self._versions: VersionPages | None = None
        wanted = None if metric_names is None else frozenset(metric_names)
        self._families = [f for f in self._all() if wanted is None or not wanted.isdisjoint(f.names)]
        self._wanted = wanted
        self._app = _Page(database.frame("rehearsal/applications"), pods)
        self._kubelet = _Page(database.frame("rehearsal/cadvisor"), pods)
        self._app_families = [f for f in self._families if f.app]
        self._other_families = [f for f in self._families if not f.app]
        # Services with the same bucket columns are written together.
        shapes = {tuple(_le_columns(s, pods.buckets).tolist()): None for s in services}
        self._shapes = [np.array(le, dtype=np.intp) for le in shapes]
        order = list(shapes)
        self._shape = np.array([order.index(tuple(_le_columns(s, pods.buckets).tolist())) for s in services], dtype=int)

    def wants(self, *names: str) -> bool:
        """Whether any of these metric names is read."""
        return self._wanted is None or not self._wanted.isdisjoint(names)

    def record(self, time_ms: int) -> None:
        """One scrape of everything."""
        gaps = [self._faults.scrape_gap(s.name) for s in self._services]
        if not self._pods.histograms:
            if self._versions is None:
                self._versions = self._by_version()
            self._versions.write(time_ms, gaps)
            return
        there = self._pods.alive_slots()
        modelled = there[self._pods.service[there] >= 0]
        if self._app_families:
            self._app.write(time_ms, modelled, self._app_families, gaps)
        if self._other_families:
            self._kubelet.write(time_ms, there, self._other_families, None)

    def _by_version(self) -> VersionPages:
        """From now on there are too many pods for pages of their own."""
        self._app.end()
        self._kubelet.end()
        families = [
            GroupFamily(f.series, f.values, f.names[0] in LARGEST, f.app, self._ended(f))
            for f in self._families
            if f.values != self._duration_values
        ]
        durations = any(f.values == self._duration_values for f in self._families)
        frame = self._database.frame("rehearsal/by version")
        wants_restarts = self.wants(RESTARTS)
        latency = self._durations if durations else None
        return VersionPages(frame, self._pods, families, latency, self._latency_row, wants_restarts)

    def _ended(self, family: Family) -> Callable[[int], Floats] | None:
        """What containers that are gone have counted, [group, series]."""
        banked = self._pods.ended
        if family.values == self._request_values:
            return lambda count: banked.requests(count)
        if family.names[0] in ("process_cpu_seconds_total", "container_cpu_usage_seconds_total"):
            return lambda count: banked.cpu_s(count)[:, None]
        return None

    def _latency_row(self, number: int) -> list[float]:
        """A group's histogram as its series: buckets, +Inf, sum, count."""
        pods = self._pods
        upto = np.cumsum(pods.group_latency[number])
        le = self._shapes[int(self._shape[pods.groups[number].service])]
        total = float(upto[-1])
        return [*upto[le].tolist(), total, pods.group_latency_sum.get(number, 0.0), total]

    def _all(self) -> list[Family]:
        pods = self._pods
        return [
            Family(("up",), self._up, lambda s: np.ones((len(s), 1)), True),
            Family(("http_requests_total",), self._requests, self._request_values, True),
            Family(
                (
                    "http_request_duration_seconds_bucket",
                    "http_request_duration_seconds_sum",
                    "http_request_duration_seconds_count",
                ),
                self._durations,
                self._duration_values,
                True,
            ),
            Family(
                ("process_cpu_seconds_total",),
                self._plain("process_cpu_seconds_total"),
                lambda s: pods.cpu_s[s, None],
                True,
            ),
            Family(
                ("process_resident_memory_bytes",),
                self._plain("process_resident_memory_bytes"),
                lambda s: pods.memory[s, None],
                True,
            ),
            Family(
                ("process_start_time_seconds",),
                self._plain("process_start_time_seconds"),
                lambda s: pods.started_s[s, None],
                True,
            ),
            *self._cadvisor(),
        ]

    def _cadvisor(self) -> list[Family]:
        pods = self._pods
        groups = pods.groups

        def limit(of: Callable[[int], float]) -> Callable[[Slots], Floats]:
            return lambda s: np.array([of(g) for g in range(len(groups))], dtype=np.float64)[pods.group[s], None]

        return [
            _container("container_cpu_usage_seconds_total", lambda s: pods.cpu_s[s, None], {"cpu": "total"}),
            _container("container_memory_usage_bytes", lambda s: pods.memory[s, None]),
            _container("container_memory_working_set_bytes", lambda s: pods.memory[s, None]),
            _container("container_memory_rss", lambda s: pods.memory[s, None]),
            _container("container_spec_memory_limit_bytes", limit(lambda g: float(groups[g].memory_limit))),
            _container("container_spec_cpu_quota", limit(lambda g: groups[g].cpu_limit * 100_000)),
            _container("container_spec_cpu_period", limit(lambda _: 100_000.0)),
            _container("container_start_time_seconds", lambda s: pods.started_s[s, None]),
        ]

    # The applications' pages

    def _target(self, who: Identity, service: int) -> dict[str, str]:
        """Target labels as a ServiceMonitor's scrape sets them."""
        name = self._services[service].name
        return {
            "job": name,
            "service": name,
            "namespace": who.namespace,
            "pod": who.name,
            "container": who.container,
            "endpoint": "http",
            "instance": who.instance,
        }

    def _up(self, who: Identity, service: int) -> list[dict[str, str]]:
        return [{"__name__": "up", **self._target(who, service)}]

    def _plain(self, name: str) -> Callable[[Identity, int], list[dict[str, str]]]:
        return lambda who, service: [{"__name__": name, **self._target(who, service)}]

    def _requests(self, who: Identity, service: int) -> list[dict[str, str]]:
        base = {"__name__": "http_requests_total", **self._target(who, service), "method": METHOD, "handler": PATH}
        return [{**base, "status": status} for status in STATUSES]

    def _request_values(self, slots: Slots) -> Floats:
        found: Floats = self._pods.requests[slots]
        return found

    def _durations(self, who: Identity, service: int) -> list[dict[str, str]]:
        name = "http_request_duration_seconds"
        base = {**self._target(who, service), "method": METHOD, "handler": PATH}
        edges = [_number(b) for b in self._services[service].buckets_s]
        found = [{**base, "__name__": f"{name}_bucket", "le": le} for le in (*edges, "+Inf")]
        return [*found, {**base, "__name__": f"{name}_sum"}, {**base, "__name__": f"{name}_count"}]

    def _duration_values(self, slots: Slots) -> Floats:
        """[pod, buckets… +Inf, sum, count], padded on the right where services have fewer buckets."""
        pods = self._pods
        upto = np.cumsum(pods.latency[slots], axis=1)
        width = max((len(le) for le in self._shapes), default=0)
        out = np.zeros((len(slots), width + 3))
        shape = self._shape[pods.service[slots]]
        for index, le in enumerate(self._shapes):
            mine = shape == index if len(self._shapes) > 1 else slice(None)
            rows = upto[mine]
            out[mine, : len(le)] = rows[:, le]
            out[mine, len(le)] = out[mine, len(le) + 2] = rows[:, -1]
            out[mine, len(le) + 1] = pods.latency_sum[slots[mine]]
        return out


class _Page:
    """A frame whose columns follow the pods. A pod that goes away, or a reused row, ends its series; a container
    that is down or a scrape that fails leaves a staleness marker and then nothing, and `up` says 0."""

    def __init__(self, frame: Frame, pods: PodTable) -> None:
        self._frame = frame
        self._pods = pods
        self._population = -1
        self._columns: dict[int, tuple[int, list[list[int]]]] = {}
        self._slots = np.zeros(0, dtype=np.intp)
        self._shown = np.zeros(0, dtype=bool)
        self._places: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]] = []

    def write(self, time_ms: int, slots: Slots, families: list[Family], gaps: list[bool] | None) -> None:
        """One row about the pods that exist (`slots`); `gaps` per service: their scrapes fail."""
        pods = self._pods
        if self._population != pods.population:
            self._arrange(slots, families)
            self._population = pods.population
        seen = self._slots
        row = np.full(self._frame.width, ABSENT)
        shown = pods.running[seen]
        if gaps is not None and any(gaps):
            shown = shown & ~np.array(gaps)[pods.service[seen]]
        hidden = None if shown.all() else np.where(self._shown & ~shown, STALE, ABSENT)[:, None]
        for family, (pod, place, column) in zip(families, self._places):
            values = family.values(seen)
            if hidden is not None:
                values = np.where(shown[:, None], values, 0.0 if family.names == ("up",) else hidden)
            row[column] = values[pod, place]
        self._shown = shown
        self._frame.append(time_ms, row)

    def end(self) -> None:
        """End all series, a moment after their last samples; nothing is written here any more."""
        ended = [column for _, groups in self._columns.values() for group in groups for column in group]
        for column in ended:
            self._frame.retire(column)
        if ended:
            self._frame.append(int(self._frame.times[-1]) + 1, np.full(self._frame.width, ABSENT))
        self._columns.clear()
        self._population = -1

    def _arrange(self, slots: Slots, families: list[Family]) -> None:
        """Columns for pods that started, an end for those that are gone; then where each value goes."""
        pods, columns = self._pods, self._columns
        present: dict[int, int] = {}
        for slot in slots.tolist():
            who = pods.identity[slot]
            assert who is not None
            known = columns.get(slot)
            if pods.running[slot] or (known is not None and known[0] == who.incarnation):
                present[slot] = who.incarnation
        shown = dict(zip(self._slots.tolist(), self._shown.tolist()))
        for slot in [s for s, held in columns.items() if present.get(s) != held[0]]:
            for group in columns.pop(slot)[1]:
                for column in group:
                    self._frame.retire(column)
            shown.pop(slot, None)
        for slot, mark in present.items():
            if slot not in columns:
                columns[slot] = (mark, self._add(slot, families))
        self._slots = np.array(list(present), dtype=np.intp)
        self._shown = np.array([shown.get(slot, False) for slot in present], dtype=bool)
        self._places = [self._place(number) for number in range(len(families))]

    def _add(self, slot: int, families: list[Family]) -> list[list[int]]:
        who, service = self._pods.identity[slot], int(self._pods.service[slot])
        assert who is not None
        return [[self._frame.add(make_labels(s)) for s in family.series(who, service)] for family in families]

    def _place(self, number: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        columns = [self._columns[slot][1][number] for slot in self._slots.tolist()]
        lengths = [len(c) for c in columns]
        pod = np.repeat(np.arange(len(columns)), lengths)
        place = np.concatenate([np.arange(n) for n in lengths]) if lengths else np.zeros(0, dtype=np.intp)
        return pod, place.astype(np.intp), np.array([c for group in columns for c in group], dtype=np.intp)


def _container(name: str, values: Callable[[Slots], Floats], extra: dict[str, str] | None = None) -> Family:
    """A cAdvisor metric of the pod's first container, labelled as the kubelet's /metrics/cadvisor labels it."""

    def series(who: Identity, _service: int) -> list[dict[str, str]]:
        return [
            {
                "__name__": name,
                "job": "kubelet",
                "metrics_path": "/metrics/cadvisor",
                "namespace": who.namespace,
                "pod": who.name,
                "container": who.container,
                "image": who.image,
                "node": who.node,
                "instance": who.node,
                "id": f"/kubepods/pod{who.uid}",
                "name": f"{who.uid}-{who.container}",
                **(extra or {}),
            }
        ]

    return Family((name,), series, values, False)


def _le_columns(service: Service, columns: int) -> NDArray[np.intp]:
    """For each bucket of the metric the latency column up to which counts are summed."""
    edges = list(service.edges_s)
    assert columns > len(edges)
    return np.array([edges.index(b) for b in service.buckets_s], dtype=np.intp)


def _number(value: float) -> str:
    """`le` as Prometheus clients write floats: 0.005, 1.0, 10.0."""
    return repr(float(value))
