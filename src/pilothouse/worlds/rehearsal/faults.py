"""The faults a scenario can inject: what each means, and which action of Chaos Mesh or AWS FIS would do the same to
a real cluster.

Every fault is a typed record; `FAULTS` lists them all with their counterparts. `ActiveFaults` answers what the
models ask: what is wrong with this image, this service, this moment. What a fault does to pods and nodes is carried
out by `kubelet` and `nodes`.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Any, Literal, get_args

import msgspec

from pilothouse.worlds.rehearsal.spec import Duration, Record, SpecError, growth_bytes_per_s, seconds, share


class BadVersion(Record, frozen=True, tag_field="kind", tag="BadVersion"):
    """Pods of a matching image misbehave: errors, slowness (of CPU work), a leak, or never becoming ready."""

    image: str
    error_rate: float | None = None
    latency_factor: float = 1.0
    leak: str = ""
    never_ready: bool = False


class PodKill(Record, frozen=True, tag_field="kind", tag="PodKill"):
    """Containers die at once, as by SIGKILL to the pod's processes with no grace; every: again each so often while
    the fault lasts."""

    service: str
    count: int = 1
    every: Duration = 0


class PodCrashLoop(Record, frozen=True, tag_field="kind", tag="PodCrashLoop"):
    """Containers of a matching image (or service) exit with a code some seconds after each start."""

    service: str = ""
    image: str = ""
    after: Duration = 5
    exit_code: int = 1


class NodeLoss(Record, frozen=True, tag_field="kind", tag="NodeLoss"):
    """Nodes stop: their pods stop answering at once, the cluster notices later. group: a node group, "" for any."""

    group: str = ""
    count: int = 1


class ZoneLoss(Record, frozen=True, tag_field="kind", tag="ZoneLoss"):
    """All nodes of a zone stop."""

    zone: str


class MemoryLeak(Record, frozen=True, tag_field="kind", tag="MemoryLeak"):
    """Pods of a service grow without end, e.g. `rate: 20MiB/min`."""

    service: str
    rate: str


class DependencySlow(Record, frozen=True, tag_field="kind", tag="DependencySlow"):
    """Something the service calls answers later: each request holds its worker `delay` longer, at no CPU cost."""

    service: str
    delay: Duration
    dependency: str = ""


class MetricsGap(Record, frozen=True, tag_field="kind", tag="MetricsGap"):
    """Scrapes fail. of: applications' pages, the resource metrics behind the autoscaler, or both; service: "" for
    all."""

    of: Literal["scrape", "resource", "all"] = "all"
    service: str = ""


Fault = BadVersion | PodKill | PodCrashLoop | NodeLoss | ZoneLoss | MemoryLeak | DependencySlow | MetricsGap


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One line of the list. chaos_mesh, aws_fis: the counterpart, "" where there is none."""

    type: type[Record]
    chaos_mesh: str
    aws_fis: str

    @property
    def name(self) -> str:
        return self.type.__name__

    @property
    def summary(self) -> str:
        return (self.type.__doc__ or "").strip()


FAULTS: tuple[FaultKind, ...] = (
    FaultKind(BadVersion, "HTTPChaos abort/delay (on the pods of one version)", ""),
    FaultKind(PodKill, "PodChaos pod-kill with gracePeriod 0", "aws:eks:pod-delete with gracePeriodSeconds 0"),
    FaultKind(PodCrashLoop, "PodChaos container-kill, repeated by a Schedule", ""),
    FaultKind(NodeLoss, "AWSChaos ec2-stop", "aws:eks:terminate-nodegroup-instances, aws:ec2:stop-instances"),
    FaultKind(ZoneLoss, "", "aws:network:disrupt-connectivity with scope availability-zone"),
    FaultKind(MemoryLeak, "StressChaos memory (growing)", "aws:eks:pod-memory-stress"),
    FaultKind(DependencySlow, "NetworkChaos delay towards a target", "aws:eks:pod-network-latency"),
    FaultKind(MetricsGap, "NetworkChaos partition between the scraper and its targets", ""),
)


def parse_fault(raw: dict[str, Any], path: str = "fault") -> Fault:
    """A fault from plain data; SpecError says what does not fit, and lists the kinds when the kind is unknown."""
    kind = raw.get("kind")
    if kind not in {f.name for f in FAULTS}:
        names = ", ".join(f.name for f in FAULTS)
        raise SpecError(f"{path}.kind", f"{kind!r} is not a fault; there are {names}")
    try:
        fault: Fault = msgspec.convert(raw, Fault)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        raise SpecError(path + where.strip("`"), text) from None
    _check(fault, path)
    return fault


