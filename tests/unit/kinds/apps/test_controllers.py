"""The controllers together, through the real write path and loops in virtual time."""

from __future__ import annotations

from typing import Any

from tests.unit.kinds.apps.cluster import World, example, in_world

from pilothouse.base.actions import Object
from pilothouse.base.errors import ForbiddenWrite
from pilothouse.machinery.admission import CREATE, Request
from pilothouse.store.memory import Store

SERVICE = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
}


def ready_endpoints(world: World) -> int:
    slices = world.client.list("discovery.k8s.io/EndpointSlice")
    return sum(e["conditions"]["ready"] for s in slices for e in s.object.get("endpoints") or ())


def status(world: World, kind: str, name: str = "web") -> dict[str, Any]:
    stored = world.client.get(kind, "default", name)
    assert stored is not None
    found: dict[str, Any] = stored.object["status"]
    return found


def test_a_manifest_becomes_pods_endpoints_and_a_budget() -> None:
    async def story(world: World) -> None:
        await world.client.create("Service", SERVICE)
        await world.client.create("policy/PodDisruptionBudget", example("policy/poddisruptionbudget"))
        await world.client.create("apps/Deployment", example("apps/deployment"))
        await world.settle()
        assert status(world, "apps/Deployment")["availableReplicas"] == 3
        assert ready_endpoints(world) == 3
        (slice_,) = world.client.list("discovery.k8s.io/EndpointSlice")
        assert slice_.object["ports"] == [{"name": "http", "port": 80, "protocol": "TCP"}]
        assert slice_.object["endpoints"][0]["zone"] == "z1"
        budget = status(world, "policy/PodDisruptionBudget")
        assert (budget["expectedPods"], budget["desiredHealthy"], budget["disruptionsAllowed"]) == (3, 2, 1)

    in_world(story)


def test_an_update_without_unavailability_always_has_its_endpoints() -> None:
    async def story(world: World) -> None:
        await world.client.create("Service", SERVICE)
        await world.client.create("apps/Deployment", example("apps/deployment"))
        await world.settle()
        fewest: list[int] = []
        patch = {"spec": {"template": {"metadata": {"annotations": {"change": "1"}}}}}
        await world.client.patch("apps/Deployment", "default", "web", patch)
        for _ in range(80):
            await world.settle(0.5)
            fewest.append(ready_endpoints(world))
        assert min(fewest) == 3
        assert status(world, "apps/Deployment")["updatedReplicas"] == 3
        assert len(world.client.list("Pod")) == 3

    in_world(story)


def test_a_deployment_of_many_pods_settles_and_then_rests() -> None:
    async def story(world: World) -> None:
        big = example("apps/deployment")
        big["spec"]["replicas"] = 650
        await world.client.create("Service", SERVICE)
        await world.client.create("apps/Deployment", big)
        await world.settle()
        assert status(world, "apps/Deployment")["availableReplicas"] == 650
        assert ready_endpoints(world) == 650
        assert all(len(s.object["endpoints"]) <= 100 for s in world.client.list("discovery.k8s.io/EndpointSlice"))
        revision = world.store.revision
        await world.settle(3600)
        assert world.store.revision == revision

    in_world(story)


def quota(request: Request, store: Store) -> Object:
    if request.operation == CREATE and request.kind.name == "Pod" and store.count("Pod") >= 2:
        raise ForbiddenWrite(f'pods "{request.object["metadata"]["name"]}" is forbidden: exceeded quota: small')
    return request.object


def test_a_quota_shows_as_condition_and_event_and_backs_off() -> None:
    async def story(world: World) -> None:
        await world.client.create("apps/Deployment", example("apps/deployment"))
        await world.settle(60)
        conditions = {c["type"]: c for c in status(world, "apps/Deployment")["conditions"]}
        assert conditions["ReplicaFailure"]["reason"] == "FailedCreate"
        assert "exceeded quota: small" in conditions["ReplicaFailure"]["message"]
        assert world.said("FailedCreate")[0].startswith('Error creating: pods "web-')
        assert len(world.reconciler.failures) < 20
        assert len(world.client.list("Pod")) == 2

    in_world(story, (quota,))


def test_a_deleted_pod_is_replaced_at_once() -> None:
    async def story(world: World) -> None:
        await world.client.create("apps/Deployment", example("apps/deployment"))
        await world.settle()
        victim = world.client.list("Pod")[0].object["metadata"]["name"]
        await world.client.delete("Pod", "default", victim)
        await world.settle(0.1)
        assert len(world.client.list("Pod")) == 4
        assert status(world, "apps/Deployment")["terminatingReplicas"] == 1
        await world.settle()
        assert victim not in [s.object["metadata"]["name"] for s in world.client.list("Pod")]
        assert len(world.said("SuccessfulCreate")) == 4

    in_world(story)


def test_a_relabelled_pod_leaves_its_set_and_comes_back_when_it_matches_again() -> None:
    async def story(world: World) -> None:
        await world.client.create("apps/ReplicaSet", example("apps/replicaset"))
        await world.settle()
        name = world.client.list("Pod")[0].object["metadata"]["name"]
        await world.client.patch("Pod", "default", name, {"metadata": {"labels": {"app": "debug"}}})
        await world.settle()
        stray = world.client.get("Pod", "default", name)
        assert stray is not None
        assert not stray.object["metadata"].get("ownerReferences")
        assert len(world.client.list("Pod")) == 3
        await world.client.patch("Pod", "default", name, {"metadata": {"labels": {"app": "web"}}})
        await world.settle()
        assert len(world.client.list("Pod")) == 2

    in_world(story)


def test_changes_that_nobody_counts_wake_nobody() -> None:
    async def story(world: World) -> None:
        await world.client.create("Service", SERVICE)
        await world.client.create("apps/Deployment", example("apps/deployment"))
        await world.settle()
        woken: list[str] = []
        world.reconciler.on_decision = lambda name, _key, _decision: woken.append(name)
        pod = world.client.list("Pod")[0].object["metadata"]["name"]
        await world.client.patch("Pod", "default", pod, {"metadata": {"annotations": {"note": "x"}}})
        await world.client.patch("Pod", "default", pod, {"status": {"hostIP": "192.0.2.1"}}, "status")
        await world.settle()
        assert woken == []

    in_world(story)


def test_a_budget_follows_the_size_of_the_deployment() -> None:
    async def story(world: World) -> None:
        await world.client.create("policy/PodDisruptionBudget", example("policy/poddisruptionbudget"))
        await world.client.create("apps/Deployment", example("apps/deployment"))
        await world.settle()
        world.ready = lambda _pod: False
        await world.client.patch("apps/Deployment", "default", "web", {"spec": {"replicas": 5}}, "scale")
        await world.settle()
        budget = status(world, "policy/PodDisruptionBudget")
        assert (budget["expectedPods"], budget["currentHealthy"], budget["disruptionsAllowed"]) == (5, 3, 0)

    in_world(story)
