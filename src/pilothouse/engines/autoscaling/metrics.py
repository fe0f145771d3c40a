"""The shapes in which metrics reach an autoscaling decision, free of any API; `machinery.ports` may reuse them.

A value is always an integer of thousandths (milli-units), as a `resource.Quantity.MilliValue` is upstream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """What a metrics API answered instead of values; `message` is its error text."""

    message: str


class PodMetric(NamedTuple):
    """One value of one pod: `value_milli` averaged over the `window_s` seconds before `timestamp_s`."""

    value_milli: int
    timestamp_s: float
    window_s: float


class PodUsage(NamedTuple):
    """One entry of the resource metrics API: container name → resource name → milli-units."""

    pod: str
    timestamp_s: float
    window_s: float
    containers: Mapping[str, Mapping[str, int]]


PodMetrics = Mapping[str, PodMetric]
"""Values by pod name."""


def resource_values(
    answer: Sequence[PodUsage] | Unavailable, resource: str, container: str = ""
) -> dict[str, PodMetric] | Unavailable:
    """Each pod's usage of a resource, summed over containers or of one container.

    A pod in which any container lacks the resource is left out; a pod without the named container fails the whole
    answer (upstream pkg/controller/podautoscaler/metrics/client.go, 1.36).
    """
    if isinstance(answer, Unavailable):
        return Unavailable(f"unable to fetch metrics from resource metrics API: {answer.message}")
    if not answer:
        return Unavailable("no metrics returned from resource metrics API")
    out: dict[str, PodMetric] = {}
    for pod, timestamp_s, window_s, containers in answer:
        if container:
            usage = containers.get(container)
            if usage is None:
                return Unavailable(f"container {container} not present in metrics for pod {pod}")
            value = usage.get(resource)
        else:
            value = _sum(containers, resource)
        if value is not None:
            out[pod] = PodMetric(value, timestamp_s, window_s)
    return out


def _sum(containers: Mapping[str, Mapping[str, int]], resource: str) -> int | None:
    """The pod's total; None when it has no containers or one of them does not report the resource."""
    if len(containers) == 1:
        (only,) = containers.values()
        return only.get(resource)
    total: int | None = None
    for usage in containers.values():
        value = usage.get(resource)
        if value is None:
            return None
        total = value if total is None else total + value
    return total


def saturated_sum(values: tuple[int, ...]) -> int:
    """The sum, held inside int64 instead of wrapping around."""
    return max(INT64_MIN, min(INT64_MAX, sum(values)))
