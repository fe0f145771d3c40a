"""The namespace controller: empties a namespace that is being deleted, then lets it go."""

from __future__ import annotations

from pilothouse.base.actions import Decision
from pilothouse.kinds.core.namespace.decide import decide
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key


class NamespaceController:
    name = "namespace-controller"
    watches = (WatchRule("Namespace", own_key),)

    def reconcile(self, view: ReconcileInput) -> Decision:
        namespace = view.client.get("Namespace", "", view.name)
        if namespace is None:
            return Decision()
        content = (
            (kind.name, stored.object)
            for kind in view.client.kinds
            if kind.namespaced
            for stored in view.client.stored(kind.name, view.name)
        )
        return decide(namespace.object, content)
