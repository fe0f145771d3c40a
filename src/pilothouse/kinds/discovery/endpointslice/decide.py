"""Which EndpointSlices a Service needs: one pass over its pods and its present slices.

As few slices as possible change: endpoints stay in the slice in which they are, changed slices are filled up first,
then unchanged ones, then new ones are made, each with at most 100 endpoints.
Source: `k8s.io/endpointslice` reconciler of Kubernetes 1.36. Left out: topology hints, the last-change-trigger-time
annotation. Called by `controller.py`; performs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.actions import Action, Create, Decision, Delete, Patch
from pilothouse.engines.rolling.views import PodView, controller_reference
from pilothouse.kinds.discovery.endpointslice.views import (
    Endpoint,
    Identity,
    Made,
    ServiceView,
    SliceView,
    belongs,
    identity,
    made_endpoint,
)

KIND_NAME = "discovery.k8s.io/EndpointSlice"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
_RESERVED = (SERVICE_NAME, MANAGED_BY, HEADLESS)

MAX_ENDPOINTS = 100
"""Endpoints in one slice; upstream's default for --max-endpoints-per-slice."""

_NODE_MISSING_RETRY_S = 10.0
"""A pod on a node that is not known is left out and looked at again; normally the node's own arrival comes first."""

Ports = Sequence[Mapping[str, Any]]
PortKey = tuple[tuple[Any, ...], ...]


@dataclass(slots=True)
class _Group:
    """Endpoints that share their ports."""

    ports: Ports
    endpoints: dict[Identity, Made] = field(default_factory=dict)


@dataclass(slots=True)
class _Draft:
    """A slice as it shall be; of: the slice it was, None for a new one."""

    ports: Ports
    endpoints: list[Endpoint]
    of: SliceView | None = None


@dataclass(slots=True)
class _Plan:
    create: list[_Draft] = field(default_factory=list)
    update: list[_Draft] = field(default_factory=list)
    delete: list[SliceView] = field(default_factory=list)


def decide(
    service: ServiceView,
    pods: Sequence[PodView],
    slices: Sequence[SliceView],
    zone_of: Callable[[str], str | None],
) -> Decision:
    """One pass. pods: those that the selector matches. slices: those of this Service that this controller manages.

    zone_of: a node's zone by name, "" when it has none, None when there is no such node.
    """
    if service.spec.selector is None or service.spec.type == "ExternalName":
        return Decision()
    actions: list[Action] = []
    families = _address_types(service)
    missing_node = False
    for address_type in families:
        groups, skipped = _wanted(service, pods, address_type, zone_of)
        missing_node = missing_node or skipped
        present = [s for s in slices if s.addressType == address_type]
        plan = _planned(service, groups, present)
        actions += _performed(service, plan, address_type)
    stale = [s for s in slices if s.addressType not in families]
    actions += [Delete(KIND_NAME, s.metadata.namespace, s.metadata.name, uid=s.metadata.uid) for s in stale]
    return Decision(actions=tuple(actions), requeue_s=_NODE_MISSING_RETRY_S if missing_node else None)


def _address_types(service: ServiceView) -> list[str]:
    families = [family for family in service.spec.ipFamilies or () if family in ("IPv4", "IPv6")]
    return families or ["IPv6" if ":" in service.spec.clusterIP else "IPv4"]


# -- what is wanted --


