"""What a rehearsal's world is made of, as typed records: services with their load and pods, the cluster, the time step.

Field names are those of a Scenario document (`services.NAME.load.peakAt`). Everything nobody wrote has a default,
and every default that changes an outcome is listed by `assumptions`, so that the report can say what was assumed and
why. Pure data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from pilothouse.base import quantity
from pilothouse.base.duration import parse_duration_s
from pilothouse.engines.queueing.balancing import POLICIES
from pilothouse.engines.queueing.response import Discipline

Duration = str | int | float
"""A Go duration (`90s`) or a number of seconds."""

DEFAULT_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The Python Prometheus client's defaults."""


class SpecError(ValueError):
    """A value that cannot be used; `path` is dotted, e.g. `services.api.load.base`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


@dataclass(frozen=True, slots=True)
class Assumption:
    """A value nobody gave. name: dotted path; value: as a person would write it; why: where it comes from."""

    name: str
    value: str
    why: str


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Base of all records here: immutable, camelCase on the outside, unknown fields refused."""


class Spread(Record, frozen=True):
    """A log-normal time by its median."""

    median: Duration
    sigma: float = 0.3


class Mean(Record, frozen=True):
    """A log-normal time by its mean."""

    mean: Duration
    sigma: float = 0.5


class LoadSpec(Record, frozen=True):
    """Requests per second over time. base: the mean over a day; ratio: busiest over quietest moment of a diurnal
    day."""

    base: str | int | float = 0
    shape: Literal["constant", "diurnal"] = "constant"
    peak_at: str = "14:00"
    ratio: float = 2.5
    arrivals: Literal["poisson", "paced"] = "poisson"
    csv: str = ""
    """The text of a trace with the header `time,rps`; times in seconds or durations from start, straight lines
    between."""
    points: tuple[tuple[float, float], ...] = ()
    """The same as (second, rps) pairs."""


class MemorySpec(Record, frozen=True):
    """base: the process at rest; perRequest: for each request in flight; leak: growth such as `2MiB/min`."""

    base: str | None = None
    per_request: str = "256Ki"
    leak: str = ""


class WarmupSpec(Record, frozen=True):
    """Requests take `factor` times as long at first, falling evenly to 1 over `duration`."""

    duration: Duration = 0
    factor: float = 1.0


class PodSpec(Record, frozen=True):
    """One pod of a service. workers: requests served at the same time (None: the CPU limit, rounded up)."""

    service: Mean | None = None
    discipline: str | dict[str, int] = "fifo"
    start: Spread | None = None
    ready_after: Duration | None = None
    timeout: Duration | None = None
    workers: int | None = None
    cpu_share: float = 1.0
    stop: Duration = 1
    """From SIGTERM to exit."""
    probes: Literal["queue", "apart"] = "queue"
    """Whether health checks wait behind requests (one worker pool, a blocked event loop) or are answered apart."""
    queue: int = 1024
    memory: MemorySpec = MemorySpec()
    warmup: WarmupSpec = WarmupSpec()
    buckets: tuple[float, ...] = DEFAULT_BUCKETS_S


class GoodSpec(Record, frozen=True):
    """The healthy version: share of requests answered with a 500."""

    error_rate: float | None = None


class RetrySpec(Record, frozen=True):
    """The clients' policy. max: further attempts per request; budget: most retries as a share of requests."""

    max: int = 0
    budget: str | float = 0.1


class ServiceModel(Record, frozen=True):
    """Everything modelled about one service; NAME is a Service or a workload of the user's files."""

    namespace: str = ""
    load: LoadSpec = LoadSpec()
    pod: PodSpec = PodSpec()
    good: GoodSpec = GoodSpec()
    retries: RetrySpec = RetrySpec()
    balancing: str | None = None
    slow: Duration = 0.5
    """A request slower than this counts as slow in the record of the run."""


class NodeGroup(Record, frozen=True):
    """A pool of equal nodes. zones: nodes are spread over them in turn; hourly: price of one node, any currency."""

    instance_type: str = ""
    min: int = 0
    max: int = 1
    desired: int = 1
    hourly: float | None = None
    cpu: str = ""
    memory: str = ""
    pods: int = 110
    zones: tuple[str, ...] = ("zone-a", "zone-b", "zone-c")
    labels: dict[str, str] = {}
    taints: tuple[dict[str, str], ...] = ()
    resources: dict[str, str] = {}
    """Amounts besides cpu, memory and pods, e.g. {"nvidia.com/gpu": "1"}."""


