"""Which pods belong to an owner: its own that still match, orphans that match and are adopted, strangers released.

Source: `controller.PodControllerRefManager`, Kubernetes 1.36. Used by every kind that selects pods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.base.actions import Patch
from pilothouse.engines.rolling import views
from pilothouse.engines.rolling.lookup import Matcher
from pilothouse.engines.rolling.views import PodView


@dataclass(frozen=True, slots=True)
class Owner:
    """Who claims. deleting: it then neither adopts nor releases."""

    api_version: str
    kind: str
    name: str
    uid: str
    deleting: bool = False

    def reference(self) -> dict[str, Any]:
        return views.controller_reference(self.api_version, self.kind, self.name, self.uid)


def claim(
    owner: Owner,
    owned: Iterable[PodView],
    orphans: Iterable[PodView],
    matches: Matcher,
    belongs: Callable[[PodView], bool] = lambda _pod: True,
) -> tuple[list[PodView], list[Patch]]:
    """(pods that count, owner references to write). belongs: what else, besides the selector, a pod must be."""
    mine: list[PodView] = []
    writes: list[Patch] = []
    for pod in owned:
        if matches(pod.labels) and belongs(pod):
            mine.append(pod)
        elif not owner.deleting and pod.metadata.deletionTimestamp is None:
            writes.append(_patch(pod, views.release(pod.metadata.ownerReferences, owner.uid)))
    if owner.deleting:
        return mine, writes
    for pod in orphans:
        if pod.active and matches(pod.labels) and belongs(pod):
            writes.append(_patch(pod, views.adopt(pod.metadata.ownerReferences, owner.reference())))
            mine.append(pod)
    return mine, writes


def _patch(pod: PodView, references: Sequence[Mapping[str, Any]]) -> Patch:
    meta = pod.metadata
    # The uid in a patch is upstream's guard against a pod of the same name made anew.
    body = {"metadata": {"uid": meta.uid, "ownerReferences": references or None}}
    return Patch("Pod", meta.namespace, meta.name, body)


def differs(old: PodView, new: PodView) -> bool:
    """Whether an owner has to look at two versions of a pod: not for a node's name, an address or a start time."""
    before, after = old.metadata, new.metadata
    return (
        old.ready != new.ready
        or old.ready_since != new.ready_since
        or old.status.phase != new.status.phase
        or before.deletionTimestamp != after.deletionTimestamp
        or before.labels != after.labels
        or before.ownerReferences != after.ownerReferences
    )
