"""What a ReplicationController does next: adopt, release, create, delete pods, and its status.

Source: `pkg/controller/replication`, Kubernetes 1.36, which runs the replicaset controller behind an adapter. Called by
`controller.py`; performs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.base.actions import Action, Create, Decision, Delete, Object
from pilothouse.base.clock import rfc3339
from pilothouse.engines.rolling import ranking, views
from pilothouse.engines.rolling.claims import Owner, claim
from pilothouse.engines.rolling.slow_start import BURST
from pilothouse.engines.rolling.views import PodView, ReplicaSetMeta, ReplicaSetSpec

KIND_NAME = "ReplicationController"


class View(msgspec.Struct, frozen=True, gc=False):
    """A ReplicationController with its whole status; its selector is a plain map of labels."""

    metadata: ReplicaSetMeta
    spec: ReplicaSetSpec
    status: Any = None


@dataclass(frozen=True, slots=True)
class Observed:
    """owned: pods whose controller this is; orphans: pods without one. failure: why the last performance stopped."""

    owned: Sequence[PodView] = ()
    orphans: Sequence[PodView] = ()
    failure: str = ""


def decide(owner: View, observed: Observed, now_s: float) -> Decision:
    """One pass over what was read."""
    meta, wanted = owner.metadata, (owner.spec.selector or {}).items()
    deleting = meta.deletionTimestamp is not None
    claimed, writes = claim(
        Owner("v1", KIND_NAME, meta.name, meta.uid, deleting),
        [pod for pod in observed.owned if pod.active],
        observed.orphans,
        lambda labels: bool(wanted) and wanted <= labels.items(),
    )
    actions: list[Action] = [*writes]
    missing = 0 if deleting else owner.spec.replicas - len(claimed)
    if missing > 0:
        actions += [Create("Pod", _pod(owner), event_ok="SuccessfulCreate")] * min(missing, BURST)
    elif missing < 0:
        actions += _deletions(claimed, -missing, now_s)
    status = _status(owner, claimed, now_s)
    if observed.failure and missing:
        status = _with_failure(owner, status, missing, observed.failure, now_s)
    min_ready_s = owner.spec.minReadySeconds
    waits = [left for pod in claimed if (left := pod.available_in_s(min_ready_s, now_s)) is not None]
    return Decision(tuple(actions), status, math.ceil(min(waits) * 1000) / 1000 if waits else None)


def _pod(owner: View) -> Object:
    meta, template = owner.metadata, owner.spec.template
    of_template = template.get("metadata") or {}
    metadata: dict[str, Any] = {"generateName": f"{meta.name}-", "namespace": meta.namespace}
    for key in ("labels", "annotations", "finalizers"):
        if of_template.get(key):
            metadata[key] = of_template[key]
    metadata["ownerReferences"] = [views.controller_reference("v1", KIND_NAME, meta.name, meta.uid)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _deletions(pods: Sequence[PodView], count: int, now_s: float) -> list[Action]:
    chosen = ranking.choose(pods, pods, min(count, BURST), now_s)
    metas = [pod.metadata for pod in chosen]
    return [Delete("Pod", m.namespace, m.name, uid=m.uid, event_ok="SuccessfulDelete") for m in metas]


def _status(owner: View, pods: Sequence[PodView], now_s: float) -> dict[str, Any]:
    labels = ((owner.spec.template.get("metadata") or {}).get("labels") or {}).items()
    counts = {
        "fullyLabeledReplicas": sum(labels <= pod.labels.items() for pod in pods),
        "readyReplicas": sum(pod.ready for pod in pods),
        "availableReplicas": sum(pod.available(owner.spec.minReadySeconds, now_s) for pod in pods),
        "observedGeneration": owner.metadata.generation,
    }
    status: dict[str, Any] = {"replicas": len(pods), **{key: count for key, count in counts.items() if count}}
    kept = [c for c in (owner.status or {}).get("conditions") or () if c["type"] != "ReplicaFailure"]
    return {**status, "conditions": kept} if kept else status


def _with_failure(owner: View, status: Mapping[str, Any], missing: int, message: str, now_s: float) -> dict[str, Any]:
    """The status with ReplicaFailure: the first failure's words and time stay until it is over."""
    old = (owner.status or {}).get("conditions") or ()
    failure = next((c for c in old if c["type"] == "ReplicaFailure"), None) or {
        "type": "ReplicaFailure",
        "status": "True",
        "lastTransitionTime": rfc3339(now_s),
        "reason": "FailedCreate" if missing > 0 else "FailedDelete",
        "message": message,
    }
    return {**status, "conditions": [*status.get("conditions", ()), failure]}
