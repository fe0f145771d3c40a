"""Set `deployments`: scenarios recorded from kube-controller-manager 1.36, replayed in virtual time step by step.

Each scenario's actions run against the real write path and controllers (`_scripted_node`); what happened between two
actions is compared with what was recorded. Where a step holds what a scale-down chose from, the choice itself is
compared too. StatefulSets, Jobs and CronJobs are in `_workloads`, the tables of cron schedules in `_cron_tables`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.peers import _cron_tables, _workloads
from tests.peers._scripted_node import QUIET_S, Cluster

from pilothouse.base import virtual_loop
from pilothouse.base.clock import DEFAULT_EPOCH_S, rfc3339
from pilothouse.engines.rolling import ranking
from pilothouse.engines.rolling.views import PodMeta, PodSpec, PodStatus, PodView
from pilothouse.machinery.events import Event
from pilothouse.store.memory import Change

KINDS = {"Deployment": "apps/Deployment", "ReplicaSet": "apps/ReplicaSet", "Pod": "Pod", "ConfigMap": "ConfigMap"}
SERVED = ("deployments", "gc")
REVISION = "deployment.kubernetes.io/revision"
COUNTS = (
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
)
SET_COUNTS = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
Step = dict[str, Any]


def run(folder: Path) -> Iterable[tuple[str, str | None]]:
    for file in sorted(folder.rglob("*.json")):
        name = file.relative_to(folder).with_suffix("").as_posix()
        data = json.loads(file.read_text())
        if file.parent == folder:
            yield from ((f"{name}/{case}", failure) for case, failure in _cron_tables.cases(data))
        elif file.parent.name in SERVED:
            yield name, _scenario(data)
        else:
            yield name, _workloads.scenario(data)


def _scenario(data: Mapping[str, Any]) -> str | None:
    """None when one of the recorded variants is met in all its steps."""
    if "variants" not in data and "steps" not in data:
        return "no steps recorded"
    failures = []
    for steps in data.get("variants") or [data["steps"]]:
        chapters = _chapters(steps)
        recorded = _replay(chapters)
        pairs = enumerate(zip(chapters, recorded, strict=True), 1)
        failure = next(filter(None, (_compared(i, chapter[-1], seen) for i, (chapter, seen) in pairs)), None)
        failure = failure or _choices(steps)
        if failure is None:
            return None
        failures.append(failure)
    return failures[0]


def _chapters(steps: list[Step]) -> list[list[Step]]:
    """The steps, those joined that went on before the cluster was quiet: when exactly is not recorded, so what happened
    is compared over both together. The last step of a chapter holds the facts of the whole."""
    chapters: list[list[Step]] = [[]]
    for step in steps:
        joined = _joined(chapters[-1][-1], step) if chapters[-1] else step
        chapters[-1].append(joined)
        if not _unsettled(step):
            chapters.append([])
    return [chapter for chapter in chapters if chapter]


def _unsettled(step: Step) -> bool:
    """Whether the state after a step shows controllers in the middle of their work."""
    state = step.get("stateAfter") or {}
    sets = list((state.get("replicaSets") or {}).values())
    ready = sum(s["status"].get("readyReplicas", 0) for s in sets)
    counted = (state.get("deployment") or {}).get("status", {}).get("readyReplicas", 0)
    behind = "deployment" in state and ready != counted
    return behind or any(s["replicas"] != s["status"].get("replicas") for s in sets)


def _joined(first: Step, second: Step) -> Step:
    out = dict(second)
    for key in ("replicaSetScale", "deploymentEvents", "conditions"):
        out[key] = [*first.get(key, []), *second.get(key, [])]
    counts = dict(first.get("podCounts") or {})
    for key, count in (second.get("podCounts") or {}).items():
        counts[key] = counts.get(key, 0) + count
    out["podCounts"] = counts
    out["maxPods"] = max(first["maxPods"], second["maxPods"])
    out["minReady"] = min(first["minReady"], second["minReady"])
    return out


def _replay(chapters: list[list[Step]]) -> list[Step]:
    async def main(loop: virtual_loop.VirtualLoop) -> list[Step]:
        cluster = Cluster(loop)
        recorder = _Recorder(cluster)
        await cluster.start()
        return [await recorder.chapter(chapter) for chapter in chapters]

    return virtual_loop.run(main)


class _Recorder:
    """Writes down what the recorder of the peers wrote down, in its words."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.sets: dict[str, str] = {}
        self.pods: dict[str, str] = {}
        self.watch = cluster.client.watch("Pod", "apps/ReplicaSet", "apps/Deployment")
        self.ever_ready: dict[str, None] = {}
        self.step_now: Step = {}
        self.seen: asyncio.Future[None] | None = None
        cluster.events.subscribe(self._heard)
        cluster.loop.create_task(self._gather(), name="recorder")

    async def chapter(self, steps: list[Step]) -> Step:
        """Takes the actions of a chapter, each when the sizes recorded before it are reached; gives what happened."""
        self.step_now = {
            "deletedObjects": [],
            "podEvents": {},
            "deploymentEvents": [],
            "conditions": [],
            "podCounts": {},
            "replicaSetScale": [],
            "deleted": [],
        }
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            await self._act(step["action"])
            if following is not None:
                await self._sizes_reached(step["replicaSetScale"])
        await self.cluster.wait_quiet()
        if _loses_availability(steps[-1]):
            await self.cluster.turn_unready_for(2.0)
            await self.cluster.wait_quiet()
        self.step_now["stateAfter"] = self._state()
        self.step_now["observed"] = self.step_now.get("observed", []) + self._left()
        self.step_now["deploymentEvents"] = [self._aliased(text) for text in self.step_now["deploymentEvents"]]
        return self.step_now

    async def _sizes_reached(self, sizes: list[Any]) -> None:
        while self.step_now["replicaSetScale"] != sizes:
            self.seen = self.cluster.loop.create_future()
            # A run that takes another way never gets there; it fails by its sizes, not by waiting for ever.
            done, _ = await asyncio.wait([self.seen], timeout=QUIET_S)
            if not done:
                return

    async def _act(self, action: Mapping[str, Any]) -> None:
        cluster, kind = self.cluster, KINDS.get(action.get("kind", ""), "")
        match action["do"]:
            case "create":
                await cluster.create(kind, action["object"])
            case "merge-patch":
                await cluster.patch(kind, self._real(action["name"]), action["patch"])
            case "delete":
                await cluster.delete(kind, self._real(action["name"]), action.get("propagationPolicy", "Background"))
            case "kubectl":
                code, text = await cluster.kubectl(action["args"])
                self.step_now["observed"] = [{"kubectl-output": {"rc": code, "out": text}}]

    def _real(self, alias: str) -> str:
        names = {**self.sets, **self.pods}
        return next((name for name, given in names.items() if given == alias), alias)

    def _heard(self, event: Event) -> None:
        if event.kind == "Deployment":
            self.step_now["deploymentEvents"].append(f"{event.reason}: {event.message}")

    def _aliased(self, text: str) -> str:
        for name, alias in self.sets.items():
            text = text.replace(name, alias)
        return text

    async def _gather(self) -> None:
        async for batch in self.watch:
            for change in batch:
                self._saw(change)
            if self.seen is not None and not self.seen.done():
                self.seen.set_result(None)

    def _saw(self, change: Change) -> None:
        if change.kind == "apps/ReplicaSet":
            self._saw_set(change)
        elif change.kind == "Pod":
            self._saw_pod(change)
        else:
            self._saw_deployment(change)

    def _saw_set(self, change: Change) -> None:
        name = change.object["metadata"]["name"]
        alias = self.sets.setdefault(name, f"rs{len(self.sets) + 1}")
        if change.new is None:
            self.step_now["deleted"].append(f"ReplicaSet/{alias}")
            self.step_now["deletedObjects"].append(f"ReplicaSet/{alias}")
            return
        before = change.old.object["spec"]["replicas"] if change.old else None
        after = change.new.object["spec"]["replicas"]
        if before != after:
            self.step_now["replicaSetScale"].append([alias, before, after])

    def _saw_deployment(self, change: Change) -> None:
        if change.new is None:
            gone = f"Deployment/{change.object['metadata']['name']}"
            self.step_now["deleted"].append(gone)
            self.step_now["deletedObjects"].append(gone)
            return
        old = _conditions((change.old.object.get("status") if change.old else None) or {})
        new = _conditions(change.new.object.get("status") or {})
        self.step_now["conditions"] += [c for c in new if c not in old]

    def _saw_pod(self, change: Change) -> None:
        name = change.object["metadata"]["name"]
        self.pods.setdefault(name, f"pod{len(self.pods) + 1}")
        view = change.new.view(PodView) if change.new else None
        if change.new is None:
            self._count_event("deleted")
        elif change.old is None:
            self._count(change, "created")
        elif (
            view is not None
            and view.metadata.deletionTimestamp
            and not change.old.view(PodView).metadata.deletionTimestamp
        ):
            self._count(change, "deleting")
        elif view is not None and view.ready and name not in self.ever_ready:
            self.ever_ready[name] = None
            self._count(change, "ready")
        self._measure()

    def _count_event(self, what: str) -> None:
        self.step_now["podEvents"][what] = self.step_now["podEvents"].get(what, 0) + 1

    def _count(self, change: Change, what: str) -> None:
        self._count_event(what)
        owner = next(r["name"] for r in change.object["metadata"]["ownerReferences"])
        key = f"{self.sets.setdefault(owner, f'rs{len(self.sets) + 1}')}:{what}"
        self.step_now["podCounts"][key] = self.step_now["podCounts"].get(key, 0) + 1

    def _measure(self) -> None:
        pods = [stored.view(PodView) for stored in self.cluster.client.list("Pod")]
        staying = [pod for pod in pods if pod.metadata.deletionTimestamp is None]
        ready = sum(pod.ready for pod in staying)
        self.step_now["maxPods"] = max(self.step_now.get("maxPods", 0), len(staying))
        self.step_now["minReady"] = min(self.step_now.get("minReady", ready), ready)

    def _left(self) -> list[dict[str, Any]]:
        """What is there at the end of a step, as the scenarios about garbage note it."""
        cluster = self.cluster
        objects = [kind.partition("/")[2] for kind in KINDS.values() for _ in cluster.client.list(kind) if "/" in kind]
        maps = [_owned(stored.object) for stored in cluster.client.list("ConfigMap")]
        return [{"configmaps": maps}, {"left": {"pods": len(cluster.client.list("Pod")), "objects": objects}}]

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"replicaSets": {}}
        for stored in self.cluster.client.list("apps/ReplicaSet"):
            state["replicaSets"][self.sets[stored.object["metadata"]["name"]]] = _shown(stored.object, SET_COUNTS)
        for stored in self.cluster.client.list("apps/Deployment"):
            obj = stored.object
            spec = obj["spec"]
            image = spec["template"]["spec"]["containers"][0]["image"]
            state["deployment"] = {
                "spec": {"replicas": spec["replicas"], "paused": spec.get("paused", False), "image": image},
                "status": {key: obj["status"][key] for key in COUNTS if key in obj["status"]},
                "conditions": _conditions(obj["status"]),
            }
            if REVISION in (obj["metadata"].get("annotations") or {}):
                state["deployment"]["revision"] = obj["metadata"]["annotations"][REVISION]
        return state


