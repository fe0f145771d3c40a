"""How many replicas each service's workload asks for, kept up to date by a watch: every step of traffic notes them all.

Reads the client; `world` asks.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pilothouse.machinery.client import Client
from pilothouse.store.memory import Stored
from pilothouse.store.watch import Watch

Workload = tuple[str, str, str]
"""(kind, namespace, name)."""


class WorkloadSizes:
    """workloads: service index to its workload; it may change between calls."""

    def __init__(self, client: Client, services: int, workloads: Mapping[int, Workload]) -> None:
        self._client = client
        self._workloads = workloads
        self._known: dict[int, Workload] = {}
        self._services: dict[Workload, list[int]] = {}
        self._sizes = np.zeros(services)
        self._watch: Watch | None = None

    def now(self) -> NDArray[np.float64]:
        """`spec.replicas` by service, 0 where there is no workload. The array is shared: do not change or keep it."""
        if self._workloads != self._known:
            self._begin()
        elif self._watch is not None:
            for change in self._watch.take():
                metadata = change.object["metadata"]
                workload = (change.kind, metadata.get("namespace", ""), metadata["name"])
                for service in self._services.get(workload, ()):
                    self._sizes[service] = _size(change.new)
        return self._sizes

    def _begin(self) -> None:
        """Other workloads than before: read them all, then follow them."""
        if self._watch is not None:
            self._watch.close()
        self._known = dict(self._workloads)
        self._services = {}
        self._sizes[:] = 0
        for service, workload in self._known.items():
            if service >= 0:
                self._services.setdefault(workload, []).append(service)
                self._sizes[service] = _size(self._client.get(*workload))
        kinds = {kind: None for kind, _namespace, _name in self._services}
        self._watch = self._client.watch(*kinds) if kinds else None


def _size(stored: Stored | None) -> int:
    return 0 if stored is None else int((stored.object.get("spec") or {}).get("replicas", 1))
