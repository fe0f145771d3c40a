"""What scheduling knows about a node and about a pod, read once from their wire objects.

Amounts are integers: cpu in milli-cores, memory and ephemeral-storage in bytes, everything else in whole units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pilothouse.base import quantity, selectors
from pilothouse.base.selectors import Requirement, Selector

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable"

NONZERO_CPU_MILLI = 100
NONZERO_MEMORY_BYTES = 200 * 2**20
"""What a container without a request counts for in scores (kube-scheduler util/pod_resources.go), never in filters."""


class Taint(NamedTuple):
    key: str
    value: str
    effect: str


class Toleration(NamedTuple):
    """key "": every key; operator: Equal, Exists, Lt or Gt; effect "": every effect."""

    key: str
    operator: str
    value: str
    effect: str

    def covers(self, taint: Taint) -> bool:
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        match self.operator:
            case "Exists":
                return True
            case "Lt" | "Gt":
                return _compares(self.operator, taint.value, self.value)
        return self.value == taint.value


def _compares(operator: str, taint_value: str, value: str) -> bool:
    """Numeric tolerations (1.35+): the taint's number is below or above the toleration's."""
    try:
        left, right = int(taint_value), int(value)
    except ValueError:
        return False
    return left < right if operator == "Lt" else left > right


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node. allocatable: resource name → amount, "pods" among them."""

    name: str
    allocatable: Mapping[str, int]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False


class NodeTerm(NamedTuple):
    """One node selector term: all label requirements and all field requirements (metadata.name)."""

    labels: tuple[Requirement, ...]
    fields: tuple[Requirement, ...]

    def matches(self, node: NodeFacts) -> bool:
        if not self.labels and not self.fields:
            return False
        if not all(r.matches(node.labels) for r in self.labels):
            return False
        return all(r.matches({"metadata.name": node.name}) for r in self.fields)


class PodTerm(NamedTuple):
    """One pod (anti-)affinity term. namespaces None: every namespace; namespace_selector: on namespaces' labels."""

    topology_key: str
    selector: Selector
    namespaces: frozenset[str]
    namespace_selector: Selector | None


class Spread(NamedTuple):
    """One topology spread constraint; hard: DoNotSchedule."""

    topology_key: str
    max_skew: int
    hard: bool
    selector: Selector
    min_domains: int
    honor_affinity: bool
    honor_taints: bool


class Port(NamedTuple):
    ip: str
    protocol: str
    port: int

    def clashes(self, other: Port) -> bool:
        if self.port != other.port or self.protocol != other.protocol:
            return False
        return self.ip == other.ip or "0.0.0.0" in (self.ip, other.ip)


