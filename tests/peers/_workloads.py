"""The scenarios of StatefulSets, Jobs and CronJobs of the set `deployments`: replayed, written down in the recorder's
words and compared.

Compared as the set's README says. Where it leaves the order open, so does this: pods of a Parallel StatefulSet come and
go in any order, and an Event that the real CronJob controller repeated at once (it had read its own status too early)
counts once.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.peers._scripted_node import NAMESPACE, QUIET_S, Cluster

from pilothouse.base import virtual_loop
from pilothouse.base.clock import DEFAULT_EPOCH_S, parse_rfc3339, rfc3339
from pilothouse.base.errors import ApiError
from pilothouse.kinds.batch.cronjob.decide import SCHEDULED_AT
from pilothouse.kinds.batch.job.views import INDEX
from pilothouse.machinery.events import Event
from pilothouse.store.memory import Change

KINDS = {"StatefulSet": "apps/StatefulSet", "Job": "batch/Job", "CronJob": "batch/CronJob", "Pod": "Pod"}
SET_COUNTS = (
    "replicas",
    "readyReplicas",
    "currentReplicas",
    "updatedReplicas",
    "collisionCount",
    "availableReplicas",
)
JOB_COUNTS = (
    "active",
    "succeeded",
    "failed",
    "terminating",
    "completedIndexes",
    "failedIndexes",
    "ready",
)
IN_BETWEEN_S = 0.3
"""CronJobs ran on the wall clock: an action that starts nothing took about this long."""
AFTER_LAST_S = 20.0
"""After the last recorded Job: long enough for it to end, too short for the next minute."""
Step = dict[str, Any]


def scenario(data: Mapping[str, Any]) -> str | None:
    """None when one of the recorded variants is met in all its steps, else the first difference."""
    failures = []
    for steps in data.get("variants") or [data["steps"]]:
        seen = _replay(data, steps)
        found = (_compared(i, step, one) for i, (step, one) in enumerate(zip(steps, seen, strict=True), 1))
        failure = next(filter(None, found), None)
        if failure is None:
            return None
        failures.append(failure)
    return failures[0]


def _replay(data: Mapping[str, Any], steps: list[Step]) -> list[Step]:
    started = data.get("startedUTC")
    # The recorder started within the second: its minute marks are 4.6 s after 55.
    epoch_s = DEFAULT_EPOCH_S if started is None else parse_rfc3339(started) + 0.4

    async def main(loop: virtual_loop.VirtualLoop) -> list[Step]:
        cluster = Cluster(loop, epoch_s)
        recorder = _Recorder(cluster, data["kind"])
        await cluster.start()
        return [await recorder.step(step) for step in steps]

    return virtual_loop.run(main)


class _Recorder:
    """Writes down one step after the other."""

    def __init__(self, cluster: Cluster, kinds: str) -> None:
        self.cluster = cluster
        self.owner = {"statefulsets": "StatefulSet", "jobs": "Job", "cronjobs": "CronJob"}[kinds]
        self.pods: dict[str, str] = {}
        self.jobs: dict[str, str] = {}
        self.ready: dict[str, None] = {}
        self.now: Step = {}
        self.watch = cluster.client.watch("Pod", "batch/Job", "apps/StatefulSet")
        cluster.events.subscribe(self._heard)
        cluster.loop.create_task(self._gather(), name="recorder")

    async def step(self, step: Step) -> Step:
        self.now = {"pods": [], "events": [], "conditions": [], "deleted": [], "jobs": [], "observed": []}
        await self._act(step["action"])
        await self._settle(step)
        self.now["events"] = [self._aliased(text) for text in self.now["events"]]
        self.now["stateAfter"] = self._state()
        sets = [stored.object["spec"] for stored in self.cluster.client.list("apps/StatefulSet")]
        self.now["anyOrder"] = any(spec["podManagementPolicy"] == "Parallel" for spec in sets)
        return self.now

    async def _act(self, action: Mapping[str, Any]) -> None:
        kind = KINDS[action["kind"]]
        name = {alias: real for real, alias in self.pods.items()}.get(action["name"], action["name"])
        try:
            match action["do"]:
                case "create":
                    await self.cluster.create(kind, action["object"])
                case "merge-patch":
                    await self.cluster.patch(kind, name, action["patch"], action.get("subresource", ""))
                case "delete":
                    await self.cluster.delete(kind, name, action.get("propagationPolicy", "Background"))
        except ApiError as error:
            self.now["observed"].append({"apierror": {"code": error.code, "message": error.message}})

    async def _settle(self, step: Step) -> None:
        if self.owner == "CronJob":
            last_s = max((job["t"] for job in step["jobs"]), default=None)
            left_s = IN_BETWEEN_S if last_s is None else last_s + AFTER_LAST_S - self.cluster.loop.time()
            await asyncio.sleep(left_s)
        elif _still_working(step):
            # The next action came while a pod was at work; when it came is told by the state then.
            for _ in range(int(QUIET_S * 10)):
                if self._state() == step["stateAfter"]:
                    return
                await asyncio.sleep(0.1)
        else:
            await self.cluster.wait_quiet()

    # -- what happens --

    def _heard(self, event: Event) -> None:
        if event.kind == self.owner:
            self.now["events"].append(f"{event.reason}: {event.message}")

    def _aliased(self, text: str) -> str:
        for name, alias in self.jobs.items():
            text = re.sub(rf"\b{name}\b", alias, text)
        if self.owner == "Job":
            text = re.sub(rf"{NAMESPACE}/work-\S+", "<ns>/<pod>", text)
            text = re.sub(r"pod: work-\S+", "pod: <pod>", text)
        return text

    async def _gather(self) -> None:
        async for batch in self.watch:
            for change in batch:
                if change.kind == "Pod":
                    self._saw_pod(change)
                else:
                    self._saw_owner(change)

    def _saw_owner(self, change: Change) -> None:
        metadata = change.object["metadata"]
        kind = change.object["kind"]
        if kind == "Job" and self.owner == "CronJob":
            self._saw_run(change)
        if change.new is None:
            self.now["deleted"].append(f"{kind}/{self.jobs.get(metadata['name'], metadata['name'])}")
        elif kind == self.owner:
            old = _conditions((change.old.object.get("status") if change.old else None) or {})
            self.now["conditions"] += [c for c in _conditions(change.new.object.get("status") or {}) if c not in old]

    def _saw_run(self, change: Change) -> None:
        metadata = change.object["metadata"]
        if change.old is None:
            self.jobs[metadata["name"]] = f"job{len(self.jobs) + 1}"
            stamp = parse_rfc3339(metadata["annotations"][SCHEDULED_AT])
            self.now["jobs"].append((self.jobs[metadata["name"]], rfc3339(stamp)))

    def _saw_pod(self, change: Change) -> None:
        name, uid = change.object["metadata"]["name"], change.object["metadata"]["uid"]
        if change.old is None:
            self.pods[name] = f"pod{len(self.pods) + 1}"
        for what in _happened(change):
            if what == "ready":
                if uid in self.ready:
                    continue
                self.ready[uid] = None
            index = (change.object["metadata"].get("annotations") or {}).get(INDEX)
            self.now["pods"].append((what, name, "" if index is None else f"[{index}]"))

    # -- the state --

    def _state(self) -> Step:
        client, state = self.cluster.client, {}
        for stored in client.list("apps/StatefulSet"):
            status = stored.object["status"]
            state["statefulSet"] = {
                "spec": {"replicas": stored.object["spec"]["replicas"]},
                "status": {key: status[key] for key in SET_COUNTS if key in status},
                "updated": status.get("currentRevision") == status.get("updateRevision"),
            }
        for stored in client.list("batch/Job"):
            shown = _job(stored.object)
            if self.owner == "CronJob":
                state.setdefault("jobs", {})[self.jobs[stored.object["metadata"]["name"]]] = {
                    "conditions": shown["conditions"],
                    "status": shown["status"],
                }
            else:
                state["job"] = shown
        for stored in client.list("batch/CronJob"):
            spec, active = stored.object["spec"], (stored.object.get("status") or {}).get("active") or ()
            state["cronJob"] = {
                "spec": {"suspend": spec["suspend"], "schedule": spec["schedule"]},
                "active": [self.jobs[reference["name"]] for reference in active],
            }
        return state


def _happened(change: Change) -> Iterable[str]:
    """What a change of a pod means, in the recorder's words."""
    if change.old is None:
        yield "created"
        return
    before, after = change.old.object, None if change.new is None else change.new.object
    if after is None or "deletionTimestamp" in after["metadata"]:
        # One that ended before goes at once: the recorder saw both together.
        if "deletionTimestamp" not in before["metadata"]:
            yield "deleting"
        if after is None:
            yield "deleted"
        return
    old, new = before.get("status") or {}, after.get("status") or {}
    if old.get("phase") != new["phase"] and new["phase"] in ("Succeeded", "Failed"):
        yield _end(new)
    elif any(c["type"] == "Ready" and c["status"] == "True" for c in new.get("conditions") or ()):
        yield "ready"


