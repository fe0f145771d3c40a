"""What rollout decisions read of a Pod and of a ReplicaSet: small structs that the store makes once per stored version.

Kinds pass these types to `Stored.view`; sharing them means a pod is looked at once, however many kinds count it.
Fields typed `Any` keep the stored JSON by reference, so that comparing them by identity is meaningful.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pilothouse.base.clock import parse_rfc3339

NO_LABELS: Mapping[str, str] = {}


class PodMeta(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    creationTimestamp: str = ""
    deletionTimestamp: str | None = None
    labels: Any = None
    annotations: Any = None
    ownerReferences: Any = None


class PodSpec(msgspec.Struct, frozen=True, gc=False):
    nodeName: str = ""
    hostname: str = ""
    subdomain: str = ""
    containers: Any = None
    initContainers: Any = None


class PodStatus(msgspec.Struct, frozen=True, gc=False):
    phase: str = "Pending"
    podIP: str = ""
    podIPs: Any = None
    conditions: Any = None
    containerStatuses: Any = None
    initContainerStatuses: Any = None


_NO_SPEC = PodSpec()
_NO_STATUS = PodStatus()


class PodView(msgspec.Struct, gc=False):
    """A Pod. `ready` and the rest below are worked out once, when the view is made.

    ready: condition Ready is True. ended: phase Succeeded or Failed. terminating: being deleted and not ended.
    active: neither ended nor being deleted (`IsPodActive`). ready_since: RFC 3339 text of the Ready condition.
    derived: what one reader worked out from this version and may find again; nobody else looks at it.
    """

    metadata: PodMeta
    spec: PodSpec = _NO_SPEC
    status: PodStatus = _NO_STATUS
    ready: bool = False
    ended: bool = False
    active: bool = True
    terminating: bool = False
    ready_since: str = ""
    derived: Any = None

    def __post_init__(self) -> None:
        self.ready, self.ready_since, self.derived = False, "", None
        for condition in self.status.conditions or ():
            if condition.get("type") == "Ready":
                self.ready = condition.get("status") == "True"
                self.ready_since = condition.get("lastTransitionTime") or ""
                break
        self.ended = self.status.phase in ("Succeeded", "Failed")
        deleting = self.metadata.deletionTimestamp is not None
        self.active = not self.ended and not deleting
        self.terminating = deleting and not self.ended

    @property
    def labels(self) -> Mapping[str, str]:
        return self.metadata.labels or NO_LABELS

    def available(self, min_ready_s: int, now_s: float) -> bool:
        """Ready for at least `min_ready_s` seconds (`IsPodAvailable`); a Ready without a time counts only for 0."""
        if not self.ready or min_ready_s == 0:
            return self.ready
        return bool(self.ready_since) and parse_rfc3339(self.ready_since) + min_ready_s <= now_s

    def available_in_s(self, min_ready_s: int, now_s: float) -> float | None:
        """Seconds until a ready pod becomes available; None when it is not ready or is available already."""
        if not self.ready or min_ready_s == 0 or not self.ready_since:
            return None
        left_s = parse_rfc3339(self.ready_since) + min_ready_s - now_s
        return left_s if left_s > 0 else None


class ReplicaSetMeta(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resourceVersion: str = ""
    creationTimestamp: str = ""
    deletionTimestamp: str | None = None
    labels: Any = None
    annotations: Any = None
    ownerReferences: Any = None


class ReplicaSetSpec(msgspec.Struct, frozen=True, gc=False):
    replicas: int = 1
    minReadySeconds: int = 0
    selector: Any = None
    template: Any = None


class ReplicaSetStatus(msgspec.Struct, frozen=True, gc=False):
    replicas: int = 0
    readyReplicas: int = 0
    availableReplicas: int = 0
    terminatingReplicas: int | None = None
    observedGeneration: int = 0
    conditions: Any = None


_NO_SET_SPEC = ReplicaSetSpec()
_NO_SET_STATUS = ReplicaSetStatus()


class ReplicaSetView(msgspec.Struct, frozen=True, gc=False):
    """A ReplicaSet, as its owner sees it."""

    metadata: ReplicaSetMeta
    spec: ReplicaSetSpec = _NO_SET_SPEC
    status: ReplicaSetStatus = _NO_SET_STATUS


def controller_of(references: Sequence[Mapping[str, Any]] | None) -> Mapping[str, Any] | None:
    """The owner reference marked `controller`, or None."""
    for reference in references or ():
        if reference.get("controller"):
            return reference
    return None


def adopt(references: Sequence[Mapping[str, Any]] | None, owner: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The owner references after `owner` (a whole reference) became one of them."""
    kept = [r for r in references or () if r.get("uid") != owner["uid"]]
    return [*kept, owner]


def release(references: Sequence[Mapping[str, Any]] | None, uid: str) -> list[Mapping[str, Any]]:
    """The owner references without the owner `uid`."""
    return [r for r in references or () if r.get("uid") != uid]


def controller_reference(api_version: str, kind: str, name: str, uid: str) -> dict[str, Any]:
    """A controller's owner reference as upstream writes it."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
