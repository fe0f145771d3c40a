"""Makes the service account `default` in each namespace. Keys are namespaces."""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.base.actions import Decision
from pilothouse.kinds.core.serviceaccount.decide import DEFAULT, decide
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key
from pilothouse.store.memory import Change, Key


class ServiceAccountsController:
    name = "serviceaccount-controller"

    def __init__(self) -> None:
        self.watches = (WatchRule("Namespace", own_key), WatchRule("ServiceAccount", _namespace_of))

    def reconcile(self, view: ReconcileInput) -> Decision:
        namespace = view.client.get("Namespace", "", view.name)
        if namespace is None:
            return Decision()
        return decide(namespace.object, there=view.client.get("ServiceAccount", view.name, DEFAULT) is not None)


def _namespace_of(change: Change) -> Iterable[Key]:
    return (("", change.object["metadata"]["namespace"]),)
