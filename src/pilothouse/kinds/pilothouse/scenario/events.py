"""`spec.events`: what happens in a scenario, each on a line of its own with its time. Reading and checking only."""

from __future__ import annotations

from pilothouse.base.duration import format_span
from pilothouse.kinds.pilothouse.scenario.fields import Fields
from pilothouse.kinds.pilothouse.scenario.inventory import WORKLOADS, Inventory
from pilothouse.kinds.pilothouse.scenario.spec import Apply, Delete, Deploy, Event, Fault, LoadChange, Scale

ACTIONS = ("deploy", "fault", "load", "scale", "apply", "delete")
FAULTS = (
    "ApiServerSlow",
    "BadVersion",
    "CpuStress",
    "DependencyDown",
    "DependencySlow",
    "DnsFailure",
    "MemoryLeak",
    "MemoryStress",
    "MetricsGap",
    "NetworkDelay",
    "NetworkLoss",
    "NodeLoss",
    "Partition",
    "PodCrashLoop",
    "PodKill",
    "RegistryDown",
    "SpotReclaim",
    "ZoneLoss",
)
"""Fault kinds that a scenario may name; the world says which it plays and checks their parameters."""


def read_events(spec: Fields, duration_s: float, inventory: Inventory | None, declared: list[str]) -> tuple[Event, ...]:
    """Events in the order of their times (equal times: as written). declared: services the scenario itself
    describes."""
    out: list[Event] = []
    for entry in spec.entries("events"):
        event = _event(entry, inventory, declared)
        if event is None:
            continue
        if event.at_s > duration_s:
            late = f"at {format_span(event.at_s)} the rehearsal is over ({format_span(duration_s)})"
            entry.wrong("PH408", late, "make `duration` longer or the event earlier", "at", "warning")
        out.append(event)
    return tuple(sorted(out, key=lambda e: e.at_s))


def _event(entry: Fields, inventory: Inventory | None, declared: list[str]) -> Event | None:
    before = len(entry.findings)
    if not entry.has("at"):
        entry.wrong("PH402", "`at` is missing", "add `at: 20m`, counted from the start")
    at_s = entry.duration("at")
    actions = [a for a in ACTIONS if entry.has(a)]
    if len(actions) != 1:
        seen = f"has {' and '.join(actions)}" if actions else "says nothing that happens"
        entry.close(*ACTIONS)
        if len(entry.findings) == before or actions:
            entry.wrong("PH402", f"an event {seen}", f"give it exactly one of: {', '.join(ACTIONS)}")
        return None
    action = actions[0]
    body = entry.child(action)
    entry.close()
    if body is None or at_s is None:
        return None
    event = _READERS[action](body, at_s, inventory, declared)
    if action != "fault":  # a fault's parameters are the world's to know
        body.close()
    return event if len(entry.findings) == before else None


def workload(fields: Fields, inventory: Inventory | None, *, required: bool = True) -> tuple[str, str]:
    """(kind, name) of `deployment: x`, `rollout: x` or `statefulSet: x`; ("", "") when there is none or it is
    unknown."""
    for key, kind in (("deployment", "Deployment"), ("rollout", "Rollout"), ("statefulSet", "StatefulSet")):
        if not fields.has(key):
            continue
        name = fields.text(key)
        if inventory is not None and not fields.known(key, name, kind, inventory.names(kind)):
            return "", ""
        return kind, name
    if required:
        fields.wrong("PH402", "it does not say which workload", "add `deployment: NAME` (or rollout, statefulSet)")
    return "", ""


def _deploy(body: Fields, at_s: float, inventory: Inventory | None, _declared: list[str]) -> Event | None:
    kind, name = workload(body, inventory)
    image = body.text("image", required=True)
    container = body.text("container")
    if not kind or not image:
        return None
    return Deploy(at=body.place, at_s=at_s, kind=kind, name=name, image=image, container=container)


def _fault(body: Fields, at_s: float, _inventory: Inventory | None, _declared: list[str]) -> Event | None:
    kind = body.text("kind", required=True)
    for_s = body.duration("for", None, least=0.001)
    if not kind or not body.known("kind", kind, "fault", FAULTS, code="PH404"):
        return None
    params = {k: v for k, v in body.value.items() if k not in ("kind", "for")}
    return Fault(at=body.place, at_s=at_s, kind=kind, params=params, for_s=for_s)


def _load(body: Fields, at_s: float, inventory: Inventory | None, declared: list[str]) -> Event | None:
    services = declared + [n for n in (inventory.servable if inventory else []) if n not in declared]
    name = body.text("service", services[0] if len(services) == 1 else "", required=len(services) != 1)
    times = body.number("times", None, most=1e6)
    rps = body.rate("rps", None)
    for_s = body.duration("for", None, least=0.001)
    ramp_s = body.duration("ramp", 0.0) or 0.0
    if (times is None) == (rps is None):
        body.wrong("PH402", "a load event needs either `times` or `rps`", "write `times: 10` or `rps: 300`")
        return None
    if for_s is not None and ramp_s > for_s:
        body.wrong("PH408", "the ramp is longer than the event", "make `ramp` at most `for`", "ramp")
        return None
    if not name or (inventory is not None and not body.known("service", name, "service", services)):
        return None
    return LoadChange(at=body.place, at_s=at_s, service=name, times=times, rps=rps, for_s=for_s, ramp_s=ramp_s)


def _scale(body: Fields, at_s: float, inventory: Inventory | None, _declared: list[str]) -> Event | None:
    kind, name = workload(body, inventory)
    if not body.has("replicas"):
        body.wrong("PH402", "`replicas` is missing", "add `replicas: 5`")
    replicas = body.whole("replicas", None, most=100_000)
    if not kind or replicas is None:
        return None
    return Scale(at=body.place, at_s=at_s, kind=kind, name=name, replicas=replicas)


def _apply(body: Fields, at_s: float, _inventory: Inventory | None, _declared: list[str]) -> Event | None:
    file = body.text("file", required=True)
    return Apply(at=body.place, at_s=at_s, file=file) if file else None


def _delete(body: Fields, at_s: float, _inventory: Inventory | None, _declared: list[str]) -> Event | None:
    file, kind, name = body.text("file"), body.text("kind"), body.text("name")
    namespace = body.text("namespace")
    if not file and not (kind and name):
        body.wrong(
            "PH402", "it does not say what to delete", f"add `file:`, or `kind:` ({WORKLOADS[0]}, …) and `name:`"
        )
        return None
    return Delete(at=body.place, at_s=at_s, kind=kind, name=name, namespace=namespace, file=file)


_READERS = {"deploy": _deploy, "fault": _fault, "load": _load, "scale": _scale, "apply": _apply, "delete": _delete}
