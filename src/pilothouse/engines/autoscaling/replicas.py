"""How many replicas one metric asks for, after kube-controller-manager 1.36 `replica_calculator.go`.

Each function answers a `Proposal`, or a `Failure` with upstream's words when the metric says nothing. The same three
steps serve all per-pod metrics: the ratio of usage to target over the pods that count; guesses for those that do not;
the ratio once more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pilothouse.engines.autoscaling.metrics import INT64_MAX, INT64_MIN, PodMetrics, saturated_sum
from pilothouse.engines.autoscaling.pods import Groups, KeptPods, PodFacts, Readiness, group, ready_count, requests_of

INT32_MAX = 2**31 - 1
NO_PODS = "no pods returned by selector while calculating replica count"


class Tolerances(NamedTuple):
    """How far the usage ratio may stray from 1 without effect."""

    scale_down: float = 0.1
    scale_up: float = 0.1

    def hold(self, ratio: float) -> bool:
        return 1.0 - self.scale_down <= ratio <= 1.0 + self.scale_up


class Proposal(NamedTuple):
    """replicas: what is asked for; usage_milli: the value shown; utilization_percent: of a Utilization target."""

    replicas: int
    usage_milli: int
    utilization_percent: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    message: str


class _Ratio(NamedTuple):
    ratio: float
    usage_milli: int
    utilization_percent: int | None = None


def for_utilization(
    current: int,
    target_percent: int,
    resource: str,
    container: str,
    metrics: PodMetrics,
    pods: Sequence[PodFacts],
    tolerances: Tolerances,
    readiness: Readiness,
    now_s: float,
) -> Proposal | Failure:
    """Replicas for a share of the requests (`averageUtilization`) of the pods or of one container."""
    if not pods:
        return Failure(NO_PODS)
    groups = group(pods, metrics, resource, readiness, now_s)
    known = pods.requests(resource, container) if isinstance(pods, KeptPods) else requests_of(pods, resource, container)
    if isinstance(known, str):
        return Failure(known)
    requests = known

    def ratio(values: dict[str, int]) -> _Ratio | None:
        usage = total = counted = 0
        for name, value in values.items():
            # A metric of a pod that the selector does not find weighs nothing here.
            if (request := requests.get(name)) is not None:
                usage += value
                total += request
                counted += 1
        if total == 0:
            return None
        percent = int(usage * 100 / total) if usage < 0 else usage * 100 // total
        return _Ratio(_divide(percent, target_percent), usage // counted, percent)

    fallback_percent = max(100, target_percent)
    return _propose(
        current,
        metrics,
        groups,
        tolerances,
        ratio,
        lambda name: requests[name] * fallback_percent // 100,
    )


def for_average(
    current: int,
    target_milli: int,
    resource: str,
    metrics: PodMetrics,
    pods: Sequence[PodFacts],
    tolerances: Tolerances,
    readiness: Readiness,
    now_s: float,
) -> Proposal | Failure:
    """Replicas for an average per pod (`averageValue`) of a resource, or of a custom metric (`resource` is "" then)."""
    if not pods:
        return Failure(NO_PODS)
    groups = group(pods, metrics, resource, readiness, now_s)

    def ratio(values: dict[str, int]) -> _Ratio:
        usage = sum(values.values()) // len(values)
        return _Ratio(_divide(usage, target_milli), usage)

    return _propose(current, metrics, groups, tolerances, ratio, lambda _name: target_milli)


def _propose(
    current: int,
    metrics: PodMetrics,
    groups: Groups,
    tolerances: Tolerances,
    ratio: Callable[[dict[str, int]], _Ratio | None],
    fallback: Callable[[str], int],
) -> Proposal | Failure:
    values = {name: metric[0] for name, metric in metrics.items()}
    for name in (*groups.ignored, *groups.unready):
        values.pop(name, None)
    if not values:
        return Failure("did not receive metrics for targeted pods (pods might be unready)")
    first = ratio(values)
    if first is None:
        return Failure("no metrics returned matched known pods")

    usage_ratio = first.ratio
    stay = Proposal(current, first.usage_milli, first.utilization_percent)
    rebalance = bool(groups.unready) and usage_ratio > 1.0
    if not rebalance and not groups.missing:
        return (
            stay if tolerances.hold(usage_ratio) else stay._replace(replicas=ceil_replicas(usage_ratio * groups.ready))
        )

    # Guesses lean against the move: missing pods idle when scaling up, at their full request when scaling down.
    if usage_ratio < 1.0:
        values.update((name, fallback(name)) for name in groups.missing)
    elif usage_ratio > 1.0:
        values.update((name, 0) for name in groups.missing)
    if rebalance:
        values.update((name, 0) for name in groups.unready)
    second = ratio(values)
    if second is None:
        return Failure("no metrics returned matched known pods")
    new_ratio = second.ratio
    turned = (usage_ratio < 1.0 < new_ratio) or (new_ratio < 1.0 < usage_ratio)
    if tolerances.hold(new_ratio) or turned:
        return stay
    replicas = ceil_replicas(new_ratio * len(values))
    if (new_ratio < 1.0 and replicas > current) or (new_ratio > 1.0 and replicas < current):
        return stay
    return stay._replace(replicas=replicas)


def for_total(
    current: int, target_milli: int, usage_milli: int, pods: Sequence[PodFacts], tolerances: Tolerances
) -> Proposal | Failure:
    """Replicas for a total (`value` of an Object or External metric): the ready pods scale with the ratio."""
    ratio = _divide(usage_milli, target_milli)
    if current == 0:
        # From nothing there is no pod to measure and no tolerance to keep.
        return Proposal(ceil_replicas(ratio), usage_milli)
    if tolerances.hold(ratio):
        return Proposal(current, usage_milli)
    if not pods:
        return Failure(f"unable to calculate ready pods: {NO_PODS}")
    return Proposal(ceil_replicas(ratio * ready_count(pods)), usage_milli)


def for_total_per_pod(status_replicas: int, target_milli: int, usage_milli: int, tolerances: Tolerances) -> Proposal:
    """Replicas for a total shared by the pods (`averageValue` of an Object or External metric)."""
    replicas = status_replicas
    if not tolerances.hold(_divide(usage_milli, float(target_milli) * status_replicas)):
        replicas = ceil_replicas(_divide(usage_milli, target_milli))
    return Proposal(replicas, _ceil_int64(_divide(usage_milli, status_replicas)))


def external_total(values: tuple[int, ...]) -> int:
    """The sum of an external metric's values, held inside int64."""
    return saturated_sum(values)


def _divide(top: float, bottom: float) -> float:
    """Division as Go's float64 does it: by zero gives infinity or NaN, never an error."""
    if bottom == 0:
        return math.nan if top == 0 else math.copysign(math.inf, top)
    return float(top) / float(bottom)


def ceil_replicas(value: float) -> int:
    """The next whole number of replicas, held inside int32; NaN is 0."""
    if math.isnan(value):
        return 0
    return math.ceil(min(max(value, -INT32_MAX), INT32_MAX))


def _ceil_int64(value: float) -> int:
    if math.isnan(value):
        return 0
    if value >= INT64_MAX:
        return INT64_MAX
    return INT64_MIN if value <= INT64_MIN else math.ceil(value)
