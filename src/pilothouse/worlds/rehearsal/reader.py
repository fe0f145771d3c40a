"""The port `MetricsReader`: what the metrics APIs would answer the autoscaler, from the same columns and series.

Resource metrics are a metrics-server's: the rate between the last two 15-second samples of each pod, memory from the
last one. Custom metrics are a prometheus-adapter's default rule: `X_per_second` is the 2-minute rate of `X_total`,
any other name the latest value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilothouse.base.clock import Clock
from pilothouse.base.selectors import Requirement, Selector
from pilothouse.machinery.client import Client
from pilothouse.machinery.ports import MetricValue, PodMetrics
from pilothouse.store.memory import Records
from pilothouse.worlds.rehearsal.faults import ActiveFaults
from pilothouse.worlds.rehearsal.pods import PodTable
from pilothouse.worlds.rehearsal.service import Service

RESOLUTION_S = 15.0
"""metrics-server's --metric-resolution."""
RATE_WINDOW_S = 120.0
"""prometheus-adapter's default rules take `rate(...[2m])`."""

_MATCHED_KEPT = 4_096
"""Selectors whose pods are remembered."""

_Rows = list[tuple[int, str, str]]
Query = Callable[[str, int], list[tuple[tuple[tuple[str, str], ...], float]]]
"""An instant query: (PromQL text, Unix ms) to [(labels, value), …]."""


@dataclass(slots=True, eq=False)
class _Sample:
    """One look at the pod table. incarnation and restarts tell whether a slot still holds the same container."""

    time_s: float
    seen: NDArray[np.bool_]
    incarnation: NDArray[np.int64]
    restarts: NDArray[np.int64]
    cpu_s: NDArray[np.float64]
    memory: NDArray[np.float64]
    requests: NDArray[np.float64]


class ModelMetrics:
    """Answers from the last samples; `sample` is called every 15 seconds. `query` evaluates metrics that
    are series, when there is an engine.
    Missing pods, gaps and young containers are left out of answers, as the real APIs leave them out."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        pods: PodTable,
        services: list[Service],
        faults: ActiveFaults,
        query: Query | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._pods = pods
        self._services = services
        self._faults = faults
        self._query = query
        self._samples: list[_Sample] = []
        self._usage: tuple[float, list[float | None], list[float]] | None = None
        self._rates: list[float | None] | None = None
        self._matched: dict[tuple[str, Selector], tuple[int, Records, _Rows]] = {}

    def sample(self, time_s: float) -> None:
        """Look at all pods now; samples older than the custom metrics' window are dropped."""
        pods = self._pods
        self._usage = self._rates = None
        gaps = np.array([self._faults.resource_gap(s.name) for s in self._services] + [self._faults.resource_gap("")])
        seen = pods.running & (pods.listening | ~pods.ready) & ~gaps[pods.service]
        self._samples.append(
            _Sample(
                time_s,
                seen,
                pods.incarnation.copy(),
                pods.restarts.copy(),
                pods.cpu_s.copy(),
                pods.memory.copy(),
                pods.requests.sum(axis=1),
            )
        )
        while self._samples[0].time_s < time_s - RATE_WINDOW_S - RESOLUTION_S:
            self._samples.pop(0)

    # The port

    def pod_metrics(self, namespace: str, selector: Selector) -> Sequence[PodMetrics]:
        if len(self._samples) < 2:
            return ()
        last = self._samples[-1]
        if last.time_s < self._clock.time() - 4 * RESOLUTION_S:
            return ()
        if self._usage is None:
            self._usage = _usage(self._samples[-2], last)
        window_s, cores, memory = self._usage
        known = len(cores)
        return [
            PodMetrics(name, last.time_s, window_s, {container: {"cpu": used, "memory": memory[slot]}})
            for slot, name, container in self._matching(namespace, selector)
            if slot < known and (used := cores[slot]) is not None
        ]

    def pods_metric(
        self, namespace: str, metric: str, pods: Selector, metric_selector: Selector
    ) -> Sequence[MetricValue]:
        if metric == "http_requests_per_second" and not metric_selector.requirements:
            return self._request_rates(namespace, pods)
        return self._series_by_pod(namespace, metric, pods, metric_selector)

    def object_metric(
        self, namespace: str, kind: str, name: str, metric: str, metric_selector: Selector
    ) -> MetricValue | None:
        label = kind.rpartition("/")[2].lower()
        wanted = {"namespace": namespace, label: name}
        value = self._total(metric, wanted, metric_selector)
        return None if value is None else MetricValue(name, value, self._clock.time())

    def external_metric(self, namespace: str, metric: str, selector: Selector) -> Sequence[MetricValue]:
        wanted = {"namespace": namespace} if namespace else {}
        value = self._total(metric, wanted, selector)
        if value is None:
            value = self._total(metric, {}, selector)
        return () if value is None else (MetricValue("", value, self._clock.time()),)

    # Inside

    def _matching(self, namespace: str, selector: Selector) -> _Rows:
        """(slot, pod name, container) of the pods of a namespace that the selector matches; the last answer when pods
        and rows are the same."""
        records = self._client.selected("Pod", namespace, selector)
        known = self._matched.get((namespace, selector))
        if known is not None and known[0] == self._pods.population and known[1] == records:
            return known[2]
        found = []
        slots, identity = self._pods.by_uid, self._pods.identity
        for stored in records:
            slot = slots.get(stored.object["metadata"]["uid"])
            if slot is not None:
                who = identity[slot]
                assert who is not None
                found.append((slot, who.name, who.container))
        if len(self._matched) >= _MATCHED_KEPT:
            self._matched.clear()
        self._matched[namespace, selector] = (self._pods.population, records, found)
        return found

    def _request_rates(self, namespace: str, selector: Selector) -> list[MetricValue]:
        found: list[MetricValue] = []
        if len(self._samples) < 2:
            return found
        last = self._samples[-1]
        if self._rates is None:
            self._rates = _request_rates(
                [s for s in self._samples[:-1] if s.time_s >= last.time_s - RATE_WINDOW_S - 1e-6], last
            )
        for slot, name, _ in self._matching(namespace, selector):
            service = int(self._pods.service[slot])
            if service < 0 or self._faults.scrape_gap(self._services[service].name):
                continue
            value = self._rates[slot] if slot < len(self._rates) else None
            if value is not None:
                found.append(MetricValue(name, value, last.time_s))
        return found

    def _series_by_pod(
        self, namespace: str, metric: str, pods: Selector, metric_selector: Selector
    ) -> list[MetricValue]:
        values = self._ask(metric, {"namespace": namespace}, metric_selector, "pod")
        now_s = self._clock.time()
        names = [name for _, name, _ in self._matching(namespace, pods)]
        return [MetricValue(name, values[name], now_s) for name in names if name in values]

    def _total(self, metric: str, wanted: dict[str, str], selector: Selector) -> float | None:
        return self._ask(metric, wanted, selector, "").get("")

    def _ask(self, metric: str, wanted: dict[str, str], selector: Selector, by: str) -> dict[str, float]:
        """{value of the label `by`: sum}: of 2-minute rates for `X_per_second`, else of the latest values."""
        if self._query is None:
            return {}
        matchers = [f'{name}="{value}"' for name, value in wanted.items()]
        matchers += [m for r in selector.requirements for m in _matchers(r)]
        base = metric.removesuffix("_per_second")
        braces = "{" + ",".join(matchers) + "}"
        inner = f"{metric}{braces}" if base == metric else f"rate({base}_total{braces}[2m])"
        text = f"sum by ({by}) ({inner})" if by else f"sum({inner})"
        answer = self._query(text, int(self._clock.time() * 1000))
        return {dict(labels).get(by, ""): value for labels, value in answer}


