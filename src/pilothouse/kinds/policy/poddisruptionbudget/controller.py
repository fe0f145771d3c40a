"""Reads what a PodDisruptionBudget's status depends on and says which changes concern which budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pilothouse.base.actions import Decision, Object
from pilothouse.engines.rolling.lookup import keys_by_labels, matcher, selector_key, selector_keys_of
from pilothouse.engines.rolling.views import PodView, controller_of
from pilothouse.kinds.policy.poddisruptionbudget.decide import BudgetView, Scale, decide
from pilothouse.machinery.client import Client
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key
from pilothouse.store.memory import Change, IndexFunction, Key, Stored

KIND_NAME = "policy/PodDisruptionBudget"
LABELS, SELECTOR = "labels", "selector"
_SCALED = ("apps/Deployment", "apps/ReplicaSet", "apps/StatefulSet")
"""Kinds whose spec.replicas counts although nobody asks for their pods: their changes are watched."""


def _selector_keys(budget: Object) -> Iterable[str]:
    selector = (budget.get("spec") or {}).get("selector")
    if selector is None:
        return ()
    return (selector_key(budget["metadata"].get("namespace", ""), selector.get("matchLabels")),)


INDEXES: dict[str, dict[str, IndexFunction]] = {
    "Pod": {LABELS: keys_by_labels},
    KIND_NAME: {SELECTOR: _selector_keys},
}
"""The indexes that the store must have for this controller."""


class BudgetController:
    """Keeps the status of PodDisruptionBudgets (kube-controller-manager's disruption controller)."""

    name = "controllermanager"

    def __init__(self, client: Client) -> None:
        self._client = client
        scaled = [WatchRule(kind, self._keys_of_scaled) for kind in _SCALED]
        self.watches = (WatchRule(KIND_NAME, own_key), WatchRule("Pod", self._keys_of_pod), *scaled)

    def _keys_of_pod(self, change: Change) -> Iterable[Key]:
        """Budgets that select the pod, before or after the change; none when it stays as healthy as it was."""
        new = change.new.view(PodView) if change.new is not None else None
        old = change.old.view(PodView) if change.old is not None else None
        if new is not None and old is not None and _as_healthy(old, new):
            return ()
        keys: dict[Key, None] = {}
        for pod in (new, old):
            if pod is not None:
                keys.update(dict.fromkeys(self._budgets(pod.metadata.namespace, pod.labels)))
        return keys

    def _budgets(self, namespace: str, labels: Mapping[str, str]) -> Iterator[Key]:
        for key in selector_keys_of(namespace, labels):
            for stored in self._client.indexed(KIND_NAME, SELECTOR, key):
                if matcher(stored.object["spec"]["selector"])(labels):
                    yield namespace, stored.object["metadata"]["name"]

    def _keys_of_scaled(self, change: Change) -> Iterable[Key]:
        """Budgets over the pods of a workload whose size changed."""
        if change.new is None or change.old is None:
            return ()
        before, after = change.old.object["spec"], change.new.object["spec"]
        if before is after or before.get("replicas") == after.get("replicas"):
            return ()
        labels = ((after.get("template") or {}).get("metadata") or {}).get("labels") or {}
        return list(self._budgets(change.new.object["metadata"]["namespace"], labels))

    def reconcile(self, view: ReconcileInput) -> Decision:
        client, namespace = view.client, view.namespace
        stored = client.get(KIND_NAME, namespace, view.name)
        if stored is None:
            return Decision()
        budget = stored.view(BudgetView)

        def scale_of(reference: Mapping[str, Any]) -> Scale | None:
            return _scale(client, namespace, reference)

        pods = list(_selected(client, budget))
        return decide(stored.object, budget, pods, scale_of, view.now_s)


def _as_healthy(old: PodView, new: PodView) -> bool:
    before, after = old.metadata, new.metadata
    return (
        old.ready == new.ready
        and (before.deletionTimestamp is None) == (after.deletionTimestamp is None)
        and before.labels == after.labels
        and before.ownerReferences == after.ownerReferences
    )


def _selected(client: Client, budget: BudgetView) -> Iterator[PodView]:
    """The pods of the budget's namespace that its selector matches; an empty selector matches all of them."""
    selector, namespace = budget.spec.selector, budget.metadata.namespace
    if selector is None:
        return
    matches = matcher(selector)
    labels = selector.get("matchLabels")
    found = client.indexed("Pod", LABELS, selector_key(namespace, labels)) if labels else client.list("Pod", namespace)
    for stored in found:
        pod = stored.view(PodView)
        if matches(pod.labels):
            yield pod


def _scale(client: Client, namespace: str, reference: Mapping[str, Any]) -> Scale | None:
    """The controller behind a reference, or the one that controls that (the Deployment of a ReplicaSet)."""
    stored = _referred(client, namespace, reference)
    if stored is None:
        return None
    above = controller_of(stored.object["metadata"].get("ownerReferences"))
    if above is not None:
        outer = _scale(client, namespace, above)
        if outer is not None:
            return outer
    spec = stored.object.get("spec") or {}
    kind = client.kinds.of_object(stored.object)
    if kind is None or not kind.strategy.scale:
        return None
    return Scale(stored.object["metadata"]["uid"], spec.get("replicas", 1))


def _referred(client: Client, namespace: str, reference: Mapping[str, Any]) -> Stored | None:
    kind = client.kinds.of_type(reference["apiVersion"], reference["kind"])
    if kind is None:
        return None
    stored = client.get(kind.name, namespace, reference["name"])
    # Another object of the same name is not the controller.
    return stored if stored is not None and stored.object["metadata"]["uid"] == reference["uid"] else None
