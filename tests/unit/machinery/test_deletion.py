"""How objects go: at once, after their grace period, or when nothing holds them any more."""

from __future__ import annotations

import pytest
from tests.unit.machinery.world import World, config, pod

from pilothouse.base.errors import BadRequest, Invalid, NotFound


def scheduled(world: World) -> None:
    world.write_path.create("Pod", pod())
    world.write_path.patch("Pod", "default", "p", {"target": {"name": "n"}}, subresource="binding")


def test_plain_objects_go_at_once() -> None:
    world = World()
    world.write_path.create("ConfigMap", config())
    watch = world.store.watch("ConfigMap")
    world.write_path.delete("ConfigMap", "default", "c")
    assert [change.type for change in watch.take()] == ["DELETED"]
    with pytest.raises(NotFound):
        world.write_path.delete("ConfigMap", "default", "c")


def test_an_unscheduled_pod_goes_at_once() -> None:
    world = World()
    world.write_path.create("Pod", pod())
    watch = world.store.watch("Pod")
    gone = world.write_path.delete("Pod", "default", "p")
    assert gone["metadata"]["deletionGracePeriodSeconds"] == 0
    assert [change.type for change in watch.take()] == ["MODIFIED", "DELETED"]


def test_a_scheduled_pod_gets_its_grace_period() -> None:
    world = World()
    scheduled(world)
    metadata = world.write_path.delete("Pod", "default", "p")["metadata"]
    assert metadata["deletionTimestamp"] == "2026-01-05T00:00:30Z"
    assert metadata["deletionGracePeriodSeconds"] == 30
    assert metadata["generation"] == 2  # binding is no change of what was asked for
    assert world.store.get("Pod", "default", "p") is not None


def test_a_grace_period_only_becomes_shorter() -> None:
    world = World()
    scheduled(world)
    world.write_path.delete("Pod", "default", "p")
    world.clock.advance(10)
    longer = world.write_path.delete("Pod", "default", "p", grace_s=60)["metadata"]
    assert longer["deletionGracePeriodSeconds"] == 30
    shorter = world.write_path.delete("Pod", "default", "p", grace_s=5)["metadata"]
    assert shorter["deletionTimestamp"] == "2026-01-05T00:00:05Z"
    world.write_path.delete("Pod", "default", "p", grace_s=0)
    assert world.store.get("Pod", "default", "p") is None


def test_a_negative_grace_period_is_one_second() -> None:
    world = World()
    scheduled(world)
    assert world.write_path.delete("Pod", "default", "p", grace_s=-1)["metadata"]["deletionGracePeriodSeconds"] == 1


def test_a_finished_pod_goes_at_once() -> None:
    world = World()
    scheduled(world)
    world.write_path.put_status("Pod", "default", "p", {"phase": "Succeeded"})
    world.write_path.delete("Pod", "default", "p")
    assert world.store.get("Pod", "default", "p") is None


def test_finalizers_hold_an_object_until_they_are_gone() -> None:
    world = World()
    world.write_path.create("ConfigMap", config(finalizers=["example.com/hold"]))
    world.write_path.delete("ConfigMap", "default", "c")
    stored = world.store.get("ConfigMap", "default", "c")
    assert stored is not None
    assert stored.object["metadata"]["deletionTimestamp"] == "2026-01-05T00:00:00Z"
    with pytest.raises(Invalid, match="no new finalizers can be added if the object is being deleted"):
        world.write_path.patch(
            "ConfigMap", "default", "c", {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
        )
    world.write_path.patch("ConfigMap", "default", "c", {"metadata": {"finalizers": None}})
    assert world.store.get("ConfigMap", "default", "c") is None


def test_a_pod_with_a_finalizer_stays_after_its_grace_period() -> None:
    world = World()
    world.write_path.create("Pod", {**pod(), "metadata": {"name": "p", "finalizers": ["example.com/hold"]}})
    world.write_path.delete("Pod", "default", "p")
    assert world.store.get("Pod", "default", "p") is not None
    world.write_path.patch("Pod", "default", "p", {"metadata": {"finalizers": None}})
    assert world.store.get("Pod", "default", "p") is None


@pytest.mark.parametrize(("propagation", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_propagation_leaves_work_for_the_collector(propagation: str, finalizer: str) -> None:
    world = World()
    world.write_path.create("ConfigMap", config())
    gone = world.write_path.delete("ConfigMap", "default", "c", propagation=propagation)
    assert gone["metadata"]["finalizers"] == [finalizer]
    with pytest.raises(BadRequest, match="invalid propagationPolicy"):
        world.write_path.delete("ConfigMap", "default", "c", propagation="Sideways")


def test_a_namespace_is_terminating_until_it_is_finalized() -> None:
    world = World()
    world.write_path.create("Namespace", {"metadata": {"name": "team"}})
    gone = world.write_path.delete("Namespace", "", "team")
    assert gone["status"]["phase"] == "Terminating"
    assert "deletionGracePeriodSeconds" not in gone["metadata"]
    world.write_path.patch("Namespace", "", "team", {"spec": {"finalizers": None}})
    assert world.store.get("Namespace", "", "team") is None
