"""Pods of a DaemonSet: which node should have one, and how one is made for a node.

Source: `pkg/controller/daemon/util/daemonset_util.go`, `NodeShouldRunDaemonPod`, Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.engines.rolling.revisions import POD_LABEL
from pilothouse.engines.rolling.views import controller_reference
from pilothouse.engines.scheduling.facts import NodeFacts, PodNeeds, pod_needs
from pilothouse.engines.scheduling.filters import fits_affinity, untolerated
from pilothouse.kinds.apps.daemonset.views import GENERATION, DaemonView

_PRESSURES = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def tolerant(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The pod spec with the tolerations that keep daemons on nodes in trouble."""
    wanted = [*_PRESSURES, *([_NETWORK] if spec.get("hostNetwork") else [])]
    added = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in wanted]
    given = [t for t in spec.get("tolerations") or () if t not in added]
    return {**spec, "tolerations": [*given, *added]}


def needs(owner: DaemonView) -> PodNeeds:
    """What the set's pods ask of a node."""
    template = owner.spec.template
    metadata = {"namespace": owner.metadata.namespace, "labels": (template.get("metadata") or {}).get("labels")}
    return pod_needs({"metadata": metadata, "spec": tolerant(template["spec"])})


def verdict(asked: PodNeeds, node: NodeFacts) -> tuple[bool, bool]:
    """(a pod should run on the node, a pod that is there may stay)."""
    if asked.node_name not in ("", node.name) or not fits_affinity(asked, node):
        return False, False
    if untolerated(asked, node) is None:
        return True, True
    # A taint that only keeps new pods away lets the old one stay.
    evicting = tuple(taint for taint in node.taints if taint.effect == "NoExecute")
    stays = untolerated(asked, NodeFacts(node.name, {}, node.labels, evicting)) is None
    return False, stays


def new_pod(owner: DaemonView, hash_: str, node: str) -> Object:
    """The pod to create for a node: bound to it by affinity, so that the scheduler still has the last word."""
    meta, template = owner.metadata, owner.spec.template
    of_template = template.get("metadata") or {}
    labels = {**(of_template.get("labels") or {}), POD_LABEL: hash_}
    generation = (meta.annotations or {}).get(GENERATION)
    if generation is not None:
        labels["pod-template-generation"] = generation
    metadata: dict[str, Any] = {
        "generateName": f"{meta.name}-",
        "namespace": meta.namespace,
        "labels": labels,
        "ownerReferences": [controller_reference("apps/v1", "DaemonSet", meta.name, meta.uid)],
    }
    for key in ("annotations", "finalizers"):
        if of_template.get(key):
            metadata[key] = of_template[key]
    spec = tolerant(template["spec"])
    affinity = spec.get("affinity") or {}
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]
    near = {**(affinity.get("nodeAffinity") or {}), _REQUIRED: {"nodeSelectorTerms": terms}}
    spec["affinity"] = {**affinity, "nodeAffinity": near}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
