"""Series of very large worlds: one page per service and version instead of one per pod.

A hundred thousand pods have a million series that no rule looks at one by one; making and ending them costs more than
everything else. Above `LATENCY_SERIES_PER_POD_UP_TO` pods the recorder therefore writes each family once per group of
equal pods: counters and amounts added up, moments and `up` of the newest or best pod, restarts of the pod that
restarted most. Sums over pods stay exact; rules about single pods see the average or the worst one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilothouse.engines.tsdb import ABSENT, Frame, make_labels
from pilothouse.worlds.rehearsal.pods import Group, Identity, PodTable, Slots

Floats = NDArray[np.float64]

LARGEST = (
    "up",
    "process_start_time_seconds",
    "container_start_time_seconds",
    "container_spec_cpu_period",
)
"""Families of which a group shows the largest value; all others are added up."""

RESTARTS = "kube_pod_container_status_restarts_total"


@dataclass(frozen=True, slots=True)
class GroupFamily:
    """A family over groups. series: the label sets of one group; values: [pod, series] of the given slots; ended:
    [group, series] of containers that are gone (None: nothing of them counts on)."""

    series: Callable[[Identity, int], list[dict[str, str]]]
    values: Callable[[Slots], Floats]
    largest: bool
    app: bool
    ended: Callable[[int], Floats] | None = None


class VersionPages:
    """Writes one row per scrape into a frame; `latency_series` and `latency_row` are the groups' histograms, when they
    are read."""

    def __init__(
        self,
        frame: Frame,
        pods: PodTable,
        families: Sequence[GroupFamily],
        latency_series: Callable[[Identity, int], list[dict[str, str]]] | None,
        latency_row: Callable[[int], list[float]],
        restarts: bool,
    ) -> None:
        self._frame = frame
        self._pods = pods
        self._families = families
        self._latency_series = latency_series
        self._latency_row = latency_row
        self._restarts = restarts
        self._columns: dict[int, tuple[list[list[int]], list[int], int]] = {}
        self._most = np.zeros(0)

    def write(self, time_ms: int, gaps: Sequence[bool]) -> None:
        """One scrape; gaps: per service, whether the applications' pages cannot be read now."""
        pods = self._pods
        slots = np.flatnonzero(pods.running)
        group = pods.group[slots].astype(np.intp)
        count = len(pods.groups)
        present = np.bincount(group, minlength=count)
        for number in np.flatnonzero(present).tolist():
            if number not in self._columns:
                first = int(slots[np.argmax(group == number)])
                self._columns[number] = self._add(pods.groups[number], first)
        row = np.full(self._frame.width, ABSENT)
        blind = [n for n in self._columns if (service := pods.groups[n].service) >= 0 and gaps[service]]
        for index, family in enumerate(self._families):
            totals = self._totals(family, slots, group, count)
            for number, (columns, _, _) in self._columns.items():
                if columns[index] and not (family.app and number in blind):
                    row[columns[index]] = totals[number]
        if self._restarts:
            self._write_restarts(row, count)
        for number, (_, latency, _) in self._columns.items():
            if latency and number not in blind and number in pods.group_latency:
                row[latency] = self._latency_row(number)
        self._frame.append(time_ms, row)

    def _totals(self, family: GroupFamily, slots: Slots, group: Slots, count: int) -> Floats:
        """[group, series]."""
        values = family.values(slots)
        out = np.zeros((count, values.shape[1]))
        for series in range(values.shape[1]):
            if family.largest:
                np.maximum.at(out[:, series], group, values[:, series])
            else:
                out[:, series] = np.bincount(group, values[:, series], minlength=count)
        if family.ended is not None:
            out += family.ended(count)
        return out

    def _write_restarts(self, row: Floats, count: int) -> None:
        """The most restarts of any pod so far: a counter that rises when somebody's does."""
        pods = self._pods
        if len(self._most) < count:
            self._most = np.concatenate([self._most, np.zeros(count - len(self._most))])
        alive = pods.alive_slots()
        np.maximum.at(self._most, pods.group[alive], pods.restarts[alive])
        for number, (_, _, column) in self._columns.items():
            row[column] = self._most[number]

    def _add(self, group: Group, slot: int) -> tuple[list[list[int]], list[int], int]:
        """Columns of a new group: per family, of its histogram, of its restarts (-1: not read)."""
        of_pod = self._pods.identity[slot]
        assert of_pod is not None
        who = Identity(of_pod.namespace, "", "", of_pod.container, group.image)
        families = [
            self._columns_of(f.series(who, group.service), group) if group.service >= 0 or not f.app else []
            for f in self._families
        ]
        latency = (
            self._columns_of(self._latency_series(who, group.service), group)
            if self._latency_series is not None and group.service >= 0
            else []
        )
        if not self._restarts:
            return families, latency, -1
        about = {"__name__": RESTARTS, "job": "kube-state-metrics", "namespace": who.namespace}
        (column,) = self._columns_of([{**about, "container": who.container}], group)
        return families, latency, column

    def _columns_of(self, series: list[dict[str, str]], group: Group) -> list[int]:
        return [self._frame.add(make_labels({**_named(labels), "version": group.image})) for labels in series]


def _named(labels: dict[str, str]) -> dict[str, str]:
    """Without the labels that only single pods have: those without a value, and the cgroup's path."""
    return {name: value for name, value in labels.items() if value and name not in ("id", "name")}