def _wanted(
    service: ServiceView, pods: Sequence[PodView], address_type: str, zone_of: Callable[[str], str | None]
) -> tuple[dict[PortKey, _Group], bool]:
    """Endpoints by their ports, and whether a pod was left out because its node is not known."""
    groups: dict[PortKey, _Group] = {}
    # Pods of one template share the very same list of containers, and many share a node: each is looked up once.
    group_of: dict[int, _Group] = {}
    zones: dict[str, str | None] = {}
    skipped = False
    for pod in pods:
        if not belongs(pod):
            continue
        node = pod.spec.nodeName
        if node not in zones:
            zones[node] = zone_of(node)
        zone = zones[node]
        if zone is None and not service.spec.publishNotReadyAddresses:
            skipped = True
            continue
        group = group_of.get(id(pod.spec.containers))
        if group is None:
            ports = ports_on(service, pod)
            group = group_of[id(pod.spec.containers)] = groups.setdefault(port_key(ports), _Group(ports))
        made = made_endpoint(pod, service, address_type, zone or "")
        if made.endpoint["addresses"]:
            group.endpoints[made.identity] = made
    return groups, skipped


def ports_on(service: ServiceView, pod: PodView) -> list[dict[str, Any]]:
    """The ports on the pod; one whose named target the pod does not have is left out."""
    ports = []
    for port in service.spec.ports or ():
        protocol = port.get("protocol", "TCP")
        number = port_number(pod, port.get("targetPort", port.get("port")), protocol)
        if number is None:
            continue
        entry = {"name": port.get("name", ""), "port": number, "protocol": protocol}
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        ports.append(entry)
    return ports


def port_number(pod: PodView, target: int | str | None, protocol: str) -> int | None:
    """A target port as a number: a name is looked up in the containers, then in sidecars; None when nobody has it."""
    if not isinstance(target, str):
        return target
    sidecars = [c for c in pod.spec.initContainers or () if c.get("restartPolicy") == "Always"]
    for container in [*(pod.spec.containers or ()), *sidecars]:
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def port_key(ports: Ports | None) -> PortKey:
    """Equal for equal ports, in whatever order."""
    return tuple(
        sorted(
            (p.get("name", ""), p.get("protocol", ""), p.get("port", 0), p.get("appProtocol", "")) for p in ports or ()
        )
    )


# -- from the present to the wanted --


def _planned(service: ServiceView, groups: Mapping[PortKey, _Group], present: Sequence[SliceView]) -> _Plan:
    plan = _Plan()
    by_ports: dict[PortKey, list[SliceView]] = {}
    for slice_ in present:
        if _owned(slice_, service):
            by_ports.setdefault(port_key(slice_.ports), []).append(slice_)
        else:
            # Left behind by an earlier Service of the same name.
            plan.delete.append(slice_)
    for key, group in groups.items():
        _plan_group(plan, service, group, by_ports.pop(key, []))
    for left in by_ports.values():
        plan.delete += left
    if len(plan.delete) == len(present) and not plan.create:
        _keep_placeholder(plan, service)
    return plan


def _owned(slice_: SliceView, service: ServiceView) -> bool:
    return any(
        r.get("uid") == service.metadata.uid and r.get("kind") == "Service"
        for r in slice_.metadata.ownerReferences or ()
    )


def _keep_placeholder(plan: _Plan, service: ServiceView) -> None:
    """A Service without endpoints keeps one empty slice, so that others see that somebody looks after it."""
    if len(plan.delete) == 1:
        only = plan.delete[0]
        if not only.endpoints and not only.ports and _owned(only, service) and only.metadata.labels == _labels(service):
            plan.delete.clear()
            return
    plan.create.append(_Draft([], []))


def _plan_group(plan: _Plan, service: ServiceView, group: _Group, present: Sequence[SliceView]) -> None:
    wanted = dict(group.endpoints)
    labels = _labels(service)
    changed: list[_Draft] = []
    unchanged: list[SliceView] = []
    for slice_ in present:
        kept, differs = _keep(slice_, wanted)
        if not kept and slice_.endpoints:
            plan.delete.append(slice_)
        elif differs or slice_.metadata.labels != labels:
            changed.append(_Draft(group.ports, kept, slice_))
        else:
            unchanged.append(slice_)
    left = [made.endpoint for made in wanted.values()]
    for draft in sorted(changed, key=lambda d: -len(d.endpoints)):
        room = MAX_ENDPOINTS - len(draft.endpoints)
        draft.endpoints += left[:room]
        left = left[room:]
    plan.update += changed
    while left:
        left = _place(plan, group, unchanged, left)


