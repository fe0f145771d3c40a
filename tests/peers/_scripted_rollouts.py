"""The cluster that the set `rollouts` plays in: real store, write path and reconcile loops in virtual time, and a
script that plays the kubelet and the world outside.

Containers are not run but read: a pod is Running after half a second, Ready when its readinessProbe's
initialDelaySeconds, its postStart `sleep` and its readiness gates allow it, never with a command that no image has;
`sleep N && exit M` of a Job's container is waited for; preStop `sleep` holds a deletion up.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from pilothouse.assemble.kinds import KINDS
from pilothouse.base.actions import Object
from pilothouse.base.clock import VirtualClock, rfc3339
from pilothouse.base.entropy import Entropy
from pilothouse.base.virtual_loop import VirtualLoop
from pilothouse.kinds.apps.deployment import controller as deployment
from pilothouse.kinds.apps.replicaset import controller as replicaset
from pilothouse.kinds.argoproj.analysisrun import controller as analysisrun
from pilothouse.kinds.argoproj.analysisrun.kind import KIND as ANALYSISRUN
from pilothouse.kinds.argoproj.analysisrun.providers import ProviderError, WebAnswer, WebRequest
from pilothouse.kinds.argoproj.analysistemplate.kind import KIND as ANALYSISTEMPLATE
from pilothouse.kinds.argoproj.clusteranalysistemplate.kind import KIND as CLUSTERANALYSISTEMPLATE
from pilothouse.kinds.argoproj.experiment import controller as experiment
from pilothouse.kinds.argoproj.experiment.kind import KIND as EXPERIMENT
from pilothouse.kinds.argoproj.rollout import controller as rollout
from pilothouse.kinds.argoproj.rollout.kind import KIND as ROLLOUT
from pilothouse.kinds.batch.job import controller as job
from pilothouse.kinds.networking.ingress.kind import KIND as INGRESS
from pilothouse.kinds.policy.poddisruptionbudget import controller as budget
from pilothouse.machinery.client import Client
from pilothouse.machinery.events import EventRecorder
from pilothouse.machinery.garbage import GarbageCollector
from pilothouse.machinery.kind import Kinds
from pilothouse.machinery.reconcile import Reconciler
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Change, IndexFunction, Store

NAMESPACE = "default"
START_S, READY_S, GONE_S = 0.5, 0.5, 0.5
_OURS = [ROLLOUT, ANALYSISRUN, ANALYSISTEMPLATE, CLUSTERANALYSISTEMPLATE, EXPERIMENT, INGRESS]
_SLEEP = re.compile(r"sleep\s+([0-9.]+)")
_EXIT = re.compile(r"exit\s+([0-9]+)")
_ANSWERS = {
    "kubernetes.default.svc/version": '{"major": "1", "minor": "36"}',
    "dns.google": '{"Status": 0}',
    "gist.githubusercontent.com": '{"message": "It worked!"}',
}
"""What the addresses answer that the recorded cases ask."""


class Outside:
    """The providers of the cases: web addresses by table, and no Prometheus."""

    def query(self, text: str, time_s: float) -> float | list[float]:
        raise ProviderError(f"no Prometheus answers {text!r} at {time_s}")

    def query_range(self, text: str, start_s: float, end_s: float, step_s: float) -> list[float]:
        raise ProviderError(f"no Prometheus answers {text!r} from {start_s} to {end_s} by {step_s}")

    def fetch(self, request: WebRequest) -> WebAnswer:
        for address, body in _ANSWERS.items():
            if address in request.url:
                return WebAnswer(200, body)
        raise ProviderError(f"{request.url} does not answer")


class Cluster:
    """Everything of one case. failures: reconciles that went wrong."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.clock = VirtualClock(loop)
        indexes: dict[str, dict[str, IndexFunction]] = {}
        for module in (deployment, replicaset, job, budget, rollout):
            for kind, functions in module.INDEXES.items():
                indexes.setdefault(kind, {}).update(functions)
        self.store = Store(indexes)
        kinds = Kinds([*[k for k in KINDS if k.name not in [o.name for o in _OURS]], *_OURS])
        self.client = Client(WritePath(self.store, kinds, self.clock, Entropy(1)))
        self.events = EventRecorder(self.clock)
        client = self.client
        self.reconciler = Reconciler(
            client,
            self.events,
            self.clock,
            [
                replicaset.ReplicaSetController(client),
                deployment.DeploymentController(client),
                job.JobController(client),
                budget.BudgetController(client),
                rollout.RolloutController(client),
                analysisrun.AnalysisRunController(Outside()),
                experiment.ExperimentController(),
            ],
        )
        self.garbage = GarbageCollector(client)
        self._pods = client.watch("Pod")

    def start(self) -> None:
        self.reconciler.start()
        self.garbage.start()
        self.loop.create_task(self._play_kubelet(), name="kubelet")

    # -- the kubelet --

    async def _play_kubelet(self) -> None:
        async for batch in self._pods:
            for change in batch:
                self._notice(change)

    def _notice(self, change: Change) -> None:
        if change.new is None:
            return
        obj = change.new.object
        name, uid = obj["metadata"]["name"], obj["metadata"]["uid"]
        if change.old is None:
            self.loop.call_later(START_S, self._spawn, self._run(name))
        elif "deletionTimestamp" in obj["metadata"] and "deletionTimestamp" not in change.old.object["metadata"]:
            hook = _hook_s(obj, "preStop") if (obj.get("status") or {}).get("phase") == "Running" else 0.0
            self.loop.call_later(GONE_S + hook, self._spawn, self._remove(name, uid))

    def _spawn(self, coroutine: Any) -> None:
        self.loop.create_task(coroutine)

    async def _remove(self, name: str, uid: str) -> None:
        found = self.pod(name)
        if found is not None and found["metadata"]["uid"] == uid:
            await self.client.delete("Pod", NAMESPACE, name, grace_s=0)

    def pod(self, name: str) -> Object | None:
        stored = self.client.get("Pod", NAMESPACE, name)
        return None if stored is None else stored.object

    async def _run(self, name: str) -> None:
        pod = self.pod(name)
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            return
        await self.client.patch("Pod", NAMESPACE, name, {"target": {"name": "node-1"}}, "binding")
        container = pod["spec"]["containers"][0]
        if "does-not-exist" in container["image"]:
            waiting = {"waiting": {"reason": "ErrImagePull", "message": f"no image {container['image']}"}}
            await self._status(name, "Pending", [{"name": container["name"], "state": waiting}])
            return
        if pod["spec"].get("restartPolicy") == "Never":
            await self._run_to_end(name, container)
            return
        await self._status(name, "Running", [], ready=False)
        if container.get("command", [""])[0].startswith("/bad"):
            return
        probe_s = float((container.get("readinessProbe") or {}).get("initialDelaySeconds", 0))
        await asyncio.sleep(READY_S + probe_s + _hook_s(pod, "postStart"))
        pod = self.pod(name)
        if pod is not None and "deletionTimestamp" not in pod["metadata"]:
            await self._settle(name, pod)

    async def _run_to_end(self, name: str, container: Mapping[str, Any]) -> None:
        text = " ".join([*container.get("command", ()), *container.get("args", ())])
        await self._status(name, "Running", [], ready=True)
        if not text.startswith("sh "):
            code = 128
        else:
            await asyncio.sleep(sum(float(s) for s in _SLEEP.findall(text)))
            code = int((_EXIT.findall(text) or ["0"])[-1])
        if self.pod(name) is not None:
            ended = {"terminated": {"exitCode": code}}
            statuses = [{"name": container["name"], "state": ended}]
            await self._status(name, "Succeeded" if code == 0 else "Failed", statuses, ready=False)

    async def _settle(self, name: str, pod: Object) -> None:
        """Containers are ready: the pod is too, as far as its gates are open."""
        gates = [g["conditionType"] for g in pod["spec"].get("readinessGates") or ()]
        open_ = [c["type"] for c in (pod.get("status") or {}).get("conditions") or () if c["status"] == "True"]
        await self._status(name, "Running", [], ready=all(g in open_ for g in gates), containers=True)

    async def _status(
        self, name: str, phase: str, statuses: list[Any], *, ready: bool | None = None, containers: bool = False
    ) -> None:
        pod = self.pod(name)
        if pod is None:
            return
        now = rfc3339(self.clock.time())
        kept = [
            c for c in (pod.get("status") or {}).get("conditions") or () if c["type"] not in ("Ready", "Containers")
        ]
        if ready is not None:
            kept.append({"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": now})
        if containers:
            kept.append({"type": "Containers", "status": "True", "lastTransitionTime": now})
        patch: dict[str, Any] = {"phase": phase, "conditions": kept}
        if statuses:
            patch["containerStatuses"] = [
                {"image": "", "imageID": "", "ready": False, "restartCount": 0, **s} for s in statuses
            ]
        await self.client.patch("Pod", NAMESPACE, name, {"status": patch}, "status")

    async def open_gate(self, pod: Object, gate: str) -> None:
        name, now = pod["metadata"]["name"], rfc3339(self.clock.time())
        found = self.pod(name)
        assert found is not None
        kept = [c for c in (found.get("status") or {}).get("conditions") or () if c["type"] != gate]
        kept.append({"type": gate, "status": "True", "lastTransitionTime": now})
        await self.client.patch("Pod", NAMESPACE, name, {"status": {"conditions": kept}}, "status")
        found = self.pod(name)
        if found is not None and any(c["type"] == "Containers" for c in found["status"]["conditions"]):
            await self._settle(name, found)


def _hook_s(pod: Object, hook: str) -> float:
    """Seconds that the container's lifecycle hook sleeps."""
    command = (((pod["spec"]["containers"][0].get("lifecycle") or {}).get(hook) or {}).get("exec") or {}).get("command")
    match = re.search(r"sleep[\s,]+([0-9.]+)", " ".join(command or ()))
    return float(match[1]) if match else 0.0
