"""A store, a write path and a client over the core kinds, on a clock that stands still: what these tests are made
of."""

from __future__ import annotations

from typing import Any

from pilothouse.base.clock import ManualClock
from pilothouse.base.entropy import Entropy
from pilothouse.kinds.core.configmap.kind import KIND as CONFIG_MAP
from pilothouse.kinds.core.event.kind import KIND as EVENT
from pilothouse.kinds.core.namespace.kind import KIND as NAMESPACE
from pilothouse.kinds.core.node.kind import KIND as NODE
from pilothouse.kinds.core.pod.kind import KIND as POD
from pilothouse.kinds.core.secret.kind import KIND as SECRET
from pilothouse.kinds.core.service.kind import KIND as SERVICE
from pilothouse.kinds.core.serviceaccount.kind import KIND as SERVICE_ACCOUNT
from pilothouse.kinds.monitoring.servicemonitor.kind import KIND as SERVICE_MONITOR
from pilothouse.machinery.admission import Hook
from pilothouse.machinery.client import Client
from pilothouse.machinery.events import EventRecorder
from pilothouse.machinery.kind import Kinds
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store

KINDS = Kinds([NAMESPACE, NODE, POD, SERVICE, CONFIG_MAP, SECRET, SERVICE_ACCOUNT, EVENT, SERVICE_MONITOR])


class World:
    """Everything a test holds."""

    def __init__(self, hooks: tuple[Hook, ...] = (), seed: int = 1) -> None:
        self.clock = ManualClock()
        self.store = Store()
        self.write_path = WritePath(self.store, KINDS, self.clock, Entropy(seed), hooks)
        self.events = EventRecorder(self.clock)
        self.client = Client(self.write_path, {"Event": self.events})


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    """A pod that the API server accepts."""
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "web:1"}], **spec}}


def config(name: str = "c", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "data": {"k": "v"}}


def owned_by(owner: Any, *, controller: bool = True, block: bool = False) -> list[dict[str, Any]]:
    """ownerReferences to one stored object."""
    return [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": controller,
            "blockOwnerDeletion": block,
        }
    ]