class ClusterSpec(Record, frozen=True):
    node_groups: dict[str, NodeGroup] = {}
    node_start: Spread | None = None


class WorldSpec(Record, frozen=True):
    """The whole world. step: "adaptive", or a fixed duration; metricNames: those that anything reads (None: all)."""

    services: dict[str, ServiceModel] = {}
    cluster: ClusterSpec = ClusterSpec()
    step: Duration = "adaptive"
    scrape_interval: Duration = 15
    image_pull: Spread | None = None
    missing_images: tuple[str, ...] = ()
    """Globs of images that no registry has."""
    metric_names: frozenset[str] | None = None


ASSUMED_SERVICE = Mean(mean="50ms", sigma=0.5)
ASSUMED_START = Spread(median="4s", sigma=0.3)
ASSUMED_PULL = Spread(median="3s", sigma=0.4)
ASSUMED_NODE_START = Spread(median="75s", sigma=0.25)
ASSUMED_TIMEOUT = "10s"
ASSUMED_READY_AFTER = "2s"
ASSUMED_ERROR_RATE = 0.001
ASSUMED_BALANCING = "random"
ASSUMED_MEMORY = "128Mi"


def seconds(value: Duration, path: str) -> float:
    """A duration in seconds, not negative; SpecError otherwise."""
    try:
        found = parse_duration_s(value) if isinstance(value, str) else float(value)
    except ValueError as error:
        raise SpecError(path, str(error)) from None
    if not 0 <= found < math.inf:
        raise SpecError(path, f"{value!r} must not be negative")
    return found


_RATE = re.compile(r"\s*([0-9.eE+-]+)\s*(rps|rpm|/s|/min|)\s*")


def rate_per_s(value: str | int | float, path: str) -> float:
    """Requests per second of `50rps`, `600rpm`, `5/s` or a plain number; SpecError otherwise."""
    match = _RATE.fullmatch(str(value))
    try:
        number = float(match[1]) if match else math.nan
    except ValueError:
        number = math.nan
    if match is None or not 0 <= number < math.inf:
        raise SpecError(path, f"{value!r} is not a rate such as 50rps or 600rpm")
    return number / 60 if match[2] in ("rpm", "/min") else number


def share(value: str | int | float, path: str) -> float:
    """A share 0..1 of `10%`, `0.1`; SpecError otherwise."""
    text = str(value).strip()
    try:
        found = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found <= 1:
        raise SpecError(path, f"{value!r} is not a share such as 10% or 0.1")
    return found


def size_bytes(value: str | int | float, path: str) -> int:
    """Bytes of a Kubernetes quantity; `MiB` is accepted for `Mi`. SpecError otherwise."""
    try:
        found = quantity.whole(re.sub(r"(?<=[KMGT]i)B$", "", str(value)))
    except ValueError as error:
        raise SpecError(path, f"{value!r}: {error}") from None
    if found < 0:
        raise SpecError(path, f"{value!r} must not be negative")
    return found


def growth_bytes_per_s(value: str, path: str) -> float:
    """Bytes per second of `2MiB/min`, `100Ki/s`; "" is none. SpecError otherwise."""
    if not value:
        return 0.0
    amount, slash, unit = value.partition("/")
    per = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}.get(unit.strip())
    if not slash or per is None:
        raise SpecError(path, f"{value!r} is not a growth such as 2MiB/min")
    return size_bytes(amount.strip(), path) / per


def time_of_day_s(value: str, path: str) -> float:
    """Seconds after midnight UTC of `14:00`; SpecError otherwise."""
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", value.strip())
    if match is None:
        raise SpecError(path, f"{value!r} is not a time of day such as 14:00")
    return int(match[1]) * 3600.0 + int(match[2]) * 60.0


def discipline(value: str | dict[str, int], path: str) -> Discipline:
    """`fifo`, `shared` or `{pool: 40}`; SpecError otherwise."""
    try:
        if isinstance(value, dict):
            if list(value) != ["pool"]:
                raise ValueError("use fifo, shared or {pool: 40}")
            return Discipline("pool", value["pool"])
        return Discipline(value)
    except ValueError as error:
        raise SpecError(path, str(error)) from None


def parse_world(raw: dict[str, Any]) -> WorldSpec:
    """A WorldSpec from plain data; SpecError with the path of the first field that does not fit."""
    try:
        spec = msgspec.convert(raw, WorldSpec)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        raise SpecError(where.strip("`.") or "spec", text) from None
    check(spec)
    return spec


