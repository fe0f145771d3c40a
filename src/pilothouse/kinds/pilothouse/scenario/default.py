"""The scenario made when a user gives none: an ordinary day sized from the manifests, and every assumption it took.

One load per workload that serves, so that its autoscaler works over its range: at night the least replicas run at
half of their target, at the peak of the day half of the range between least and most is needed. Nothing is random.
Called by `assemble`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.base import quantity
from pilothouse.base.duration import format_span
from pilothouse.base.manifests import Document
from pilothouse.kinds.pilothouse.scenario.inventory import Inventory, mapping
from pilothouse.kinds.pilothouse.scenario.spec import (
    AlertFires,
    Assumed,
    Bound,
    Expectation,
    Load,
    Pod,
    ScenarioSpec,
    Service,
)

DAY_S = 86400.0
MEAN_S = 0.05
"""Service time of a request when nothing says anything: a small model, or a page with a database query."""

NIGHT_SHARE = 0.5
PEAK_SHARE = 0.5
UTILISATION = 0.7
"""Aimed at where no autoscaler says it: Kubernetes' documentation uses 50-80 % in its examples."""

RULES_ONLY_RPS = 50.0


def scenario(
    inventory: Inventory, duration_s: float | None = None, load: Load | None = None
) -> tuple[ScenarioSpec, list[Assumed]]:
    """An ordinary day (or `duration_s` of it) for these manifests, and what was assumed. load: of every service."""
    if duration_s is None and load is not None and load.points and load.points[-1][0] >= 1.0:
        duration_s = load.points[-1][0]
    length_s = DAY_S if duration_s is None else duration_s
    serving = [w for w in inventory.workloads if _serves(inventory, w)]
    sized = [_size(inventory, w) for w in serving]
    services = tuple(s.service for s in sized)
    assumed = [a for s in sized for a in s.assumed]
    if not services and not inventory.workloads:
        services, assumed = _rules_only(inventory, given=load is not None)
    if load is not None:
        services = tuple(msgspec.structs.replace(s, load=load) for s in services)
        assumed = [a for a in assumed if a.code != "AS03"]
    expect = (*_quiet(inventory), *_headroom(inventory))
    spec = ScenarioSpec(name="ordinary-day", duration_s=length_s, services=services, expect=expect)
    return spec, [*_common(length_s, bool(services) and load is None, duration_s is not None), *assumed]


def _serves(inventory: Inventory, workload: Document) -> bool:
    containers = mapping(mapping(mapping(workload.object.get("spec")).get("template")).get("spec")).get("containers")
    ports = any(mapping(c).get("ports") for c in containers) if isinstance(containers, list) else False
    return inventory.service_of(workload) is not None or inventory.autoscaler_of(workload) is not None or ports


def _common(length_s: float, loaded: bool, given: bool) -> list[Assumed]:
    out = []
    if not given:
        out.append(
            Assumed(
                code="AS01",
                what="length",
                value=format_span(length_s),
                why="one whole day shows both the quiet and the busy hours",
                change="--duration 2h, or spec.duration of a scenario",
                effect="shorter: faster, and it may miss the peak",
            )
        )
    if loaded:
        out.append(
            Assumed(
                code="AS02",
                what="shape of the load",
                value="quiet at 02:00, peak at 14:00, Poisson arrivals",
                why="no load was given",
                change="--load load.csv, or spec.services.NAME.load: {csv: traffic.csv}",
                effect="a steeper curve needs earlier scaling; paced arrivals make p99 look several times better",
            )
        )
    return out


@dataclass(frozen=True, slots=True)
class Sized:
    """One service's load with the assumptions behind it."""

    service: Service
    assumed: list[Assumed]


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the manifests say about one workload's size: replicas and requests per second and pod at its target."""

    least: int
    most: int
    rps_per_pod: float
    cpu_s: float
    source: str


def _size(inventory: Inventory, workload: Document) -> Sized:
    capacity = _capacity(inventory, workload)
    needed = capacity.least + PEAK_SHARE * (capacity.most - capacity.least)
    base = _neat(capacity.least * capacity.rps_per_pod * NIGHT_SHARE)
    peak = _neat(max(needed * capacity.rps_per_pod, base * 1.5) if capacity.most > capacity.least else base * 1.5)
    named = inventory.service_of(workload)
    name = named.name if named is not None else workload.name
    load = Load(base_rps=base, shape="diurnal", ratio=peak / base)
    pod = Pod(mean_s=capacity.cpu_s, cpu_s=capacity.cpu_s)
    where = f"spec.services.{name}"
    return Sized(
        Service(at=workload.place_of(), name=name, load=load, pod=pod),
        [
            Assumed(
                code="AS03",
                what=f"load of {name}",
                value=f"{base:g} req/s at night, {peak:g} req/s at the peak",
                why=f"{capacity.source}: the peak needs about {needed:.0f} of {capacity.most} pods",
                change=f"{where}.load: {{base: {base:g}rps, shape: diurnal, ratio: {peak / base:.3g}}}",
                effect="more load: more pods, more cost, the limit of the autoscaler is met earlier",
            ),
            Assumed(
                code="AS04",
                what=f"work per request of {name}",
                value=f"{capacity.cpu_s * 1000:.3g} ms of one CPU",
                why="no calibration was given",
                change=f"{where}.pod: {{service: {{mean: {capacity.cpu_s * 1000:.3g}ms}}}}",
                effect="twice the work: twice the pods at the same CPU target, and a longer p99",
            ),
        ],
    )


