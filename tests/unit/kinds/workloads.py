"""A cluster for stories about workloads: every controller of the product, the admission of quotas and limits, garbage
collection, and a script for the nodes, in virtual time.

Pods are bound to the first node that their affinity allows, Running and Ready after 0.2 s. A pod with the annotation
`test/exit` ends with that code after `test/run-s` seconds (1). Deleted pods are gone after half a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import yaml

from pilothouse.assemble.controllers import controllers, indexes
from pilothouse.assemble.kinds import KINDS
from pilothouse.base import virtual_loop
from pilothouse.base.actions import Object
from pilothouse.base.clock import VirtualClock, rfc3339
from pilothouse.base.entropy import Entropy
from pilothouse.engines.scheduling.facts import node_facts, pod_needs
from pilothouse.engines.scheduling.filters import node_reason
from pilothouse.kinds.core.limitrange.admission import limit_ranger
from pilothouse.kinds.core.resourcequota.admission import resource_quota
from pilothouse.machinery.client import Client
from pilothouse.machinery.events import EventRecorder
from pilothouse.machinery.garbage import GarbageCollector
from pilothouse.machinery.reconcile import Reconciler
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store

EXAMPLES = Path(__file__).parents[3] / "src" / "pilothouse" / "kinds"
START_S, GONE_S = 0.2, 0.5


def example(folder: str) -> dict[str, Any]:
    """The example manifest of a kind, e.g. "batch/job"."""
    loaded: dict[str, Any] = yaml.safe_load((EXAMPLES / folder / "example.yaml").read_text())
    return loaded


class Cluster:
    """Everything of one story."""

    def __init__(self, loop: virtual_loop.VirtualLoop) -> None:
        self.loop = loop
        self.clock = VirtualClock(loop)
        self.write_path = WritePath(Store(indexes()), KINDS, self.clock, Entropy(1), (limit_ranger, resource_quota))
        self.client = Client(self.write_path)
        self.events = EventRecorder(self.clock)
        self.said: list[str] = []
        self.events.subscribe(lambda event: self.said.append(f"{event.kind} {event.reason}: {event.message}"))
        no_metrics: Any = None
        self.reconciler = Reconciler(self.client, self.events, self.clock, controllers(self.client, no_metrics))
        self.reconciler.start()
        self.garbage = GarbageCollector(self.client)
        self.garbage.start()
        self.ready: Callable[[Object], bool] = lambda _pod: True
        self._pods = self.client.watch("Pod")
        loop.create_task(self._play_nodes(), name="nodes")

    async def add_node(self, name: str, **spec: Any) -> None:
        metadata = {"name": name, "labels": spec.pop("labels", {})}
        await self.client.create("Node", {"metadata": metadata, "spec": spec})
        # A new node is tainted until it is ready; this one is.
        await self.client.patch("Node", "", name, {"spec": {"taints": spec.get("taints")}})

    async def create(self, kind: str, obj: Object) -> Object:
        return await self.client.create(kind, obj)

    async def patch(self, kind: str, name: str, **spec: Any) -> Object:
        return await self.client.patch(kind, "default", name, {"spec": spec})

    async def delete(self, kind: str, name: str) -> None:
        await self.client.delete(kind, "default", name)

    async def settle(self, seconds: float = 10.0) -> None:
        await asyncio.sleep(seconds)

    def pods(self, **labels: str) -> list[Object]:
        found = [stored.object for stored in self.client.list("Pod", "default")]
        return [p for p in found if labels.items() <= (p["metadata"].get("labels") or {}).items()]

    def names(self) -> list[str]:
        return [pod["metadata"]["name"] for pod in self.pods()]

    def status(self, kind: str, name: str) -> dict[str, Any]:
        stored = self.client.get(kind, "default", name)
        assert stored is not None
        return dict(stored.object.get("status") or {})

    def reasons(self, kind: str, name: str) -> list[str]:
        return [f"{c['type']}={c['status']} {c['reason']}" for c in self.status(kind, name).get("conditions") or ()]

    # -- the nodes --

    async def _play_nodes(self) -> None:
        async for batch in self._pods:
            for change in batch:
                if change.new is None:
                    continue
                metadata = change.new.object["metadata"]
                if change.old is None:
                    self.loop.create_task(self._run(metadata["namespace"], metadata["name"], metadata["uid"]))
                elif "deletionTimestamp" in metadata and "deletionTimestamp" not in change.old.object["metadata"]:
                    self.loop.create_task(self._remove(metadata["namespace"], metadata["name"], metadata["uid"]))

    def _there(self, namespace: str, name: str, uid: str) -> Object | None:
        stored = self.client.get("Pod", namespace, name)
        if stored is None or stored.object["metadata"]["uid"] != uid:
            return None
        return stored.object

    def _place(self, pod: Object) -> str:
        nodes = [stored.object for stored in self.client.list("Node")]
        fitting = [n["metadata"]["name"] for n in nodes if not node_reason(pod_needs(pod), node_facts(n))]
        return fitting[0] if fitting else ("" if nodes else "n1")

    async def _run(self, namespace: str, name: str, uid: str) -> None:
        await asyncio.sleep(START_S)
        pod = self._there(namespace, name, uid)
        node = "" if pod is None else self._place(pod)
        if pod is None or not node:
            return
        await self.client.patch("Pod", namespace, name, {"target": {"name": node}}, "binding")
        await self.write_status(pod, "Running", ready=self.ready(pod))
        annotations = pod["metadata"].get("annotations") or {}
        if "test/exit" in annotations:
            await asyncio.sleep(float(annotations.get("test/run-s", "1")))
            if self._there(namespace, name, uid) is not None:
                await self.end(pod, int(annotations["test/exit"]))

    async def write_status(self, pod: Object, phase: str, *, ready: bool, **more: Any) -> None:
        now = rfc3339(self.clock.time())
        condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": now}
        address = f"10.0.0.{self.names().index(pod['metadata']['name']) + 1}"
        status = {"phase": phase, "conditions": [condition], "podIP": address, "podIPs": [{"ip": address}], **more}
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        await self.client.patch("Pod", namespace, name, {"status": status}, "status")

    async def end(self, pod: Object, code: int) -> None:
        """The pod's container ends with this exit code."""
        state = {"terminated": {"exitCode": code, "finishedAt": rfc3339(self.clock.time())}}
        names = [container["name"] for container in pod["spec"]["containers"]]
        statuses = [
            {"name": name, "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}
            for name in names
        ]
        phase = "Failed" if code else "Succeeded"
        await self.write_status(pod, phase, ready=False, containerStatuses=statuses)

    async def _remove(self, namespace: str, name: str, uid: str) -> None:
        await asyncio.sleep(GONE_S)
        if self._there(namespace, name, uid) is not None:
            await self.client.delete("Pod", namespace, name, grace_s=0)


def in_cluster(story: Callable[[Cluster], Awaitable[None]]) -> None:
    """Runs a story in a fresh cluster; a reconcile that failed with anything but a refusal fails the test."""

    async def main(loop: virtual_loop.VirtualLoop) -> None:
        cluster = Cluster(loop)
        await story(cluster)
        broken = [f for f in cluster.reconciler.failures if not hasattr(f.error, "to_status")]
        assert not broken, broken

    virtual_loop.run(main)
