"""What a ReplicaSet does next: adopt, release, create, delete pods, and its status.

Source: replicaset controller of Kubernetes 1.36 (`syncReplicaSet`, `manageReplicas`, `calculateStatus`). Its
expectations have no counterpart: reads here always show the newest writes. Called by `controller.py`; performs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.base.actions import Action, Create, Decision, Delete, Patch
from pilothouse.base.clock import rfc3339
from pilothouse.engines.rolling import ranking, views
from pilothouse.engines.rolling.lookup import Matcher, matcher
from pilothouse.engines.rolling.slow_start import BURST
from pilothouse.engines.rolling.views import PodView, ReplicaSetMeta, ReplicaSetSpec

KIND_NAME = "apps/ReplicaSet"


class SetView(msgspec.Struct, gc=False):
    """A ReplicaSet with its whole status as stored."""

    metadata: ReplicaSetMeta
    spec: ReplicaSetSpec
    status: Any = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What was read for one decision.

    owned: pods whose controller this set is. orphans: pods of the namespace without a controller. related: the pods of
    all sets with the same owner, this one's included; asked only when some must be chosen for deletion.
    failure: why pods could not be created or deleted last time, "" when they could.
    """

    owned: Sequence[PodView] = ()
    orphans: Iterable[PodView] = ()
    related: Callable[[], Iterable[PodView]] = lambda: ()
    failure: str = ""


@dataclass(slots=True)
class _Count:
    """The pods of one pass: those that count, and how many of them (or of the others) are what."""

    mine: list[PodView]
    labelled: int = 0
    ready: int = 0
    terminating: int = 0


def decide(replica_set: SetView, observed: Observed, now_s: float) -> Decision:
    """One pass over what was read; Events about created and deleted pods are told by whoever performs it."""
    matches = matcher(replica_set.spec.selector)
    count, strangers = _count(replica_set, observed.owned, matches)
    claims: list[Action] = []
    if replica_set.metadata.deletionTimestamp is None:
        claims += [_release(replica_set, pod) for pod in strangers]
        adopted = [pod for pod in observed.orphans if pod.active and matches(pod.labels)]
        if adopted:
            claims += [_adopt(replica_set, pod) for pod in adopted]
            count, _ = _count(replica_set, [*count.mine, *adopted], matches, terminating=count.terminating)
    return _managed(replica_set, observed, count, claims, now_s)


def _count(
    replica_set: SetView, pods: Sequence[PodView], matches: Matcher, *, terminating: int = 0
) -> tuple[_Count, list[PodView]]:
    """The count, and active pods that the selector no longer matches."""
    template_labels = ((replica_set.spec.template.get("metadata") or {}).get("labels") or {}).items()
    mine: list[PodView] = []
    strangers: list[PodView] = []
    labelled = ready = 0
    seen: Any = _count
    matching = complete = False
    for pod in pods:
        labels = pod.metadata.labels
        if labels is not seen:
            # Pods of one template mostly share one dict of labels: it is tested once.
            seen = labels
            matching, complete = matches(labels or {}), template_labels <= (labels or {}).items()
        if pod.active:
            if matching:
                mine.append(pod)
                labelled += complete
                ready += pod.ready
            else:
                strangers.append(pod)
        elif matching and pod.terminating:
            terminating += 1
    return _Count(mine, labelled, ready, terminating), strangers


def _managed(
    replica_set: SetView, observed: Observed, count: _Count, claims: Sequence[Action], now_s: float
) -> Decision:
    mine = count.mine
    missing = replica_set.spec.replicas - len(mine)
    status = _status(replica_set, count, now_s)
    again = _available_in_s(replica_set, mine, now_s)
    if missing == 0 or replica_set.metadata.deletionTimestamp is not None:
        return Decision(tuple(claims), status, again)
    changes = _creations(replica_set, missing) if missing > 0 else _deletions(observed, mine, -missing, now_s)
    if observed.failure:
        status = _with_failure(replica_set, status, missing, observed.failure, now_s)
    return Decision((*claims, *changes), status, again)


