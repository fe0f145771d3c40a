"""PersistentVolumeClaims of a StatefulSet: made before their pod, kept or given up by the retention policy.

Giving up means an owner reference: the garbage collector then deletes the claim with the set or with the pod.
Source: `stateful_pod_control.go`, `updateClaimOwnerRefForSetAndPod`, Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Action, Create, Emit, Object, Patch
from pilothouse.engines.rolling.views import controller_reference
from pilothouse.kinds.apps.statefulset.pods import claim_name
from pilothouse.kinds.apps.statefulset.views import Member, Observed, SetView

CLAIM_KIND = "PersistentVolumeClaim"


def missing(obj: Object, owner: SetView, observed: Observed, ordinal: int) -> list[Action]:
    """Creations of the claims that an ordinal does not have yet, each with its Event."""
    actions: list[Action] = []
    for template in owner.spec.volumeClaimTemplates or ():
        name = claim_name(owner.metadata.name, template, ordinal)
        if observed.claim_named(name) is None:
            actions.append(Create(CLAIM_KIND, _new(owner, template, name)))
            pod = f"{owner.metadata.name}-{ordinal}"
            text = f"Create Claim {name} Pod {pod} in StatefulSet {owner.metadata.name} success"
            actions.append(Emit(obj, "Normal", "SuccessfulCreate", text))
    return actions


def _new(owner: SetView, template: Mapping[str, Any], name: str) -> Object:
    given = template.get("metadata") or {}
    labels = {**(given.get("labels") or {}), **((owner.spec.selector or {}).get("matchLabels") or {})}
    metadata: dict[str, Any] = {"name": name, "namespace": owner.metadata.namespace}
    if labels:
        metadata["labels"] = labels
    if given.get("annotations"):
        metadata["annotations"] = given["annotations"]
    if owner.retention("whenDeleted"):
        metadata["ownerReferences"] = [_set_reference(owner)]
    return {"apiVersion": "v1", "kind": CLAIM_KIND, "metadata": metadata, "spec": template["spec"]}


def stale(owner: SetView, observed: Observed, ordinal: int) -> bool:
    """Whether a claim still belongs to a former pod of this name: it is about to go, so the pod waits."""
    pod_name = f"{owner.metadata.name}-{ordinal}"
    for template in owner.spec.volumeClaimTemplates or ():
        claim = observed.claim_named(claim_name(owner.metadata.name, template, ordinal))
        if claim is None:
            continue
        references = claim["metadata"].get("ownerReferences") or ()
        if any(r["kind"] == "Pod" and r["name"] == pod_name for r in references):
            return True
    return False


def retained(owner: SetView, observed: Observed, pod: Member, *, condemned: bool) -> list[Action]:
    """Owner references that the claims of a pod should have and do not."""
    actions: list[Action] = []
    for template in owner.spec.volumeClaimTemplates or ():
        claim = observed.claim_named(claim_name(owner.metadata.name, template, pod.ordinal))
        if claim is None:
            continue
        metadata = claim["metadata"]
        before = list(metadata.get("ownerReferences") or ())
        after = _references(owner, pod, before, condemned)
        if after != before:
            patch = {"metadata": {"ownerReferences": after or None}}
            actions.append(Patch(CLAIM_KIND, metadata["namespace"], metadata["name"], patch))
    return actions


def _references(
    owner: SetView, pod: Member, before: list[Mapping[str, Any]], condemned: bool
) -> list[Mapping[str, Any]]:
    pod_uid, set_uid = pod.view.metadata.uid, owner.metadata.uid
    with_pod = condemned and owner.retention("whenScaled")
    with_set = owner.retention("whenDeleted") and not with_pod
    kept = [
        r for r in before if not (r["uid"] == pod_uid and not with_pod) and not (r["uid"] == set_uid and not with_set)
    ]
    uids = [r["uid"] for r in kept]
    if with_pod and pod_uid not in uids:
        kept.append(controller_reference("v1", "Pod", pod.name, pod_uid))
    if with_set and set_uid not in uids:
        kept.append(_set_reference(owner))
    return kept


def _set_reference(owner: SetView) -> dict[str, Any]:
    return controller_reference("apps/v1", "StatefulSet", owner.metadata.name, owner.metadata.uid)
