"""Reads what a ReplicationController's decision needs and says which changes concern which one."""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.base.actions import Decision
from pilothouse.base.errors import ApiError, Conflict, NotFound
from pilothouse.engines.rolling.claims import differs
from pilothouse.engines.rolling.lookup import is_controlled, keys_by_labels, orphans_key
from pilothouse.engines.rolling.views import PodView
from pilothouse.kinds.core.replicationcontroller.decide import KIND_NAME, Observed, View, decide
from pilothouse.machinery.client import Client
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key, owner_key
from pilothouse.store.memory import Change, IndexFunction, Key

LABELS = "labels"
INDEXES: dict[str, dict[str, IndexFunction]] = {"Pod": {LABELS: keys_by_labels}}
"""The indexes that the store must have for this controller."""
_owner_of = owner_key(KIND_NAME)


class ReplicationController:
    """Keeps ReplicationControllers at their size (kube-controller-manager's replication-controller)."""

    name = "replication-controller"

    def __init__(self, client: Client) -> None:
        self._client = client
        self.watches = (WatchRule(KIND_NAME, own_key), WatchRule("Pod", self._keys_of_pod))

    def _keys_of_pod(self, change: Change) -> Iterable[Key]:
        keys = _owner_of(change)
        if keys and change.new is not None and change.old is not None:
            return keys if differs(change.old.view(PodView), change.new.view(PodView)) else ()
        if keys or change.new is None or is_controlled(change.object["metadata"]):
            return keys
        metadata = change.object["metadata"]
        labels = (metadata.get("labels") or {}).items()
        return [
            (metadata["namespace"], stored.object["metadata"]["name"])
            for stored in self._client.list(KIND_NAME, metadata["namespace"])
            if (stored.object["spec"].get("selector") or {}).items() <= labels
        ]

    def reconcile(self, view: ReconcileInput) -> Decision:
        client = view.client
        stored = client.get(KIND_NAME, view.namespace, view.name)
        if stored is None:
            return Decision()
        owner = stored.view(View)
        observed = Observed(
            owned=[pod.view(PodView) for pod in client.owned("Pod", owner.metadata.uid)],
            orphans=[pod.view(PodView) for pod in client.indexed("Pod", LABELS, orphans_key(view.namespace))],
            failure=_refusal(view.last_failure),
        )
        return decide(owner, observed, view.now_s)


def _refusal(failure: Exception | None) -> str:
    """Why pods could not be made; an object that changed or went meanwhile is no refusal."""
    if not isinstance(failure, ApiError) or isinstance(failure, Conflict | NotFound):
        return ""
    return failure.message