def _creations(replica_set: SetView, count: int) -> list[Action]:
    # All pods of one pass are one and the same object: names are made when they are stored.
    create = Create("Pod", _pod(replica_set), event_ok="SuccessfulCreate")
    return [create] * min(count, BURST)


def _pod(replica_set: SetView) -> dict[str, Any]:
    meta, template = replica_set.metadata, replica_set.spec.template
    of_template = template.get("metadata") or {}
    metadata: dict[str, Any] = {"generateName": f"{meta.name}-", "namespace": meta.namespace}
    for key in ("labels", "annotations", "finalizers"):
        if of_template.get(key):
            metadata[key] = of_template[key]
    metadata["ownerReferences"] = [views.controller_reference("apps/v1", "ReplicaSet", meta.name, meta.uid)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _deletions(observed: Observed, mine: Sequence[PodView], count: int, now_s: float) -> list[Action]:
    count = min(count, BURST)
    # With all to go there is nothing to choose, so the related pods need not be read.
    related = observed.related() if count < len(mine) else ()
    return [
        Delete("Pod", pod.metadata.namespace, pod.metadata.name, uid=pod.metadata.uid, event_ok="SuccessfulDelete")
        for pod in ranking.choose(mine, related, count, now_s)
    ]


def _adopt(replica_set: SetView, pod: PodView) -> Patch:
    meta = replica_set.metadata
    owner = views.controller_reference("apps/v1", "ReplicaSet", meta.name, meta.uid)
    return _owners_patch(pod, views.adopt(pod.metadata.ownerReferences, owner))


def _release(replica_set: SetView, pod: PodView) -> Patch:
    return _owners_patch(pod, views.release(pod.metadata.ownerReferences, replica_set.metadata.uid))


def _owners_patch(pod: PodView, owners: Sequence[Mapping[str, Any]]) -> Patch:
    meta = pod.metadata
    # The uid in a patch is upstream's guard against a pod of the same name made anew.
    return Patch("Pod", meta.namespace, meta.name, {"metadata": {"uid": meta.uid, "ownerReferences": owners or None}})


def _status(replica_set: SetView, count: _Count, now_s: float) -> dict[str, Any]:
    mine, labelled, ready = count.mine, count.labelled, count.ready
    min_ready_s = replica_set.spec.minReadySeconds
    available = sum(pod.available(min_ready_s, now_s) for pod in mine) if min_ready_s else ready
    status: dict[str, Any] = {"replicas": len(mine)}
    if labelled:
        status["fullyLabeledReplicas"] = labelled
    if ready:
        status["readyReplicas"] = ready
    if available:
        status["availableReplicas"] = available
    status["terminatingReplicas"] = count.terminating
    if replica_set.metadata.generation:
        status["observedGeneration"] = replica_set.metadata.generation
    kept = [c for c in (replica_set.status or {}).get("conditions") or () if c["type"] != "ReplicaFailure"]
    if kept:
        status["conditions"] = kept
    return status


def _with_failure(
    replica_set: SetView, status: Mapping[str, Any], missing: int, message: str, now_s: float
) -> dict[str, Any]:
    """The status with ReplicaFailure: the first failure's words and time stay until pods can be made again."""
    old = (replica_set.status or {}).get("conditions") or ()
    failure = next((c for c in old if c["type"] == "ReplicaFailure"), None) or {
        "type": "ReplicaFailure",
        "status": "True",
        "lastTransitionTime": rfc3339(now_s),
        "reason": "FailedCreate" if missing > 0 else "FailedDelete",
        "message": message,
    }
    return {**status, "conditions": [*status.get("conditions", ()), failure]}


def _available_in_s(replica_set: SetView, mine: Sequence[PodView], now_s: float) -> float | None:
    """Seconds until the next ready pod has been ready for minReadySeconds, up to the next whole millisecond."""
    min_ready_s = replica_set.spec.minReadySeconds
    if min_ready_s == 0:
        return None
    waits = [left for pod in mine if (left := pod.available_in_s(min_ready_s, now_s)) is not None]
    return math.ceil(min(waits) * 1000) / 1000 if waits else None