def _end(status: Mapping[str, Any]) -> str:
    if status["phase"] == "Succeeded":
        return "succeeded"
    if any(c["type"] == "DisruptionTarget" for c in status["conditions"]):
        return "disrupted"
    return f"failed:{status['containerStatuses'][0]['state']['terminated']['exitCode']}"


def _job(obj: Mapping[str, Any]) -> Step:
    spec, status = obj["spec"], obj.get("status") or {}
    return {
        "spec": {key: spec[key] for key in ("parallelism", "completions", "suspend") if key in spec},
        "status": {key: status[key] for key in JOB_COUNTS if key in status},
        "conditions": _conditions(status),
    }


def _conditions(status: Mapping[str, Any]) -> list[list[str]]:
    return [[c["type"], c["status"], c["reason"]] for c in status.get("conditions") or ()]


def _still_working(step: Step) -> bool:
    """Whether a Job's pod was running although it ends by itself: the recorder went on before it did."""
    job = (step.get("stateAfter") or {}).get("job") or {}
    return bool((job.get("status") or {}).get("active"))


# -- comparing --


def _compared(index: int, expected: Step, seen: Step) -> str | None:
    for key, wanted in expected.items():
        if key == "action":
            continue
        mine, wanted = _comparable(key, wanted, seen)
        if mine != wanted:
            return f"step {index}: {key} {json.dumps(mine)}, recorded {json.dumps(wanted)}"
    return None


