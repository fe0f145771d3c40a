"""Reads what a StatefulSet's decision needs and says which changes concern which StatefulSet."""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.base.actions import Decision, Object
from pilothouse.base.errors import ApiError, Conflict, NotFound
from pilothouse.engines.rolling.claims import differs
from pilothouse.engines.rolling.lookup import (
    is_controlled,
    keys_by_labels,
    keys_of_orphans,
    matcher,
    orphans_key,
)
from pilothouse.engines.rolling.revisions import KIND_NAME as REVISION_KIND
from pilothouse.engines.rolling.revisions import Revision
from pilothouse.engines.rolling.views import PodView
from pilothouse.kinds.apps.statefulset.claims import CLAIM_KIND
from pilothouse.kinds.apps.statefulset.decide import KIND_NAME, Observed, SetView, decide
from pilothouse.kinds.apps.statefulset.views import split_name
from pilothouse.machinery.client import Client
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key, owner_key
from pilothouse.store.memory import Change, IndexFunction, Key

LABELS, ORPHANS = "labels", "orphans"
INDEXES: dict[str, dict[str, IndexFunction]] = {
    "Pod": {LABELS: keys_by_labels},
    REVISION_KIND: {ORPHANS: keys_of_orphans},
}
"""The indexes that the store must have for this controller."""
_owner_of = owner_key(KIND_NAME)


class StatefulSetController:
    """Runs StatefulSets (kube-controller-manager's statefulset-controller)."""

    name = "statefulset-controller"

    def __init__(self, client: Client) -> None:
        self._client = client
        self.watches = (
            WatchRule(KIND_NAME, own_key),
            WatchRule("Pod", self._keys_of_pod),
            WatchRule(REVISION_KIND, _owner_of),
            WatchRule(CLAIM_KIND, self._keys_of_claim),
        )

    def _keys_of_pod(self, change: Change) -> Iterable[Key]:
        keys = _owner_of(change)
        if keys and change.new is not None and change.old is not None:
            return keys if differs(change.old.view(PodView), change.new.view(PodView)) else ()
        if keys or change.new is None or is_controlled(change.object["metadata"]):
            return keys
        # A pod without a controller concerns the set that its name and labels speak of.
        metadata = change.object["metadata"]
        parent = split_name(metadata["name"])[0]
        stored = self._client.get(KIND_NAME, metadata["namespace"], parent) if parent else None
        if stored is None or not matcher(stored.object["spec"]["selector"])(metadata.get("labels") or {}):
            return ()
        return ((metadata["namespace"], parent),)

    def _keys_of_claim(self, change: Change) -> Iterable[Key]:
        """A claim that went may be what a pod of a set waits for."""
        if change.new is not None:
            return ()
        metadata = change.object["metadata"]
        owner = split_name(metadata["name"])[0]
        sets = self._client.list(KIND_NAME, metadata["namespace"])
        names = [stored.object["metadata"]["name"] for stored in sets]
        return [(metadata["namespace"], name) for name in names if owner.endswith(f"-{name}")]

    def reconcile(self, view: ReconcileInput) -> Decision:
        client, namespace = view.client, view.namespace
        stored = client.get(KIND_NAME, namespace, view.name)
        if stored is None:
            return Decision()
        owner = stored.view(SetView)
        matches = matcher(owner.spec.selector)

        def revision_named(name: str) -> Revision | None:
            found = client.get(REVISION_KIND, namespace, name)
            return None if found is None else found.view(Revision)

        def claim_named(name: str) -> Object | None:
            found = client.get(CLAIM_KIND, namespace, name)
            return None if found is None else found.object

        loose = client.indexed(REVISION_KIND, ORPHANS, orphans_key(namespace))
        observed = Observed(
            owned=[(pod.view(PodView), pod.object) for pod in client.owned("Pod", owner.metadata.uid)],
            orphans=[(p.view(PodView), p.object) for p in client.indexed("Pod", LABELS, orphans_key(namespace))],
            revisions=[r.view(Revision) for r in client.owned(REVISION_KIND, owner.metadata.uid)],
            loose_revisions=[r.view(Revision) for r in loose if matches(r.object["metadata"].get("labels") or {})],
            revision_named=revision_named,
            claim_named=claim_named,
            failure=_refusal(view.last_failure),
        )
        return decide(stored.object, owner, observed, view.now_s)


def _refusal(failure: Exception | None) -> str:
    """Why pods could not be made; an object that changed or went meanwhile is no refusal."""
    if not isinstance(failure, ApiError) or isinstance(failure, Conflict | NotFound):
        return ""
    return failure.message
