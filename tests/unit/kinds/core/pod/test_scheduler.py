"""The scheduler's loop over a real store in virtual time: who gets a place when, and what the others are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pilothouse.base.clock import VirtualClock
from pilothouse.base.entropy import Entropy
from pilothouse.base.virtual_loop import VirtualLoop
from pilothouse.kinds.core.namespace.kind import KIND as NAMESPACE
from pilothouse.kinds.core.node.kind import KIND as NODE
from pilothouse.kinds.core.pod.kind import KIND as POD
from pilothouse.kinds.core.pod.scheduler import Scheduler
from pilothouse.machinery.client import Client
from pilothouse.machinery.events import EventRecorder
from pilothouse.machinery.kind import Kinds
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store


class World:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        clock = VirtualClock(loop)
        self.path = WritePath(Store(), Kinds([NAMESPACE, NODE, POD]), clock, Entropy(1))
        self.client = Client(self.path)
        self.events = EventRecorder(clock)
        self.scheduler = Scheduler(self.client, self.events, clock)

    def add_node(self, name: str, cpu: str = "4", **spec: Any) -> None:
        self.path.create("Node", {"metadata": {"name": name}, "spec": spec})
        amounts = {"cpu": cpu, "memory": "16Gi", "pods": "110", "ephemeral-storage": "20Gi"}
        self.path.put_status("Node", "", name, {"capacity": amounts, "allocatable": amounts})
        # New nodes carry the taint not-ready until their kubelet reports.
        self.path.patch("Node", "", name, {"spec": {"taints": spec.get("taints") or []}})

    def add_pod(self, name: str, cpu: str = "1", **spec: Any) -> None:
        container = {"name": "main", "image": "web:1", "resources": {"requests": {"cpu": cpu}}}
        pod = {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [container], **spec}}
        self.path.create("Pod", pod)

    def pod(self, name: str) -> Any:
        stored = self.client.get("Pod", "default", name)
        assert stored is not None
        return stored.object

    def node_of(self, name: str) -> str:
        return str(self.pod(name)["spec"].get("nodeName", ""))

    def said(self, reason: str) -> list[str]:
        return [event.message for event in self.events.events() if event.reason == reason]


def play(story: Callable[[World], Awaitable[None]]) -> None:
    """Run a story in virtual time with the scheduler at work."""
    loop = VirtualLoop()

    async def main() -> None:
        world = World(loop)
        task = loop.create_task(world.scheduler.run(), name="scheduler")
        await story(world)
        world.scheduler.close()
        await task

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_a_pod_is_bound_and_the_event_says_where() -> None:
    async def story(world: World) -> None:
        world.add_node("a")
        world.add_pod("web")
        await asyncio.sleep(0.1)
        assert world.node_of("web") == "a"
        assert world.said("Scheduled") == ["Successfully assigned default/web to a"]
        condition = world.pod("web")["status"]["conditions"][0]
        assert (condition["type"], condition["status"]) == ("PodScheduled", "True")

    play(story)


def test_a_pod_that_fits_nowhere_is_told_why_and_gets_the_first_room() -> None:
    async def story(world: World) -> None:
        world.add_node("a", cpu="1")
        world.add_node("b", taints=[{"key": "gpu", "value": "true", "effect": "NoSchedule"}])
        world.add_pod("first")
        world.add_pod("second")
        await asyncio.sleep(0.1)
        words = (
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). preemption: "
            "0/2 nodes are available: 1 No preemption victims found for incoming pod, "
            "1 Preemption is not helpful for scheduling."
        )
        assert world.said("FailedScheduling") == [words]
        condition = world.pod("second")["status"]["conditions"][0]
        assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
        assert condition["message"] == words
        assert [pod.name for pod in world.scheduler.unschedulable()] == ["second"]
        world.path.delete("Pod", "default", "first", grace_s=0)
        await asyncio.sleep(0.1)
        assert world.node_of("second") == ""
        await asyncio.sleep(1.0)
        assert world.node_of("second") == "a"
        assert world.scheduler.unschedulable() == []

    play(story)


def test_the_more_important_pod_goes_first() -> None:
    async def story(world: World) -> None:
        world.add_node("a", cpu="1")
        world.add_pod("plain", priority=0)
        world.add_pod("urgent", priority=1000)
        await asyncio.sleep(2.0)
        assert (world.node_of("urgent"), world.node_of("plain")) == ("a", "")

    play(story)


def test_a_gated_pod_waits_for_its_gates() -> None:
    async def story(world: World) -> None:
        world.add_node("a")
        world.add_pod("web", schedulingGates=[{"name": "example.com/wait"}])
        await asyncio.sleep(0.1)
        assert world.node_of("web") == ""
        assert world.pod("web")["status"]["conditions"][0]["reason"] == "SchedulingGated"

    play(story)


def test_a_pod_that_ended_gives_its_room_back() -> None:
    async def story(world: World) -> None:
        world.add_node("a", cpu="1")
        world.add_pod("job")
        await asyncio.sleep(0.1)
        status = world.pod("job")["status"]
        world.path.put_status("Pod", "default", "job", {**status, "phase": "Succeeded"})
        world.add_pod("next")
        await asyncio.sleep(0.1)
        assert world.node_of("next") == "a"

    play(story)