def _comparable(key: str, wanted: Any, seen: Step) -> tuple[Any, Any]:
    """(ours, recorded) in a form in which equal means equal."""
    if key == "podEvents":
        events = [[what, name] for what, name, _ in seen["pods"]]
        return (sorted(events), sorted(wanted)) if seen["anyOrder"] else (events, wanted)
    if key in ("podCounts", "podEventCounts"):
        return _counts(seen["pods"], wanted), wanted
    if key == "events":
        mine = _once(seen["events"])
        return (sorted(mine), sorted(wanted)) if seen["anyOrder"] else (mine, _once(wanted))
    if key == "jobs":
        return [list(job) for job in seen["jobs"]], [[job["jobCreated"], job["scheduledUTC"]] for job in wanted]
    if key == "stateAfter":
        return {name: seen["stateAfter"].get(name) for name in wanted}, wanted
    return seen[key], wanted


def _counts(pods: list[tuple[str, str, str]], wanted: Mapping[str, int]) -> dict[str, int]:
    """How often what happened; only what the recording speaks of, and every end of a pod."""
    counts: dict[str, int] = {}
    for what, _, index in pods:
        key = what + index
        if key in wanted or what.startswith(("created", "succeeded", "failed", "disrupted")):
            counts[key] = counts.get(key, 0) + 1
    return counts


def _once(events: list[str]) -> list[str]:
    """Events without those that say the same as the one before about a completed Job."""
    out: list[str] = []
    for text in events:
        if not (out and out[-1] == text and text.startswith("SawCompletedJob")):
            out.append(text)
    return out
