"""What an Experiment does next: its ReplicaSets, their Services, its analyses, and how it stands.

Source: argo-rollouts 1.9 (9f8d111d8) `experiments/experiment.go`. Called by `controller.py`; performs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Action, Create, Decision, Delete, Emit, Object, Patch
from pilothouse.base.clock import parse_rfc3339, rfc3339
from pilothouse.engines.delivery.arguments import filled, gathered, run_spec
from pilothouse.engines.delivery.assessment import ended, is_worse
from pilothouse.engines.delivery.steps import duration_s
from pilothouse.engines.rolling.template import template_hash
from pilothouse.engines.rolling.views import ReplicaSetView, controller_reference
from pilothouse.engines.schema.podspec import default_template
from pilothouse.kinds.argoproj.experiment.reading import (
    API_VERSION,
    DEADLINE,
    DONE_TEMPLATE,
    HASH_LABEL,
    KIND_NAME,
    NAME_KEY,
    RUN_KIND,
    SET_KIND,
    TEMPLATE_KEY,
    Experiment,
    Observed,
    required_succeeded,
)

_TEMPLATE_ORDER = ("Successful", "Running", "Progressing", "Error", "Failed")
_OF_TEMPLATE = {"Progressing": "Pending", "Failed": "Failed", "Error": "Error", "Successful": "Successful"}
_REQUIRED_DONE = "Required AnalysisRuns completed"


def decide(obj: Object, observed: Observed, now_s: float) -> Decision:
    """One pass. obj: the Experiment as stored."""
    if obj["metadata"].get("deletionTimestamp"):
        return Decision()
    experiment = Experiment(obj)
    fault = _fault(experiment)
    if fault:
        return _refuse(experiment, fault, now_s)
    return _Pass(experiment, observed, now_s).decide()


def _fault(experiment: Experiment) -> str:
    seen: dict[str, None] = {}
    for index, template in enumerate(experiment.templates):
        if not template.get("name"):
            return f"Experiment {experiment.name} has empty template name at index {index}"
        if template.get("selector") is None:
            return f"Rollout has missing field '.Spec.Templates[{index}].Selector'"
        if not template["selector"]:
            return f"This experiment is selecting all pods at index {index}. A non-empty selector is required."
        if template.get("minReadySeconds", 0) > experiment.deadline_s:
            detail = f"Check template index {index}"
            return f"MinReadySeconds cannot be longer than ProgressDeadlineSeconds. {detail}"
        if template["name"] in seen:
            return f"Experiment {experiment.name} has repeated template name '{template['name']}' in templates"
        seen[template["name"]] = None
    if experiment.spec.get("duration"):
        try:
            duration_s(experiment.spec["duration"])
        except ValueError as error:
            return f"spec.duration: {error}"
    return ""


def _refuse(experiment: Experiment, fault: str, now_s: float) -> Decision:
    if (experiment.status.get("message"), experiment.status.get("phase")) == (fault, "Error"):
        return Decision()
    condition = {
        "type": "InvalidSpec",
        "status": "True",
        "reason": "InvalidSpec",
        "message": fault,
        "lastUpdateTime": rfc3339(now_s),
        "lastTransitionTime": rfc3339(now_s),
    }
    status = {**experiment.status, "phase": "Error", "message": fault, "conditions": [condition]}
    return Decision((Emit(experiment.obj, "Warning", "InvalidSpec", fault),), status)


class _Pass:
    def __init__(self, experiment: Experiment, observed: Observed, now_s: float) -> None:
        self.experiment = experiment
        self.observed = observed
        self.now_s = now_s
        self.actions: list[Action] = []
        self._again_s: list[float] = []
        self.sets: dict[str, ReplicaSetView] = {}
        for view in observed.sets:
            self.sets.setdefault((view.metadata.annotations or {}).get(TEMPLATE_KEY, ""), view)
        self.services: dict[str, Object] = {}
        for service in observed.services:
            self.services[(service["metadata"].get("annotations") or {}).get(TEMPLATE_KEY, "")] = service

    def decide(self) -> Decision:
        experiment = self.experiment
        templates = {t["name"]: self._template(t) for t in experiment.templates}
        analyses = {a["name"]: self._analysis(a) for a in experiment.analyses}
        status = self._assessed(templates, analyses)
        again_s = min(self._again_s) if self._again_s else None
        return Decision(tuple(self.actions), status, again_s)

    def _emit(self, reason: str, message: str, *, warning: bool = False) -> None:
        self.actions.append(Emit(self.experiment.obj, "Warning" if warning else "Normal", reason, message))

    def _look_again(self, at_s: float) -> None:
        if at_s > self.now_s:
            self._again_s.append(at_s - self.now_s)

    # -- templates --

    def _template(self, template: Mapping[str, Any]) -> dict[str, Any]:
        name, experiment = template["name"], self.experiment
        before = experiment.template_status(name)
        status: dict[str, Any] = {"name": name, **before}
        wanted, view = experiment.wanted(template), self.sets.get(name)
        if view is None:
            if not experiment.finished and before.get("status") not in DONE_TEMPLATE:
                self._make_set(template, status)
        else:
            self._keep_service(template, view, wanted, status)
            self._scale(view, wanted, status)
        self._count(view, before, status)
        self._judge(template, wanted, status)
        if before.get("status") != status.get("status"):
            message = f"Template '{name}' transitioned from {before.get('status', '')} -> {status['status']}"
            if status.get("message"):
                message += f": {status['message']}"
            self._emit(f"Template{status['status']}", message, warning=status["status"] in ("Failed", "Error"))
        return status

    def _make_set(self, template: Mapping[str, Any], status: dict[str, Any]) -> None:
        if self.observed.failure:
            status["status"] = "Error"
            status["message"] = (
                f"Failed to create ReplicaSet for template '{template['name']}': {self.observed.failure}"
            )
            return
        if not any(isinstance(a, Create) for a in self.actions):
            # One a pass: when a creation is refused, the next pass knows whose it was.
            self.actions.append(Create(SET_KIND, self._set(template)))
        status.setdefault("lastTransitionTime", rfc3339(self.now_s))

    def _set(self, template: Mapping[str, Any]) -> dict[str, Any]:
        experiment = self.experiment
        pods = template.get("template") or {}
        metadata = dict(pods.get("metadata") or {})
        labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL}
        bare = {**pods, "metadata": {**metadata, "labels": labels}}
        # The same pods as a Rollout's, but another hash: no Service or set of the Rollout may select these.
        salted = {"experiment": f"{experiment.name}/{template['name']}", "pods": default_template(bare)}
        labels = {**labels, HASH_LABEL: template_hash(salted)}
        selector = template["selector"]
        match = {**(selector.get("matchLabels") or {}), HASH_LABEL: labels[HASH_LABEL]}
        spec: dict[str, Any] = {
            "replicas": 0,
            "selector": {**selector, "matchLabels": match},
            "template": {**pods, "metadata": {**metadata, "labels": labels}},
        }
        if template.get("minReadySeconds"):
            spec["minReadySeconds"] = template["minReadySeconds"]
        return {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": self._metadata(f"{experiment.name}-{template['name']}", template["name"]) | {"labels": labels},
            "spec": spec,
        }

    def _metadata(self, name: str, template: str) -> dict[str, Any]:
        experiment = self.experiment
        return {
            "name": name,
            "namespace": experiment.namespace,
            "annotations": {NAME_KEY: experiment.name, TEMPLATE_KEY: template},
            "ownerReferences": [self._reference()],
        }

    def _reference(self) -> dict[str, Any]:
        experiment = self.experiment
        return controller_reference(API_VERSION, "Experiment", experiment.name, experiment.metadata.get("uid", ""))

    def _keep_service(
        self, template: Mapping[str, Any], view: ReplicaSetView, wanted: int, status: dict[str, Any]
    ) -> None:
        service = self.services.get(template["name"])
        asked = template.get("service")
        if asked is not None and wanted:
            ports = _ports(view)
            if service is None and ports:
                name = asked.get("name") or view.metadata.name
                metadata = self._metadata(name, template["name"])
                spec = {"selector": view.metadata.labels, "ports": ports}
                self.actions.append(
                    Create("Service", {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
                )
                status["serviceName"] = name
                status["podTemplateHash"] = (view.metadata.labels or {}).get(HASH_LABEL, "")
        elif service is not None and (asked is None or view.status.availableReplicas == 0):
            self.actions.append(Delete("Service", self.experiment.namespace, service["metadata"]["name"]))
            status.pop("serviceName", None)
            status.pop("podTemplateHash", None)

    def _scale(self, view: ReplicaSetView, wanted: int, status: dict[str, Any]) -> None:
        if view.spec.replicas == wanted:
            return
        patch: dict[str, Any] = {"spec": {"replicas": wanted}}
        if wanted == 0:
            deadline = (view.metadata.annotations or {}).get(DEADLINE)
            delay_s = self.experiment.scale_down_delay_s
            if deadline is None and delay_s:
                at = rfc3339(self.now_s + delay_s)
                body = {"metadata": {"annotations": {DEADLINE: at}}}
                self.actions.append(Patch(SET_KIND, self.experiment.namespace, view.metadata.name, body))
                self._look_again(parse_rfc3339(at))
                return
            if deadline is not None and parse_rfc3339(deadline) > self.now_s:
                self._look_again(parse_rfc3339(deadline))
                return
        self.actions.append(Patch(SET_KIND, self.experiment.namespace, view.metadata.name, patch))
        way = "up" if view.spec.replicas < wanted else "down"
        self._emit(
            "ScalingReplicaSet",
            f"Scaled {way} ReplicaSet {view.metadata.name} from {view.spec.replicas} to {wanted}",
        )
        status["lastTransitionTime"] = rfc3339(self.now_s)

    def _count(self, view: ReplicaSetView | None, before: Mapping[str, Any], status: dict[str, Any]) -> None:
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 0)
        if view is not None:
            counts["replicas"] = counts["updatedReplicas"] = view.status.replicas
            counts["readyReplicas"] = view.status.readyReplicas
            counts["availableReplicas"] = view.status.availableReplicas
        if any(before.get(key, 0) != value for key, value in counts.items()):
            status["lastTransitionTime"] = rfc3339(self.now_s)
        status.update(counts)

    def _judge(self, template: Mapping[str, Any], wanted: int, status: dict[str, Any]) -> None:
        if status.get("status") in DONE_TEMPLATE:
            return
        experiment = self.experiment
        ends_s = experiment.ends_s
        if wanted == status["availableReplicas"]:
            over = ends_s is not None and ends_s <= self.now_s
            status["status"] = "Successful" if over or experiment.terminating else "Running"
            if ends_s is not None:
                self._look_again(ends_s)
            return
        since_s = parse_rfc3339(status.get("lastTransitionTime") or rfc3339(self.now_s))
        limit_s = experiment.deadline_s
        if since_s + limit_s < self.now_s:
            status["status"] = "Failed"
            status["message"] = f"Template '{template['name']}' exceeded its progressDeadlineSeconds ({limit_s})"
        elif experiment.terminating:
            status["status"] = "Successful"
        else:
            status["status"] = "Progressing"
            # Times are stored in whole seconds; the deadline is only passed after its second.
            self._look_again(since_s + limit_s + 1.0)

    # -- analyses --

    def _analysis(self, analysis: Mapping[str, Any]) -> dict[str, Any]:
        name, experiment = analysis["name"], self.experiment
        before = experiment.analysis_status(name)
        status: dict[str, Any] = {"name": name, "analysisRun": "", "phase": "", **before}
        if experiment.available_s is None:
            self._check_templates(analysis, status)
        elif not before.get("analysisRun"):
            if not experiment.terminating:
                self._start(analysis, status)
        elif not ended(before.get("phase", "")):
            self._follow(analysis, status)
        if status["phase"] and before.get("phase", "") != status["phase"]:
            message = f"AnalysisRun '{name}' transitioned from {before.get('phase', '')} -> {status['phase']}"
            if status.get("message"):
                message += f": {status['message']}"
            bad = status["phase"] in ("Failed", "Error", "Inconclusive")
            self._emit(f"AnalysisRun{status['phase']}", message, warning=bad)
        return status

    def _check_templates(self, analysis: Mapping[str, Any], status: dict[str, Any]) -> None:
        try:
            gathered([analysis], self.observed.template)
        except ValueError as error:
            kind = "ClusterAnalysisTemplate" if analysis.get("clusterScope") else "AnalysisTemplate"
            message = f"{kind} verification failed for analysis '{analysis['name']}': {error}"
            status |= {"phase": "Error", "message": message}

    def _start(self, analysis: Mapping[str, Any], status: dict[str, Any]) -> None:
        spec = self.experiment.spec
        try:
            templates = gathered([analysis], self.observed.template)
            arguments = [
                {**a, "value": filled(a["value"], self._known())} if a.get("value") is not None else a
                for a in analysis.get("args") or ()
            ]
            body = run_spec(templates, arguments, spec.get("dryRun") or (), spec.get("measurementRetention") or ())
        except ValueError as error:
            message = f"Failed to create AnalysisRun for analysis '{analysis['name']}': {error}"
            status |= {"phase": "Error", "message": message}
            return
        extra = spec.get("analysisRunMetadata") or {}
        base = f"{self.experiment.name}-{analysis['name']}"
        name, number = base, 0
        while self.observed.find(RUN_KIND, name) is not None:
            number += 1
            name = f"{base}.{number}"
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": self.experiment.namespace,
            "ownerReferences": [self._reference()],
        }
        metadata |= {key: extra[key] for key in ("labels", "annotations") if extra.get(key)}
        run = {"apiVersion": API_VERSION, "kind": "AnalysisRun", "metadata": metadata, "spec": body}
        self.actions.append(Create(RUN_KIND, run))
        status |= {"phase": "Pending", "analysisRun": name}

    def _known(self) -> dict[str, str]:
        """What an argument of an analysis may refer to."""
        experiment = self.experiment
        known = {"experiment.availableAt": str(experiment.status.get("availableAt", ""))}
        if experiment.ends_s is not None:
            known["experiment.finishedAt"] = rfc3339(experiment.ends_s)
        for name, view in self.sets.items():
            known[f"templates.{name}.podTemplateHash"] = (view.metadata.labels or {}).get(HASH_LABEL, "")
            known[f"templates.{name}.replicaset.name"] = view.metadata.name
        return known

    def _follow(self, analysis: Mapping[str, Any], status: dict[str, Any]) -> None:
        run = self.observed.find(RUN_KIND, status["analysisRun"])
        if run is None:
            status |= {"phase": "Error", "message": f'analysisruns.argoproj.io "{status["analysisRun"]}" not found'}
            return
        state = run.get("status") or {}
        if self.experiment.terminating:
            if not ended(state.get("phase", "")) and not run["spec"].get("terminate"):
                self._emit("AnalysisRunTerminating", f"Terminating {analysis['name']} ({status['analysisRun']})")
                self.actions.append(
                    Patch(RUN_KIND, self.experiment.namespace, status["analysisRun"], {"spec": {"terminate": True}})
                )
            # What it says while it is being ended no longer changes how the experiment ended.
            return
        status["phase"] = state.get("phase") or status["phase"]
        if state.get("message"):
            status["message"] = state["message"]

    # -- the whole --

    def _assessed(self, templates: dict[str, dict[str, Any]], analyses: dict[str, dict[str, Any]]) -> dict[str, Any]:
        status = dict(self.experiment.status)
        phase = status.get("phase", "")
        if not phase:
            status["phase"] = "Pending"
        elif not ended(phase):
            of_templates, told = _worst_template(templates)
            of_analyses, why = self._worst_analysis(analyses)
            if of_templates == "Running":
                status.setdefault("availableAt", rfc3339(self.now_s))
            status["phase"], status["message"] = self._joined((of_templates, told), (of_analyses, why), analyses)
        status["templateStatuses"] = list(templates.values())
        if analyses:
            status["analysisRuns"] = list(analyses.values())
        status["conditions"] = _with_progress(self.experiment, status, self.now_s)
        return {key: value for key, value in status.items() if value not in ("", None, [])}

    def _worst_analysis(self, analyses: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
        worst, message = "Successful", ""
        for status in analyses.values():
            if is_worse(worst, status["phase"]):
                worst, message = status["phase"], status.get("message", "")
        if required_succeeded(self.experiment.analyses, analyses) and is_worse(worst, "Running"):
            return "Successful", _REQUIRED_DONE
        return ("Running" if worst == "Pending" else worst), message

    def _joined(
        self, of_templates: tuple[str, str], of_analyses: tuple[str, str], analyses: Mapping[str, Mapping[str, Any]]
    ) -> tuple[str, str]:
        """The phase that templates and analyses have together, and why."""
        required = [a for a in self.experiment.analyses if a.get("requiredForCompletion")]
        if ended(of_templates[0]):
            decided = of_templates[0] == "Successful" and (ended(of_analyses[0]) or bool(required))
            return of_analyses if decided else of_templates
        if ended(of_analyses[0]) and of_analyses[0] != "Successful":
            return of_analyses
        if required_succeeded(self.experiment.analyses, analyses):
            return of_analyses
        return of_templates


def _ports(view: ReplicaSetView) -> list[dict[str, Any]]:
    out = []
    for container in ((view.spec.template or {}).get("spec") or {}).get("containers") or ():
        for port in container.get("ports") or ():
            number = port["containerPort"]
            made = {"protocol": port.get("protocol", "TCP"), "port": number, "targetPort": number}
            out.append(made | ({"name": port["name"]} if port.get("name") else {}))
    return out


def _worst_template(templates: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    worst, message = "Successful", ""
    for status in templates.values():
        now = status.get("status") or "Progressing"
        if _TEMPLATE_ORDER.index(now) > _TEMPLATE_ORDER.index(worst):
            worst, message = now, status.get("message", "")
    return _OF_TEMPLATE.get(worst, "Running"), message


def _with_progress(experiment: Experiment, status: Mapping[str, Any], now_s: float) -> list[Mapping[str, Any]]:
    """The conditions with Progressing as it stands now."""
    if ended(status["phase"]):
        value, reason, text = "False", "ExperimentCompleted", "has successfully ran and completed."
        if status["phase"] != "Successful":
            text = f"ended: {status['phase']}."
    elif status.get("availableAt"):
        value, reason, text = "True", "NewReplicaSetAvailable", "is running."
    else:
        value, reason, text = "True", "ReplicaSetUpdated", "is progressing."
    before = list(experiment.status.get("conditions") or ())
    current = next((c for c in before if c["type"] == "Progressing"), None)
    if current is not None and (current["status"], current["reason"]) == (value, reason):
        return before
    same = current is not None and current["status"] == value
    now = rfc3339(now_s)
    condition = {
        "type": "Progressing",
        "status": value,
        "reason": reason,
        "message": f'Experiment "{experiment.name}" {text}',
        "lastUpdateTime": now,
        "lastTransitionTime": current["lastTransitionTime"] if current is not None and same else now,
    }
    return [*(c for c in before if c["type"] != "Progressing"), condition]


__all__ = ["KIND_NAME", "decide"]
