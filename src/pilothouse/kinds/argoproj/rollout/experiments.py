"""The Experiment of a canary step: made when the step begins, read until it ends, ended when the step is left.

Source: argo-rollouts 1.9 (9f8d111d8) `rollout/experiment.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Delete, Object
from pilothouse.engines.delivery.arguments import for_rollout
from pilothouse.engines.delivery.assessment import ended
from pilothouse.engines.rolling.views import controller_reference
from pilothouse.kinds.argoproj.rollout.analysis import phase_of
from pilothouse.kinds.argoproj.rollout.reading import (
    API_VERSION,
    EXPERIMENT_KIND,
    HASH_LABEL,
    REVISION,
    Member,
)
from pilothouse.kinds.argoproj.rollout.run import INCONCLUSIVE_ANALYSIS, INCONCLUSIVE_EXPERIMENT, Pass

_HISTORY = 5


def current(run: Pass) -> Object | None:
    """The Experiment that the status names."""
    name = run.rollout.of_canary.get("currentExperiment")
    return next((e for e in run.observed.experiments if name and e["metadata"]["name"] == name), None)


def reconcile(run: Pass) -> None:
    rollout, now = run.rollout, current(run)
    others = [e for e in run.observed.experiments if now is None or e["metadata"]["name"] != now["metadata"]["name"]]
    if run.pauses.aborted or rollout.promote_full:
        _end(run, [*others, *([now] if now is not None else [])])
        return
    if rollout.pause_since_s(INCONCLUSIVE_ANALYSIS) is not None:
        return
    step = (rollout.step or {}).get("experiment")
    if step is not None and run.stable is not None:
        _follow(run, now if now is not None else _start(run, step))
    elif now is not None:
        others.append(now)
    _end(run, others)
    past = [e for e in others if ended(phase_of(e)) and "deletionTimestamp" not in e["metadata"]]
    for old in past[: max(len(past) - _HISTORY, 0)]:
        run.actions.append(Delete(EXPERIMENT_KIND, rollout.namespace, old["metadata"]["name"]))


def _follow(run: Pass, now: Object | None) -> None:
    if now is None:
        return
    match phase_of(now):
        case "Inconclusive":
            run.pauses.add(INCONCLUSIVE_EXPERIMENT)
        case "Error" | "Failed":
            message = "Experiment analysis phase is error/failed"
            detail = (now.get("status") or {}).get("message") or ""
            run.pauses.abort(f"{message}: {detail}" if detail else message)
        case "Successful":
            return
        case _:
            run.canary_status["currentExperiment"] = now["metadata"]["name"]


def _start(run: Pass, step: Mapping[str, Any]) -> Object | None:
    try:
        made = _object(run, step)
    except ValueError as error:
        message = f"cannot start the experiment: {error}"
        run.emit("ExperimentError", message, warning=True)
        run.pauses.abort(message)
        return None
    run.create(EXPERIMENT_KIND, made)
    run.emit("ExperimentCreated", f"Created Experiment '{made['metadata']['name']}'")
    return made


def _object(run: Pass, step: Mapping[str, Any]) -> dict[str, Any]:
    rollout = run.rollout
    base = f"{rollout.name}-{run.new.hash}-{rollout.revision}-{rollout.index or 0}"
    name, number = base, 0
    while run.observed.find(EXPERIMENT_KIND, name) is not None:
        number += 1
        name = f"{base}-{number}"
    spec: dict[str, Any] = {"templates": [_template(run, template) for template in step.get("templates") or ()]}
    for key in ("duration", "dryRun", "analysisRunMetadata", "scaleDownDelaySeconds"):
        if step.get(key) is not None:
            spec[key] = step[key]
    if rollout.spec.get("progressDeadlineSeconds") is not None:
        spec["progressDeadlineSeconds"] = rollout.spec["progressDeadlineSeconds"]
    if step.get("analyses"):
        spec["analyses"] = [_analysis(run, analysis) for analysis in step["analyses"]]
    metadata = {
        "name": name,
        "namespace": rollout.namespace,
        "labels": {**(rollout.metadata.get("labels") or {}), HASH_LABEL: run.new.hash},
        "annotations": {REVISION: rollout.revision},
        "ownerReferences": [
            controller_reference(API_VERSION, "Rollout", rollout.name, rollout.metadata.get("uid", ""))
        ],
    }
    return {"apiVersion": API_VERSION, "kind": "Experiment", "metadata": metadata, "spec": spec}


def _template(run: Pass, step: Mapping[str, Any]) -> dict[str, Any]:
    reference = step.get("specRef")
    members: dict[Any, Member | None] = {"canary": run.new, "stable": run.stable}
    member = members.get(reference)
    if member is None:
        raise ValueError(f"templates[{step.get('name')}].specRef {reference!r} is none of canary and stable")
    pods = member.view.spec.template
    extra, metadata = step.get("metadata") or {}, dict(pods.get("metadata") or {})
    selector = step.get("selector") or member.view.spec.selector
    if extra.get("labels"):
        metadata["labels"] = {**(metadata.get("labels") or {}), **extra["labels"]}
        selector = {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **extra["labels"]}}
    if extra.get("annotations"):
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **extra["annotations"]}
    out: dict[str, Any] = {"name": step["name"], "selector": selector, "template": {**pods, "metadata": metadata}}
    if step.get("replicas") is not None:
        out["replicas"] = step["replicas"]
    if member.view.spec.minReadySeconds:
        out["minReadySeconds"] = member.view.spec.minReadySeconds
    if step.get("weight") is not None or step.get("service") is not None:
        named = (step.get("service") or {}).get("name")
        out["service"] = {"name": named} if named else {}
    return out


def _analysis(run: Pass, analysis: Mapping[str, Any]) -> dict[str, Any]:
    stable = run.stable.hash if run.stable is not None else ""
    out = {key: value for key, value in analysis.items() if key != "args"}
    arguments = for_rollout(analysis.get("args") or (), run.rollout.obj, run.new.hash, stable)
    return {**out, "args": arguments} if arguments else out


def _end(run: Pass, experiments: list[Object]) -> None:
    for experiment in experiments:
        if not (experiment.get("spec") or {}).get("terminate") and not ended(phase_of(experiment)):
            run.patch(EXPERIMENT_KIND, experiment["metadata"]["name"], {"spec": {"terminate": True}})
