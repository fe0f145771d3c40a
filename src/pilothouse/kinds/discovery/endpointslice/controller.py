"""Reads what a Service's slices depend on and says which changes concern which Service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pilothouse.base.actions import Decision, Object
from pilothouse.engines.rolling.lookup import keys_by_labels, selector_key, selector_keys_of
from pilothouse.engines.rolling.views import PodView
from pilothouse.kinds.discovery.endpointslice.decide import CONTROLLER, KIND_NAME, MANAGED_BY, SERVICE_NAME, decide
from pilothouse.kinds.discovery.endpointslice.kept import Kept, keep, touched
from pilothouse.kinds.discovery.endpointslice.views import ServiceView, SliceView, same_endpoint
from pilothouse.machinery.client import Client
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key
from pilothouse.store.memory import Change, IndexFunction, Key, Stored

ZONE = "topology.kubernetes.io/zone"
LABELS, SELECTOR, SERVICE = "labels", "selector", "service"


def _selector_keys(service: Object) -> Iterable[str]:
    selector = (service.get("spec") or {}).get("selector")
    return (selector_key(service["metadata"].get("namespace", ""), selector),) if selector else ()


def _service_keys(slice_: Object) -> Iterable[str]:
    metadata = slice_["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_NAME)
    return (f"{metadata.get('namespace', '')}/{name}",) if name else ()


INDEXES: dict[str, dict[str, IndexFunction]] = {
    "Pod": {LABELS: keys_by_labels},
    "Service": {SELECTOR: _selector_keys},
    KIND_NAME: {SERVICE: _service_keys},
}
"""The indexes that the store must have for this controller."""


class EndpointSliceController:
    """Keeps each Service's EndpointSlices (kube-controller-manager's endpoint-slice-controller). Keys are Services."""

    name = "endpoint-slice-controller"

    def __init__(self, client: Client) -> None:
        self._client = client
        # What a pass found, and which pods (uid → namespace, name) changed since: a shortcut, never the truth.
        self._kept: dict[Key, Kept] = {}
        self._changed: dict[Key, dict[str, Key]] = {}
        self._zones: dict[str, str] = {}
        self.watches = (
            WatchRule("Service", own_key),
            WatchRule("Pod", self._keys_of_pod),
            WatchRule(KIND_NAME, _keys_of_slice),
            WatchRule("Node", self._note_node),
        )

    def _note_node(self, change: Change) -> tuple[Key, ...]:
        """No Service is looked at for a node's sake, but what is looked at next sees the node's present zone."""
        name = change.object["metadata"]["name"]
        zone = _zone(change.new)
        if self._zones.pop(name, zone) != zone:
            self._kept.clear()
        return ()

    def _zone_of(self, node: str) -> str | None:
        zone: str | None = self._zones.get(node)
        if zone is None:
            zone = _zone(self._client.get("Node", "", node))
            if zone is not None:
                self._zones[node] = zone
        return zone

    def _keys_of_pod(self, change: Change) -> Iterable[Key]:
        """Services that select the pod, before or after the change; none when its endpoint stays as it is."""
        new = change.new.view(PodView) if change.new is not None else None
        old = change.old.view(PodView) if change.old is not None else None
        if new is not None and old is not None and same_endpoint(old, new):
            return ()
        keys: dict[Key, None] = {}
        for pod in (new, old):
            # Without an address a pod is in no slice; with the same labels it is in the same Services.
            if pod is not None and pod.status.podIP and not (pod is old and keys):
                keys.update(dict.fromkeys(self._services(pod)))
        metadata = change.object["metadata"]
        for key in keys:
            self._changed.setdefault(key, {})[metadata["uid"]] = (metadata["namespace"], metadata["name"])
        return keys

    def _services(self, pod: PodView) -> Iterator[Key]:
        namespace, labels = pod.metadata.namespace, pod.labels
        for key in selector_keys_of(namespace, labels):
            for stored in self._client.indexed("Service", SELECTOR, key):
                if stored.object["spec"]["selector"].items() <= labels.items():
                    yield namespace, stored.object["metadata"]["name"]

    def reconcile(self, view: ReconcileInput) -> Decision:
        client, namespace = view.client, view.namespace
        key = (namespace, view.name)
        changed = self._changed.pop(key, {})
        kept = self._kept.get(key)
        stored = client.get("Service", namespace, view.name)
        if stored is None:
            self._kept.pop(key, None)
            # Without any Service nothing is told of nodes.
            self._zones.clear()
            return Decision()
        service = stored.view(ServiceView)
        slices = [
            s.view(SliceView) for s in client.indexed(KIND_NAME, SERVICE, f"{namespace}/{view.name}") if _managed(s)
        ]
        if kept is not None and kept.holds(stored, slices):
            decision = touched(kept, service, ((uid, self._pod(uid, at)) for uid, at in changed.items()), self._zone_of)
            if decision is not None:
                return decision
        decision = decide(service, list(_selected(client, service)), slices, self._zone_of)
        found = keep(stored, service, slices) if not decision.actions and decision.requeue_s is None else None
        if found is not None:
            self._kept[key] = found
        else:
            self._kept.pop(key, None)
        return decision

    def _pod(self, uid: str, key: Key) -> PodView | None:
        """The pod with this uid, None when it is gone."""
        stored = self._client.get("Pod", *key)
        return stored.view(PodView) if stored is not None and stored.object["metadata"]["uid"] == uid else None


def _zone(node: Stored | None) -> str | None:
    return None if node is None else (node.object["metadata"].get("labels") or {}).get(ZONE, "")


def _keys_of_slice(change: Change) -> Iterable[Key]:
    """The Service of a slice that somebody else made, changed or deleted; and of our own, which is then found right."""
    metadata = change.object["metadata"]
    labels = metadata.get("labels") or {}
    if labels.get(MANAGED_BY) != CONTROLLER or not labels.get(SERVICE_NAME):
        return ()
    return ((metadata["namespace"], labels[SERVICE_NAME]),)


def _managed(stored: Stored) -> bool:
    return bool((stored.object["metadata"].get("labels") or {}).get(MANAGED_BY) == CONTROLLER)


def _selected(client: Client, service: ServiceView) -> Iterator[PodView]:
    """The pods of the Service's namespace that its selector matches, oldest first."""
    selector, namespace = service.spec.selector, service.metadata.namespace
    if selector is None:
        return
    if not selector:
        yield from (stored.view(PodView) for stored in client.list("Pod", namespace))
        return
    wanted = selector.items()
    seen: Any = _selected
    matching = False
    for stored in client.indexed("Pod", LABELS, selector_key(namespace, selector)):
        pod = stored.view(PodView)
        if pod.metadata.labels is not seen:
            # Pods of one template mostly share one dict of labels: it is tested once.
            seen = pod.metadata.labels
            matching = wanted <= seen.items()
        if matching:
            yield pod