def check(spec: WorldSpec) -> None:
    """Refuse values that have no meaning; SpecError names the first."""
    for name, service in spec.services.items():
        _check_service(service, f"services.{name}")
    for name, group in spec.cluster.node_groups.items():
        at = f"cluster.nodeGroups.{name}"
        if not 0 <= group.min <= group.max:
            raise SpecError(at, f"min {group.min} and max {group.max} must satisfy 0 <= min <= max")
        if not group.zones:
            raise SpecError(f"{at}.zones", "needs at least one zone")
    if spec.step != "adaptive" and seconds(spec.step, "step") < 0.1:
        raise SpecError("step", "must be at least 100ms")
    if seconds(spec.scrape_interval, "scrapeInterval") < 1:
        raise SpecError("scrapeInterval", "must be at least 1s")


def _check_service(service: ServiceModel, at: str) -> None:
    rate_per_s(service.load.base, f"{at}.load.base")
    time_of_day_s(service.load.peak_at, f"{at}.load.peakAt")
    if service.load.ratio < 1:
        raise SpecError(f"{at}.load.ratio", "is the busiest over the quietest moment and cannot be below 1")
    pod = service.pod
    discipline(pod.discipline, f"{at}.pod.discipline")
    if pod.service is not None and seconds(pod.service.mean, f"{at}.pod.service.mean") <= 0:
        raise SpecError(f"{at}.pod.service.mean", "must be more than zero")
    for name, spread in (("service", pod.service), ("start", pod.start)):
        if spread is not None and not 0 <= spread.sigma <= 3:
            raise SpecError(f"{at}.pod.{name}.sigma", "must be between 0 and 3")
    if pod.workers is not None and pod.workers < 1:
        raise SpecError(f"{at}.pod.workers", "must be at least 1")
    if pod.queue < 0:
        raise SpecError(f"{at}.pod.queue", "must not be negative")
    if not 0 <= pod.cpu_share <= 1:
        raise SpecError(f"{at}.pod.cpuShare", "is a share of the service time, 0 to 1")
    if list(pod.buckets) != sorted({b for b in pod.buckets if 0 < b < math.inf}) or not pod.buckets:
        raise SpecError(f"{at}.pod.buckets", "must be rising numbers of seconds")
    if service.good.error_rate is not None:
        share(service.good.error_rate, f"{at}.good.errorRate")
    share(service.retries.budget, f"{at}.retries.budget")
    if service.balancing is not None and service.balancing.replace("-", "_") not in POLICIES:
        raise SpecError(f"{at}.balancing", f"{service.balancing!r} is not one of {', '.join(POLICIES)}")


def assumptions(spec: WorldSpec) -> list[Assumption]:
    """Every default that this world stands on and nobody wrote."""
    found = [a for name, service in spec.services.items() for a in _service_assumptions(f"services.{name}", service)]
    if spec.image_pull is None:
        found.append(Assumption("imagePull", "median 3s", "an image of a few hundred megabytes from a nearby registry"))
    if spec.cluster.node_groups and spec.cluster.node_start is None:
        found.append(Assumption("cluster.nodeStart", "median 75s", "a virtual machine that boots and joins"))
    for name, group in spec.cluster.node_groups.items():
        if group.hourly is None:
            found.append(Assumption(f"cluster.nodeGroups.{name}.hourly", "no cost", "no price was given"))
    return found


def _service_assumptions(at: str, service: ServiceModel) -> Iterator[Assumption]:
    pod = service.pod
    if pod.service is None:
        yield Assumption(f"{at}.pod.service", "mean 50ms, sigma 0.5", "not calibrated: no measurement was given")
    if pod.start is None:
        yield Assumption(f"{at}.pod.start", "median 4s", "a small service from process start to listening")
    if pod.ready_after is None:
        yield Assumption(f"{at}.pod.readyAfter", "2s", "a short initialisation before the probe succeeds")
    if pod.timeout is None:
        yield Assumption(f"{at}.pod.timeout", "10s", "clients give up after this")
    if pod.workers is None:
        yield Assumption(f"{at}.pod.workers", "CPU limit, rounded up", "one worker per core that the limit allows")
    if pod.probes == "queue":
        yield Assumption(f"{at}.pod.probes", "queue", "health checks wait behind requests, as in a blocked event loop")
    if pod.memory.base is None:
        yield Assumption(f"{at}.pod.memory.base", "60 % of the request", "a process sized with some room")
    if service.good.error_rate is None:
        yield Assumption(f"{at}.good.errorRate", "0.1 %", "a healthy service still fails now and then")
    if service.balancing is None:
        yield Assumption(f"{at}.balancing", "random", "kube-proxy picks an endpoint per connection")
