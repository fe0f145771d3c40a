"""The machines: nodes of each group come after a start delay, run, get lost, are added and taken away, and cost money.

Plays the parts of the cloud (instances), of the kubelet's node status and of the node lifecycle controller
(kube-controller-manager 1.36: unreachable after 50 s, NoExecute taint, eviction after each pod's toleration).
Heartbeats are not played: nothing changes.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.base import quantity
from pilothouse.base.clock import Clock, rfc3339
from pilothouse.base.entropy import Entropy
from pilothouse.base.errors import ApiError, NotFound
from pilothouse.machinery.client import Client
from pilothouse.machinery.ports import Events
from pilothouse.worlds.rehearsal.addresses import Addresses
from pilothouse.worlds.rehearsal.spec import ASSUMED_NODE_START, ClusterSpec, NodeGroup, seconds

NODE_MONITOR_GRACE_S = 50.0
"""kube-controller-manager's --node-monitor-grace-period (50 s since 1.32)."""
TOLERATION_S = 300.0
"""What the admission plugin DefaultTolerationSeconds gives pods that say nothing."""
REPLACED_AFTER_S = 60.0
"""A group notices that an instance failed and asks for another one."""
UNREACHABLE = "node.kubernetes.io/unreachable"
NOT_READY = "node.kubernetes.io/not-ready"
ZONE = "topology.kubernetes.io/zone"
DEFAULT_GROUP = NodeGroup(instance_type="assumed", min=1, max=1, desired=1, cpu="64", memory="256Gi", pods=1000)


@dataclass(slots=True)
class Machine:
    """One instance. ready_s: when its node became ready (Unix seconds), None while it starts."""

    name: str
    group: str
    zone: str
    asked_s: float
    ready_s: float | None = None
    lost: bool = False


