"""What an autoscaling decision knows about a pod, and how pods are sorted into ready, unready, missing and ignored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pilothouse.base import quantity
from pilothouse.base.clock import parse_rfc3339
from pilothouse.engines.autoscaling.metrics import PodMetrics

ZERO_TIME_S = -62_135_596_800.0
"""0001-01-01T00:00:00Z, Go's zero time: "set, but before everything"."""


class Readiness(NamedTuple):
    """When a pod's early samples do not count: kube-controller-manager's flags of the same names and their defaults."""

    cpu_initialization_period_s: float = 300.0
    initial_readiness_delay_s: float = 30.0


class PodFacts:
    """One pod as the decision sees it. `ready` is the Ready condition's status, "" when there is none."""

    __slots__ = (
        "_requests",
        "containers",
        "deleting",
        "labels",
        "name",
        "phase",
        "pod_level",
        "ready",
        "ready_since_s",
        "start_s",
    )

    def __init__(
        self,
        name: str,
        *,
        phase: str = "Running",
        ready: str = "True",
        ready_since_s: float = ZERO_TIME_S,
        start_s: float | None = ZERO_TIME_S,
        deleting: bool = False,
        containers: Mapping[str, Mapping[str, int]] | None = None,
        pod_level: Mapping[str, int] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.phase = phase
        self.ready = ready
        self.ready_since_s = ready_since_s
        self.start_s = start_s
        self.deleting = deleting
        self.containers = containers or {}
        """Requests in milli-units: container name → resource → value; sidecars included."""
        self.pod_level = pod_level
        """Requests of the pod as a whole (`spec.resources.requests`), or None."""
        self.labels = labels or {}
        self._requests: dict[tuple[str, str], int | str] = {}

    def request(self, resource: str, container: str = "") -> int | str:
        """Milli-units requested by the pod or one container; text says what is missing."""
        key = (resource, container)
        known = self._requests.get(key)
        if known is None:
            known = self._requests[key] = self._look_up(resource, container)
        return known

    def _look_up(self, resource: str, container: str) -> int | str:
        if container:
            if container not in self.containers:
                return f"container {container} not found in Pod {self.name}"
            value = self.containers[container].get(resource)
            return (
                f"missing request for {resource} in container {container} of Pod {self.name}"
                if value is None
                else value
            )
        if self.pod_level is not None:
            value = self.pod_level.get(resource)
            return f"missing pod-level request for {resource} in Pod {self.name}" if value is None else value
        total = 0
        for name, requests in self.containers.items():
            value = requests.get(resource)
            if value is None:
                return f"missing request for {resource} in container {name} of Pod {self.name}"
            total += value
        return total


class KeptPods(tuple[PodFacts, ...]):
    """Pods that are looked at again and again unchanged: what depends neither on time nor on samples is worked out
    once."""

    _requests: dict[tuple[str, str], dict[str, int] | str]
    _steady_s: dict[Readiness, float]

    def __init__(self, _pods: Iterable[PodFacts] = ()) -> None:
        self._requests = {}
        self._steady_s = {}

    def requests(self, resource: str, container: str) -> dict[str, int] | str:
        """As `requests_of`."""
        known = self._requests.get((resource, container))
        if known is None:
            known = self._requests[resource, container] = requests_of(self, resource, container)
        return known

    def steady_s(self, readiness: Readiness) -> float:
        """From when on every pod's sample counts (Unix seconds); infinity when some pod is not simply up."""
        known = self._steady_s.get(readiness)
        if known is None:
            known = self._steady_s[readiness] = max((_steady_s(pod, readiness) for pod in self), default=-math.inf)
        return known


def requests_of(pods: Iterable[PodFacts], resource: str, container: str = "") -> dict[str, int] | str:
    """Milli-units requested by pod name; text says what is missing in the first pod that lacks it."""
    out: dict[str, int] = {}
    for pod in pods:
        request = pod.request(resource, container)
        if isinstance(request, str):
            return request
        out[pod.name] = request
    return out


def _steady_s(pod: PodFacts, readiness: Readiness) -> float:
    if pod.deleting or pod.phase in ("Failed", "Pending") or pod.ready in ("", "False") or pod.start_s is None:
        return math.inf
    return pod.start_s + readiness.cpu_initialization_period_s


def facts_of(pod: Mapping[str, Any]) -> PodFacts:
    """The facts of a Pod object (its wire form)."""
    metadata, spec, status = pod.get("metadata") or {}, pod.get("spec") or {}, pod.get("status") or {}
    ready = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), None)
    started = status.get("startTime")
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    pod_level = (spec.get("resources") or {}).get("requests")
    return PodFacts(
        metadata.get("name", ""),
        phase=status.get("phase", ""),
        ready=ready.get("status", "") if ready else "",
        ready_since_s=_moment(ready.get("lastTransitionTime")) if ready else ZERO_TIME_S,
        start_s=_moment(started) if started else None,
        deleting=bool(metadata.get("deletionTimestamp")),
        containers={c.get("name", ""): _requests(c) for c in [*(spec.get("containers") or ()), *sidecars]},
        pod_level={name: quantity.milli(value) for name, value in pod_level.items()} if pod_level else None,
        labels=metadata.get("labels"),
    )


def _requests(container: Mapping[str, Any]) -> dict[str, int]:
    requests = (container.get("resources") or {}).get("requests") or {}
    return {name: quantity.milli(value) for name, value in requests.items()}


def _moment(text: str | None) -> float:
    return parse_rfc3339(text) if text else ZERO_TIME_S


class Groups(NamedTuple):
    """Pods by what their samples are worth: ready ones count, unready and missing are guessed, ignored do not exist."""

    ready: int
    unready: list[str]
    missing: list[str]
    ignored: list[str]


def group(pods: Iterable[PodFacts], metrics: PodMetrics, resource: str, readiness: Readiness, now_s: float) -> Groups:
    """Sort pods by the worth of their samples; only CPU looks at readiness (upstream `groupPods`)."""
    if isinstance(pods, KeptPods) and pods.steady_s(readiness) <= now_s:
        missing = [pod.name for pod in pods if pod.name not in metrics]
        return Groups(len(pods) - len(missing), [], missing, [])
    ready, unready, missing, ignored = 0, [], [], []
    for pod in pods:
        if pod.deleting or pod.phase == "Failed":
            ignored.append(pod.name)
        elif pod.phase == "Pending":
            unready.append(pod.name)
        elif (metric := metrics.get(pod.name)) is None:
            missing.append(pod.name)
        elif resource == "cpu" and _is_cpu_sample_void(pod, metric[1], metric[2], readiness, now_s):
            unready.append(pod.name)
        else:
            ready += 1
    return Groups(ready, unready, missing, ignored)


def _is_cpu_sample_void(pod: PodFacts, timestamp_s: float, window_s: float, readiness: Readiness, now_s: float) -> bool:
    """Start-up burns CPU: a sample counts once the pod was ready for a whole window, or its first minutes are over."""
    if not pod.ready or pod.start_s is None:
        return True
    unready = pod.ready == "False"
    if pod.start_s + readiness.cpu_initialization_period_s > now_s:
        return unready or timestamp_s < pod.ready_since_s + window_s
    # Past that period only a pod that has never been ready is left out.
    return unready and pod.start_s + readiness.initial_readiness_delay_s > pod.ready_since_s


def ready_count(pods: Iterable[PodFacts]) -> int:
    """Running pods whose Ready condition is True."""
    return sum(1 for pod in pods if pod.phase == "Running" and pod.ready == "True")
