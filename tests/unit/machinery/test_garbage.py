"""What is owned goes with its owners: in the background, in the foreground, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.unit.machinery.world import World, config, owned_by, pod

from pilothouse.kinds.core.namespace.controller import NamespaceController
from pilothouse.machinery.garbage import GarbageCollector
from pilothouse.machinery.reconcile import Reconciler
from pilothouse.store.watch import Breath


def collect(world: World, story: Callable[[], Any]) -> GarbageCollector:
    async def body() -> GarbageCollector:
        collector = GarbageCollector(world.client)
        task = collector.start()
        await Breath()
        story()
        for _ in range(30):
            await Breath()
        collector.close()
        await task
        return collector

    return asyncio.run(body())


def family(world: World, *, block: bool = True) -> None:
    """An owner, its child and its grandchild."""
    owner = world.write_path.create("ConfigMap", config("owner"))
    child = world.write_path.create("ConfigMap", config("child", ownerReferences=owned_by(owner, block=block)))
    world.write_path.create("ConfigMap", config("grandchild", ownerReferences=owned_by(child, block=block)))


def names(world: World) -> list[str]:
    return [stored.object["metadata"]["name"] for stored in world.store.list("ConfigMap")]


def delete(world: World, name: str, propagation: str) -> Callable[[], Any]:
    return lambda: world.write_path.delete("ConfigMap", "default", name, propagation=propagation)


def test_background_takes_the_whole_family() -> None:
    world = World()
    family(world)
    assert collect(world, delete(world, "owner", "Background")).failures == 0
    assert names(world) == []


def test_foreground_takes_the_dependents_first() -> None:
    world = World()
    family(world)
    watch = world.store.watch("ConfigMap")
    collect(world, delete(world, "owner", "Foreground"))
    gone = [change.object["metadata"]["name"] for change in watch.take() if change.type == "DELETED"]
    assert gone == ["grandchild", "child", "owner"]


def test_foreground_does_not_wait_for_dependents_that_do_not_block() -> None:
    world = World()
    family(world, block=False)
    collect(world, delete(world, "owner", "Foreground"))
    assert names(world) == []


def test_orphans_lose_their_owner_and_stay() -> None:
    world = World()
    family(world)
    collect(world, delete(world, "owner", "Orphan"))
    assert names(world) == ["child", "grandchild"]
    stored = world.store.get("ConfigMap", "default", "child")
    assert stored is not None
    assert "ownerReferences" not in stored.object["metadata"]


def test_one_living_owner_is_enough() -> None:
    world = World()
    first = world.write_path.create("ConfigMap", config("first"))
    second = world.write_path.create("ConfigMap", config("second"))
    references = owned_by(first) + owned_by(second, controller=False)
    world.write_path.create("ConfigMap", config("child", ownerReferences=references))
    collect(world, delete(world, "first", "Background"))
    stored = world.store.get("ConfigMap", "default", "child")
    assert stored is not None
    assert [r["name"] for r in stored.object["metadata"]["ownerReferences"]] == ["second"]


def test_an_object_of_an_owner_that_never_was_goes() -> None:
    world = World()
    owner = world.write_path.create("ConfigMap", config("owner"))
    strange = [{**owned_by(owner)[0], "uid": "somebody-else"}]
    collect(world, lambda: world.write_path.create("ConfigMap", config("child", ownerReferences=strange)))
    assert names(world) == ["owner"]


def test_owners_of_kinds_nobody_knows_are_believed() -> None:
    world = World()
    reference = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "uid": "u"}
    world.write_path.create("ConfigMap", config("child", ownerReferences=[reference]))
    collect(world, lambda: None)
    assert names(world) == ["child"]


def test_pods_get_their_grace_period() -> None:
    world = World()
    owner = world.write_path.create("ConfigMap", config("owner"))
    world.write_path.create("Pod", {**pod(), "metadata": {"name": "p", "ownerReferences": owned_by(owner)}})
    world.write_path.patch("Pod", "default", "p", {"target": {"name": "n"}}, subresource="binding")
    collect(world, delete(world, "owner", "Background"))
    stored = world.store.get("Pod", "default", "p")
    assert stored is not None
    assert stored.object["metadata"]["deletionGracePeriodSeconds"] == 30


def test_a_deleted_namespace_is_emptied_and_goes() -> None:
    world = World()
    world.write_path.create("Namespace", {"metadata": {"name": "team"}})
    world.write_path.create("ConfigMap", config(namespace="team"))
    world.write_path.create("ConfigMap", config("other"))

    async def body() -> None:
        reconciler = Reconciler(world.client, world.events, world.clock, [NamespaceController()])
        reconciler.start()
        world.write_path.delete("Namespace", "", "team")
        await asyncio.wait_for(gone(), 5)
        await reconciler.stop()

    async def gone() -> None:
        async for batch in world.store.watch("Namespace"):
            if any(change.type == "DELETED" for change in batch):
                return

    asyncio.run(body())
    assert names(world) == ["other"]
