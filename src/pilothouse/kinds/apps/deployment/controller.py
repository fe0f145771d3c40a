"""Reads what a Deployment's decision needs and says which changes concern which Deployment."""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.base.actions import Decision
from pilothouse.base.errors import ApiError, Conflict, NotFound
from pilothouse.engines.rolling.lookup import keys_of_orphans, matcher, orphans_key
from pilothouse.engines.rolling.views import PodView, ReplicaSetView
from pilothouse.kinds.apps.deployment.decide import KIND_NAME, SET_KIND, decide
from pilothouse.kinds.apps.deployment.status import complete, find
from pilothouse.kinds.apps.deployment.views import DeploymentView, Observed
from pilothouse.machinery.client import Client
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, only_status_changed, own_key, owner_key
from pilothouse.store.memory import Change, IndexFunction, Key

ORPHANS = "orphans"
INDEXES: dict[str, dict[str, IndexFunction]] = {SET_KIND: {ORPHANS: keys_of_orphans}}
"""The indexes that the store must have for this controller."""


class DeploymentController:
    """Rolls Deployments (kube-controller-manager's deployment-controller)."""

    name = "deployment-controller"

    def __init__(self, client: Client) -> None:
        self._client = client
        self.watches = (
            WatchRule(KIND_NAME, _keys_of_deployment),
            WatchRule(SET_KIND, owner_key(KIND_NAME)),
            WatchRule(SET_KIND, self._keys_of_orphan),
        )

    def _keys_of_orphan(self, change: Change) -> Iterable[Key]:
        """Deployments that may want to adopt a ReplicaSet without a controller."""
        if change.new is None or not keys_of_orphans(change.new.object):
            return ()
        metadata = change.new.object["metadata"]
        labels, namespace = metadata.get("labels") or {}, metadata["namespace"]
        return [
            (namespace, stored.object["metadata"]["name"])
            for stored in self._client.list(KIND_NAME, namespace)
            if matcher(stored.object["spec"]["selector"])(labels)
        ]

    def reconcile(self, view: ReconcileInput) -> Decision:
        client, namespace = view.client, view.namespace
        stored = client.get(KIND_NAME, namespace, view.name)
        if stored is None:
            return Decision()
        deployment = stored.view(DeploymentView)

        def set_named(name: str) -> ReplicaSetView | None:
            found = client.get(SET_KIND, namespace, name)
            return None if found is None else found.view(ReplicaSetView)

        def pods_of(set_uid: str) -> Iterable[PodView]:
            return (pod.view(PodView) for pod in client.owned("Pod", set_uid))

        observed = Observed(
            owned=[s.view(ReplicaSetView) for s in client.owned(SET_KIND, deployment.metadata.uid)],
            orphans=[s.view(ReplicaSetView) for s in client.indexed(SET_KIND, ORPHANS, orphans_key(namespace))],
            set_named=set_named,
            pods_of=pods_of,
            failure=_creation_failure(view.last_failure),
        )
        return decide(stored.object, deployment, observed, view.now_s)


def _keys_of_deployment(change: Change) -> tuple[Key, ...]:
    """The Deployment itself, unless a rollout that was complete once only counted its pods anew: nothing follows from
    that, neither a deadline nor, while some are missing, a clean-up of old sets."""
    if change.new is not None and only_status_changed(change):
        new = change.new.view(DeploymentView)
        progress = find(new.status, "Progressing") or {}
        if progress.get("reason") == "NewReplicaSetAvailable" and not complete(new, new.status):
            return ()
    return own_key(change)


def _creation_failure(failure: Exception | None) -> str:
    """Why the last creation was refused; an object that changed or went meanwhile is no refusal."""
    if not isinstance(failure, ApiError) or isinstance(failure, Conflict | NotFound):
        return ""
    return failure.message
