"""Pods of a StatefulSet: how a new one is made from a revision, and whether an old one still has its identity.

Source: `stateful_set_utils.go`, Kubernetes 1.36 (PodIndexLabel is on).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.engines.rolling.revisions import POD_LABEL
from pilothouse.engines.rolling.views import controller_reference
from pilothouse.kinds.apps.statefulset.views import Member, SetView

NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"


def claim_name(set_name: str, claim_template: Mapping[str, Any], ordinal: int) -> str:
    return f"{claim_template['metadata']['name']}-{set_name}-{ordinal}"


def new_pod(owner: SetView, template: Mapping[str, Any], revision: str, ordinal: int) -> Object:
    """The pod to create for an ordinal. template: of the revision with this name."""
    meta, of_template = owner.metadata, template.get("metadata") or {}
    name = f"{meta.name}-{ordinal}"
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": meta.namespace,
        "generateName": f"{meta.name}-",
        "labels": {**(of_template.get("labels") or {}), **_identity(name, ordinal), POD_LABEL: revision},
        "ownerReferences": [controller_reference("apps/v1", "StatefulSet", meta.name, meta.uid)],
    }
    for key in ("annotations", "finalizers"):
        if of_template.get(key):
            metadata[key] = of_template[key]
    spec = {**template["spec"], "hostname": name}
    if owner.spec.serviceName:
        spec["subdomain"] = owner.spec.serviceName
    if owner.spec.volumeClaimTemplates:
        spec["volumes"] = _volumes(owner, spec.get("volumes") or (), ordinal)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _identity(name: str, ordinal: int) -> dict[str, str]:
    return {NAME_LABEL: name, INDEX_LABEL: str(ordinal)}


def _volumes(owner: SetView, given: Sequence[Mapping[str, Any]], ordinal: int) -> list[Mapping[str, Any]]:
    """The claims as volumes, before those of the template; a claim takes the place of a volume of its name."""
    claims: dict[str, Mapping[str, Any]] = {}
    for template in owner.spec.volumeClaimTemplates:
        name = template["metadata"]["name"]
        source = {"claimName": claim_name(owner.metadata.name, template, ordinal)}
        claims[name] = {"name": name, "persistentVolumeClaim": source}
    return [*claims.values(), *(volume for volume in given if volume.get("name") not in claims)]


def lost_identity(owner: SetView, pod: Member) -> dict[str, str]:
    """Labels that an existing pod must get back; {} when it has them. Its storage cannot be changed any more."""
    labels = pod.view.labels
    wanted = _identity(f"{owner.metadata.name}-{pod.ordinal}", pod.ordinal)
    return {key: value for key, value in wanted.items() if labels.get(key) != value}
