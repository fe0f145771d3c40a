"""Sizing node pools: which grows for waiting pods, which node goes when it is not needed."""

from __future__ import annotations

from typing import Any

from pilothouse.engines.scheduling.cluster import Cluster
from pilothouse.engines.scheduling.facts import PodNeeds, pod_needs
from pilothouse.engines.scheduling.pools import Mobility, Pool, ShrinkPlan, grow, shrink

GIB = 2**30
SMALL = Pool.of("small", {"cpu": 2000, "memory": 8 * GIB, "pods": 29}, minimum=1, maximum=10, hourly_usd=0.1)
LARGE = Pool.of("large", {"cpu": 16000, "memory": 64 * GIB, "pods": 234}, minimum=0, maximum=3, hourly_usd=0.8)
GPU = Pool.of(
    "gpu",
    {"cpu": 4000, "memory": 16 * GIB, "pods": 29, "nvidia.com/gpu": 1},
    minimum=0,
    maximum=2,
    taints=[("nvidia.com/gpu", "true", "NoSchedule")],
)


def pods(count: int, cpu: str = "500m", memory: str = "2Gi", **spec: Any) -> list[PodNeeds]:
    requests = {"cpu": cpu, "memory": memory, **spec.pop("more", {})}
    body = {"containers": [{"name": "c", "resources": {"requests": requests}}], **spec}
    return [pod_needs({"metadata": {"name": "p", "namespace": "d", "labels": {}}, "spec": body})] * count


def test_the_pool_that_wastes_least_grows_by_as_many_nodes_as_are_needed() -> None:
    plan = grow(pods(6), [SMALL, LARGE], {"small": 1, "large": 0})
    assert plan.growth is not None
    # Four pods fill a small node, so six need two; one large node would stay mostly empty.
    assert (plan.growth.pool, plan.growth.count, plan.growth.pods) == ("small", 2, 6)
    assert plan.growth.hourly_usd == 0.2
    assert plan.growth.reason == "6 pods that fit nowhere need 2 more"


def test_a_pool_never_grows_beyond_its_maximum() -> None:
    plan = grow(pods(60), [SMALL], {"small": 8})
    assert plan.growth is not None
    assert (plan.growth.count, plan.growth.pods) == (2, 8)
    full = grow(pods(1), [SMALL], {"small": 10})
    assert full.growth is None
    assert full.unhelped[0][1] == {"small": "pool is at its maximum of 10"}


def test_taints_and_gpus_decide_who_can_help() -> None:
    tolerant: dict[str, Any] = {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}
    wants = pods(1, more={"nvidia.com/gpu": "1"}, **tolerant)
    plan = grow(wants, [SMALL, GPU], {})
    assert plan.growth is not None
    assert plan.growth.pool == "gpu"
    plan = grow(pods(1, more={"nvidia.com/gpu": "1"}), [SMALL, GPU], {})
    assert plan.growth is None
    assert plan.unhelped[0][1] == {
        "small": "Insufficient nvidia.com/gpu",
        "gpu": "node(s) had untolerated taint(s)",
    }


def test_nodes_on_their_way_are_counted_first() -> None:
    assert grow(pods(4), [SMALL], {"small": 2}, upcoming={"small": 1}).growth is None
    plan = grow(pods(5), [SMALL], {"small": 2}, upcoming={"small": 1})
    assert plan.growth is not None
    assert (plan.growth.count, plan.growth.pods) == (1, 1)


def test_a_pod_larger_than_every_node_is_told_why() -> None:
    plan = grow(pods(1, cpu="32"), [SMALL, LARGE], {})
    assert plan.growth is None
    assert plan.unhelped[0][1] == {"small": "Insufficient cpu", "large": "Insufficient cpu"}


class World:
    """Three small nodes; n0 carries three pods, n1 one, n2 none."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.pool_of = {f"n{i}": "small" for i in range(3)}
        for index, name in enumerate(self.pool_of):
            self.cluster.set_node(SMALL.node(name, index))
        for index, name in enumerate(["n0", "n0", "n0", "n1"]):
            self.cluster.add_pod(f"p{index}", pods(1)[0], name)
        self.mobile: dict[str, Mobility] = {}

    def look(self, now_s: float, unneeded: dict[str, float], pool: Pool = SMALL, **more: Any) -> ShrinkPlan:
        def mobility(uid: str) -> Mobility:
            return self.mobile.get(uid, Mobility())

        return shrink(self.cluster, [pool], self.pool_of, unneeded, now_s, mobility=mobility, **more)


def test_an_unneeded_node_goes_after_ten_minutes() -> None:
    world = World()
    first = world.look(0.0, {})
    assert not first.removals
    assert dict(first.unneeded) == {"n2": 0.0, "n1": 0.0}
    assert not world.look(599.0, dict(first.unneeded)).removals
    plan = world.look(600.0, dict(first.unneeded))
    assert [(r.node, r.moves, r.hourly_usd) for r in plan.removals] == [("n2", (), 0.1)]
    assert plan.removals[0].reason == "unneeded for 600 s at 0% of its requests"
    assert len(world.cluster.rows) == 3


def test_the_pods_of_a_node_must_fit_elsewhere() -> None:
    world = World()
    world.cluster.remove_node("n2")
    del world.pool_of["n2"]
    plan = world.look(600.0, {"n1": 0.0})
    assert [(r.node, r.moves) for r in plan.removals] == [("n1", (("p3", "n0"),))]
    world.cluster.add_pod("p4", pods(1)[0], "n0")
    assert world.look(600.0, {"n1": 0.0}).kept == {"n1": "its pods fit on no other node"}


def test_the_minimum_budgets_and_pins_hold_nodes() -> None:
    world = World()
    strict = Pool.of("small", SMALL.template.allocatable, minimum=3, maximum=10)
    assert world.look(900.0, {"n2": 0.0}, strict).kept["n2"] == "pool small is at its minimum of 3"
    world.mobile["p3"] = Mobility(budgets=("web",))
    plan = world.look(900.0, {"n1": 0.0, "n2": 0.0}, budgets={"web": 0})
    assert plan.kept["n1"] == "PodDisruptionBudget web allows no more disruptions"
    world.mobile["p3"] = Mobility(blocked="pod d/p3 is not replicated")
    assert world.look(900.0, {}).kept["n1"] == "pod d/p3 is not replicated"


def test_pods_that_belong_to_their_node_do_not_count() -> None:
    world = World()
    for index in range(3):
        world.cluster.add_pod(f"agent{index}", pods(1, cpu="300m")[0], f"n{index}")
        world.mobile[f"agent{index}"] = Mobility(stays=True)
    plan = world.look(600.0, {"n2": 0.0})
    assert [r.node for r in plan.removals] == ["n2"]


def test_nothing_goes_soon_after_a_pool_grew() -> None:
    world = World()
    assert not world.look(1000.0, {"n2": 0.0}, last_growth_s=500.0).removals
    assert world.look(1100.0, {"n2": 0.0}, last_growth_s=500.0).removals