def _shown(obj: Mapping[str, Any], counts: Iterable[str]) -> dict[str, Any]:
    return {
        "replicas": obj["spec"]["replicas"],
        "revision": obj["metadata"]["annotations"].get(REVISION),
        "image": obj["spec"]["template"]["spec"]["containers"][0]["image"],
        "status": {key: obj["status"][key] for key in counts if key in obj["status"]},
    }


def _owned(obj: Mapping[str, Any]) -> list[Any]:
    metadata = obj["metadata"]
    state = "deleting" if "deletionTimestamp" in metadata else "live"
    owners = [reference["name"] for reference in metadata.get("ownerReferences") or ()]
    return [metadata["name"], state, owners, metadata.get("finalizers") or []]


def _conditions(status: Mapping[str, Any]) -> list[list[str]]:
    return sorted([c["type"], c["status"], c["reason"]] for c in status.get("conditions") or ())


def _loses_availability(expected: Step) -> bool:
    """Whether availability went after the rollout was over although nothing was scaled: the recorder's script took a
    pod's readiness away, which is no action in the files."""
    conditions = expected.get("conditions") or []
    done = ["Progressing", "True", "NewReplicaSetAvailable"]
    lost = ["Available", "False", "MinimumReplicasUnavailable"]
    return done in conditions and lost in conditions[conditions.index(done) :]


