"""A Scenario document to a `ScenarioSpec` and findings: every error has its place, and what is right is still used.

References (services, workloads, alerts) are checked against an `Inventory`. Files that a scenario names (load
curves) come through `read_text`, so that nothing here touches the disk. Called by `assemble`, and by the kind's
validation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, cast

from pilothouse.base.errors import Finding, Place
from pilothouse.base.manifests import Document
from pilothouse.kinds.pilothouse.scenario import curve
from pilothouse.kinds.pilothouse.scenario.agreement import agreeing
from pilothouse.kinds.pilothouse.scenario.events import read_events
from pilothouse.kinds.pilothouse.scenario.expectations import read_expectations
from pilothouse.kinds.pilothouse.scenario.fields import Fields
from pilothouse.kinds.pilothouse.scenario.inventory import Inventory
from pilothouse.kinds.pilothouse.scenario.spec import (
    Arrivals,
    Cluster,
    Discipline,
    Load,
    NodeGroup,
    Outputs,
    Pod,
    ScenarioSpec,
    Seeds,
    Service,
    Shape,
    Spread,
)

ReadText = Callable[[str], str | None]
"""Text of a file named in a scenario; None when it cannot be read."""

API_VERSION = "pilothouse.dev/v1alpha1"
RUNS_MAX = 100_000
_GROWTH = re.compile(r"[0-9]+\.?[0-9]*\s*(Ki|Mi|Gi|k|M|G)?B?/(s|sec|m|min|h)")


def parse(
    document: Document, inventory: Inventory | None = None, read_text: ReadText | None = None
) -> tuple[ScenarioSpec, list[Finding]]:
    """The scenario, and everything wrong with it. inventory None: references are not checked. Never raises."""
    findings: list[Finding] = []
    top = Fields(document, (), dict(document.object), findings)
    if top.text("apiVersion") != API_VERSION:
        top.wrong("PH404", f"{document.api_version!r} is not a known version", f"write `{API_VERSION}`", "apiVersion")
    top.take("kind")
    metadata = top.child("metadata")
    name = metadata.text("name", "scenario", required=True) if metadata else "scenario"
    if metadata is None:
        top.wrong("PH402", "`metadata` is missing", "add `metadata: {name: my-scenario}`")
    spec = top.child("spec")
    top.close("status")
    if spec is None:
        top.wrong("PH402", "`spec` is missing", "add `spec:` with at least `expect:`")
        return ScenarioSpec(at=document.place_of(), name=name), findings
    return _spec(spec, name, inventory, read_text), findings


def _spec(spec: Fields, name: str, inventory: Inventory | None, read_text: ReadText | None) -> ScenarioSpec:
    use = spec.texts("use")
    duration_s = spec.duration("duration", 86400.0, least=1.0) or 86400.0
    cluster = _cluster(spec)
    services = _services(spec, inventory, read_text)
    declared = [s.name for s in services]
    out = ScenarioSpec(
        at=spec.place,
        name=name,
        use=use,
        duration_s=duration_s,
        cluster=cluster,
        services=services,
        events=read_events(spec, duration_s, inventory, declared),
        expect=read_expectations(spec, duration_s, inventory, declared),
        seeds=_seeds(spec),
        report=_outputs(spec),
    )
    spec.close()
    return agreeing(out, spec.findings, read_text)


# --- cluster


def _cluster(spec: Fields) -> Cluster:
    cluster = spec.child("cluster")
    if cluster is None:
        return Cluster()
    out = Cluster(
        at=cluster.place,
        terraform=cluster.text("from"),
        groups=_groups(cluster),
        node_start=_spread(cluster, "nodeStart"),
        image_pull=_spread(cluster, "imagePull"),
    )
    cluster.close()
    return out


def _groups(cluster: Fields) -> tuple[NodeGroup, ...]:
    groups = cluster.child("nodeGroups")
    out = []
    for name in groups.value if groups else ():
        group = groups.child(name) if groups else None
        if group is None:
            continue
        least, most = group.whole("min", None), group.whole("max", None, most=100_000)
        desired = group.whole("desired", None, most=100_000)
        if least is not None and most is not None and least > most:
            group.wrong("PH408", f"min {least} is more than max {most}", "swap them", "min")
            least = most
        if desired is not None and ((least or 0) > desired or (most is not None and desired > most)):
            group.wrong("PH408", f"desired {desired} is not between min and max", "choose one between", "desired")
            desired = None
        out.append(
            NodeGroup(
                at=group.place,
                name=name,
                instance_type=group.text("instanceType"),
                min_size=least,
                max_size=most,
                desired_size=desired,
                hourly_usd=group.number("hourly", None, most=10_000.0),
                cpu=group.quantity("cpu"),
                memory=group.quantity("memory"),
                zones=group.texts("zones"),
                pods=group.whole("pods", None, least=1, most=10_000),
            )
        )
        group.close()
    return tuple(out)


def _spread(fields: Fields, key: str) -> Spread | None:
    """`75s`, or `{median: 75s, sigma: 0.25}`."""
    value = fields.take(key)
    if value is not None and not isinstance(value, dict):
        median = fields.duration(key)
        return None if median is None else Spread(at=fields.document.place_of((*fields.path, key)), median_s=median)
    child = fields.child(key)
    if child is None:
        return None
    if not child.has("median"):
        child.wrong("PH402", "`median` is missing", "add `median: 9s`")
    median = child.duration("median")
    sigma = child.number("sigma", 0.0, most=5.0) or 0.0
    child.close()
    return None if median is None else Spread(at=child.place, median_s=median, sigma=sigma)


# --- services


def _services(spec: Fields, inventory: Inventory | None, read_text: ReadText | None) -> tuple[Service, ...]:
    services = spec.child("services")
    if services is None:
        return ()
    out = []
    for name in list(services.value):
        fields = services.child(name)
        if fields is None:
            continue
        # With no workload at all (rules and a load curve only) the scenario itself declares its services.
        if inventory and inventory.servable and not services.known(name, name, "service", inventory.servable):
            continue
        out.append(_service(fields, name, read_text))
    return tuple(out)


def _service(fields: Fields, name: str, read_text: ReadText | None) -> Service:
    good = fields.child("good")
    error_ratio = good.ratio("errorRate", None) if good else None
    retries = fields.child("retries")
    out = Service(
        at=fields.place,
        name=name,
        load=_load(fields, read_text),
        pod=_pod(fields),
        error_ratio=error_ratio,
        retries=retries.whole("max", None, most=100) if retries else None,
        retry_budget_ratio=retries.ratio("budget", None) if retries else None,
        balancing=cast(
            'Literal["", "random", "round-robin", "least-connections"]',
            fields.choice("balancing", ("random", "round-robin", "least-connections"), ""),
        ),
    )
    for part in (good, retries, fields):
        if part:
            part.close()
    return out


def _load(fields: Fields, read_text: ReadText | None) -> Load | None:
    load = fields.child("load")
    if load is None:
        return None
    csv, points = load.text("csv"), load.items("points")
    curves: tuple[tuple[float, float], ...] = ()
    if csv:
        curves = _csv(load, csv, read_text)
    elif points:
        curves = curve.read_points(load, points)
    elif not load.has("base"):
        load.wrong("PH402", "the load has neither `base`, `csv` nor `points`", "add `base: 50rps`")
    shape = cast("Shape", load.choice("shape", ("constant", "diurnal"), "constant"))
    out = Load(
        at=load.place,
        base_rps=load.rate("base", 0.0) or 0.0,
        shape=shape,
        peak_s=load.clock("peakAt", 14 * 3600.0),
        ratio=load.number("ratio", 2.5 if shape == "diurnal" else 1.0, least=0.01, most=10_000.0) or 1.0,
        arrivals=cast("Arrivals", load.choice("arrivals", ("poisson", "paced"), "poisson")),
        csv=csv,
        points=curves,
    )
    load.close()
    return out


def _csv(load: Fields, csv: str, read_text: ReadText | None) -> tuple[tuple[float, float], ...]:
    if read_text is None:
        return ()
    text = read_text(csv)
    if text is None:
        load.wrong("PH409", f"the file {csv!r} cannot be read", "check the path; it is relative to the scenario", "csv")
        return ()
    points, wrong = curve.read_csv(text)
    for line, message in wrong:
        load.findings.append(
            Finding("PH409", message, Place(csv, line), "columns: time,rps (time as seconds or 1h30m)")
        )
    return points


def _pod(fields: Fields) -> Pod | None:
    pod = fields.child("pod")
    if pod is None:
        return None
    service, warmup = pod.child("service"), pod.child("warmup")
    discipline = pod.choice("discipline", ("fifo", "shared", "pool"), "")
    out = Pod(
        at=pod.place,
        calibration=pod.text("from"),
        replicas=pod.whole("replicas", None, most=100_000),
        mean_s=service.duration("mean", None, least=1e-6) if service else None,
        sigma=service.number("sigma", None, most=5.0) if service else None,
        cpu_s=service.duration("cpu", None) if service else None,
        discipline=cast("Discipline", discipline) if discipline else None,
        pool=pod.whole("pool", None, least=1, most=100_000),
        start=_spread(pod, "start"),
        ready_after_s=pod.duration("readyAfter"),
        timeout_s=pod.duration("timeout", None, least=1e-3),
        memory=pod.quantity("memory"),
        memory_per_request=pod.quantity("memoryPerRequest"),
        memory_leak=_growth(pod, "memoryLeak"),
        workers=pod.whole("workers", None, least=1, most=100_000),
        probes=cast('Literal["", "queue", "apart"]', pod.choice("probes", ("queue", "apart"), "")),
        warmup_s=warmup.duration("for", None) if warmup else None,
        warmup_factor=warmup.number("factor", None, least=1.0, most=1000.0) if warmup else None,
    )
    if out.discipline == "pool" and out.pool is None:
        pod.wrong("PH402", "`discipline: pool` needs its size", "add `pool: 40`", "discipline")
    for part in (service, warmup, pod):
        if part:
            part.close()
    return out


def _growth(pod: Fields, key: str) -> str:
    """`2MiB/min`: a quantity over a unit of time, as text; "" when absent or wrong."""
    text = pod.text(key)
    match = _GROWTH.fullmatch(text)
    if text and match is None:
        pod.wrong("PH403", f"{text!r} is not a growth", "write e.g. 2MiB/min, 100Ki/s or 1GiB/h", key)
        return ""
    return text


# --- seeds and outputs


def _seeds(spec: Fields) -> Seeds:
    seeds = spec.child("seeds")
    if seeds is None:
        return Seeds()
    out = Seeds(
        at=seeds.place,
        runs=seeds.whole("runs", 1, least=1, most=RUNS_MAX) or 1,
        first=seeds.whole("first", 1, most=2**31) or 0,
    )
    seeds.close()
    return out


def _outputs(spec: Fields) -> Outputs:
    report = spec.child("report")
    if report is None:
        return Outputs()
    out = Outputs(
        at=report.place,
        html=report.text("html"),
        junit=report.text("junit"),
        events=report.text("events"),
        json=report.text("json"),
    )
    report.close()
    return out