def _matchers(requirement: Requirement) -> list[str]:
    """A label requirement in PromQL's words."""
    key, values = requirement.key, "|".join(requirement.values)
    match requirement.operator:
        case "In":
            return [f'{key}=~"{values}"' if len(requirement.values) > 1 else f'{key}="{values}"']
        case "NotIn":
            return [f'{key}!~"{values}"']
        case "Exists":
            return [f'{key}!=""']
        case "DoesNotExist":
            return [f'{key}=""']
    return []


def _usage(before: _Sample, last: _Sample) -> tuple[float, list[float | None], list[float]]:
    """(window, cores by slot, bytes by slot) between two samples; cores are None where they do not show the same
    container."""
    window_s = last.time_s - before.time_s
    # The table only grows; what came with its growth was not there before.
    upto = len(before.seen)
    same = before.seen & last.seen[:upto]
    same &= (before.incarnation == last.incarnation[:upto]) & (before.restarts == last.restarts[:upto])
    rates = (last.cpu_s[:upto] - before.cpu_s) / window_s
    cores: list[float | None] = rates.tolist()
    for slot in np.flatnonzero(~same).tolist():
        cores[slot] = None
    return window_s, cores, last.memory[:upto].tolist()


def _request_rates(window: Sequence[_Sample], last: _Sample) -> list[float | None]:
    """Requests per second by slot, from the first sample of the window that shows the same container to the last one;
    None where there is no such sample."""
    found = np.zeros(len(last.seen), dtype=bool)
    since_s, before = np.zeros(len(found)), np.zeros(len(found))
    wanted = last.seen.copy()
    for sample in window:
        upto = len(sample.seen)
        held = sample.seen & wanted[:upto]
        held &= (sample.incarnation == last.incarnation[:upto]) & (sample.restarts == last.restarts[:upto])
        rows = np.flatnonzero(held)
        found[rows], since_s[rows], before[rows] = True, sample.time_s, sample.requests[rows]
        wanted[rows] = False
        if not wanted.any():
            break
    values: list[float | None] = [None] * len(found)
    rows = np.flatnonzero(found)
    rates = (last.requests[rows] - before[rows]) / (last.time_s - since_s[rows])
    for slot, rate in zip(rows.tolist(), rates.tolist()):
        values[slot] = rate
    return values