# -- comparing --


def _compared(index: int, expected: Step, seen: Step) -> str | None:
    """The first difference between a recorded step and ours, as one line."""
    for key, wanted in expected.items():
        if key == "action":
            continue
        if key in ("maxPods", "minReady"):
            if not _within(key, wanted, seen, expected):
                return f"step {index}: {key} {seen.get(key)}, recorded {wanted}"
        elif key == "observed":
            for entry in wanted:
                if not {"pods-before", "pods-after"} & entry.keys() and entry not in seen["observed"]:
                    return f"step {index}: observed {seen['observed']}, recorded {entry}"
        else:
            difference = _difference(key, wanted, seen.get(key))
            if difference is not None:
                return f"step {index}: {difference}"
    return None


def _within(key: str, wanted: int, seen: Step, expected: Step) -> bool:
    """Exact; or on the safe side of it: fewer pods at most, more Ready at least."""
    value = seen.get(key)
    if value is None:
        return not expected.get("podCounts")
    return bool(value <= wanted if key == "maxPods" else value >= wanted)


def _difference(where: str, wanted: Any, seen: Any) -> str | None:
    if isinstance(wanted, dict) and isinstance(seen, dict):
        for key, value in wanted.items():
            difference = _difference(f"{where}.{key}", value, seen.get(key))
            if difference is not None:
                return difference
        extra = [key for key in seen if key not in wanted] if where != "stateAfter" else []
        return f"{where}: also {extra}" if extra else None
    return None if wanted == seen else f"{where}: {json.dumps(seen)}, recorded {json.dumps(wanted)}"


