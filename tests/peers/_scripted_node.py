"""The scripted cluster that the set `deployments` was recorded against: real store, write path and reconcile loops in
virtual time, and a script that plays the kubelet.

A new pod is bound and Running after 0.15 s; `peer/ready` in its annotations says whether it waits in the namespace's
queue (one pod Ready a second, by creation second and name), stays unready, or is a job's (`_scripted_job`); a deleted
pod is gone after half a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tests.peers._scripted_job import Script

from pilothouse.base.actions import Object
from pilothouse.base.clock import DEFAULT_EPOCH_S, VirtualClock, rfc3339
from pilothouse.base.entropy import Entropy
from pilothouse.base.virtual_loop import VirtualLoop
from pilothouse.kinds.apps.controllerrevision import kind as controllerrevision
from pilothouse.kinds.apps.deployment import controller as deployment_controller
from pilothouse.kinds.apps.deployment import kind as deployment
from pilothouse.kinds.apps.replicaset import controller as replicaset_controller
from pilothouse.kinds.apps.replicaset import kind as replicaset
from pilothouse.kinds.apps.statefulset import controller as statefulset_controller
from pilothouse.kinds.apps.statefulset import kind as statefulset
from pilothouse.kinds.batch.cronjob import controller as cronjob_controller
from pilothouse.kinds.batch.cronjob import kind as cronjob
from pilothouse.kinds.batch.job import controller as job_controller
from pilothouse.kinds.batch.job import kind as job
from pilothouse.kinds.batch.job.ttl import TtlController
from pilothouse.kinds.core.configmap import kind as configmap
from pilothouse.kinds.core.persistentvolumeclaim import kind as persistentvolumeclaim
from pilothouse.kinds.core.pod import kind as pod
from pilothouse.machinery.client import Client
from pilothouse.machinery.events import EventRecorder
from pilothouse.machinery.garbage import GarbageCollector
from pilothouse.machinery.kind import Kinds
from pilothouse.machinery.reconcile import Reconciler
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Change, IndexFunction, Store

NAMESPACE = "peer"
START_S, GONE_S, READY_EVERY_S, JOB_READY_S = 0.15, 0.5, 1.0, 0.3
QUIET_S = 4.0
NODE = "node-1"


KINDS = (
    pod,
    configmap,
    persistentvolumeclaim,
    deployment,
    replicaset,
    controllerrevision,
    statefulset,
    job,
    cronjob,
)
CONTROLLERS = (
    replicaset_controller,
    deployment_controller,
    statefulset_controller,
    job_controller,
    cronjob_controller,
)
UNFINISHED_S = 45.0
"""A Job that is not over may be waiting for its back-off: 10 s, 20 s."""


class Cluster:
    """Everything of one scenario, which begins at `epoch_s` (seconds since 1970)."""

    def __init__(self, loop: VirtualLoop, epoch_s: float = DEFAULT_EPOCH_S) -> None:
        self.loop = loop
        self.clock = VirtualClock(loop, epoch_s)
        indexes: dict[str, dict[str, IndexFunction]] = {}
        for module in CONTROLLERS:
            for kind, functions in module.INDEXES.items():
                indexes.setdefault(kind, {}).update(functions)
        self.store = Store(indexes)
        kinds = Kinds([module.KIND for module in KINDS])
        self.client = Client(WritePath(self.store, kinds, self.clock, Entropy(1)))
        self.events = EventRecorder(self.clock)
        self.reconciler = Reconciler(
            self.client,
            self.events,
            self.clock,
            [
                replicaset_controller.ReplicaSetController(self.client),
                deployment_controller.DeploymentController(self.client),
                statefulset_controller.StatefulSetController(self.client),
                job_controller.JobController(self.client),
                TtlController(),
                cronjob_controller.CronJobController(),
            ],
        )
        self.garbage = GarbageCollector(self.client)
        # Watching from the start: controllers may make pods before the kubelet's task first runs.
        self._pods = self.client.watch("Pod")
        self._queue: list[tuple[str, str]] = []
        self._last_ready_s = -READY_EVERY_S
        self._script = Script()
        self._queue_timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        self.reconciler.start()
        self.garbage.start()
        self.loop.create_task(self._play_kubelet(), name="kubelet")

    async def wait_quiet(self) -> None:
        """Until nothing was written for as long as the recorder waited, deadlines and minReadySeconds on top."""
        while True:
            revision, quiet_s = self.store.revision, QUIET_S
            for stored in self.client.list("apps/Deployment"):
                spec = stored.object["spec"]
                deadline_s = spec.get("progressDeadlineSeconds", 0)
                quiet_s = max(quiet_s, QUIET_S + spec.get("minReadySeconds", 0), QUIET_S + deadline_s % 600)
            for stored in self.client.list("apps/StatefulSet"):
                quiet_s = max(quiet_s, QUIET_S + stored.object["spec"].get("minReadySeconds", 0))
            for stored in self.client.list("batch/Job"):
                spec, status = stored.object["spec"], stored.object.get("status") or {}
                over = {c["type"] for c in status.get("conditions") or ()} & {"Complete", "Failed"}
                still_s = spec.get("ttlSecondsAfterFinished", 0) if over else UNFINISHED_S
                quiet_s = max(quiet_s, QUIET_S + still_s)
            await asyncio.sleep(quiet_s)
            if self.store.revision == revision:
                return

    # -- the kubelet --

    async def _play_kubelet(self) -> None:
        async for batch in self._pods:
            for change in batch:
                self._notice(change)

    def _notice(self, change: Change) -> None:
        if change.new is None:
            return
        metadata = change.new.object["metadata"]
        if change.old is None:
            self.loop.call_later(START_S, self._spawn, self._run(metadata["name"]))
        elif "deletionTimestamp" in metadata and "deletionTimestamp" not in change.old.object["metadata"]:
            self.loop.call_later(GONE_S, self._spawn, self._remove(metadata["name"], metadata["uid"]))

    def _spawn(self, coroutine: Any) -> None:
        self.loop.create_task(coroutine)

    async def _remove(self, name: str, uid: str) -> None:
        stored = self.client.get("Pod", NAMESPACE, name)
        # A pod that was never bound goes at once, without the kubelet.
        if stored is not None and stored.object["metadata"]["uid"] == uid:
            await self.client.delete("Pod", NAMESPACE, name, grace_s=0)

    async def _run(self, name: str) -> None:
        if self.client.get("Pod", NAMESPACE, name) is None:
            return
        await self.client.patch("Pod", NAMESPACE, name, {"target": {"name": NODE}}, "binding")
        await self._write_ready(name, ready=False)
        stored = self.client.get("Pod", NAMESPACE, name)
        assert stored is not None
        annotations = stored.object["metadata"].get("annotations") or {}
        if annotations.get("peer/ready", "queue") == "queue":
            self._queue.append((stored.object["metadata"]["creationTimestamp"], name))
            self._serve_queue()
        elif annotations.get("peer/ready") == "job":
            await self._run_job(name, stored.object)

    async def _run_job(self, name: str, made: Object) -> None:
        """A job's pod: Ready after a moment, then working, then ended as its script says."""
        uid = made["metadata"]["uid"]
        await asyncio.sleep(JOB_READY_S)
        if self._there(name, uid):
            await self._write_ready(name, ready=True)
        duration_s = self._script.duration_s(made)
        if duration_s is None:
            return
        await asyncio.sleep(duration_s)
        if self._there(name, uid):
            await self.client.patch("Pod", NAMESPACE, name, self._script.ended(made, self.clock.time()), "status")

    def _there(self, name: str, uid: str) -> bool:
        stored = self.client.get("Pod", NAMESPACE, name)
        metadata = {} if stored is None else stored.object["metadata"]
        return metadata.get("uid") == uid and "deletionTimestamp" not in metadata

    async def _write_ready(self, name: str, *, ready: bool) -> None:
        now = rfc3339(self.clock.time())
        condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": now}
        await self.client.patch(
            "Pod", NAMESPACE, name, {"status": {"phase": "Running", "conditions": [condition]}}, "status"
        )

    def _serve_queue(self) -> None:
        if self._queue_timer is None:
            wait_s = max(self._last_ready_s + READY_EVERY_S - self.loop.time(), 0.0)
            self._queue_timer = self.loop.call_later(wait_s, self._spawn, self._ready_next())

    async def _ready_next(self) -> None:
        self._queue_timer = None
        while self._queue:
            self._queue.sort()
            name = self._queue.pop(0)[1]
            stored = self.client.get("Pod", NAMESPACE, name)
            if stored is None or "deletionTimestamp" in stored.object["metadata"]:
                continue
            self._last_ready_s = self.loop.time()
            await self._write_ready(name, ready=True)
            break
        if self._queue:
            self._serve_queue()

    async def turn_unready_for(self, seconds: float) -> None:
        """The oldest pod loses its readiness for a while: what the recorder did in a steady state."""
        name = self.client.list("Pod", NAMESPACE)[0].object["metadata"]["name"]
        await self._write_ready(name, ready=False)
        await asyncio.sleep(seconds)
        await self._write_ready(name, ready=True)

    # -- what people do --

    async def create(self, kind: str, obj: Object) -> None:
        obj = self._with_real_owners(obj)
        await self.client.create(kind, {**obj, "metadata": {**obj["metadata"], "namespace": NAMESPACE}})

    def _with_real_owners(self, obj: Mapping[str, Any]) -> Mapping[str, Any]:
        """Owner references by name: the recorded uids are those of another cluster's objects."""
        references = (obj.get("metadata") or {}).get("ownerReferences")
        if not references:
            return obj
        found = []
        for reference in references:
            owner = self.client.get(reference["kind"], NAMESPACE, reference["name"])
            found.append({**reference, "uid": owner.object["metadata"]["uid"]} if owner else reference)
        return {**obj, "metadata": {**obj["metadata"], "ownerReferences": found}}

    async def patch(self, kind: str, name: str, patch: Mapping[str, Any], subresource: str = "") -> None:
        """A strategic merge patch of the fields that the scenarios patch: containers merge by name."""
        stored = self.client.get(kind, NAMESPACE, name)
        assert stored is not None
        if subresource:
            await self.client.patch(kind, NAMESPACE, name, patch, subresource)
            return
        await self.client.patch(kind, NAMESPACE, name, _merged(stored.object, self._with_real_owners(patch)))

    async def delete(self, kind: str, name: str, propagation: str) -> None:
        await self.client.delete(kind, NAMESPACE, name, propagation=propagation)

    async def kubectl(self, args: list[str]) -> tuple[int, str]:
        """`kubectl rollout pause|resume|undo|history|status deployment/NAME`: exit code and output."""
        verb, name = args[1], args[2].partition("/")[2]
        if verb in ("pause", "resume"):
            await self.patch("apps/Deployment", name, {"spec": {"paused": verb == "pause"}})
            return 0, f"deployment.apps/{name} {verb}d"
        if verb == "undo":
            revision = next((a.partition("=")[2] for a in args if a.startswith("--to-revision=")), "0")
            await self._undo(name, int(revision))
            return 0, f"deployment.apps/{name} rolled back"
        if verb == "history":
            return 0, self._history(name)
        return self._status(name)

    def _revisions(self, name: str) -> dict[int, Object]:
        owner = self.client.get("apps/Deployment", NAMESPACE, name)
        assert owner is not None
        sets = self.client.owned("apps/ReplicaSet", owner.object["metadata"]["uid"])
        mark = "deployment.kubernetes.io/revision"
        return {int(s.object["metadata"]["annotations"][mark]): s.object for s in sets}

    async def _undo(self, name: str, revision: int) -> None:
        revisions = self._revisions(name)
        template = revisions[revision or sorted(revisions)[-2]]["spec"]["template"]
        metadata = template["metadata"]
        labels = {**metadata["labels"], "pod-template-hash": None}
        stored = self.client.get("apps/Deployment", NAMESPACE, name)
        assert stored is not None
        old = stored.object["spec"]["template"]["metadata"].get("annotations") or {}
        annotations = {**dict.fromkeys(old), **(metadata.get("annotations") or {})}
        patch = {"metadata": {"labels": labels, "annotations": annotations}, "spec": template["spec"]}
        await self.client.patch("apps/Deployment", NAMESPACE, name, {"spec": {"template": patch}})

    def _history(self, name: str) -> str:
        lines = [f"deployment.apps/{name} ", "REVISION  CHANGE-CAUSE"]
        return "\n".join([*lines, *(f"{number:<10}<none>" for number in sorted(self._revisions(name)))])

    def _status(self, name: str) -> tuple[int, str]:
        stored = self.client.get("apps/Deployment", NAMESPACE, name)
        assert stored is not None
        for condition in stored.object["status"].get("conditions", ()):
            if condition["reason"] == "ProgressDeadlineExceeded":
                return 1, f'error: deployment "{name}" exceeded its progress deadline'
        return 0, f'deployment "{name}" successfully rolled out'


def _merged(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The patch as a plain merge patch: lists of named entries are replaced by what they become."""
    out: dict[str, Any] = {}
    for key, value in patch.items():
        before = target.get(key)
        if isinstance(value, Mapping):
            out[key] = _merged(before if isinstance(before, Mapping) else {}, value)
        elif key == "containers" and isinstance(before, list):
            changed = {entry["name"]: entry for entry in value}
            out[key] = [{**entry, **changed.get(entry["name"], {})} for entry in before]
        else:
            out[key] = value
    return out
