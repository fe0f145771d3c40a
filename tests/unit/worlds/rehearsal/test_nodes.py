"""Machines: they come, get lost, are replaced, and cost money."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.worlds.rehearsal.town import Town, one_service, play

from pilothouse.worlds.rehearsal.faults import NodeLoss, ZoneLoss
from pilothouse.worlds.rehearsal.spec import SpecError
from pilothouse.worlds.rehearsal.world import StartFault


def cluster(**group: Any) -> dict[str, Any]:
    given = {"instanceType": "m5.xlarge", "min": 2, "max": 10, "desired": 2, "hourly": 0.192, **group}
    return {
        **one_service("10rps"),
        "cluster": {"nodeGroups": {"general": given}, "nodeStart": {"median": "75s", "sigma": 0}},
    }


def test_desired_machines_are_there_from_the_start() -> None:
    async def story(town: Town) -> None:
        await town.wait(1)

    town = play(
        cluster(labels={"tier": "web"}, taints=[{"key": "gpu", "value": "true", "effect": "NoSchedule"}]), story
    )
    nodes = [s.object for s in town.client.list("Node")]
    assert [n["metadata"]["name"] for n in nodes] == ["general-1", "general-2"]
    labels = nodes[0]["metadata"]["labels"]
    assert labels["node.kubernetes.io/instance-type"] == "m5.xlarge"
    assert labels["tier"] == "web"
    assert [n["metadata"]["labels"]["topology.kubernetes.io/zone"] for n in nodes] == ["zone-a", "zone-b"]
    assert nodes[0]["spec"]["taints"] == [{"key": "gpu", "value": "true", "effect": "NoSchedule"}]
    assert nodes[0]["status"]["allocatable"] == {"cpu": "4", "memory": "16Gi", "pods": "110"}


def test_a_further_machine_needs_its_start_time() -> None:
    async def story(town: Town) -> None:
        town.world.nodes.add("general")
        await town.wait(74)
        assert town.world.nodes.count() == 2
        await town.wait(2)
        assert town.world.nodes.count() == 3
        assert town.client.get("Node", "", "general-3") is not None

    play(cluster(), story)


def test_cost_counts_every_machine_until_it_is_gone() -> None:
    async def story(town: Town) -> None:
        await town.wait(3600)
        assert town.world.nodes.cost(town.clock.time()) == pytest.approx(2 * 0.192)
        await town.world.nodes.remove("general-2")
        await town.wait(3600)
        assert town.world.nodes.cost(town.clock.time()) == pytest.approx(3 * 0.192)

    play(cluster(), story)


def test_a_lost_node_is_noticed_after_fifty_seconds_and_evicted_after_five_minutes() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", node="general-1")
        await town.add_pod("q", node="general-2")
        await town.wait(30)
        town.world.apply(StartFault(NodeLoss(group="general")))
        # Requests still go to the dead pod and are lost.
        await town.wait(45)
        assert town.condition("p", "Ready") == "True"
        assert town.world.history.totals("api")["unrouted"] > 50
        await town.wait(6)
        assert town.condition("p", "Ready") == "False"
        node = town.client.get("Node", "", "general-1")
        assert node is not None
        assert {t["effect"] for t in node.object["spec"]["taints"]} == {"NoSchedule", "NoExecute"}
        assert node.object["status"]["conditions"][-1]["status"] == "Unknown"
        lost = town.world.history.totals("api")["unrouted"]
        await town.wait(60)
        assert town.world.history.totals("api")["unrouted"] == lost
        assert "deletionTimestamp" not in town.pod("p")["metadata"]
        await town.wait(245)
        assert town.state("p") == "gone"
        assert town.client.get("Node", "", "general-1") is None
        assert town.world.nodes.count() == 2

    play(cluster(), story)


def test_tolerations_say_when_pods_leave() -> None:
    async def story(town: Town) -> None:
        quick = [
            {
                "key": "node.kubernetes.io/unreachable",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 10,
            }
        ]
        await town.add_pod("p", node="general-1", spec={"tolerations": quick})
        await town.wait(30)
        town.world.apply(StartFault(NodeLoss()))
        await town.wait(59)
        assert "deletionTimestamp" not in town.pod("p")["metadata"]
        await town.wait(12)
        assert "deletionTimestamp" in town.pod("p")["metadata"]

    play(cluster(), story)


def test_a_zone_goes_with_all_its_machines() -> None:
    async def story(town: Town) -> None:
        town.world.apply(StartFault(ZoneLoss(zone="zone-a")))
        assert town.world.nodes.count() == 3
        with pytest.raises(SpecError, match="no machine is in zone 'moon'"):
            town.world.apply(StartFault(ZoneLoss(zone="moon")))

    play(cluster(desired=5), story)


def test_faults_about_nobody_are_refused() -> None:
    async def story(town: Town) -> None:
        with pytest.raises(SpecError, match="there is no node group 'gpu'"):
            town.world.apply(StartFault(NodeLoss(group="gpu")))

    play(cluster(), story)


def test_the_loop_grows_and_shrinks() -> None:
    async def story(town: Town) -> None:
        # Two of four pods of 3 cores fit on the two machines of 4.
        for name in "abcd":
            await town.client.create(
                "Pod",
                {
                    "metadata": {"name": name, "namespace": "default"},
                    "spec": {"containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "3"}}}]},
                },
            )
            waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
            await town.client.put_status("Pod", "default", name, {"phase": "Pending", "conditions": [waits]})
        await town.wait(11)
        assert town.world.nodes.desired == {"general": 4}
        assert "TriggeredScaleUp: pod triggered scale-up: [{general 2->4 (max: 10)}]" in town.said("d")
        assert not town.said("a")
        await town.wait(80)
        assert town.world.nodes.count() == 4
        for name in "abcd":
            await town.client.delete("Pod", "default", name)
        await town.wait(500)
        assert town.world.nodes.count() == 4
        await town.wait(300)
        assert town.world.nodes.count() == 2

    play(cluster(), story)