def _choices(steps: list[Step]) -> str | None:
    """Scale-downs for which the pods before and after are recorded: ours must choose the same, equal ranks aside."""
    before: list[Mapping[str, Any]] = []
    for step in steps:
        for entry in step.get("observed") or ():
            before = entry.get("pods-before", before)
            if "pods-after" in entry:
                gone = _gone(before, entry["pods-after"])
                wanted = sorted(p["pod"] for p in before if p["pod"] not in entry["pods-after"])
                if gone != wanted:
                    return f"scale-down takes {gone}, recorded {wanted}"
    return None


def _gone(before: list[Mapping[str, Any]], after: list[str]) -> list[str]:
    now_s = DEFAULT_EPOCH_S + 0.5
    # Among equals the uid decides: survivors get the later ones, so that only a true difference of rank shows.
    pods = [_pod(entry, f"{int(entry['pod'] in after)}-{entry['pod']}") for entry in before]
    return sorted(pod.metadata.name for pod in ranking.choose(pods, pods, len(before) - len(after), now_s))


def _pod(entry: Mapping[str, Any], uid: str) -> PodView:
    ready = entry.get("ready") or {}
    annotations = {ranking.DELETION_COST: entry["cost"]} if "cost" in entry else {}
    condition = {
        "type": "Ready",
        "status": ready.get("status", "False"),
        "lastTransitionTime": rfc3339(DEFAULT_EPOCH_S - ready.get("sinceSecondsAgo", 0)),
    }
    created = rfc3339(DEFAULT_EPOCH_S - entry["createdSecondsAgo"])
    return PodView(
        PodMeta(name=entry["pod"], uid=uid, creationTimestamp=created, annotations=annotations),
        PodSpec(nodeName=entry.get("node", "")),
        PodStatus(phase=entry.get("phase", "Running"), conditions=[condition]),
    )
