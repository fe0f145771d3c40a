"""Which modelled service a pod belongs to, and what its first container's resources make of it.

A scenario's service is a Service, or a workload, of the user's files: the Service's selector decides, else the name
of the pod's workload. Reads the client; keeps answers per owner, because pods of one owner are alike.
"""

from __future__ import annotations

from collections.abc import ItemsView
from dataclasses import dataclass
from typing import Any

from pilothouse.base import quantity
from pilothouse.base.actions import Object
from pilothouse.machinery.client import Client
from pilothouse.worlds.rehearsal.pods import Group
from pilothouse.worlds.rehearsal.service import Service

_REPLICA_SET = "apps/ReplicaSet"


@dataclass(frozen=True, slots=True)
class _Ways:
    """by_label: (name, value) to (service index, the whole selector); by_name: workload to service index."""

    by_label: dict[tuple[str, str], list[tuple[int, ItemsView[str, str]]]]
    by_name: dict[str, int]


class Matching:
    """Answers for pods; `forget` when Services change."""

    def __init__(self, client: Client, services: list[Service]) -> None:
        self._client = client
        self._services = services
        self._known: dict[tuple[str, str], int] = {}
        self._ways: dict[str, _Ways] = {}

    def forget(self) -> None:
        self._known.clear()
        self._ways.clear()

    def service_of(self, pod: Object) -> int:
        """The index of the pod's modelled service; -1 when nothing is modelled about it."""
        metadata = pod["metadata"]
        owner = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), None)
        key = (metadata.get("namespace", ""), owner["uid"] if owner else metadata.get("uid", ""))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._find(pod, owner)
        return known

    def workload_of(self, pod: Object) -> tuple[str, str]:
        """(kind name, name) of what manages the pod: the Deployment behind a ReplicaSet, else the owner; ("", "")
        for none."""
        owner = next((o for o in pod["metadata"].get("ownerReferences") or () if o.get("controller")), None)
        return ("", "") if owner is None else self._workload(pod["metadata"].get("namespace", ""), owner)

    def _find(self, pod: Object, owner: Any) -> int:
        metadata = pod["metadata"]
        namespace, labels = metadata.get("namespace", ""), metadata.get("labels") or {}
        workload = self._workload(namespace, owner)[1] if owner else metadata["name"]
        ways = self._ways.get(namespace)
        if ways is None:
            ways = self._ways[namespace] = self._ways_in(namespace)
        found = [ways.by_name[workload]] if workload in ways.by_name else []
        for pair in labels.items():
            found += [i for i, wanted in ways.by_label.get(pair, ()) if wanted <= labels.items()]
        return min(found, default=-1)

    def _ways_in(self, namespace: str) -> _Ways:
        """How the modelled services find pods of this namespace; the first in the list wins."""
        ways = _Ways({}, {})
        for index, service in enumerate(self._services):
            if service.namespace and service.namespace != namespace:
                continue
            stored = self._client.get("Service", namespace, service.name)
            if stored is None:
                ways.by_name.setdefault(service.name, index)
                continue
            selector = (stored.object.get("spec") or {}).get("selector")
            if selector:
                ways.by_label.setdefault(min(selector.items()), []).append((index, selector.items()))
        return ways

    def _workload(self, namespace: str, owner: Any) -> tuple[str, str]:
        group = owner.get("apiVersion", "").rpartition("/")[0]
        kind = f"{group}/{owner['kind']}" if group else owner["kind"]
        if kind != _REPLICA_SET:
            return kind, owner["name"]
        stored = self._client.get(_REPLICA_SET, namespace, owner["name"])
        above = stored.object["metadata"].get("ownerReferences") or () if stored is not None else ()
        parent = next((o for o in above if o.get("controller")), None)
        if parent is None:
            return kind, owner["name"]
        group = parent.get("apiVersion", "").rpartition("/")[0]
        return (f"{group}/{parent['kind']}" if group else parent["kind"]), parent["name"]


def group_of(pod: Object, service: int) -> Group:
    """The pod's group, by the image and resources of its first container."""
    container = pod["spec"]["containers"][0]
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    return Group(
        service=service,
        image=container.get("image", ""),
        cpu_limit=quantity.milli(limits.get("cpu")) / 1000,
        memory_limit=quantity.whole(limits.get("memory")),
        cpu_request=quantity.milli(requests.get("cpu") or limits.get("cpu")) / 1000,
        memory_request=quantity.whole(requests.get("memory") or limits.get("memory")),
    )
