"""Keeps the rules of aggregated ClusterRoles: looks at all of them whenever a ClusterRole changes."""

from __future__ import annotations

from pilothouse.base.actions import Decision, Patch
from pilothouse.kinds.rbac.clusterrole import decide
from pilothouse.machinery.client import Client
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule
from pilothouse.store.memory import Change

_KIND = "rbac.authorization.k8s.io/ClusterRole"


class AggregationController:
    """One key per aggregated role."""

    name = "clusterrole-aggregation-controller"

    def __init__(self, client: Client) -> None:
        self._client = client
        self.watches = (WatchRule(_KIND, self._keys),)

    def _keys(self, change: Change) -> list[tuple[str, str]]:  # noqa: ARG002 - any change may concern any of them
        return [
            ("", stored.object["metadata"]["name"])
            for stored in self._client.list(_KIND)
            if stored.object.get("aggregationRule")
        ]

    def reconcile(self, view: ReconcileInput) -> Decision:
        stored = view.client.get(_KIND, "", view.name)
        if stored is None or not stored.object.get("aggregationRule"):
            return Decision()
        rules = decide.gathered(stored.object, (other.object for other in view.client.list(_KIND)))
        if rules == (stored.object.get("rules") or []):
            return Decision()
        return Decision((Patch(_KIND, "", view.name, {"rules": rules or None}),))
