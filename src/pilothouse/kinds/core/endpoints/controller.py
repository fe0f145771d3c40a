"""Reads what a Service's Endpoints depend on and says which changes concern which Service."""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.base.actions import Decision, Object
from pilothouse.kinds.core.endpoints.decide import KIND_NAME, decide
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key
from pilothouse.store.memory import Change, IndexFunction, Key

SLICE_KIND, SERVICE_NAME, SERVICE = "discovery.k8s.io/EndpointSlice", "kubernetes.io/service-name", "service"


def _service_keys(slice_: Object) -> Iterable[str]:
    metadata = slice_["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_NAME)
    return (f"{metadata.get('namespace', '')}/{name}",) if name else ()


INDEXES: dict[str, dict[str, IndexFunction]] = {SLICE_KIND: {SERVICE: _service_keys}}
"""The indexes that the store must have for this controller."""


class EndpointsController:
    """Keeps each Service's Endpoints (kube-controller-manager's endpoint-controller). Keys are Services."""

    name = "endpoint-controller"

    def __init__(self) -> None:
        self.watches = (
            WatchRule("Service", own_key),
            WatchRule(SLICE_KIND, _keys_of_slice),
            WatchRule(KIND_NAME, own_key),
        )

    def reconcile(self, view: ReconcileInput) -> Decision:
        client, namespace, name = view.client, view.namespace, view.name
        service, present = client.get("Service", namespace, name), client.get(KIND_NAME, namespace, name)
        slices = client.indexed(SLICE_KIND, SERVICE, f"{namespace}/{name}")
        return decide(
            None if service is None else service.object,
            [stored.object for stored in slices],
            None if present is None else present.object,
        )


def _keys_of_slice(change: Change) -> Iterable[Key]:
    namespace = change.object["metadata"]["namespace"]
    return [(namespace, key.partition("/")[2]) for key in _service_keys(change.object)]
