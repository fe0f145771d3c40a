"""Reads what a ReplicaSet's decision needs and says which changes concern which ReplicaSet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pilothouse.base.actions import Decision
from pilothouse.base.errors import ApiError, Conflict, NotFound
from pilothouse.engines.rolling.lookup import is_controlled, keys_by_labels, matcher, orphans_key
from pilothouse.engines.rolling.views import PodView, controller_of
from pilothouse.kinds.apps.replicaset.decide import KIND_NAME, Observed, SetView, decide
from pilothouse.machinery.client import Client
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, only_status_changed, own_key
from pilothouse.store.memory import Change, IndexFunction, Key

LABELS = "labels"
INDEXES: dict[str, dict[str, IndexFunction]] = {"Pod": {LABELS: keys_by_labels}}
"""The indexes that the store must have for this controller."""


class ReplicaSetController:
    """Keeps ReplicaSets at their size (kube-controller-manager's replicaset-controller)."""

    name = "replicaset-controller"

    def __init__(self, client: Client) -> None:
        self._client = client
        self.watches = (WatchRule(KIND_NAME, _keys_of_set), WatchRule("Pod", self._keys_of_pod))

    def _keys_of_pod(self, change: Change) -> Iterable[Key]:
        """The set that controls the pod, before or after the change; for a pod without one, the sets that match it."""
        new = change.new.view(PodView) if change.new is not None else None
        old = change.old.view(PodView) if change.old is not None else None
        if new is not None and old is not None and _counts_alike(old, new):
            return ()
        keys: dict[Key, None] = {}
        for pod in (new, old):
            if pod is None:
                continue
            owner = controller_of(pod.metadata.ownerReferences)
            if owner is not None and owner["kind"] == "ReplicaSet":
                keys[(pod.metadata.namespace, owner["name"])] = None
        if not keys and new is not None and not is_controlled(change.object["metadata"]):
            keys.update(dict.fromkeys(self._candidates(new)))
        return keys

    def _candidates(self, pod: PodView) -> Iterator[Key]:
        for stored in self._client.list(KIND_NAME, pod.metadata.namespace):
            if matcher(stored.object["spec"]["selector"])(pod.labels):
                yield pod.metadata.namespace, stored.object["metadata"]["name"]

    def reconcile(self, view: ReconcileInput) -> Decision:
        client = view.client
        stored = client.get(KIND_NAME, view.namespace, view.name)
        if stored is None:
            return Decision()
        replica_set = stored.view(SetView)
        observed = Observed(
            owned=[pod.view(PodView) for pod in client.owned("Pod", replica_set.metadata.uid)],
            orphans=[pod.view(PodView) for pod in client.indexed("Pod", LABELS, orphans_key(view.namespace))],
            related=lambda: _related(client, replica_set),
            failure=_refusal(view.last_failure),
        )
        return decide(replica_set, observed, view.now_s)


def _keys_of_set(change: Change) -> tuple[Key, ...]:
    """The set itself, unless only its status changed: that is this controller's own writing, and decides nothing."""
    return () if only_status_changed(change) else own_key(change)


def _counts_alike(old: PodView, new: PodView) -> bool:
    """Whether a ReplicaSet sees no difference between two versions of a pod (a node name, an address, a start time)."""
    before, after = old.metadata, new.metadata
    return (
        old.ready == new.ready
        and old.ready_since == new.ready_since
        and old.ended == new.ended
        and (before.deletionTimestamp is None) == (after.deletionTimestamp is None)
        and before.labels == after.labels
        and before.ownerReferences == after.ownerReferences
    )


def _related(client: Client, replica_set: SetView) -> Iterator[PodView]:
    """Pods of all sets with the same controller, this one's included; of this one alone when it has none."""
    owner = controller_of(replica_set.metadata.ownerReferences)
    if owner is None:
        uids = [replica_set.metadata.uid]
    else:
        uids = [stored.object["metadata"]["uid"] for stored in client.owned(KIND_NAME, owner["uid"])]
    for uid in uids:
        for pod in client.owned("Pod", uid):
            yield pod.view(PodView)


def _refusal(failure: Exception | None) -> str:
    """Why pods could not be made; an object that changed or went meanwhile is no refusal."""
    if not isinstance(failure, ApiError) or isinstance(failure, Conflict | NotFound):
        return ""
    return failure.message