@dataclass(frozen=True, slots=True)
class PodNeeds:
    """What a pod asks of a node. `key` is equal for pods that any node treats alike, apart from labels and owner."""

    key: str
    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    """uid of the controller: its pods are spread when the pod names no constraints of its own."""
    requests: tuple[tuple[str, int], ...] = ()
    score_cpu_milli: int = 0
    score_memory_bytes: int = 0
    node_name: str = ""
    node_selector: tuple[Requirement, ...] = ()
    required_nodes: tuple[NodeTerm, ...] | None = None
    preferred_nodes: tuple[tuple[int, NodeTerm], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    ports: tuple[Port, ...] = ()
    affinity: tuple[PodTerm, ...] = ()
    anti_affinity: tuple[PodTerm, ...] = ()
    preferred_pods: tuple[tuple[int, PodTerm], ...] = ()
    """weight (negative for anti-affinity) and term."""
    spreads: tuple[Spread, ...] = ()
    priority: int = 0
    preempts: bool = True
    gates: tuple[str, ...] = ()

    def request(self, resource: str) -> int:
        return next((amount for name, amount in self.requests if name == resource), 0)


def node_facts(node: Mapping[str, Any]) -> NodeFacts:
    """The facts of a Node object."""
    metadata, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    allocatable = status.get("allocatable") or status.get("capacity") or {}
    taints = tuple(Taint(t["key"], t.get("value") or "", t.get("effect") or "") for t in spec.get("taints") or ())
    return NodeFacts(
        metadata["name"],
        {name: amount_of(name, value) for name, value in allocatable.items()},
        metadata.get("labels") or {},
        taints,
        bool(spec.get("unschedulable")),
    )


def amount_of(resource: str, value: str | int | float) -> int:
    """A quantity in the unit of its resource."""
    return quantity.milli(value) if resource == "cpu" else quantity.whole(value)


def pod_needs(pod: Mapping[str, Any]) -> PodNeeds:
    """The needs of a Pod object."""
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    namespace, labels = metadata.get("namespace") or "default", metadata.get("labels") or {}
    requests, cpu, memory = pod_requests(spec)
    affinity = spec.get("affinity") or {}
    return PodNeeds(
        key=needs_key(pod),
        namespace=namespace,
        labels=labels,
        owner=next((o["uid"] for o in metadata.get("ownerReferences") or () if o.get("controller")), ""),
        requests=tuple(requests.items()),
        score_cpu_milli=cpu,
        score_memory_bytes=memory,
        node_name=_pinned_node(spec),
        node_selector=tuple(Requirement(k, "In", (v,)) for k, v in (spec.get("nodeSelector") or {}).items()),
        required_nodes=_required_nodes(affinity.get("nodeAffinity") or {}),
        preferred_nodes=tuple(
            (int(p["weight"]), _node_term(p.get("preference") or {}))
            for p in (affinity.get("nodeAffinity") or {}).get(_PREFERRED) or ()
        ),
        tolerations=tuple(_toleration(t) for t in spec.get("tolerations") or ()),
        ports=tuple(_ports(spec)),
        affinity=_pod_terms(affinity.get("podAffinity"), namespace, labels),
        anti_affinity=_pod_terms(affinity.get("podAntiAffinity"), namespace, labels),
        preferred_pods=(
            *_weighted(affinity.get("podAffinity"), namespace, labels, 1),
            *_weighted(affinity.get("podAntiAffinity"), namespace, labels, -1),
        ),
        spreads=tuple(_spread(c, labels) for c in spec.get("topologySpreadConstraints") or ()),
        priority=int(spec.get("priority") or 0),
        preempts=spec.get("preemptionPolicy") != "Never",
        gates=tuple(g.get("name", "") for g in spec.get("schedulingGates") or ()),
    )


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_KEY_FIELDS = (
    "nodeSelector",
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "overhead",
    "resources",
    "schedulingGates",
    "priority",
    "preemptionPolicy",
)


def needs_key(pod: Mapping[str, Any]) -> str:
    """A text that is equal for pods of the same namespace with the same scheduling fields.

    Pods whose own terms look at labels carry their labels in it, too.
    """
    spec = pod.get("spec") or {}
    parts: list[Any] = [pod["metadata"].get("namespace")]
    parts.extend(spec.get(name) for name in _KEY_FIELDS)
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        parts.append((container.get("resources"), container.get("restartPolicy")))
        parts.extend(p for p in container.get("ports") or () if p.get("hostPort"))
    if (spec.get("affinity") or {}).keys() & {"podAffinity", "podAntiAffinity"} or spec.get(
        "topologySpreadConstraints"
    ):
        parts.append(pod["metadata"].get("labels"))
    return repr(parts)


def pod_requests(spec: Mapping[str, Any]) -> tuple[dict[str, int], int, int]:
    """What the pod reserves, and its cpu and memory as scores count them (resource/helpers.go PodRequests, 1.36).

    Containers and sidecars add up; an init container counts when it, with the sidecars before it, is larger than all.
    """
    total: dict[str, int] = {"pods": 1}
    cpu = memory = 0
    for container in spec.get("containers") or ():
        requests = _container(container)
        _add(total, requests)
        cpu += requests.get("cpu", NONZERO_CPU_MILLI)
        memory += requests.get("memory", NONZERO_MEMORY_BYTES)
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        requests = _container(container)
        if container.get("restartPolicy") == "Always":
            _add(sidecars, requests)
            _add(total, requests)
            cpu += requests.get("cpu", NONZERO_CPU_MILLI)
            memory += requests.get("memory", NONZERO_MEMORY_BYTES)
            requests = dict(sidecars)
        else:
            requests = {name: requests.get(name, 0) + sidecars.get(name, 0) for name in {**requests, **sidecars}}
        peak = {name: max(peak.get(name, 0), requests.get(name, 0)) for name in {**peak, **requests}}
    for name, amount in peak.items():
        total[name] = max(total.get(name, 0), amount)
    pod_level = ((spec.get("resources") or {}).get("requests")) or {}
    total.update((name, amount_of(name, value)) for name, value in pod_level.items())
    overhead = {name: amount_of(name, value) for name, value in (spec.get("overhead") or {}).items()}
    _add(total, overhead)
    cpu = max(cpu, peak.get("cpu", 0)) if "cpu" not in pod_level else total["cpu"]
    memory = max(memory, peak.get("memory", 0)) if "memory" not in pod_level else total["memory"]
    return total, cpu + overhead.get("cpu", 0), memory + overhead.get("memory", 0)


def _container(container: Mapping[str, Any]) -> dict[str, int]:
    requests = (container.get("resources") or {}).get("requests") or {}
    return {name: amount_of(name, value) for name, value in requests.items()}


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _toleration(raw: Mapping[str, Any]) -> Toleration:
    return Toleration(
        raw.get("key") or "", raw.get("operator") or "Equal", raw.get("value") or "", raw.get("effect") or ""
    )


def _ports(spec: Mapping[str, Any]) -> Sequence[Port]:
    """Host ports; a host-network pod's container ports are defaulted to host ports by the write path."""
    return [
        Port(p.get("hostIP") or "0.0.0.0", p.get("protocol") or "TCP", int(p["hostPort"]))
        for c in spec.get("containers") or ()
        for p in c.get("ports") or ()
        if p.get("hostPort")
    ]


def _requirements(expressions: Sequence[Mapping[str, Any]] | None) -> tuple[Requirement, ...]:
    return tuple(Requirement(e["key"], e["operator"], tuple(e.get("values") or ())) for e in expressions or ())


def _node_term(raw: Mapping[str, Any]) -> NodeTerm:
    return NodeTerm(_requirements(raw.get("matchExpressions")), _requirements(raw.get("matchFields")))


def _required_nodes(affinity: Mapping[str, Any]) -> tuple[NodeTerm, ...] | None:
    required = affinity.get(_REQUIRED)
    if required is None:
        return None
    return tuple(_node_term(term) for term in required.get("nodeSelectorTerms") or ())


def _pinned_node(spec: Mapping[str, Any]) -> str:
    """spec.nodeName: a filter of its own; a bound pod is never placed again."""
    return str(spec.get("nodeName") or "")


def _pod_terms(affinity: Mapping[str, Any] | None, namespace: str, labels: Mapping[str, str]) -> tuple[PodTerm, ...]:
    return tuple(_pod_term(term, namespace, labels) for term in (affinity or {}).get(_REQUIRED) or ())


def _weighted(
    affinity: Mapping[str, Any] | None, namespace: str, labels: Mapping[str, str], sign: int
) -> tuple[tuple[int, PodTerm], ...]:
    return tuple(
        (sign * int(entry["weight"]), _pod_term(entry["podAffinityTerm"], namespace, labels))
        for entry in (affinity or {}).get(_PREFERRED) or ()
    )


def _pod_term(raw: Mapping[str, Any], namespace: str, labels: Mapping[str, str]) -> PodTerm:
    selector = _with_label_keys(raw.get("labelSelector"), labels, raw)
    chosen = raw.get("namespaceSelector")
    names = frozenset(raw.get("namespaces") or ())
    if chosen is None and not names:
        names = frozenset((namespace,))
    return PodTerm(raw["topologyKey"], selector, names, None if chosen is None else selectors.from_object(chosen))


def _with_label_keys(raw: Mapping[str, Any] | None, labels: Mapping[str, str], keys: Mapping[str, Any]) -> Selector:
    """The selector with `matchLabelKeys` and `mismatchLabelKeys` filled in from the pod's own labels."""
    selector = selectors.from_object(raw)
    if selector.nothing:
        return selector
    same = tuple(Requirement(k, "In", (labels[k],)) for k in keys.get("matchLabelKeys") or () if k in labels)
    other = tuple(Requirement(k, "NotIn", (labels[k],)) for k in keys.get("mismatchLabelKeys") or () if k in labels)
    return Selector((*selector.requirements, *same, *other))


def _spread(raw: Mapping[str, Any], labels: Mapping[str, str]) -> Spread:
    return Spread(
        raw["topologyKey"],
        int(raw.get("maxSkew") or 1),
        raw.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule",
        _with_label_keys(raw.get("labelSelector"), labels, raw),
        int(raw.get("minDomains") or 1),
        raw.get("nodeAffinityPolicy", "Honor") == "Honor",
        raw.get("nodeTaintsPolicy", "Ignore") == "Honor",
    )
