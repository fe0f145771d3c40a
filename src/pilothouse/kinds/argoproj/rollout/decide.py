"""What a Rollout does next: one pass over what was read, from which actions and a status come.

Follows the rollout controller of argo-rollouts 1.9 (9f8d111d8) with its quirks that can be seen from outside. Where it
reads back what it has just written, a pass here ends, and the next one sees it. Called by `controller.py`; performs
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base import quantity
from pilothouse.base.actions import Action, Create, Decision, Emit, Object, Patch
from pilothouse.engines.rolling import views
from pilothouse.engines.rolling.lookup import matcher
from pilothouse.kinds.argoproj.rollout import (
    bluegreen,
    canary,
    conditions,
    duration,
    revision,
    rules,
    scaling,
    services,
)
from pilothouse.kinds.argoproj.rollout import status as statuses
from pilothouse.kinds.argoproj.rollout.reading import (
    API_VERSION,
    KIND_NAME,
    REVISION,
    SERVICE_KEYS,
    SET_KIND,
    WORKLOAD_GENERATION,
    Member,
    Observed,
    Rollout,
)
from pilothouse.kinds.argoproj.rollout.run import Pass

INVALID_AGAIN_S = 20.0
"""How soon an invalid Rollout is looked at again: what it refers to may have come."""


def decide(obj: Object, observed: Observed, now_s: float) -> Decision:
    """One pass. obj: the Rollout as stored."""
    if obj["metadata"].get("deletionTimestamp"):
        return Decision()
    rollout, unresolved = _resolved(obj, observed)
    if unresolved:
        return _refuse(Pass(rollout, observed, [], now_s), unresolved)
    claims = _claims(rollout, observed)
    if claims:
        return Decision(actions=tuple(claims))
    run = Pass(rollout, observed, [Member(view) for view in observed.owned], now_s)
    fault = rules.first_fault(rollout, observed)
    if fault:
        return _refuse(run, fault)
    if run.new_or_none is None:
        return _create_new_set(run)
    if rollout.spec.get("replicas") is None:
        run.patch_self({"spec": {"replicas": 1}})
        return run.decision(None)
    return _reconcile(run)


# -- what it is made of --


def _resolved(obj: Object, observed: Observed) -> tuple[Rollout, str]:
    """(the Rollout with its template and selector, why they cannot be had)."""
    spec = obj.get("spec") or {}
    reference = spec.get("workloadRef")
    template, selector = _cleaned(spec.get("template") or {}), spec.get("selector")
    if not reference:
        return Rollout(obj, template, selector), ""
    if template:
        problem = _workload_fault(spec, "template must be empty for workload reference rollout")
        return Rollout(obj, template, selector), problem
    if observed.workload is None:
        named = f'{reference.get("kind", "").lower()} "{reference.get("name", "")}" not found'
        return Rollout(obj, None, selector), _workload_fault(spec, f"{named}; create it, or name one that is there")
    of_workload = observed.workload.obj if reference.get("kind") == "PodTemplate" else observed.workload.obj["spec"]
    return Rollout(obj, of_workload.get("template"), selector or of_workload.get("selector")), ""


def _workload_fault(spec: Mapping[str, Any], detail: str) -> str:
    reference = spec["workloadRef"]
    return f"spec.workloadRef: Invalid value: {reference.get('kind', '')}/{reference.get('name', '')}: {detail}"


def _cleaned(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """The template without quantities that are none and without ephemeral containers: Argo drops them as it reads."""
    spec = template.get("spec")
    if not spec:
        return template
    kept = {key: value for key, value in spec.items() if key != "ephemeralContainers"}
    for key in ("containers", "initContainers"):
        if any(_bad_quantities(c) for c in kept.get(key) or ()):
            kept[key] = [_without_bad(c) for c in kept[key]]
    return template if kept == spec else {**template, "spec": kept}


def _bad_quantities(container: Mapping[str, Any]) -> bool:
    resources = container.get("resources") or {}
    return any(not _is_quantity(v) for part in ("requests", "limits") for v in (resources.get(part) or {}).values())


def _is_quantity(value: Any) -> bool:
    try:
        quantity.parse(str(value))
    except ValueError:
        return False
    return True


def _without_bad(container: Mapping[str, Any]) -> dict[str, Any]:
    resources = {
        part: {key: value for key, value in amounts.items() if _is_quantity(value)}
        if isinstance(amounts, dict)
        else amounts
        for part, amounts in (container.get("resources") or {}).items()
    }
    return {**container, "resources": resources}


def _claims(rollout: Rollout, observed: Observed) -> list[Action]:
    """Adoptions of matching sets without a controller, releases of own ones that no longer match."""
    if rollout.selector is None:
        return []
    try:
        matches = matcher(rollout.selector)
    except ValueError:
        return []
    uid = str(rollout.metadata.get("uid", ""))
    out: list[Action] = []
    for view in observed.owned:
        if not matches(view.metadata.labels or {}):
            out.append(_owners(view, views.release(view.metadata.ownerReferences, uid)))
    me = views.controller_reference(API_VERSION, "Rollout", rollout.name, uid)
    for view in observed.orphans:
        if view.metadata.deletionTimestamp is None and matches(view.metadata.labels or {}):
            out.append(_owners(view, views.adopt(view.metadata.ownerReferences, me)))
    return out


def _owners(view: views.ReplicaSetView, references: Any) -> Patch:
    body = {"metadata": {"ownerReferences": references or None}}
    meta = view.metadata
    return Patch(SET_KIND, meta.namespace, meta.name, body, resource_version=meta.resourceVersion)


# -- what cannot be worked on --


def _refuse(run: Pass, fault: str) -> Decision:
    """InvalidSpec with the first fault; looked at again, because what is missing may come."""
    rollout, message = run.rollout, f'The Rollout "{run.rollout.name}" is invalid: {fault}'
    run.look_again(INVALID_AGAIN_S)
    before = conditions.find(rollout.status, "InvalidSpec")
    known = before is not None and before.get("message") == message
    if known and rollout.status.get("observedGeneration") == rollout.generation:
        return run.decision(None)
    status = dict(rollout.status)
    if not known:
        conditions.drop(status, "InvalidSpec")
        run.emit("InvalidSpec", message, warning=True)
    conditions.put(status, "InvalidSpec", "True", "InvalidSpec", message, run.now_s)
    return run.decision(_labelled(run, status))


def _labelled(run: Pass, status: dict[str, Any]) -> dict[str, Any]:
    """A status whose conditions alone changed: with its phase, its generation and its duration."""
    status["observedGeneration"] = run.rollout.generation
    status["phase"], status["message"] = conditions.phase(run.rollout, status)
    status["duration"] = duration.tracked(run, status)
    return statuses.trimmed(status)


# -- the new set --


def _create_new_set(run: Pass) -> Decision:
    """The pass ends with it: the next one sees the set that was made."""
    rollout = run.rollout
    made = revision.new_set(run)
    name, number = made["metadata"]["name"], made["metadata"]["annotations"][REVISION]
    if not rollout.status and not run.members and not run.observed.failure:
        run.emit("RolloutAddedToInformer", f"Rollout resource added to informer: {rollout.namespace}/{rollout.name}")
    if run.observed.find(SET_KIND, name) is not None:
        # The name stands for another template or another owner's set: another name is tried next.
        status = {**rollout.status, "collisionCount": (rollout.status.get("collisionCount") or 0) + 1}
        return run.decision(statuses.trimmed(status))
    status = dict(rollout.status)
    if run.observed.failure:
        message = f'Failed to create new replica set "{name}": {run.observed.failure}'
        run.actions.append(Emit(rollout.obj, "Warning", "ReplicaSetCreateError", message))
        conditions.put(status, "Progressing", "False", "ReplicaSetCreateError", message, run.now_s)
        run.actions.append(Create(SET_KIND, made))
        return run.decision(_labelled(run, status))
    run.actions.append(Create(SET_KIND, made))
    revision.set_own(run, number)
    run.emit("NewReplicaSetCreated", f"Created ReplicaSet {name} (revision {number})")
    message = f'Created new replica set "{name}"'
    conditions.put(status, "Progressing", "True", "NewReplicaSetCreated", message, run.now_s)
    return run.decision(statuses.trimmed(status))


# -- the pass itself --


def _reconcile(run: Pass) -> Decision:
    rollout = run.rollout
    if rollout.fully_promoted and run.pauses.aborted:
        run.pauses.lift_abort()
    paused = _note_pause(run)
    if paused is not None:
        return run.decision(paused)
    _follow_workload(run)
    run.actions += services.release(run.observed.managed, [rollout.strategy.get(key, "") for key in SERVICE_KEYS])
    revision.sync(run)
    if rollout.blue_green is not None:
        if scaling.is_scaling(run):
            bluegreen.reconcile_sizes(run)
            return bluegreen.finish_scaling(run)
        return bluegreen.reconcile(run)
    if scaling.is_scaling(run):
        return _rescale_canary(run)
    return canary.reconcile(run)


def _rescale_canary(run: Pass) -> Decision:
    """A change of spec.replicas: sizes alone, the update itself waits for the next pass."""
    canary.reconcile_sizes(run)
    status = dict(run.rollout.status)
    status["availableReplicas"] = sum(m.available for m in run.members)
    status["HPAReplicas"] = sum(m.view.status.replicas for m in run.members)
    return statuses.finish(run, status)


def _follow_workload(run: Pass) -> None:
    """The generation of the workload that the template comes from, kept in an annotation."""
    workload, annotations = run.observed.workload, run.rollout.metadata.get("annotations") or {}
    wanted = str(workload.obj["metadata"].get("generation", 0)) if workload is not None else None
    if annotations.get(WORKLOAD_GENERATION) != wanted:
        run.patch(KIND_NAME, run.rollout.name, {"metadata": {"annotations": {WORKLOAD_GENERATION: wanted}}})
        changed = {k: v for k, v in annotations.items() if k != WORKLOAD_GENERATION}
        if wanted is not None:
            changed[WORKLOAD_GENERATION] = wanted
        run.rollout.metadata = {**run.rollout.metadata, "annotations": changed}


def _note_pause(run: Pass) -> dict[str, Any] | None:
    """The status with Progressing and Paused as the pause at hand wants them; None when they are so already.

    Waits until the newest spec was seen: a change of template and a pause are told in one status.
    """
    rollout = run.rollout
    stored = rollout.status
    if stored.get("observedGeneration") != rollout.generation:
        return None
    reason = conditions.reason_of(stored, "Progressing")
    paused = bool(stored.get("pauseConditions")) or rollout.paused
    was_aborted = reason == "RolloutAborted"
    status, changed = dict(stored), False
    if paused != (reason == "RolloutPaused") and not was_aborted and not conditions.completed(stored):
        word, message = ("Paused", "Rollout is paused") if paused else ("Resumed", "Rollout is resumed")
        changed |= conditions.put(status, "Progressing", "Unknown", f"Rollout{word}", message, run.now_s)
    if not rollout.aborted and was_aborted:
        message = "Retrying Rollout after abort"
        changed |= conditions.put(status, "Progressing", "Unknown", "RolloutRetry", message, run.now_s)
    is_true = (conditions.find(stored, "Paused") or {}).get("status") == "True"
    if paused != is_true and not was_aborted:
        value = "True" if paused else "False"
        changed |= conditions.put(status, "Paused", value, "RolloutPaused", "Rollout is paused", run.now_s)
    return _labelled(run, status) if changed else None
