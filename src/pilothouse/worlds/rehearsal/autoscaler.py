"""The cluster autoscaler's loop: every 10 seconds, machines for pods that fit nowhere; after ten idle minutes,
fewer machines.

Decisions are `engines.scheduling.pools`'; this loop keeps the picture of the cluster that they read, from the Pod
and Node watches, and
tells `nodes` what to do. Events read like cluster-autoscaler's.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.base import selectors
from pilothouse.base.actions import Object
from pilothouse.base.clock import Clock
from pilothouse.base.errors import ApiError
from pilothouse.engines.scheduling import pools
from pilothouse.engines.scheduling.cluster import Cluster
from pilothouse.engines.scheduling.facts import PodNeeds, node_facts, pod_needs
from pilothouse.engines.scheduling.placing import Placer
from pilothouse.machinery.client import Client
from pilothouse.machinery.ports import Events
from pilothouse.store.memory import Change
from pilothouse.worlds.rehearsal.nodes import Nodes

COMPONENT = "cluster-autoscaler"
DRAIN_POLL_S = 1.0


class Autoscaler:
    """The loop. `start` begins it when any group may change its size, `stop` ends it."""

    def __init__(self, client: Client, clock: Clock, events: Events, nodes: Nodes) -> None:
        self._client = client
        self._clock = clock
        self._events = events
        self._nodes = nodes
        self._cluster = Cluster()
        self._pods: dict[str, Object] = {}
        self._unneeded: Mapping[str, float] = {}
        self._last_growth_s: float | None = None
        self._settled: _Settled | None = None
        self._news = True
        self._told: dict[str, None] = {}
        self._draining: dict[str, None] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        groups = self._nodes.groups.values()
        if any(group.min < group.max for group in groups):
            self._tasks.append(asyncio.ensure_future(self._work()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self) -> None:
        watch = self._client.watch("Pod", "Node")
        for kind in ("Node", "Pod"):
            for stored in self._client.list(kind):
                self._see(kind, stored.object)
        while True:
            await asyncio.sleep(pools.SCAN_PERIOD_S)
            for change in watch.take():
                self._news = True
                self._follow(change)
            if not self._grow():
                await self._shrink()

    # The picture

    def _follow(self, change: Change) -> None:
        if change.new is not None:
            self._see(change.kind, change.new.object)
        elif change.kind == "Node":
            self._cluster.remove_node(change.object["metadata"]["name"])
        else:
            self._forget(change.object["metadata"]["uid"])

    def _see(self, kind: str, obj: Object) -> None:
        if kind == "Node":
            self._cluster.set_node(node_facts(obj))
            return
        uid, node = obj["metadata"]["uid"], (obj.get("spec") or {}).get("nodeName")
        known = uid in self._pods
        if (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            self._forget(uid)
            return
        self._pods[uid] = obj
        if node and (not known or uid not in self._cluster.pods):
            self._cluster.add_pod(uid, pod_needs(obj), node)

    def _forget(self, uid: str) -> None:
        if self._pods.pop(uid, None) is not None and uid in self._cluster.pods:
            self._cluster.remove_pod(uid)

    def _pool_list(self) -> list[pools.Pool]:
        found = []
        for name, group in self._nodes.groups.items():
            template = node_facts(self._nodes.template(name))
            found.append(pools.Pool(name, template, group.min, group.max, group.hourly or 0.0, group.zones))
        return found

    # Growing

    def _grow(self) -> bool:
        """Add machines for pods that fit nowhere; whether there were such pods."""
        pending = [pod for pod in self._pods.values() if _is_unschedulable(pod)]
        if not pending:
            self._told.clear()
            return False
        waiting = self._beyond_present_nodes(pending)
        upcoming: dict[str, int] = {}
        for machine in self._nodes.machines.values():
            if machine.ready_s is None:
                upcoming[machine.group] = upcoming.get(machine.group, 0) + 1
        plan = pools.grow([needs for _, needs in waiting], self._pool_list(), self._nodes.desired, upcoming)
        growth = plan.growth
        unhelped = {id(needs): why for needs, why in plan.unhelped}
        text = ""
        if growth is not None:
            before, most = self._nodes.desired[growth.pool], self._nodes.groups[growth.pool].max
            text = f"pod triggered scale-up: [{{{growth.pool} {before}->{before + growth.count} (max: {most})}}]"
            for _ in range(growth.count):
                self._nodes.add(growth.pool)
            self._last_growth_s = self._clock.time()
        for pod, needs in waiting:
            uid = pod["metadata"]["uid"]
            if id(needs) in unhelped and uid not in self._told:
                self._told[uid] = None
                why = ", ".join(f"1 {reason}" for reason in unhelped[id(needs)].values())
                self._say(pod, "NotTriggerScaleUp", f"pod didn't trigger scale-up: {why}")
            elif text and id(needs) not in unhelped:
                self._say(pod, "TriggeredScaleUp", text)
        return True

    def _beyond_present_nodes(self, pending: Sequence[Object]) -> list[tuple[Object, PodNeeds]]:
        """Pods that no present node takes: the scheduler only has not come to the others yet."""
        trial = self._cluster.copy()
        placer = Placer(trial)
        left = []
        for pod in pending:
            needs = pod_needs(pod)
            node = placer.place(needs).node if trial.rows else ""
            if node:
                trial.add_pod(pod["metadata"]["uid"], needs, node)
            else:
                left.append((pod, needs))
        return left

    def _say(self, pod: Object, reason: str, message: str) -> None:
        self._events.record(pod, "Normal", reason, message, COMPONENT)

    # Shrinking

    async def _shrink(self) -> None:
        """Drain the machines that were not needed for ten minutes."""
        nodes = self._nodes
        if all(nodes.desired.get(name, 0) <= group.min for name, group in nodes.groups.items()):
            self._unneeded = {}
            self._settled = None
            return
        pool_of = {
            m.name: m.group
            for m in nodes.machines.values()
            if m.ready_s is not None and not m.lost and m.name not in self._draining
        }
        budgets = [s.object for s in self._client.list("policy/PodDisruptionBudget")]
        now_s = self._clock.time()
        if not self._news and self._settled is not None and self._settled.holds(pool_of, budgets, now_s):
            return
        plan = pools.shrink(
            self._cluster,
            self._pool_list(),
            pool_of,
            self._unneeded,
            now_s,
            mobility=lambda uid: _mobility(self._pods[uid], budgets),
            budgets={_key(b): int((b.get("status") or {}).get("disruptionsAllowed") or 0) for b in budgets},
            last_growth_s=self._last_growth_s,
        )
        self._unneeded = plan.unneeded
        self._news = False
        self._settled = None if plan.removals else _Settled(pool_of, budgets, self._ripe_s(plan.unneeded))
        for removal in plan.removals:
            self._draining[removal.node] = None
            leaving = [uid for uid, _ in removal.moves]
            self._tasks.append(asyncio.ensure_future(self._drain(removal.node, leaving)))
        self._tasks = [task for task in self._tasks if not task.done()]

    def _ripe_s(self, unneeded: Mapping[str, float]) -> float:
        """When the first of these machines may go, if nothing else happens."""
        ripe_s = min(unneeded.values(), default=math.inf) + pools.UNNEEDED_S
        return ripe_s if self._last_growth_s is None else max(ripe_s, self._last_growth_s + pools.DELAY_AFTER_ADD_S)

    async def _drain(self, name: str, uids: Sequence[str]) -> None:
        """No new pods, the present ones leave, the machine goes when they are gone."""
        await self._client.patch("Node", "", name, {"spec": {"unschedulable": True}})
        for uid in uids:
            pod = self._pods.get(uid)
            if pod is None:
                continue
            metadata = pod["metadata"]
            self._say(pod, "ScaleDown", "deleting pod for node scale down")
            try:
                await self._client.delete("Pod", metadata["namespace"], metadata["name"], uid=uid)
            except ApiError:
                continue
        while any(self._is_there(uid) for uid in uids):
            await asyncio.sleep(DRAIN_POLL_S)
        if name in self._nodes.machines:
            await self._nodes.remove(name)
        self._draining.pop(name, None)

    def _is_there(self, uid: str) -> bool:
        pod = self._pods.get(uid)
        if pod is None:
            return False
        stored = self._client.get("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])
        return stored is not None and stored.object["metadata"]["uid"] == uid


@dataclass(frozen=True, slots=True)
class _Settled:
    """A look after which no machine went. Until pods, nodes, machines or budgets change, only time can make one go."""

    pool_of: Mapping[str, str]
    budgets: Sequence[Object]
    ripe_s: float

    def holds(self, pool_of: Mapping[str, str], budgets: Sequence[Object], now_s: float) -> bool:
        """Whether another look now would give the same."""
        if now_s >= self.ripe_s or pool_of != self.pool_of or len(budgets) != len(self.budgets):
            return False
        return all(b is known for b, known in zip(budgets, self.budgets))


def _key(obj: Object) -> str:
    return f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"


def _mobility(pod: Object, budgets: Sequence[Object]) -> pools.Mobility:
    """What taking this pod away would mean (cluster-autoscaler `simulator/drainability` rules, the common ones)."""
    metadata = pod["metadata"]
    owner: Mapping[str, Any] = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), {})
    if owner.get("kind") == "DaemonSet" or "kubernetes.io/config.mirror" in (metadata.get("annotations") or {}):
        return pools.Mobility(stays=True)
    safe = (metadata.get("annotations") or {}).get(pools.SAFE_TO_EVICT)
    if safe == "false":
        return pools.Mobility(blocked=f"pod {_key(pod)} is marked as not safe to evict")
    if not owner and safe != "true":
        return pools.Mobility(blocked=f"pod {_key(pod)} has no controller that would replace it")
    labels, namespace = metadata.get("labels") or {}, metadata.get("namespace", "")
    covering = [
        _key(b)
        for b in budgets
        if b["metadata"].get("namespace", "") == namespace
        and selectors.from_object((b.get("spec") or {}).get("selector")).matches(labels)
    ]
    return pools.Mobility(budgets=tuple(covering))


def _is_unschedulable(pod: Object) -> bool:
    if (pod.get("spec") or {}).get("nodeName") or pod["metadata"].get("deletionTimestamp"):
        return False
    return any(
        c.get("type") == "PodScheduled" and c.get("status") == "False" and c.get("reason") == "Unschedulable"
        for c in (pod.get("status") or {}).get("conditions") or ()
    )
