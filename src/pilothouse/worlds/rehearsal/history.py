"""What happened, tick by tick: the columns that the report's timeline is drawn from.

The traffic model adds a row per tick; nothing here decides anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilothouse.engines.queueing.response import quantile_s

Floats = NDArray[np.float64]

PER_SERVICE = (
    "offered",
    "arrived",
    "served",
    "errors",
    "slow",
    "refused",
    "unrouted",
    "retried",
    "ready",
    "desired",
    "cpu_s",
)
"""offered: requests per second; ready, desired: pods; cpu_s: CPU seconds; the rest requests in the tick.

errors: all answers that failed (500, 503, 504) and `unrouted`, those that met no ready pod; slow: answered
after the slow threshold.
"""
WORLD = ("time_s", "step_s", "nodes", "cost")


@dataclass(frozen=True, slots=True)
class ServiceTimeline:
    """One service's columns, equally long: `columns[name]` for each of PER_SERVICE, and quantiles of latency."""

    time_s: Floats
    step_s: Floats
    columns: dict[str, Floats]
    p50_s: Floats
    p99_s: Floats


class History:
    """Growing columns; rows are ticks in order."""

    def __init__(self, services: list[str], edges_s: list[tuple[float, ...]], buckets: int) -> None:
        self.services = services
        self._edges_s = edges_s
        self._rows = 0
        self._world = {name: np.zeros(256) for name in WORLD}
        self._data = np.zeros((256, len(PER_SERVICE), len(services)))
        self._latency = np.zeros((256, len(services), buckets), dtype=np.int64)

    def __len__(self) -> int:
        return self._rows

    def row(self, time_s: float, step_s: float, nodes: int, cost: float) -> tuple[Floats, NDArray[np.int64]]:
        """A new row at `time_s` (the tick's end, Unix seconds); gives [PER_SERVICE, service] and [service, bucket]
        to fill."""
        at = self._rows
        if at == len(self._data):
            self._double()
        self._rows += 1
        world = self._world
        world["time_s"][at], world["step_s"][at], world["nodes"][at], world["cost"][at] = time_s, step_s, nodes, cost
        return self._data[at], self._latency[at]

    def world(self, name: str) -> Floats:
        """A column of WORLD: end of tick, its length, nodes, cost so far."""
        return self._world[name][: self._rows]

    def column(self, name: str, service: str) -> Floats:
        """A column of PER_SERVICE for one service."""
        return self._data[: self._rows, PER_SERVICE.index(name), self.services.index(service)]

    def since(self, time_s: float) -> History:
        """What was recorded after a moment (Unix seconds); costs begin at nothing there."""
        first = int(np.searchsorted(self.world("time_s"), time_s + 1e-6, "right"))
        out = History(self.services, self._edges_s, self._latency.shape[2])
        out._rows = self._rows - first
        out._world = {name: self.world(name)[first:] for name in WORLD}
        if first and out._rows:
            out._world["cost"] = out._world["cost"] - self.world("cost")[first - 1]
        out._data, out._latency = self._data[first : self._rows], self._latency[first : self._rows]
        return out

    def condensed(self, most: int, together: str) -> History:
        """The `most` services with the largest share of errors, and after them all services as one, named `together`.

        Its latencies are those of the services with the same buckets as the first one.
        """
        errors, arrived = (self._data[: self._rows, PER_SERVICE.index(n)].sum(axis=0) for n in ("errors", "arrived"))
        share = np.divide(errors, arrived, out=np.zeros_like(errors), where=arrived > 0)
        worst = np.sort(np.argsort(-share, kind="stable")[:most])
        alike = [i for i, edges in enumerate(self._edges_s) if edges == self._edges_s[0]]
        names = [*(self.services[i] for i in worst), together]
        out = History(names, [*(self._edges_s[i] for i in worst), self._edges_s[0]], self._latency.shape[2])
        out._rows, out._world = self._rows, self._world
        data, latency = self._data[: self._rows], self._latency[: self._rows]
        out._data = np.concatenate([data[:, :, worst], data.sum(axis=2, keepdims=True)], axis=2)
        out._latency = np.concatenate([latency[:, worst], latency[:, alike].sum(axis=1, keepdims=True)], axis=1)
        return out

    def totals(self, service: str) -> dict[str, float]:
        """Sums over the run of the columns that count requests or CPU seconds."""
        counted = ("arrived", "served", "errors", "slow", "refused", "unrouted", "retried", "cpu_s")
        return {name: float(self.column(name, service).sum()) for name in counted}

    def quantile(self, service: str, q: float, first: int = 0, last: int | None = None) -> float:
        """A latency quantile over rows [first, last), in seconds; NaN when nothing was answered."""
        index = self.services.index(service)
        counts = self._latency[first : self._rows if last is None else last, index].sum(axis=0).astype(np.float64)
        return quantile_s(counts, self._edges_s[index], q)

    def timeline(self, service: str) -> ServiceTimeline:
        """Everything of one service, row by row."""
        rows = range(self._rows)
        columns = {name: self.column(name, service) for name in PER_SERVICE}
        p50 = np.array([self.quantile(service, 0.5, i, i + 1) for i in rows])
        p99 = np.array([self.quantile(service, 0.99, i, i + 1) for i in rows])
        return ServiceTimeline(self.world("time_s"), self.world("step_s"), columns, p50, p99)

    def _double(self) -> None:
        self._world = {name: np.concatenate([c, np.zeros_like(c)]) for name, c in self._world.items()}
        self._data = np.concatenate([self._data, np.zeros_like(self._data)])
        self._latency = np.concatenate([self._latency, np.zeros_like(self._latency)])