def _capacity(inventory: Inventory, workload: Document) -> Capacity:
    request = _cpu_request(workload)
    hpa = inventory.autoscaler_of(workload)
    if hpa is None:
        replicas = _whole(mapping(workload.object.get("spec")).get("replicas"), 1)
        source = f"{replicas} fixed pods ({workload.place_of(('spec', 'replicas'))})"
        return Capacity(max(1, replicas), max(1, replicas), UTILISATION * request / MEAN_S, MEAN_S, source)
    spec = mapping(hpa.object.get("spec"))
    least = max(1, _whole(spec.get("minReplicas"), 1))
    most = max(least, _whole(spec.get("maxReplicas"), least))
    utilisation, rps = _targets(spec, request)
    source = f"{hpa.name} scales {least} to {most} pods ({hpa.place_of(('spec', 'maxReplicas'))})"
    if rps is not None:
        # Both targets are taken to mean the same load: then one request costs target CPU / target rate.
        return Capacity(least, most, rps, utilisation * request / rps, source)
    return Capacity(least, most, utilisation * request / MEAN_S, MEAN_S, source)


def _targets(spec: dict[str, Any], request: float) -> tuple[float, float | None]:
    """(CPU utilisation aimed at, requests per second and pod aimed at or None) of an autoscaler."""
    utilisation, rps = UTILISATION, None
    metrics = spec.get("metrics")
    for metric in metrics if isinstance(metrics, list) else []:
        metric = mapping(metric)
        resource, pods = mapping(metric.get("resource")), mapping(metric.get("pods"))
        target = mapping(resource.get("target"))
        if resource.get("name") == "cpu" and _number(target.get("averageUtilization")):
            utilisation = _number(target.get("averageUtilization")) / 100
        elif resource.get("name") == "cpu" and _number(target.get("averageValue")):
            utilisation = _number(target.get("averageValue")) / request
        name = str(mapping(pods.get("metric")).get("name", ""))
        value = _number(mapping(pods.get("target")).get("averageValue"))
        if "request" in name and name.endswith(("per_second", "_rate", "_rps")) and value:
            rps = value
    return max(0.01, utilisation), rps


def _cpu_request(workload: Document) -> float:
    """CPU cores that one pod asks for; its limit where it asks for nothing, else one core."""
    pod = mapping(mapping(mapping(workload.object.get("spec")).get("template")).get("spec"))
    containers = pod.get("containers")
    total = 0.0
    for container in containers if isinstance(containers, list) else []:
        resources = mapping(mapping(container).get("resources"))
        for part in ("requests", "limits"):
            cores = _number(mapping(resources.get(part)).get("cpu"))
            if cores:
                total += cores
                break
    return total or 1.0


def _number(value: Any) -> float:
    """A positive quantity as a float; 0 when it is none (validation of the object reports that)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return 0.0
    try:
        return max(0.0, float(quantity.parse(str(value))))
    except ValueError:
        return 0.0


def _whole(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**6 else default


def _neat(value: float) -> float:
    """Two significant digits: an assumption should not look like a measurement."""
    return float(f"{max(value, 0.1):.2g}")


def _rules_only(inventory: Inventory, *, given: bool) -> tuple[tuple[Service, ...], list[Assumed]]:
    if not inventory.rules:
        return (), []
    load = Load(base_rps=RULES_ONLY_RPS, shape="diurnal", ratio=3.0)
    service = Service(name="service", load=load, pod=Pod(replicas=3, mean_s=MEAN_S))
    return (service,), [
        Assumed(
            code="AS05",
            what="the service behind the rules",
            value="one service, 3 pods" + ("" if given else f", {RULES_ONLY_RPS:g} to {RULES_ONLY_RPS * 3:g} req/s"),
            why="only rules were given, no workload",
            change="add the manifests, or --load 50rps, or spec.services.NAME: {load: {…}, pod: {replicas: 3}}",
            effect="alerts on metrics of your own have no series here: give them with --series FILE",
        )
    ]


def _quiet(inventory: Inventory) -> list[Expectation]:
    """On an ordinary day nobody should be woken."""
    return [
        Expectation(
            at=place,
            name=f"{name} stays silent",
            asked=f"{name} never fires on an ordinary day",
            check=AlertFires(name=name, fires=False),
        )
        for name, place in inventory.alerts.items()
    ]


def _headroom(inventory: Inventory) -> list[Expectation]:
    """An autoscaler that reaches its limit on an ordinary day has no room for an extraordinary one."""
    out = []
    for workload in inventory.workloads:
        hpa = inventory.autoscaler_of(workload)
        most = _whole(mapping(hpa.object.get("spec")).get("maxReplicas"), 0) if hpa is not None else 0
        if hpa is None or most <= max(1, _whole(mapping(hpa.object.get("spec")).get("minReplicas"), 1)):
            continue
        out.append(
            Expectation(
                at=hpa.place_of(("spec", "maxReplicas")),
                name=f"{workload.name} keeps room to scale",
                asked=f"replicas of {workload.name} at most {most - 1}",
                check=Bound(measure="replicas", subject=workload.name, at_most=float(most - 1)),
            )
        )
    return out
