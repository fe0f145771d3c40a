"""Placing pods: filters with their words, scores with their wishes, and the columns against a slow obvious model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pilothouse.base.entropy import Entropy
from pilothouse.engines.scheduling.cluster import Cluster
from pilothouse.engines.scheduling.facts import ZONE, NodeFacts, PodNeeds, Taint, pod_needs
from pilothouse.engines.scheduling.filters import node_reason
from pilothouse.engines.scheduling.placing import Placer, nodes_to_find

GIB = 2**30


def node(name: str, zone: str = "a", *, cpu: int = 4000, taints: tuple[Taint, ...] = (), gpus: int = 0) -> NodeFacts:
    size = {"cpu": cpu, "memory": 16 * GIB, "pods": 110, "ephemeral-storage": 20 * GIB, "nvidia.com/gpu": gpus}
    return NodeFacts(name, size, {ZONE: zone, "kubernetes.io/hostname": name}, taints)


def pod(cpu: str = "1", labels: Mapping[str, str] | None = None, owner: str = "", **spec: Any) -> PodNeeds:
    container = {"name": "main", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}, **spec.pop("container", {})}
    metadata: dict[str, Any] = {"name": "x", "namespace": "default", "labels": labels or {}}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    return pod_needs({"metadata": metadata, "spec": {"containers": [container], **spec}})


class World:
    def __init__(self, *nodes: NodeFacts) -> None:
        self.cluster = Cluster()
        for each in nodes:
            self.cluster.set_node(each)
        self.placer = Placer(self.cluster)
        self._count = 0

    def put(self, needs: PodNeeds) -> str:
        placement = self.placer.place(needs)
        if not placement.node:
            return placement.message
        self._count += 1
        self.cluster.add_pod(f"pod-{self._count}", needs, placement.node)
        return placement.node


def match(app: str) -> dict[str, Any]:
    return {"matchLabels": {"app": app}}


def test_the_message_counts_reasons_as_upstream_does() -> None:
    gpu = (Taint("nvidia.com/gpu", "true", "NoSchedule"),)
    world = World(node("a", cpu=500), node("b", taints=gpu), node("c", taints=gpu))
    assert world.put(pod("1")) == (
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s). preemption: "
        "0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    )
    assert World().put(pod()) == "no nodes available to schedule pods"


def test_a_full_node_could_be_cleared_a_small_one_could_not() -> None:
    world = World(node("a", cpu=1500), node("b", cpu=500))
    assert world.put(pod("1")) == "a"
    assert world.put(pod("1")).endswith(
        "preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, "
        "1 Preemption is not helpful for scheduling."
    )


def test_a_pod_that_may_not_preempt_says_so() -> None:
    assert (
        World(node("a", cpu=1))
        .put(pod("1", preemptionPolicy="Never"))
        .endswith("preemption: not eligible due to preemptionPolicy=Never.")
    )


def test_several_shortages_of_one_node_all_count() -> None:
    message = World(NodeFacts("a", {"cpu": 100, "memory": GIB // 2, "pods": 0})).put(pod("1"))
    assert message.startswith("0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 Too many pods.")


def test_extended_resources_are_whole_units() -> None:
    world = World(node("a"), node("b", gpus=1))
    wants = pod(container={"resources": {"requests": {"cpu": "1", "nvidia.com/gpu": "1"}}})
    assert world.put(wants) == "b"
    assert "2 Insufficient nvidia.com/gpu" in world.put(wants)


def test_node_selector_and_affinity() -> None:
    world = World(node("a", "a"), node("b", "b"))
    assert world.put(pod(nodeSelector={ZONE: "b"})) == "b"
    terms = [{"matchExpressions": [{"key": ZONE, "operator": "NotIn", "values": ["a"]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    assert world.put(pod(affinity={"nodeAffinity": required})) == "b"
    assert "2 node(s) didn't match Pod's node affinity/selector" in world.put(pod(nodeSelector={"disk": "ssd"}))


def test_preferred_affinity_outweighs_a_little_load() -> None:
    world = World(node("a", "a"), node("b", "b"))
    preference = {"weight": 100, "preference": {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["b"]}]}}
    wish = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [preference]}}
    assert [world.put(pod("500m", affinity=wish)) for _ in range(3)] == ["b", "b", "b"]


def test_soft_taints_are_avoided_while_there_is_another_node() -> None:
    world = World(node("a", taints=(Taint("old", "", "PreferNoSchedule"),)), node("b"))
    assert world.put(pod()) == "b"


def test_a_cordoned_node_takes_only_pods_that_tolerate_it() -> None:
    cordoned = NodeFacts("a", node("a").allocatable, {}, (), unschedulable=True)
    world = World(cordoned)
    assert "1 node(s) were unschedulable" in world.put(pod())
    assert world.put(pod(tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}])) == "a"


def test_host_ports_clash() -> None:
    world = World(node("a"), node("b"))
    wants = pod("100m", container={"ports": [{"containerPort": 80, "hostPort": 80}]})
    assert {world.put(wants), world.put(wants)} == {"a", "b"}
    assert "2 node(s) didn't have free ports for the requested pod ports" in world.put(wants)


def test_anti_affinity_keeps_pods_apart_and_binds_both_sides() -> None:
    world = World(node("a"), node("b"))
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": match("db")}
    alone = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    db = pod("100m", {"app": "db"}, affinity=alone)
    assert {world.put(db), world.put(db)} == {"a", "b"}
    assert "2 node(s) didn't match pod anti-affinity rules" in world.put(db)
    # A pod without terms of its own is kept away by theirs.
    assert "2 node(s) didn't satisfy existing pods anti-affinity rules" in world.put(pod("100m", {"app": "db"}))
    assert world.put(pod("100m", {"app": "web"})) in ("a", "b")


def test_affinity_follows_and_the_first_of_a_group_may_start_anywhere() -> None:
    world = World(node("a", "a"), node("b", "b"), node("c", "b"))
    term = {"topologyKey": ZONE, "labelSelector": match("web")}
    together = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    first = world.put(pod("3", {"app": "web"}, affinity=together))
    zone = {"a": "a", "b": "b", "c": "b"}[first]
    second = world.put(pod("100m", {"app": "web"}, affinity=together))
    assert {"a": "a", "b": "b", "c": "b"}[second] == zone
    stranger = pod(
        "100m",
        affinity={
            "podAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": ZONE, "labelSelector": match("nobody")}
                ]
            }
        },
    )
    assert "3 node(s) didn't match pod affinity rules" in world.put(stranger)


def test_hard_spread_holds_the_skew() -> None:
    world = World(node("a", "a"), node("b", "b", cpu=1000))
    rule = {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": match("web")}
    web = pod("600m", {"app": "web"}, topologySpreadConstraints=[rule])
    assert {world.put(web), world.put(web)} == {"a", "b"}
    assert world.put(web) == "a"
    message = world.put(web)
    assert "1 Insufficient cpu" in message
    assert "1 node(s) didn't match pod topology spread constraints" in message


def test_pods_of_one_owner_spread_over_zones_and_nodes_by_default() -> None:
    names = [node(f"{zone}{i}", zone) for zone in "abc" for i in range(2)]
    world = World(*names)
    placed = [world.put(pod("250m", {"app": "web"}, owner="rs-1")) for _ in range(6)]
    assert sorted(placed) == ["a0", "a1", "b0", "b1", "c0", "c1"]


def test_room_comes_back_when_pods_and_nodes_go() -> None:
    world = World(node("a", cpu=1000))
    assert world.put(pod("1")) == "a"
    assert world.put(pod("1")) != "a"
    world.cluster.remove_pod("pod-1")
    assert world.put(pod("1")) == "a"
    world.cluster.remove_node("a")
    world.cluster.set_node(node("z"))
    assert world.put(pod("1")) == "z"
    assert world.cluster.used[world.cluster.resources["cpu"]].sum() == 1000


@pytest.mark.parametrize(("total", "enough"), [(3, 3), (99, 99), (100, 100), (500, 230), (5000, 500)])
def test_how_many_nodes_are_looked_at(total: int, enough: int) -> None:
    assert nodes_to_find(total) == enough


@pytest.mark.parametrize("seed", range(5))
def test_the_columns_agree_with_a_slow_obvious_model(seed: int) -> None:
    """Random arrivals, departures and node changes: after each, kept masks and amounts equal those counted anew."""
    luck = Entropy(seed).stream("cluster")
    world = World(*(node(f"n{i}", "abc"[i % 3], cpu=int(luck.integers(1, 9)) * 500) for i in range(12)))
    cluster = world.cluster
    alive: dict[str, tuple[PodNeeds, str]] = {}
    shapes = [
        pod("500m", owner="rs-1"),
        pod("1", nodeSelector={ZONE: "a"}),
        pod("250m", {"app": "x"}, tolerations=[{"operator": "Exists"}]),
    ]
    for step in range(150):
        roll = luck.random()
        if roll < 0.6:
            needs = shapes[int(luck.integers(len(shapes)))]
            free = _free(cluster, alive)
            fits = [n for n in cluster.rows if not node_reason(needs, _node(cluster, n)) and _holds(free[n], needs)]
            placement = world.placer.place(needs)
            assert bool(placement.node) == bool(fits), placement.message
            if placement.node:
                assert placement.node in fits
                cluster.add_pod(f"p{step}", needs, placement.node)
                alive[f"p{step}"] = (needs, placement.node)
        elif roll < 0.85 and alive:
            uid = list(alive)[int(luck.integers(len(alive)))]
            cluster.remove_pod(uid)
            del alive[uid]
        elif roll < 0.95:
            name = f"n{int(luck.integers(12))}"
            taints = (Taint("k", "", "NoSchedule"),) if luck.random() < 0.5 else ()
            cluster.set_node(node(name, "abc"[step % 3], cpu=int(luck.integers(1, 9)) * 500, taints=taints))
        elif len(cluster.rows) > 3:
            name = list(cluster.rows)[int(luck.integers(len(cluster.rows)))]
            cluster.remove_node(name)
            alive = {uid: entry for uid, entry in alive.items() if entry[1] != name}
    twin = cluster.copy()
    assert np.array_equal(twin.used, cluster.used)
    assert twin.pods == cluster.pods


def _node(cluster: Cluster, name: str) -> NodeFacts:
    found = cluster.nodes[cluster.rows[name]]
    assert found is not None
    return found


def _free(cluster: Cluster, alive: Mapping[str, tuple[PodNeeds, str]]) -> dict[str, dict[str, int]]:
    free = {name: dict(_node(cluster, name).allocatable) for name in cluster.rows}
    for needs, name in alive.values():
        for resource, amount in needs.requests:
            free[name][resource] = free[name].get(resource, 0) - amount
    return free


def _holds(free: Mapping[str, int], needs: PodNeeds) -> bool:
    return all(free.get(resource, 0) >= amount for resource, amount in needs.requests)
