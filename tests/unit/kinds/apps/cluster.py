"""A small world for controller tests: store, write path, reconcile loops in virtual time, a script for the nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import yaml

from pilothouse.base import virtual_loop
from pilothouse.base.actions import Object
from pilothouse.base.clock import VirtualClock, rfc3339
from pilothouse.base.entropy import Entropy
from pilothouse.kinds.apps.deployment import controller as deployment_controller
from pilothouse.kinds.apps.deployment.kind import KIND as DEPLOYMENT
from pilothouse.kinds.apps.replicaset import controller as replicaset_controller
from pilothouse.kinds.apps.replicaset.kind import KIND as REPLICA_SET
from pilothouse.kinds.core.node.kind import KIND as NODE
from pilothouse.kinds.core.pod.kind import KIND as POD
from pilothouse.kinds.core.service.kind import KIND as SERVICE
from pilothouse.kinds.discovery.endpointslice import controller as endpointslice_controller
from pilothouse.kinds.discovery.endpointslice.kind import KIND as ENDPOINT_SLICE
from pilothouse.kinds.policy.poddisruptionbudget import controller as budget_controller
from pilothouse.kinds.policy.poddisruptionbudget.kind import KIND as BUDGET
from pilothouse.machinery.admission import Hook
from pilothouse.machinery.client import Client
from pilothouse.machinery.events import EventRecorder
from pilothouse.machinery.kind import Kinds
from pilothouse.machinery.reconcile import Controller, Reconciler
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import IndexFunction, Store

KINDS = (POD, NODE, SERVICE, DEPLOYMENT, REPLICA_SET, ENDPOINT_SLICE, BUDGET)
MODULES = (deployment_controller, replicaset_controller, endpointslice_controller, budget_controller)
EXAMPLES = Path(__file__).parents[4] / "src" / "pilothouse" / "kinds"


def example(folder: str) -> dict[str, Any]:
    """The example manifest of a kind, e.g. "apps/deployment"."""
    loaded: dict[str, Any] = yaml.safe_load((EXAMPLES / folder / "example.yaml").read_text())
    return loaded


class World:
    """Pods become Running at once and, unless `ready` says otherwise, Ready; deleted pods are gone after `gone_s`."""

    def __init__(self, loop: virtual_loop.VirtualLoop, hooks: tuple[Hook, ...] = ()) -> None:
        self.clock = VirtualClock(loop)
        indexes: dict[str, dict[str, IndexFunction]] = {}
        for module in MODULES:
            for kind, functions in module.INDEXES.items():
                indexes.setdefault(kind, {}).update(functions)
        self.store = Store(indexes)
        self.write_path = WritePath(self.store, Kinds(KINDS), self.clock, Entropy(1), hooks)
        self.client = Client(self.write_path)
        self.events = EventRecorder(self.clock)
        self.ready: Callable[[Object], bool] = lambda _pod: True
        self.gone_s = 0.5
        controllers: list[Controller] = [
            replicaset_controller.ReplicaSetController(self.client),
            deployment_controller.DeploymentController(self.client),
            endpointslice_controller.EndpointSliceController(self.client),
            budget_controller.BudgetController(self.client),
        ]
        self.reconciler = Reconciler(self.client, self.events, self.clock, controllers)
        self.reconciler.start()
        self._loop = loop
        self._pods = self.client.watch("Pod")
        self._nodes = loop.create_task(self._play_nodes())
        self._addresses = 0

    async def _play_nodes(self) -> None:
        await self.client.create("Node", {"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "z1"}}})
        async for batch in self._pods:
            for change in batch:
                if change.new is None:
                    continue
                metadata = change.new.object["metadata"]
                if change.old is None:
                    await self._run(metadata["namespace"], metadata["name"])
                elif "deletionTimestamp" in metadata and "deletionTimestamp" not in change.old.object["metadata"]:
                    self._loop.create_task(self._remove(metadata["namespace"], metadata["name"]))

    async def _run(self, namespace: str, name: str) -> None:
        stored = self.client.get("Pod", namespace, name)
        if stored is None:
            return
        await self.client.patch("Pod", namespace, name, {"target": {"name": "n1"}}, "binding")
        self._addresses += 1
        address = f"10.{self._addresses // 62500}.{self._addresses // 250 % 250}.{self._addresses % 250 + 1}"
        ready = self.ready(stored.object)
        await self.set_ready(namespace, name, ready, podIP=address, podIPs=[{"ip": address}])

    async def set_ready(self, namespace: str, name: str, ready: bool, **status: Any) -> None:
        now = rfc3339(self.clock.time())
        condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": now}
        patch = {"status": {"phase": "Running", "conditions": [condition], **status}}
        await self.client.patch("Pod", namespace, name, patch, "status")

    async def _remove(self, namespace: str, name: str) -> None:
        await asyncio.sleep(self.gone_s)
        await self.client.delete("Pod", namespace, name, grace_s=0)

    async def settle(self, seconds: float = 30.0) -> None:
        await asyncio.sleep(seconds)

    def said(self, reason: str) -> list[str]:
        return [event.message for event in self.events.events() if event.reason == reason]


def in_world(story: Callable[[World], Awaitable[None]], hooks: tuple[Hook, ...] = ()) -> None:
    """Runs a story in a fresh world; a reconcile that failed with anything but a refusal fails the test."""

    async def main(loop: virtual_loop.VirtualLoop) -> None:
        world = World(loop, hooks)
        await story(world)
        broken = [f for f in world.reconciler.failures if not hasattr(f.error, "to_status")]
        assert not broken, broken

    virtual_loop.run(main)
