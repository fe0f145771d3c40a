"""The scheduler's loop: gives pods without a node a place, in batches, over one kept picture of the cluster.

It is no keyed controller: what one pod gets depends on all others, and keeping the columns of `engines.scheduling` up
to date from the watch is what makes a placement cost microseconds. Each round takes what has changed, then places the
waiting pods by priority and arrival. What fits nowhere waits until room may have appeared and its back-off is over (1 s
doubling to 10 s, kube-scheduler 1.36 `backend/queue`). The world runs it and asks it for `unschedulable` pods to size
node pools.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.clock import Clock, rfc3339
from pilothouse.base.errors import ApiError
from pilothouse.engines.scheduling.cluster import Cluster
from pilothouse.engines.scheduling.facts import PodNeeds, needs_key, node_facts, pod_needs
from pilothouse.engines.scheduling.placing import Placement, Placer
from pilothouse.machinery.client import Client
from pilothouse.machinery.ports import Events
from pilothouse.store.memory import Change, Stored

COMPONENT = "default-scheduler"
FIRST_BACKOFF_S, LAST_BACKOFF_S = 1.0, 10.0
SHAPES_KEPT = 8192
"""Distinct pod shapes remembered so that their needs are read once; beyond it all are forgotten and read again."""
GATED = "Scheduling is blocked due to non-empty scheduling gates"
"""A gated pod is looked at again when somebody changes it."""
_ENDED = ("Succeeded", "Failed")


@dataclass(slots=True)
class Waiting:
    """A pod without a node. since_s: when it came; message: why it has none, "" before the first attempt."""

    namespace: str
    name: str
    needs: PodNeeds
    since_s: float
    message: str = ""
    attempts: int = 0
    retry_s: float = 0.0


class _Breath:
    """Lets the other tasks of the loop run once, without a timer."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Scheduler:
    """Places pods whose schedulerName is its own. `cluster` is the kept picture; others read it, nobody else writes."""

    def __init__(self, client: Client, events: Events, clock: Clock, *, scheduler_name: str = COMPONENT) -> None:
        self.cluster = Cluster()
        self._client = client
        self._events = events
        self._clock = clock
        self._name = scheduler_name
        self._placer = Placer(self.cluster)
        self._active: dict[str, Waiting] = {}
        self._parked: dict[str, Waiting] = {}
        self._parked_at = 0
        self._homeless: dict[str, dict[str, PodNeeds]] = {}
        """Pods bound to nodes that are not (yet) known: node → uid → needs."""
        self._shapes: dict[tuple[str, str, str], PodNeeds] = {}
        self._timer: asyncio.TimerHandle | None = None
        # Watching from construction on: what is written before the task first runs is not missed.
        self._watch = client.watch("Namespace", "Node", "Pod")
        for kind in ("Namespace", "Node", "Pod"):
            for stored in client.list(kind):
                self._note(kind, stored)

    def unschedulable(self) -> list[Waiting]:
        """Pods that found no node at their last attempt, in order of arrival."""
        waiting = [*self._parked.values(), *(pod for pod in self._active.values() if pod.message)]
        return sorted(waiting, key=lambda pod: pod.since_s)

    async def run(self) -> None:
        """Work until cancelled or closed."""
        breath = _Breath()
        while True:
            if not self._active:
                await self._watch.wait_changed()
            for change in self._watch.take():
                self._take(change)
            if self._watch.closed:
                return
            self._wake_parked()
            await self._round()
            await breath

    def close(self) -> None:
        self._watch.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What changed

    def _take(self, change: Change) -> None:
        if change.new is None:
            self._forget(change.kind, change.object)
        elif change.kind != "Pod":
            self._note(change.kind, change.new)
        elif not _is_only_status(change):
            if _is_resized(change):
                self.cluster.remove_pod(change.new.object["metadata"]["uid"])
            self._note_pod(change.new.object)

    def _note(self, kind: str, stored: Stored) -> None:
        if kind == "Pod":
            self._note_pod(stored.object)
        elif kind == "Node":
            facts = node_facts(stored.object)
            self.cluster.set_node(facts)
            for uid, needs in self._homeless.pop(facts.name, {}).items():
                self.cluster.add_pod(uid, needs, facts.name)
        else:
            metadata = stored.object["metadata"]
            self.cluster.namespaces[metadata["name"]] = metadata.get("labels") or {}

    def _forget(self, kind: str, obj: Object) -> None:
        metadata = obj["metadata"]
        if kind == "Pod":
            self._drop(metadata["uid"], obj["spec"].get("nodeName", ""))
        elif kind == "Node":
            node = metadata["name"]
            row = self.cluster.rows.get(node)
            if row is not None:
                # Its pods still exist until somebody deletes them; they count again if the node comes back.
                kept = {uid: self.cluster.pods[uid].needs for uid in self.cluster.on_row[row]}
                self.cluster.remove_node(node)
                if kept:
                    self._homeless[node] = kept
        else:
            self.cluster.namespaces.pop(metadata["name"], None)

    def _note_pod(self, pod: Object) -> None:
        metadata, spec = pod["metadata"], pod["spec"]
        uid, node = metadata["uid"], spec.get("nodeName") or ""
        if (pod.get("status") or {}).get("phase") in _ENDED:
            self._drop(uid, node)
        elif node:
            self._active.pop(uid, None)
            self._parked.pop(uid, None)
            known = self.cluster.pods.get(uid)
            if known is not None and known.row == self.cluster.rows.get(node):
                return
            needs = self._needs(pod)
            if not self.cluster.add_pod(uid, needs, node):
                self._homeless.setdefault(node, {})[uid] = needs
        elif "deletionTimestamp" in metadata:
            self._drop(uid, node)
        elif (spec.get("schedulerName") or COMPONENT) == self._name:
            since_s = self._clock.time()
            before = self._parked.pop(uid, None) or self._active.get(uid)
            waiting = Waiting(metadata["namespace"], metadata["name"], self._needs(pod), since_s)
            if before is not None:
                waiting.since_s, waiting.message = before.since_s, before.message
            self._active[uid] = waiting

    def _drop(self, uid: str, node: str) -> None:
        self._active.pop(uid, None)
        self._parked.pop(uid, None)
        self.cluster.remove_pod(uid)
        if node in self._homeless:
            self._homeless[node].pop(uid, None)

    def _needs(self, pod: Object) -> PodNeeds:
        """The pod's needs, shared by all pods of the same shape, labels and owner."""
        metadata = pod["metadata"]
        owner = next((o["uid"] for o in metadata.get("ownerReferences") or () if o.get("controller")), "")
        shape = (needs_key(pod), owner, repr(metadata.get("labels")))
        needs = self._shapes.get(shape)
        if needs is None:
            if len(self._shapes) >= SHAPES_KEPT:
                self._shapes.clear()
            needs = self._shapes[shape] = pod_needs(pod)
        return needs

    # Placing

    def _wake_parked(self) -> None:
        """Pods that fitted nowhere try again when room may have appeared and their back-off is over."""
        if not self._parked or self.cluster.capacity_version == self._parked_at:
            return
        now_s = self._clock.time()
        due = [uid for uid, pod in self._parked.items() if pod.retry_s <= now_s]
        for uid in due:
            self._active[uid] = self._parked.pop(uid)
        if not self._parked:
            self._parked_at = self.cluster.capacity_version
        elif self._timer is None:
            soonest = min(pod.retry_s for pod in self._parked.values())
            self._timer = asyncio.get_running_loop().call_later(soonest - now_s, self._due)

    def _due(self) -> None:
        self._timer = None
        self._watch.wake()

    async def _round(self) -> None:
        """One attempt for every waiting pod, the most important first."""
        waiting = list(self._active.items())
        self._active.clear()
        if any(pod.needs.priority for _uid, pod in waiting):
            waiting.sort(key=lambda entry: -entry[1].needs.priority)
        hopeless: dict[str, Placement] = {}
        for uid, pod in waiting:
            if pod.needs.gates:
                await self._say(pod, "SchedulingGated", GATED)
                continue
            # Within a round room only shrinks: what one pod did not find, its like will not find either.
            placement = hopeless.get(pod.needs.key)
            if placement is None:
                placement = self._placer.place(pod.needs)
            if placement.node:
                await self._bind(uid, pod, placement.node)
                continue
            if not pod.needs.affinity and not pod.needs.spreads and not self.cluster.anti:
                hopeless[pod.needs.key] = placement
            await self._park(uid, pod, placement.message)

    async def _bind(self, uid: str, pod: Waiting, node: str) -> None:
        binding = {"target": {"apiVersion": "v1", "kind": "Node", "name": node}}
        try:
            bound = await self._client.patch("Pod", pod.namespace, pod.name, binding, "binding")
        except ApiError as error:
            # It changed or went meanwhile; the watch tells. Anything else is tried again after a while.
            if self._client.get("Pod", pod.namespace, pod.name) is not None:
                await self._park(uid, pod, error.message)
            return
        self.cluster.add_pod(uid, pod.needs, node)
        message = f"Successfully assigned {pod.namespace}/{pod.name} to {node}"
        self._events.record(bound, "Normal", "Scheduled", message, COMPONENT)

    async def _park(self, uid: str, pod: Waiting, message: str) -> None:
        pod.attempts += 1
        pod.retry_s = self._clock.time() + min(FIRST_BACKOFF_S * 2 ** min(pod.attempts - 1, 10), LAST_BACKOFF_S)
        if not self._parked:
            self._parked_at = self.cluster.capacity_version
        self._parked[uid] = pod
        if message != pod.message:
            pod.message = message
            stored = await self._say(pod, "Unschedulable", message)
            if stored is not None:
                self._events.record(stored, "Warning", "FailedScheduling", message, COMPONENT)

    async def _say(self, pod: Waiting, reason: str, message: str) -> Object | None:
        """Write the PodScheduled condition; None when the pod is gone."""
        stored = self._client.get("Pod", pod.namespace, pod.name)
        if stored is None:
            return None
        status: Mapping[str, Any] = stored.object.get("status") or {}
        conditions = list(status.get("conditions") or ())
        at = next((i for i, c in enumerate(conditions) if c.get("type") == "PodScheduled"), len(conditions))
        old = conditions[at] if at < len(conditions) else {}
        since = old.get("lastTransitionTime") if old.get("status") == "False" else None
        conditions[at : at + 1] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "lastProbeTime": None,
                "lastTransitionTime": since or rfc3339(self._clock.time()),
                "reason": reason,
                "message": message,
            }
        ]
        try:
            return await self._client.put_status("Pod", pod.namespace, pod.name, {**status, "conditions": conditions})
        except ApiError:
            return None


def _is_only_status(change: Change) -> bool:
    """Most changes of pods: the kubelet's reports about a pod that goes on running, or waiting."""
    old, new = change.old, change.new
    if old is None or new is None:
        return False
    before, after = old.object, new.object
    if before["spec"] is not after["spec"] or "deletionTimestamp" in after["metadata"]:
        return False
    ended = (after.get("status") or {}).get("phase") in _ENDED
    return not ended and before["metadata"].get("labels") == after["metadata"].get("labels")


def _is_resized(change: Change) -> bool:
    """A bound pod whose containers changed (an in-place resize): its amounts are read anew."""
    if change.old is None or change.new is None or not change.old.object["spec"].get("nodeName"):
        return False
    before, after = change.old.object["spec"].get("containers"), change.new.object["spec"].get("containers")
    return before is not after and bool(before != after)