def _keep(slice_: SliceView, wanted: dict[Identity, Made]) -> tuple[list[Endpoint], bool]:
    """(the slice's endpoints that stay, brought up to date; whether anything differs); takes them out of `wanted`."""
    kept: list[Endpoint] = []
    present = slice_.endpoints or ()
    differs = False
    for endpoint in present:
        made = wanted.pop(identity(endpoint), None)
        if made is None:
            continue
        if made.endpoint is not endpoint:
            if made.endpoint == endpoint:
                # The stored one stays where nothing changed, so that the write sees at a glance what is new.
                made.endpoint = endpoint
            else:
                differs = True
        kept.append(made.endpoint)
    return kept, differs or len(kept) != len(present)


def _place(plan: _Plan, group: _Group, unchanged: list[SliceView], left: list[Endpoint]) -> list[Endpoint]:
    """Puts endpoints into the fullest slice that takes them all, else into a new one; gives those still left."""
    fitting = [s for s in unchanged if len(s.endpoints or ()) + len(left) <= MAX_ENDPOINTS]
    if fitting and len(left) < MAX_ENDPOINTS:
        target = max(fitting, key=lambda s: len(s.endpoints or ()))
        unchanged.remove(target)
        plan.update.append(_Draft(group.ports, [*(target.endpoints or ()), *left], target))
        return []
    plan.create.append(_Draft(group.ports, left[:MAX_ENDPOINTS]))
    return left[MAX_ENDPOINTS:]


# -- into actions --


def _labels(service: ServiceView) -> dict[str, str]:
    labels = {k: v for k, v in (service.metadata.labels or {}).items() if k not in _RESERVED}
    if service.spec.clusterIP in ("", "None"):
        labels[HEADLESS] = ""
    return {**labels, SERVICE_NAME: service.metadata.name, MANAGED_BY: CONTROLLER}


def _performed(service: ServiceView, plan: _Plan, address_type: str) -> list[Action]:
    # A slice about to go and one about to come make one changed slice: watchers see no gap.
    while plan.create and (reusable := [s for s in plan.delete if _owned(s, service)]):
        draft = plan.create.pop()
        draft.of = reusable[0]
        plan.delete.remove(reusable[0])
        plan.update.append(draft)
    actions: list[Action] = []
    if service.metadata.deletionTimestamp is None:
        actions += [Create(KIND_NAME, _new_slice(service, draft, address_type)) for draft in plan.create]
    actions += [_update(service, draft) for draft in plan.update]
    actions += [Delete(KIND_NAME, s.metadata.namespace, s.metadata.name, uid=s.metadata.uid) for s in plan.delete]
    return actions


def _new_slice(service: ServiceView, draft: _Draft, address_type: str) -> dict[str, Any]:
    meta = service.metadata
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{meta.name}-",
            "namespace": meta.namespace,
            "labels": _labels(service),
            "ownerReferences": [controller_reference("v1", "Service", meta.name, meta.uid)],
        },
        "addressType": address_type,
        "endpoints": draft.endpoints,
        "ports": list(draft.ports),
    }


def _update(service: ServiceView, draft: _Draft) -> Patch:
    assert draft.of is not None
    meta = draft.of.metadata
    wanted = _labels(service)
    labels: dict[str, str | None] = {k: v for k, v in wanted.items() if (meta.labels or {}).get(k) != v}
    labels.update({k: None for k in meta.labels or {} if k not in wanted})
    patch: dict[str, Any] = {"endpoints": draft.endpoints}
    if port_key(draft.of.ports) != port_key(draft.ports):
        patch["ports"] = list(draft.ports)
    if labels:
        patch["metadata"] = {"labels": labels}
    return Patch(KIND_NAME, meta.namespace, meta.name, patch)
