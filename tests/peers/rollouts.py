"""Set `rollouts`: scenarios of Argo Rollouts' end-to-end tests played in virtual time, its replica arithmetic, its
metric conditions, and its manifests.

A scenario runs against the real store, write path and reconcile loops (`_scripted_rollouts`); each wait may take the 90
seconds that upstream gives it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.peers._scripted_rollouts import NAMESPACE, Cluster

from pilothouse.base import virtual_loop
from pilothouse.base.actions import Object
from pilothouse.base.errors import ApiError, PilothouseError
from pilothouse.engines import expr
from pilothouse.engines.delivery.split import weighted
from pilothouse.engines.rolling.views import ReplicaSetMeta, ReplicaSetSpec, ReplicaSetStatus, ReplicaSetView
from pilothouse.engines.schema.structure import Findings
from pilothouse.kinds.argoproj.rollout import commands, conditions, sizes
from pilothouse.kinds.argoproj.rollout.reading import HASH_LABEL, KIND_NAME, REVISION, Member, Rollout
from pilothouse.machinery.events import Event

WAIT_S, POLL_S = 90.0, 0.05
GATE = "argoproj.io/e2e-readiness"
DEADLINE = "scale-down-deadline"
Step = Mapping[str, Any]


def run(folder: Path) -> Iterable[tuple[str, str | None]]:
    for file in sorted((folder / "cases").glob("*.json")):
        yield f"cases/{file.stem}", _told(lambda file=file: _scenario(json.loads(file.read_text())))  # type: ignore[misc]
    for case in json.loads((folder / "replica-counts.json").read_text())["cases"]:
        yield case["name"], _told(lambda case=case: _counts(case))  # type: ignore[misc]
    for case in json.loads((folder / "metric-conditions.json").read_text())["cases"]:
        yield f"conditions/{case['name']}", _condition(case)
    for entry in json.loads((folder / "manifests/index.json").read_text()):
        yield f"manifests/{entry['file']}", _told(lambda entry=entry: _manifest(folder, entry))  # type: ignore[misc]


def _told(check: Callable[[], str | None]) -> str | None:
    try:
        return check()
    except (PilothouseError, LookupError, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]


# -- arithmetic and conditions --


def _condition(case: Mapping[str, Any]) -> str | None:
    try:
        got: Any = expr.condition_holds(case["result"], case["condition"])
    except expr.ExprError:
        got = "error"
    return None if got == case["expect"] else f"{got}, recorded {case['expect']}"


def _member(name: str, replicas: int, available: int) -> Member:
    return Member(
        ReplicaSetView(
            ReplicaSetMeta(name=name, labels={HASH_LABEL: name}),
            ReplicaSetSpec(replicas=replicas),
            ReplicaSetStatus(replicas=replicas, availableReplicas=available),
        )
    )


def _counts(case: Mapping[str, Any]) -> str | None:
    given, expect = case["input"], case["expect"]
    if case["kind"] == "weighted-split":
        got = weighted(given["replicas"], given["weight"], given["maxWeight"], given["maxSurge"])
    elif case["kind"] == "counts":
        got = _canary_counts(given)
    else:
        got = _dynamic_counts(given)
    wanted = (expect["canary"], expect["stable"])
    return None if got == wanted else f"(canary, stable) {got}, recorded {wanted}"


def _canary_counts(given: Mapping[str, Any]) -> tuple[int, int]:
    steps: list[dict[str, Any]] = [{"setWeight": given.get("setWeight", 0)}]
    if given.get("setCanaryScale"):
        steps.append({"setCanaryScale": given["setCanaryScale"]})
    canary: dict[str, Any] = {
        "steps": steps,
        "maxSurge": given.get("maxSurge", 0),
        "maxUnavailable": given.get("maxUnavailable", 0),
    }
    if given.get("trafficRouting"):
        canary["trafficRouting"] = {}
    for key in ("abortScaleDownDelaySeconds", "minPodsPerReplicaSet"):
        if key in given:
            canary[key] = given[key]
    status = {
        "stableRS": "stable",
        "currentPodHash": "canary",
        "currentStepIndex": len(steps) - 1,
        "promoteFull": given.get("promoteFull", False),
        "abort": given.get("statusAbort", False),
    }
    return _sizes(given.get("rolloutSpecReplicas", 0), canary, status, None, (
        _member("canary", given.get("canarySpecReplica", 0), given.get("canaryAvailableReplica", 0)),
        _member("stable", given.get("stableSpecReplica", 0), given.get("stableAvailableReplica", 0)),
    ))  # fmt: skip


def _dynamic_counts(given: Mapping[str, Any]) -> tuple[int, int]:
    # The upstream builder puts a first step before those of the case: its weight is the case's second number.
    steps = [{"setWeight": given["rolloutMaxReplicas"]}, *given.get("steps", ())]
    canary = {"steps": steps, "trafficRouting": {}, "dynamicStableScale": True}
    status = {
        "stableRS": "stable",
        "currentPodHash": "canary",
        "abort": given.get("rolloutAbort", False),
        "currentStepIndex": 0,
    }
    weights = {
        "canary": {"weight": given.get("canaryWeight", 0)},
        "stable": {"weight": given.get("stableWeight", 0)},
    }
    return _sizes(given.get("rolloutReplicas", 0), canary, status, weights, (
        _member("canary", given.get("canaryRSReplicas", 0), given.get("availableCanaryReplicas", 0)),
        _member("stable", given.get("stableRSReplicas", 0), given.get("availableStableReplicas", 0)),
    ))  # fmt: skip


def _sizes(
    replicas: int, canary: Mapping[str, Any], status: Mapping[str, Any], weights: Any, sets: tuple[Member, Member]
) -> tuple[int, int]:
    spec = {"replicas": replicas, "strategy": {"canary": canary}}
    rollout = Rollout({"metadata": {"name": "r"}, "spec": spec, "status": status}, {}, {})
    return sizes.canary(rollout, sets[0], sets[1], [], weights)


# -- manifests --


def _manifest(folder: Path, entry: Mapping[str, Any]) -> str | None:
    documents = [d for d in yaml.safe_load_all((folder / "manifests" / entry["file"]).read_text()) if d]

    async def main(loop: virtual_loop.VirtualLoop) -> str | None:
        cluster = Cluster(loop)
        cluster.start()
        for answer in entry.get("serverStrictDryRun", ()):
            document = next(d for d in documents if d["kind"] == answer["kind"])
            got = _strict_code(cluster, document)
            if got != answer["code"]:
                return f"{answer['kind']}: code {got}, recorded {answer['code']}"
        if not entry["expectedFailure"]:
            return None
        for document in documents:
            if "name" not in document["metadata"]:
                document["metadata"]["name"] = document["metadata"].pop("generateName") + "x"
            kind = cluster.client.kinds.of_object(document)
            assert kind is not None, document["kind"]
            await cluster.client.create(kind.name, document)
        await asyncio.sleep(300.0)
        return _ends_badly(cluster, documents)

    return virtual_loop.run(main)


def _strict_code(cluster: Cluster, document: Mapping[str, Any]) -> int:
    """What a create with fieldValidation=Strict and dryRun=All answers."""
    metadata = {k: v for k, v in document["metadata"].items() if k != "namespace"}
    kind = cluster.client.kinds.of_object(document)
    assert kind is not None, document["kind"]
    found = Findings()
    kind.schema.load().fit({**document, "metadata": metadata}, found)
    if found.unknown:
        return 400
    try:
        cluster.client.write_path.create(kind.name, {**document, "metadata": metadata}, dry_run=True)
    except ApiError as error:
        return error.code
    return 201


def _ends_badly(cluster: Cluster, documents: list[Any]) -> str | None:
    phases = []
    for document in documents:
        if document["kind"] in ("Rollout", "Experiment", "AnalysisRun"):
            stored = cluster.client.get(f"argoproj.io/{document['kind']}", NAMESPACE, document["metadata"]["name"])
            assert stored is not None
            phases.append((stored.object.get("status") or {}).get("phase"))
    bad = any(phase in ("Degraded", "Failed", "Error", "Inconclusive") for phase in phases)
    return None if bad or not phases else f"ends {phases}, recorded as a failure"


# -- scenarios --


def _scenario(case: Mapping[str, Any]) -> str | None:
    async def main(loop: virtual_loop.VirtualLoop) -> str | None:
        player = _Player(Cluster(loop))
        player.cluster.start()
        await player.apply(case.get("setup", ()))
        for number, step in enumerate(case["steps"], 1):
            failure = await player.play(step)
            if failure is not None:
                return f"step {number}: {failure}"
        return None

    return virtual_loop.run(main)


class _Player:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.client = cluster.client
        self.rollout_name = ""
        self._remembered: Any = None
        self._updates = 0
        self._events: list[str] = []
        cluster.events.subscribe(self._heard)

    def _heard(self, event: Event) -> None:
        if event.kind == "Rollout":
            self._events.append(event.reason)

    # -- what is there --

    @property
    def rollout(self) -> Object:
        stored = self.client.get(KIND_NAME, NAMESPACE, self.rollout_name)
        assert stored is not None, f"no rollout {self.rollout_name}"
        return stored.object

    @property
    def status(self) -> Mapping[str, Any]:
        return self.rollout.get("status") or {}

    def sets(self, owner: Object | None = None) -> list[Object]:
        uid = (owner or self.rollout)["metadata"]["uid"]
        return [s.object for s in self.client.owned("apps/ReplicaSet", uid)]

    def set_of(self, revision: str) -> Object:
        found = [s for s in self.sets() if s["metadata"]["annotations"].get(REVISION) == str(revision)]
        assert len(found) == 1, f"{len(found)} ReplicaSets of revision {revision}"
        return found[0]

    def pods(self, hash_: str) -> list[Object]:
        pods = (p.object for p in self.client.list("Pod", NAMESPACE))
        return [
            p
            for p in pods
            if (p["metadata"].get("labels") or {}).get(HASH_LABEL) == hash_ and "deletionTimestamp" not in p["metadata"]
        ]

    def runs(self) -> list[Object]:
        return [r.object for r in self.client.owned("argoproj.io/AnalysisRun", self.rollout["metadata"]["uid"])]

    def run_of(self, which: str) -> Object:
        labels = {"background": "Background", "inline": "Step", "prePromotion": "PrePromotion"}
        if which == "inline":
            name = ((self.status.get("canary") or {}).get("currentStepAnalysisRunStatus") or {}).get("name")
            current = [r for r in self.runs() if r["metadata"]["name"] == name]
            if current:
                return current[0]
        found = [r for r in self.runs() if r["metadata"]["labels"].get("rollout-type") == labels[which]]
        if not found:
            raise LookupError(f"no {which} analysis")
        return found[-1]

    def experiment(self, name: str = "") -> Object:
        for stored in self.client.list("argoproj.io/Experiment", NAMESPACE):
            if name in ("", stored.object["metadata"]["name"]):
                return stored.object
        raise LookupError(f"no experiment {name}")

    def service(self, key: str) -> Object:
        strategy = self.rollout["spec"]["strategy"]
        spec = strategy.get("canary") or strategy.get("blueGreen")
        stored = self.client.get("Service", NAMESPACE, spec[f"{key}Service"])
        assert stored is not None
        return stored.object

    def revision_of(self, hash_: str | None) -> str:
        for replica_set in self.sets():
            if replica_set["metadata"]["labels"].get(HASH_LABEL) == hash_:
                return str(replica_set["metadata"]["annotations"][REVISION])
        return ""

    # -- what is done --

    async def play(self, step: Step) -> str | None:
        if "do" in step:
            await getattr(self, f"_do_{step['do']}")(step)
            return None
        if "wait" in step:
            return await self._wait(step)
        return await self._expect(step)

    async def apply(self, objects: Iterable[Object]) -> None:
        for obj in objects:
            kind = self.client.kinds.of_object(obj)
            assert kind is not None, obj["kind"]
            name = obj["metadata"]["name"]
            if kind.name == KIND_NAME:
                self.rollout_name = name
            if self.client.get(kind.name, NAMESPACE, name) is None:
                await self.client.create(kind.name, obj)
            else:
                body = {k: v for k, v in obj.items() if k in ("spec", "data")}
                await self.client.patch(kind.name, NAMESPACE, name, body)

    async def _patch(self, patch: Mapping[str, Any], subresource: str = "") -> None:
        await self.client.patch(KIND_NAME, NAMESPACE, self.rollout_name, patch, subresource)

    async def _change(self, changes: Iterable[commands.Change]) -> None:
        for change in changes:
            await self._patch(change.patch, change.subresource)

    async def _do_apply(self, step: Step) -> None:
        await self.apply(step["objects"])

    async def _do_mergePatchRollout(self, step: Step) -> None:
        patch = step["patch"]
        strategy = (patch.get("spec") or {}).get("strategy") or {}
        if "canary" in strategy and "blueGreen" in self.rollout["spec"]["strategy"]:
            # Upstream's patch names only the new strategy and replaces the object.
            patch = {**patch, "spec": {**patch["spec"], "strategy": {**strategy, "blueGreen": None}}}
        await self._patch(_with_lists(self.rollout, patch))

    async def _do_changePodTemplateAnnotation(self, _step: Step) -> None:
        self._updates += 1
        update = {"metadata": {"annotations": {"update": str(self._updates)}}}
        await self._patch({"spec": {"template": update}})

    async def _do_changePodTemplateAnnotationOfDeployment(self, step: Step) -> None:
        self._updates += 1
        update = {"spec": {"template": {"metadata": {"annotations": {"update": str(self._updates)}}}}}
        await self.client.patch("apps/Deployment", NAMESPACE, step["deployment"], update)

    async def _do_promote(self, _step: Step) -> None:
        await self._change(commands.promote(self.rollout))

    async def _do_promoteFull(self, _step: Step) -> None:
        await self._change(commands.promote(self.rollout, full=True))

    async def _do_abort(self, _step: Step) -> None:
        await self._change(commands.abort())

    async def _do_retry(self, _step: Step) -> None:
        await self._change(commands.retry())

    async def _do_restart(self, _step: Step) -> None:
        await self._change(commands.restart(self.cluster.clock.time()))

    async def _do_undo(self, step: Step) -> None:
        template = commands.undo(self.rollout, self.sets(), int(step.get("toRevision", 0)))
        obj = self.rollout
        await self.client.replace(KIND_NAME, {**obj, "spec": {**obj["spec"], "template": template}})

    async def _do_scale(self, step: Step) -> None:
        await self._patch({"spec": {"replicas": step["replicas"]}})

    async def _do_delete(self, step: Step) -> None:
        kind = {"pdb": "policy/PodDisruptionBudget"}[step["kind"]]
        await self.client.delete(kind, NAMESPACE, step["objectName"])

    async def _do_sleep(self, step: Step) -> None:
        await asyncio.sleep(float(step["seconds"]))

    async def _do_markPodsReady(self, step: Step) -> None:
        """Opens the gate of as many pods as asked, waiting for those that are yet to be made."""
        opened = 0
        for _ in range(int(WAIT_S / POLL_S)):
            sets = [s for s in self.sets() if s["metadata"]["annotations"].get(REVISION) == str(step["revision"])]
            for pod in self.pods(sets[0]["metadata"]["labels"][HASH_LABEL]) if sets else ():
                gates = [c["type"] for c in (pod.get("status") or {}).get("conditions") or ()]
                if opened < step["count"] and GATE not in gates:
                    await self.cluster.open_gate(pod, GATE)
                    opened += 1
            if opened == step["count"]:
                return
            await asyncio.sleep(POLL_S)
        raise LookupError(f"{opened} of {step['count']} pods of revision {step['revision']} to be marked ready")

    # -- what is waited for --

    async def _wait(self, step: Step) -> str | None:
        seen: Any = None
        for _ in range(int(WAIT_S / POLL_S)):
            try:
                seen = self._fact(step)
                if seen == self._wanted(step):
                    return None
            except (LookupError, AssertionError) as error:
                seen = str(error)
            await asyncio.sleep(POLL_S)
        message = f" ({self.status.get('message')})" if self.rollout_name else ""
        return f"{step['wait']} {seen!r}{message}, waited for {self._wanted(step)!r}"

    @staticmethod
    def _wanted(step: Step) -> Any:
        return next(step[key] for key in ("phase", "index", "count", "revision", "equals") if key in step and key != (
            "revision" if step.get("wait") == "revisionPodCount" else ""))  # fmt: skip

    def _fact(self, step: Step) -> Any:
        match step["wait"]:
            case "rolloutPhase":
                return conditions.seen_phase(self.rollout)[0]
            case "canaryStepIndex":
                return self.status.get("currentStepIndex")
            case "availableReplicas" | "replicas" as key:
                return self.status.get(key, 0)
            case "revisionPodCount":
                return len(self.pods(self.set_of(step["revision"])["metadata"]["labels"][HASH_LABEL]))
            case "activeRevision":
                return self.revision_of((self.status.get("blueGreen") or {}).get("activeSelector"))
            case "analysisRunPhase":
                return (self.run_of(step["which"]).get("status") or {}).get("phase")
            case "experimentPhase":
                return (self.experiment(step["experiment"]).get("status") or {}).get("phase")
            case "experimentTemplateReplicaSet":
                found = self._experiment_set(step)
                of = found["spec"] if step["field"] == "replicas" else found["status"]
                return of.get(step["field"], 0)
        raise ValueError(f"a wait for {step['wait']}")

    def _experiment_set(self, step: Step) -> Object:
        owner = self.experiment(step.get("experiment", ""))
        key = "experiment.argoproj.io/template-name"
        return next(s for s in self.sets(owner) if s["metadata"]["annotations"][key] == step["template"])

    # -- what is expected --

    async def _expect(self, step: Step) -> str | None:
        what = step["expect"]
        if what in ("facts", "rollout"):
            return await self._facts(step)
        if what == "pods":
            return self._pods_are(step)
        if what == "rolloutEventReasonsInOrder":
            return self._reasons(step["reasons"])
        seen, wanted = self._seen(step)
        return None if seen == wanted else f"{what} {seen!r}, recorded {wanted!r}"

    def _seen(self, step: Step) -> tuple[Any, Any]:
        """(what is there, what was recorded)."""
        match step["expect"]:
            case "rolloutPhase":
                return conditions.seen_phase(self.rollout)[0], step["phase"]
            case "analysisRunCount":
                return len(self.runs()), step["count"]
            case "analysisRunPhase":
                return (self.run_of(step["which"]).get("status") or {}).get("phase"), step["phase"]
            case "activeRevision" | "previewRevision" as key:
                service = self.service(key.removesuffix("Revision"))
                return self.revision_of(service["spec"]["selector"].get(HASH_LABEL)), step["revision"]
            case "stableRevision":
                return self.revision_of(self.status.get("stableRS")), step["revision"]
            case "revisionPodCount":
                hash_ = self.set_of(step["revision"])["metadata"]["labels"][HASH_LABEL]
                return len(self.pods(hash_)), step["count"]
            case "canaryStablePodCount":
                hashes = (self.status.get("currentPodHash", ""), self.status.get("stableRS", ""))
                return tuple(len(self.pods(h)) for h in hashes), (step["canary"], step["stable"])
            case "revisionHasScaleDownDeadline":
                annotations = self.set_of(step["revision"])["metadata"]["annotations"]
                return bool(annotations.get(DEADLINE)), step["value"]
            case "replicaCounts":
                return self._replica_counts(step)
            case "serviceSelector":
                stored = self.client.get("Service", NAMESPACE, step["service"])
                assert stored is not None
                selector = dict(stored.object["spec"]["selector"])
                has = selector.pop(HASH_LABEL, None) is not None
                return (selector, has), (step["selectorWithoutHash"], step["hasPodTemplateHash"])
            case "deploymentReplicas":
                stored = self.client.get("apps/Deployment", NAMESPACE, step["deployment"])
                assert stored is not None
                return stored.object["spec"]["replicas"], step["count"]
        return self._seen_experiment(step)

    def _replica_counts(self, step: Step) -> tuple[Any, Any]:
        keys = {
            "current": "replicas",
            "updated": "updatedReplicas",
            "ready": "readyReplicas",
            "available": "availableReplicas",
        }
        seen = {key: self.status.get(field, 0) for key, field in keys.items() if key in step}
        if "desired" in step:
            seen["desired"] = self.rollout["spec"]["replicas"]
        return seen, {key: step[key] for key in seen}

    def _seen_experiment(self, step: Step) -> tuple[Any, Any]:
        match step["expect"]:
            case "experimentCount":
                return len(self.client.list("argoproj.io/Experiment", NAMESPACE)), step["count"]
            case "experimentPhaseByRevision":
                return (self.experiment().get("status") or {}).get("phase"), step["phase"]
            case "experimentTemplateReplicas":
                return self._experiment_set(step)["spec"]["replicas"], step["count"]
            case "experimentServiceCount":
                uid = self.experiment(step["experiment"])["metadata"]["uid"]
                return len(self.client.owned("Service", uid)), step["count"]
            case "experimentDryRunSummary":
                summary = self._analysis(step)["status"].get("dryRunSummary") or {}
                keys = [k for k in ("count", "error", "failed") if k in step]
                return {k: summary.get(k, 0) for k in keys}, {k: step[k] for k in keys}
            case "experimentMeasurementsLength":
                result = self._analysis(step)["status"]["metricResults"][step["metricResultsIndex"]]
                return len(result["measurements"]), step["length"]
        raise ValueError(f"an expectation of {step['expect']}")

    def _analysis(self, step: Step) -> Object:
        uid = self.experiment(step.get("experiment", ""))["metadata"]["uid"]
        return self.client.owned("argoproj.io/AnalysisRun", uid)[0].object

    def _pods_are(self, step: Step) -> str | None:
        chosen = [self.set_of(step["revision"])] if "revision" in step else self.sets()
        pods = [p for s in chosen for p in self.pods(s["metadata"]["labels"][HASH_LABEL])]
        for pod in pods:
            labels = pod["metadata"]["labels"]
            wanted = (step.get("everyPodHas") or {}).get("labels") or {}
            if not wanted.items() <= labels.items():
                return f"{step['description']}: a pod has {labels}"
            if step.get("everyPodLacksLabel") in labels:
                return f"{step['description']}: a pod has {labels}"
        return None if pods else "no pods"

    def _reasons(self, wanted: list[str]) -> str | None:
        seen = self._events
        return None if seen == wanted else f"events {seen}, recorded {wanted}"

    # -- facts on paths --

    async def _facts(self, step: Step) -> str | None:
        if not step["facts"]:
            self._remembered = (self.status.get("duration") or {}).get("rolloutStartedAt")
        for fact in step["facts"]:
            failure = await self._fact_fails(fact)
            if failure is not None:
                return failure
        return None

    async def _fact_fails(self, fact: Mapping[str, Any]) -> str | None:
        (how, what), *_ = fact.items()
        if how == "sleepSeconds":
            await asyncio.sleep(float(what))
            return None
        if how == "check":
            return self._duration_is_consistent()
        if how == "when":
            if self._truth(what):
                for inner in fact["then"]:
                    failure = await self._fact_fails(inner)
                    if failure is not None:
                        return failure
            return None
        if how == "returns":
            return await self._returns(what["path"])
        values = [self._value(v) for v in (what if isinstance(what, list) else [what])]
        return None if _holds(how, values) else f"{how} {what}: {values}"

    async def _returns(self, path: str) -> str | None:
        if "condition met" not in path:
            return None if self._truth(path) else f"{path} is not so"
        # `kubectl wait --for=condition=Paused`: first until it is True, after the promotion until it is False.
        wanted = "False" if self._remembered == "waited" else "True"
        self._remembered = "waited"
        for _ in range(int(WAIT_S / POLL_S)):
            if (conditions.find(self.status, "Paused") or {}).get("status") == wanted:
                return None
            await asyncio.sleep(POLL_S)
        return f"Paused is not {wanted}"

    def _duration_is_consistent(self) -> str | None:
        duration = self.status.get("duration") or {}
        if not duration.get("rolloutStartedAt"):
            return "no rolloutStartedAt"
        if duration.get("finishedAt"):
            if not duration.get("completionStatus") or duration.get("manualPauseStartedAt"):
                return f"finished, but {duration}"
            if duration["finishedAt"] < duration["rolloutStartedAt"]:
                return "finished before it began"
        return None

    def _truth(self, text: str) -> bool:
        for part in text.split(" && "):
            compared = re.fullmatch(r"(.*?) (==|>) (.*)", part)
            contains = re.fullmatch(r"strings\.Contains\((.*), \"(.*)\"\)", part)
            if contains is not None:
                if contains[2] not in self._path(contains[1]):
                    return False
            elif compared is not None:
                left, right = self._path(compared[1].lstrip("*")), json.loads(compared[3])
                if not (left == right if compared[2] == "==" else left > right):
                    return False
        return True

    def _value(self, value: Any) -> Any:
        if isinstance(value, Mapping) and "path" in value:
            try:
                return self._path(value["path"])
            except (LookupError, StopIteration):
                return None
        if isinstance(value, Mapping) and "zeroTime" in value:
            return self._remembered
        return value

    def _path(self, text: str) -> Any:
        length = re.fullmatch(r"len\((.*)\)", text)
        if length is not None:
            return len(self._path(length[1]))
        last = re.search(r"\[len\((.*)\)-1\]", text)
        if last is not None:
            text = text.replace(last[0], f"[{len(self._path(last[1])) - 1}]")
        root = re.match(
            r"rollout|replicaSet\[revision=(\d+)\]|service\[(\w+)\]|analysisRun\[(\w+)\]|analysisRuns"
            r"|t\.getJobFromAnalysisRun\(ar\)|t\.getReplicaSetFromExperiment\(exp, \"(\w+)\"\)",
            text,
        )
        assert root is not None, text
        rest = text[root.end() :].replace(".getLabels()", ".metadata.labels")
        found: Any = self._root(root)
        for key, quoted, index in re.findall(
            r"\.(\w+)|\[\"([^\"]+)\"\]|\[(\d+)\]", rest.replace(".getAnnotations()", ".metadata.annotations")
        ):
            found = found[int(index)] if index else (found or {}).get(key or quoted)
        return found

    def _root(self, root: re.Match[str]) -> Any:
        text = root[0]
        if root[1]:
            return self.set_of(root[1])
        if root[2]:
            return self.service(root[2])
        if root[3]:
            return self.run_of(root[3])
        if text == "analysisRuns":
            return self.runs()
        if text == "rollout":
            return self.rollout
        if root[4]:
            return self._experiment_set({"template": root[4]})
        return self.client.owned("batch/Job", self._analysis({})["metadata"]["uid"])[0].object


def _with_lists(obj: Object, patch: Mapping[str, Any]) -> Mapping[str, Any]:
    """Containers of a patch without an image are those of the object with what the patch says of them."""
    containers = (((patch.get("spec") or {}).get("template") or {}).get("spec") or {}).get("containers")
    if not containers:
        return patch
    have = {c["name"]: c for c in obj["spec"]["template"]["spec"]["containers"]}
    joined = [{**{k: v for k, v in have[c["name"]].items() if k != "command"}, **c} for c in containers]
    spec = patch["spec"]
    template = {**spec["template"], "spec": {**spec["template"]["spec"], "containers": joined}}
    return {**patch, "spec": {**spec, "template": template}}


def _holds(how: str, values: list[Any]) -> bool:
    match how:
        case "equal":
            return bool(values[0] == values[1])
        case "notEqual":
            return bool(values[0] != values[1])
        case "nil":
            return values[0] is None
        case "notNil":
            return values[0] is not None
        case "empty":
            return not values[0]
        case "notEmpty":
            return bool(values[0])
        case "contains":
            return values[1] in (values[0] or ())
        case "notContains":
            return values[1] not in (values[0] or ())
        case "greater":
            return bool((values[0] or 0) > values[1])
        case "greaterOrEqual":
            return bool((values[0] or 0) >= values[1])
    raise ValueError(f"a fact by {how}")