class Nodes:
    """All machines. `allocatable` gives a group's {"cpu", "memory", "pods"} as quantities (the instance type's, less
    what the system keeps). node_lost, node_marked: called with a node's name when it stops, and when the control
    plane has noticed."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        entropy: Entropy,
        events: Events,
        addresses: Addresses,
        cluster: ClusterSpec,
        allocatable: Callable[[NodeGroup], Mapping[str, str]],
    ) -> None:
        self._client = client
        self._clock = clock
        self._entropy = entropy
        self._events = events
        self._addresses = addresses
        self.groups: dict[str, NodeGroup] = dict(cluster.node_groups)
        start = cluster.node_start or ASSUMED_NODE_START
        self._start = (seconds(start.median, "cluster.nodeStart.median"), start.sigma)
        self._allocatable = allocatable
        self.machines: dict[str, Machine] = {}
        self.desired: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self._in_zone: dict[tuple[str, str], int] = {}
        self._index: dict[str, int] = {}
        self._counted = False
        self._ready = 0
        self._hourly = 0.0
        self._cost = 0.0
        self._cost_until_s = clock.time()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.node_lost: Callable[[str], None] = lambda _: None
        self.node_marked: Callable[[str], None] = lambda _: None

    def index_of(self, node: str) -> int:
        """A number for a node's name, also for nodes that the user's files bring."""
        return self._index.setdefault(node, len(self._index))

    async def start(self) -> None:
        """The desired machines of every group are there and ready from the beginning."""
        for name, group in self.groups.items():
            self.desired[name] = min(max(group.desired, group.min), group.max)
            for _ in range(self.desired[name]):
                await self._join(self._new_machine(name))

    async def stop(self) -> None:
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    # What others ask

    def count(self) -> int:
        """Machines that are ready."""
        self._recount()
        return self._ready

    def cost(self, now_s: float) -> float:
        """What all machines cost so far; one is paid from the moment it was asked for until it is gone."""
        self._recount()
        self._cost += (now_s - self._cost_until_s) / 3600 * self._hourly
        self._cost_until_s = now_s
        return self._cost

    def _recount(self) -> None:
        """Counts and price of the machines, kept until one comes, goes or changes."""
        if self._counted:
            return
        self._counted = True
        self._ready = sum(1 for m in self.machines.values() if m.ready_s is not None and not m.lost)
        self._hourly = sum(self.groups[m.group].hourly or 0.0 for m in self.machines.values())

    def template(self, group: str) -> dict[str, Any]:
        """The Node object that a machine of this group would become: for what-if scheduling."""
        zone = self._next_zone(group)
        return self._node(Machine(f"{group}-template", group, zone, self._clock.time()))

    # Growing and shrinking

    def add(self, group: str) -> str:
        """Ask for one more machine; its node appears after the start delay. Gives its name."""
        self.cost(self._clock.time())
        self.desired[group] = self.desired.get(group, 0) + 1
        machine = self._new_machine(group)
        median_s, sigma = self._start
        delay_s = (
            float(self._entropy.stream("node-start", group).lognormal(math.log(median_s), sigma)) if median_s else 0.0
        )
        self._run(machine.name, self._boot(machine, round(delay_s, 3)))
        return machine.name

    async def remove(self, name: str) -> None:
        """Take a machine away: its Node object goes, and it costs nothing any more."""
        machine = self.machines[name]
        self.cost(self._clock.time())
        self.desired[machine.group] = max(0, self.desired[machine.group] - 1)
        self._drop(name)
        self._counted = False
        await self._delete_node(name)

    # Losing

    def lose(self, group: str = "", zone: str = "", count: int | None = None) -> list[str]:
        """Machines of this group and zone stop now ("" for any; the longest running first); gives their names."""
        found = [
            m
            for m in self.machines.values()
            if m.ready_s is not None and not m.lost and group in ("", m.group) and zone in ("", m.zone)
        ]
        lost = found if count is None else found[:count]
        for machine in lost:
            machine.lost = True
            self._counted = False
            self.node_lost(machine.name)
            self._run(f"lost/{machine.name}", self._lost(machine))
        return [m.name for m in lost]

    async def _lost(self, machine: Machine) -> None:
        """The control plane notices, taints, evicts; the group replaces the instance."""
        await asyncio.sleep(NODE_MONITOR_GRACE_S)
        await self._mark_unreachable(machine.name)
        self.node_marked(machine.name)
        await asyncio.sleep(max(0.0, REPLACED_AFTER_S - NODE_MONITOR_GRACE_S))
        self.desired[machine.group] -= 1
        self.add(machine.group)
        marked_s = self._clock.monotonic() - max(0.0, REPLACED_AFTER_S - NODE_MONITOR_GRACE_S)
        await self._evict(machine.name, marked_s)

    async def _mark_unreachable(self, name: str) -> None:
        stored = self._client.get("Node", "", name)
        if stored is None:
            return
        now = rfc3339(self._clock.time())
        conditions = [
            {
                **c,
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": now,
            }
            for c in (stored.object.get("status") or {}).get("conditions") or ()
        ]
        await self._client.put_status("Node", "", name, {**stored.object.get("status", {}), "conditions": conditions})
        taints = [t for t in (stored.object.get("spec") or {}).get("taints") or () if t["key"] != UNREACHABLE]
        taints += [
            {"key": UNREACHABLE, "effect": "NoSchedule", "timeAdded": now},
            {"key": UNREACHABLE, "effect": "NoExecute", "timeAdded": now},
        ]
        await self._client.patch("Node", "", name, {"spec": {"taints": taints}})
        self._events.record(
            stored.object, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady", "node-controller"
        )
        for pod in self._pods_on(name):
            await self._not_ready(pod)

    async def _not_ready(self, pod: Mapping[str, Any]) -> None:
        metadata = pod["metadata"]
        conditions = list((pod.get("status") or {}).get("conditions") or ())
        changed = [
            {**c, "status": "False", "lastTransitionTime": rfc3339(self._clock.time())}
            if c["type"] == "Ready" and c["status"] == "True"
            else c
            for c in conditions
        ]
        if changed == conditions:
            return
        status = {**pod["status"], "conditions": changed}
        try:
            await self._client.put_status("Pod", metadata["namespace"], metadata["name"], status)
        except NotFound:
            return
        self._events.record(pod, "Warning", "NodeNotReady", "Node is not ready", "node-controller")

    async def _evict(self, name: str, marked_s: float) -> None:
        """Delete the node's pods, each after what it tolerates; then the cloud says that the instance is gone."""
        waits = sorted({_tolerated_s(pod) for pod in self._pods_on(name)} | {TOLERATION_S})
        for wait_s in [w for w in waits if w < math.inf]:
            await asyncio.sleep(max(0.0, marked_s + wait_s - self._clock.monotonic()))
            for pod in self._pods_on(name):
                metadata = pod["metadata"]
                if _tolerated_s(pod) <= wait_s and not metadata.get("deletionTimestamp"):
                    message = f"Marking for deletion Pod {metadata['namespace']}/{metadata['name']}"
                    self._events.record(pod, "Normal", "TaintManagerEviction", message, "taint-eviction-controller")
                    await self._delete_pod(pod, None)
        self.cost(self._clock.time())
        self._drop(name)
        self._counted = False
        await self._delete_node(name)

    def _pods_on(self, node: str) -> list[Mapping[str, Any]]:
        return [s.object for s in self._client.list("Pod") if (s.object.get("spec") or {}).get("nodeName") == node]

    async def _delete_pod(self, pod: Mapping[str, Any], grace_s: int | None) -> None:
        metadata = pod["metadata"]
        try:
            await self._client.delete(
                "Pod", metadata["namespace"], metadata["name"], uid=metadata["uid"], grace_s=grace_s
            )
        except ApiError:
            return

    async def _delete_node(self, name: str) -> None:
        """The Node object goes; pods still bound to it are removed by the pod garbage collector."""
        try:
            await self._client.delete("Node", "", name)
        except NotFound:
            return
        for pod in self._pods_on(name):
            await self._delete_pod(pod, 0)

    # Machines and their Node objects

    def _new_machine(self, group: str) -> Machine:
        number = self._numbers[group] = self._numbers.get(group, 0) + 1
        machine = Machine(f"{group}-{number}", group, self._next_zone(group), self._clock.time())
        self.machines[machine.name] = machine
        self._in_zone[group, machine.zone] = self._in_zone.get((group, machine.zone), 0) + 1
        self._counted = False
        return machine

    def _next_zone(self, group: str) -> str:
        """The group's zone with fewest machines, in the order in which they are written."""
        zones = self.groups[group].zones
        return min(zones, key=lambda zone: self._in_zone.get((group, zone), 0))

    def _drop(self, name: str) -> None:
        machine = self.machines.pop(name, None)
        if machine is not None:
            self._in_zone[machine.group, machine.zone] -= 1

    async def _boot(self, machine: Machine, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        if machine.name in self.machines:
            await self._join(machine)

    async def _join(self, machine: Machine) -> None:
        node = self._node(machine)
        status = node.pop("status")
        await self._client.create("Node", node)
        await self._client.put_status("Node", "", machine.name, status)
        # The lifecycle controller takes the not-ready taint off when the node says that it is ready.
        await self._client.patch("Node", "", machine.name, {"spec": {"taints": node["spec"]["taints"] or None}})
        machine.ready_s = self._clock.time()
        self._counted = False
        self._events.record(node, "Normal", "NodeReady", f"Node {machine.name} status is now: NodeReady", "kubelet")

    def _node(self, machine: Machine) -> dict[str, Any]:
        group = self.groups[machine.group]
        amounts = dict(self._allocatable(group))
        labels = {
            "kubernetes.io/hostname": machine.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            ZONE: machine.zone,
            "eks.amazonaws.com/nodegroup": machine.group,
            **group.labels,
        }
        if group.instance_type:
            labels["node.kubernetes.io/instance-type"] = group.instance_type
        now = rfc3339(self._clock.time())
        ready = ("Ready", "True", "KubeletReady", "kubelet is posting ready status")
        fine = [
            ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ready,
        ]
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": machine.name, "labels": labels},
            "spec": {
                "podCIDR": self._addresses.pod_cidr(machine.name),
                "providerID": f"rehearsal:///{machine.zone}/{machine.name}",
                "taints": [dict(t) for t in group.taints],
            },
            "status": {
                "capacity": amounts,
                "allocatable": amounts,
                "conditions": [
                    {
                        "type": t,
                        "status": s,
                        "reason": r,
                        "message": m,
                        "lastHeartbeatTime": now,
                        "lastTransitionTime": now,
                    }
                    for t, s, r, m in fine
                ],
                "nodeInfo": _node_info(machine.name),
            },
        }

    def _run(self, name: str, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))


def group_allocatable(group: NodeGroup) -> dict[str, str]:
    """Amounts as the group itself states them; a group that states none gets 4 cores and 16 GiB."""
    return {
        "cpu": quantity.canonical(group.cpu or "4"),
        "memory": quantity.canonical(group.memory or "16Gi"),
        "pods": str(group.pods),
        **group.resources,
    }


def _node_info(name: str) -> dict[str, str]:
    return {
        "machineID": name,
        "systemUUID": name,
        "bootID": name,
        "kernelVersion": "6.12",
        "osImage": "modelled",
        "containerRuntimeVersion": "containerd://2.1",
        "kubeletVersion": "v1.36.0",
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": "amd64",
    }


def _tolerated_s(pod: Mapping[str, Any]) -> float:
    """How long a pod stays on an unreachable node; 300 s when it says nothing."""
    for toleration in (pod.get("spec") or {}).get("tolerations") or ():
        if toleration.get("key") in (None, "", UNREACHABLE) and toleration.get("effect") in (None, "", "NoExecute"):
            given = toleration.get("tolerationSeconds")
            return math.inf if given is None else max(0.0, float(given))
    return TOLERATION_S
