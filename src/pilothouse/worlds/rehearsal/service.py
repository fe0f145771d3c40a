"""A service's numbers: its model with every default filled in, and what they give for one group of equal pods.

`resolve` turns a ServiceModel into plain numbers; `pod_numbers` combines them with the pods' limits and the faults
in force. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pilothouse.engines.queueing.balancing import POLICIES, Policy, front
from pilothouse.engines.queueing.response import Discipline, ResponseTable, table
from pilothouse.engines.queueing.service import ServiceTime
from pilothouse.worlds.rehearsal import spec as s
from pilothouse.worlds.rehearsal.faults import Disturbance
from pilothouse.worlds.rehearsal.pods import Group

IDLE_CPU_CORES = 0.002
"""What a process that waits for requests uses."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service in numbers. Times in seconds, sizes in bytes, shares 0..1.

    edges_s: upper edges of the latency columns: the metric's buckets, the timeout and the slow threshold; then +Inf.
    """

    name: str
    namespace: str
    mean_s: float
    sigma: float
    discipline: Discipline
    start: tuple[float, float]
    ready_after_s: float
    stop_s: float
    probes_queue: bool
    timeout_s: float
    slow_s: float
    workers: int | None
    cpu_share: float
    queue: int
    memory_base: int | None
    memory_per_request: int
    leak_bytes_per_s: float
    warmup_s: float
    warmup_factor: float
    buckets_s: tuple[float, ...]
    edges_s: tuple[float, ...]
    error_rate: float
    retries_max: int
    retry_budget: float
    policy: Policy
    arrival_scv: float

    def edge_column(self, edge_s: float) -> int:
        """The first latency column whose requests took longer than this edge."""
        return self.edges_s.index(edge_s) + 1


def resolve(name: str, model: s.ServiceModel) -> Service:
    """Fill in every default; SpecError when a value has no meaning."""
    pod, at = model.pod, f"services.{name}"
    service = pod.service or s.ASSUMED_SERVICE
    start = pod.start or s.ASSUMED_START
    timeout_s = s.seconds(s.ASSUMED_TIMEOUT if pod.timeout is None else pod.timeout, f"{at}.pod.timeout")
    slow_s = s.seconds(model.slow, f"{at}.slow")
    policy = next(p for p in POLICIES if p == (model.balancing or s.ASSUMED_BALANCING).replace("-", "_"))
    return Service(
        name=name,
        namespace=model.namespace,
        mean_s=s.seconds(service.mean, f"{at}.pod.service.mean"),
        sigma=service.sigma,
        discipline=s.discipline(pod.discipline, f"{at}.pod.discipline"),
        start=(s.seconds(start.median, f"{at}.pod.start.median"), start.sigma),
        ready_after_s=s.seconds(
            s.ASSUMED_READY_AFTER if pod.ready_after is None else pod.ready_after, f"{at}.readyAfter"
        ),
        stop_s=s.seconds(pod.stop, f"{at}.pod.stop"),
        probes_queue=pod.probes == "queue",
        timeout_s=timeout_s,
        slow_s=slow_s,
        workers=pod.workers,
        cpu_share=pod.cpu_share,
        queue=pod.queue,
        memory_base=None if pod.memory.base is None else s.size_bytes(pod.memory.base, f"{at}.pod.memory.base"),
        memory_per_request=s.size_bytes(pod.memory.per_request, f"{at}.pod.memory.perRequest"),
        leak_bytes_per_s=s.growth_bytes_per_s(pod.memory.leak, f"{at}.pod.memory.leak"),
        warmup_s=s.seconds(pod.warmup.duration, f"{at}.pod.warmup.duration"),
        warmup_factor=pod.warmup.factor,
        buckets_s=pod.buckets,
        edges_s=tuple(sorted({*pod.buckets, timeout_s, slow_s})),
        error_rate=s.ASSUMED_ERROR_RATE if model.good.error_rate is None else model.good.error_rate,
        retries_max=model.retries.max,
        retry_budget=s.share(model.retries.budget, f"{at}.retries.budget"),
        policy=policy,
        arrival_scv=0.0 if model.load.arrivals == "paced" else 1.0,
    )


@dataclass(frozen=True, slots=True)
class PodNumbers:
    """One group of equal pods, now. rate_per_s: requests it can serve at most; cpu_s: per request, of `service_s` in
    all."""

    rate_per_s: float
    service_s: float
    cpu_s: float
    servers: int
    error_rate: float
    memory_base: float
    leak_bytes_per_s: float
    cpu_limit: float


def pod_numbers(service: Service, group: Group, disturbed: Disturbance, warm: float = 1.0) -> PodNumbers:
    """What a pod can do: bound by its workers, each busy for the whole request, and by its CPU limit.

    Workers are as many as cores in the limit, rounded up, unless the model says otherwise; without a limit, as cores
    requested, at least one. warm: the warm-up factor on CPU work.
    """
    limit = group.cpu_limit or max(1.0, math.ceil(group.cpu_request))
    workers = service.workers or max(1, math.ceil(limit))
    work_s = service.mean_s * disturbed.latency_factor * warm
    cpu_s = work_s * service.cpu_share
    # Below one core a request is throttled even when it is alone; above, only the pod's rate is.
    service_s = work_s - cpu_s + cpu_s / min(1.0, limit) + disturbed.delay_s
    rate_per_s = min(workers / service_s, limit / cpu_s if cpu_s else math.inf)
    return PodNumbers(
        rate_per_s=rate_per_s,
        service_s=service_s,
        cpu_s=cpu_s,
        servers=max(1, round(rate_per_s * service_s)),
        error_rate=service.error_rate if disturbed.error_rate is None else disturbed.error_rate,
        memory_base=memory_at_rest(service, group),
        leak_bytes_per_s=service.leak_bytes_per_s + disturbed.leak_bytes_per_s,
        cpu_limit=group.cpu_limit,
    )


def memory_at_rest(service: Service | None, group: Group) -> float:
    """Bytes of an idle pod: what the model says, else 60 % of the request, else 128 Mi."""
    if service is not None and service.memory_base is not None:
        return float(service.memory_base)
    return group.memory_request * 0.6 or float(s.size_bytes(s.ASSUMED_MEMORY, "memory"))


def response_table(service: Service, numbers: PodNumbers, ready_pods: int, columns: int) -> ResponseTable:
    """The latency table of such a pod among `ready_pods` peers, padded to `columns` buckets by empty ones before
    +Inf."""
    padding = (service.edges_s[-1],) * (columns - 1 - len(service.edges_s))
    before = front(service.policy, ready_pods, service.arrival_scv)
    time = ServiceTime(numbers.service_s, service.sigma)
    return table(time, service.edges_s + padding, numbers.servers, before, service.discipline)
