"""A small rehearsal for tests: store, write path, client and world on a virtual loop, with pods bound by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from pilothouse.base import virtual_loop
from pilothouse.base.clock import VirtualClock
from pilothouse.base.entropy import Entropy
from pilothouse.base.virtual_loop import VirtualLoop
from pilothouse.engines.tsdb import Database
from pilothouse.kinds.core.configmap.kind import KIND as CONFIG_MAP
from pilothouse.kinds.core.event.kind import KIND as EVENT
from pilothouse.kinds.core.namespace.kind import KIND as NAMESPACE
from pilothouse.kinds.core.node.kind import KIND as NODE
from pilothouse.kinds.core.pod.kind import KIND as POD
from pilothouse.kinds.core.secret.kind import KIND as SECRET
from pilothouse.kinds.core.service.kind import KIND as SERVICE
from pilothouse.machinery.client import Client
from pilothouse.machinery.events import EventRecorder
from pilothouse.machinery.kind import Kinds
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store
from pilothouse.worlds.rehearsal.spec import parse_world
from pilothouse.worlds.rehearsal.world import RehearsalWorld

KINDS = Kinds([NAMESPACE, NODE, POD, SERVICE, CONFIG_MAP, SECRET, EVENT])

QUICK: dict[str, Any] = {
    "service": {"mean": "20ms", "sigma": 0.5},
    "start": {"median": "2s", "sigma": 0},
    "readyAfter": "1s",
    "memory": {"base": "100Mi", "perRequest": "0"},
}
"""A pod whose start takes exactly two seconds and whose health check succeeds one second later."""


class Town:
    """What a test holds. `wait` lets virtual time pass."""

    def __init__(self, loop: VirtualLoop, spec: dict[str, Any], seed: int = 1) -> None:
        self.loop = loop
        self.clock = VirtualClock(loop)
        entropy = Entropy(seed)
        self.write_path = WritePath(Store(), KINDS, self.clock, entropy)
        self.events = EventRecorder(self.clock)
        self.client = Client(self.write_path, {"Event": self.events})
        self.database = Database()
        spec = {"imagePull": {"median": "1s", "sigma": 0}, **spec}
        self.world = RehearsalWorld(
            self.client, self.clock, entropy, self.database, parse_world(spec), events=self.events
        )

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def add_pod(
        self, name: str, *, node: str = "n1", app: str = "api", spec: Any = None, **container: Any
    ) -> str:
        """A pod bound to a node; gives its uid."""
        body = {
            "metadata": {"name": name, "namespace": "default", "labels": {"app": app}},
            "spec": {
                "nodeName": node,
                "containers": [{"name": "c", "image": "api:v1", **container}],
                **(spec or {}),
            },
        }
        made = await self.client.create("Pod", body)
        return str(made["metadata"]["uid"])

    async def add_service(self, name: str = "api") -> None:
        await self.client.create(
            "Service",
            {
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
            },
        )

    def pod(self, name: str) -> Any:
        """The stored pod; None when it is gone."""
        stored = self.client.get("Pod", "default", name)
        return None if stored is None else stored.object

    def state(self, name: str) -> str:
        """`Running`, `Running ready`, `Waiting CrashLoopBackOff`, `Terminated Error`; "gone"."""
        pod = self.pod(name)
        if pod is None:
            return "gone"
        status = pod["status"]["containerStatuses"][0]
        kind, about = next(iter(status["state"].items()))
        word = kind.capitalize()
        return f"{word} {about['reason']}" if "reason" in about else word + (" ready" if status["ready"] else "")

    def said(self, name: str) -> list[str]:
        """`Reason: message` of the pod's events in order."""
        return [f"{e.reason}: {e.message}" for e in self.events.events() if e.name == name]

    def condition(self, name: str, type_: str) -> str:
        return next(str(c["status"]) for c in self.pod(name)["status"]["conditions"] if c["type"] == type_)


def one_service(rate: str = "0rps", **pod: Any) -> dict[str, Any]:
    """A world with the service `api`."""
    return {"services": {"api": {"load": {"base": rate}, "pod": {**QUICK, **pod}, "good": {"errorRate": 0}}}}


def play(spec: dict[str, Any], story: Callable[[Town], Coroutine[Any, Any, None]], seed: int = 1) -> Town:
    """Run a story in a new town, from start to stop."""
    towns: list[Town] = []

    async def main(loop: VirtualLoop) -> None:
        town = Town(loop, spec, seed)
        towns.append(town)
        await town.add_service()
        await town.world.start()
        await story(town)
        await town.world.stop()

    virtual_loop.run(main)
    return towns[0]