def _check(fault: Fault, path: str) -> None:
    match fault:
        case BadVersion():
            if fault.error_rate is not None:
                share(fault.error_rate, f"{path}.errorRate")
            if not 0.01 <= fault.latency_factor <= 1000:
                raise SpecError(f"{path}.latencyFactor", "must be between 0.01 and 1000")
            growth_bytes_per_s(fault.leak, f"{path}.leak")
        case PodKill() | NodeLoss():
            if fault.count < 1:
                raise SpecError(f"{path}.count", "must be at least 1")
            if isinstance(fault, PodKill):
                seconds(fault.every, f"{path}.every")
        case PodCrashLoop():
            if not fault.service and not fault.image:
                raise SpecError(path, "needs a service or an image")
            if not 0 <= fault.exit_code <= 255:
                raise SpecError(f"{path}.exitCode", "must be between 0 and 255")
            seconds(fault.after, f"{path}.after")
        case MemoryLeak():
            growth_bytes_per_s(fault.rate, f"{path}.rate")
        case DependencySlow():
            seconds(fault.delay, f"{path}.delay")
        case _:
            pass


def image_matches(pattern: str, image: str) -> bool:
    """Whether an image is meant: a glob over the whole reference or over what follows its last slash."""
    return fnmatch.fnmatchcase(image, pattern) or fnmatch.fnmatchcase(image.rpartition("/")[2], pattern)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What faults do to pods of one service and image; the neutral value changes nothing."""

    error_rate: float | None = None
    latency_factor: float = 1.0
    delay_s: float = 0.0
    leak_bytes_per_s: float = 0.0
    never_ready: bool = False
    crash_after_s: float | None = None
    exit_code: int = 1


_UNDISTURBED = Disturbance()


class ActiveFaults:
    """The faults in force. `generation` grows whenever the answers of `on` and the gaps may change."""

    def __init__(self) -> None:
        self._active: dict[int, Fault] = {}
        # Those that change what pods are, and gaps: others (a kill repeated for each of 1,000 services) are only
        # remembered.
        self._disturbing: dict[int, Fault] = {}
        self._gaps: dict[int, MetricsGap] = {}
        self._next = 1
        self.generation = 0
        assert {f.type for f in FAULTS} == set(get_args(Fault))

    def start(self, fault: Fault) -> int:
        """Gives the number by which the fault is stopped."""
        number, self._next = self._next, self._next + 1
        self._active[number] = fault
        if isinstance(fault, BadVersion | MemoryLeak | DependencySlow | PodCrashLoop):
            self._disturbing[number] = fault
        elif isinstance(fault, MetricsGap):
            self._gaps[number] = fault
        else:
            return number
        self.generation += 1
        return number

    def stop(self, number: int) -> Fault | None:
        """The fault that ended; None when it was not in force."""
        disturbed = self._disturbing.pop(number, None) is not None
        if self._gaps.pop(number, None) is not None or disturbed:
            self.generation += 1
        return self._active.pop(number, None)

    def __contains__(self, number: int) -> bool:
        """Whether the fault with this number is in force."""
        return number in self._active

    def on(self, service: str, image: str) -> Disturbance:
        """Everything in force on pods of this service and image, taken together."""
        if not self._disturbing:
            return _UNDISTURBED
        error_rate: float | None = None
        factor, delay_s, leak = 1.0, 0.0, 0.0
        never_ready, crash_after_s, exit_code = False, None, 1
        for fault in self._disturbing.values():
            match fault:
                case BadVersion() if image_matches(fault.image, image):
                    if fault.error_rate is not None:
                        error_rate = max(error_rate or 0.0, fault.error_rate)
                    factor *= fault.latency_factor
                    leak += growth_bytes_per_s(fault.leak, "leak")
                    never_ready = never_ready or fault.never_ready
                case MemoryLeak() if fault.service == service:
                    leak += growth_bytes_per_s(fault.rate, "rate")
                case DependencySlow() if fault.service == service:
                    delay_s += seconds(fault.delay, "delay")
                case PodCrashLoop() if self._crashes(fault, service, image):
                    crash_after_s, exit_code = seconds(fault.after, "after"), fault.exit_code
                case _:
                    pass
        return Disturbance(error_rate, factor, delay_s, leak, never_ready, crash_after_s, exit_code)

    def scrape_gap(self, service: str) -> bool:
        """Whether scrapes of this service's pods fail now."""
        return self._gap("scrape", service)

    def resource_gap(self, service: str) -> bool:
        """Whether resource metrics of this service's pods are missing now."""
        return self._gap("resource", service)

    def _gap(self, of: str, service: str) -> bool:
        return any(f.of in (of, "all") and f.service in ("", service) for f in self._gaps.values())

    @staticmethod
    def _crashes(fault: PodCrashLoop, service: str, image: str) -> bool:
        if fault.service and fault.service != service:
            return False
        return not fault.image or image_matches(fault.image, image)
