"""The status that a pass ends with: counts, conditions, phase, duration.

Source: argo-rollouts 1.9 (9f8d111d8) `rollout/sync.go` (`calculateBaseStatus`, `calculateRolloutConditions`,
`persistRolloutStatus`, `requeueStuckRollout`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Decision
from pilothouse.base.clock import parse_rfc3339
from pilothouse.engines.delivery.steps import is_indefinite
from pilothouse.kinds.argoproj.rollout import conditions, duration, sizes
from pilothouse.kinds.argoproj.rollout.reading import DEADLINE, WORKLOAD_GENERATION
from pilothouse.kinds.argoproj.rollout.run import Pass

_KEPT_EMPTY = ("blueGreen", "canary", "conditions", "currentStepIndex")
"""Kept although empty or 0, as upstream's types write them."""


def base(run: Pass) -> dict[str, Any]:
    """The counts and what carries over; everything else of the old status is set anew or gone."""
    old, members, new = run.rollout.status, run.members, run.new_or_none
    current = new.hash if new is not None else run.rollout.template_hash()
    status: dict[str, Any] = {
        "currentPodHash": current,
        "replicas": sum(m.view.status.replicas for m in members),
        "updatedReplicas": new.view.status.replicas if new is not None else 0,
        "readyReplicas": sum(m.view.status.readyReplicas for m in members),
        "availableReplicas": sum(m.available for m in members),
        "HPAReplicas": sum(m.view.status.replicas for m in members),
        "collisionCount": old.get("collisionCount"),
        "conditions": conditions.without(old, "InvalidSpec"),
        "restartedAt": run.status.get("restartedAt", old.get("restartedAt")),
        "promoteFull": current != old.get("stableRS") and bool(old.get("promoteFull")),
        "stableRS": run.rollout.stable_hash,
        "selector": _selector_text(run.rollout.selector),
        "duration": old.get("duration"),
        "workloadObservedGeneration": old.get("workloadObservedGeneration"),
        "alb": old.get("alb"),
        "albs": old.get("albs"),
    }
    canary = dict(run.canary_status)
    if run.weights is not None:
        canary["weights"] = run.weights
    status["canary"] = canary
    status["blueGreen"] = dict(run.blue_green_status)
    return status


def _selector_text(selector: Mapping[str, Any] | None) -> str:
    """The text form of a label selector, as `metav1.FormatLabelSelector`."""
    parts = [f"{key}={value}" for key, value in sorted(((selector or {}).get("matchLabels") or {}).items())]
    for entry in (selector or {}).get("matchExpressions") or ():
        values = ",".join(sorted(entry.get("values") or ()))
        match entry.get("operator"):
            case "In":
                parts.append(f"{entry['key']} in ({values})")
            case "NotIn":
                parts.append(f"{entry['key']} notin ({values})")
            case "Exists":
                parts.append(entry["key"])
            case "DoesNotExist":
                parts.append(f"!{entry['key']}")
    return ",".join(parts)


selector_text = _selector_text


def finish(run: Pass, status: dict[str, Any]) -> Decision:
    """The end of a pass: pauses, conditions, phase and duration are added, then the whole is stored."""
    rollout = run.rollout
    status["observedGeneration"] = rollout.generation
    if rollout.spec.get("workloadRef"):
        status["workloadObservedGeneration"] = (rollout.metadata.get("annotations") or {}).get(WORKLOAD_GENERATION)
    _abort_when_stuck(run, status)
    run.pauses.status(status, run.now_s)
    _set_conditions(run, status)
    status["phase"], status["message"] = conditions.phase(rollout, status)
    status["duration"] = duration.tracked(run, status)
    _tell_pause(run, status)
    new = trimmed(status)
    if new == trimmed(rollout.status) and not run.actions:
        _watch_deadline(run, status)
    return run.decision(new)


def trimmed(status: Mapping[str, Any]) -> dict[str, Any]:
    """The status as it is stored: nothing that says nothing, keys in one order."""
    out = {}
    for key in sorted(status):
        value = status[key]
        kept = key in _KEPT_EMPTY or value not in (None, "", 0, False, [], {})
        if kept and value is not None:
            out[key] = value
    return out


def _indefinite(run: Pass) -> bool:
    """Whether time does not count against the deadline now: a step that waits, or a pause."""
    if run.rollout.steps and is_indefinite(run.rollout.step):
        return True
    return (conditions.find(run.rollout.status, "Paused") or {}).get("status") == "True"


def _waits_for_scale_down(run: Pass) -> bool:
    return any(m.annotations.get(DEADLINE) for m in run.others)


def _timeout_message(run: Pass) -> str:
    subject = f'ReplicaSet "{run.new.name}"' if run.new_or_none is not None else f'Rollout "{run.rollout.name}"'
    return f"{subject} has timed out progressing."


def _abort_when_stuck(run: Pass, status: dict[str, Any]) -> None:
    """progressDeadlineAbort: an update past its deadline is aborted; one that is over is left alone."""
    rollout = run.rollout
    if not rollout.spec.get("progressDeadlineAbort") or run.pauses.aborted or conditions.completed(status):
        return
    if conditions.progressed(rollout, status) or _indefinite(run) or _waits_for_scale_down(run):
        return
    if conditions.timed_out(rollout, rollout.status, run.now_s):
        message = _timeout_message(run)
        run.pauses.abort(message)
        run.emit("RolloutAborted", message, warning=True)


def _set_conditions(run: Pass, status: dict[str, Any]) -> None:
    rollout, now_s = run.rollout, run.now_s
    paused = bool(status.get("pauseConditions")) or rollout.paused
    is_healthy = conditions.healthy(rollout, status)
    fell_ill = False
    if is_healthy and not paused:
        conditions.put(status, "Healthy", "True", "RolloutHealthy", "Rollout is healthy", now_s)
    elif conditions.find(rollout.status, "Healthy") is not None:
        fell_ill = conditions.put(status, "Healthy", "False", "RolloutHealthy", "Rollout is not healthy", now_s)
    if run.pauses.aborted:
        message = f"Rollout aborted update to revision {rollout.revision or 0}"
        if run.pauses.abort_message:
            message += f": {run.pauses.abort_message}"
        if conditions.put(status, "Progressing", "False", "RolloutAborted", message, now_s):
            run.emit("RolloutAborted", message, warning=True)
    else:
        _set_progressing(run, status, is_healthy=is_healthy, fell_ill=fell_ill)
    _set_available(run, status)
    failure = conditions.failure_of([m.view for m in ([run.new] if run.new_or_none else []) + run.members])
    conditions.drop(status, "ReplicaFailure")
    if failure is not None:
        kept = conditions.find(rollout.status, "ReplicaFailure")
        entry = kept or {**failure, "lastUpdateTime": failure.get("lastTransitionTime")}
        status["conditions"] = [*status["conditions"], entry]
    done = "True" if conditions.completed(status) else "False"
    changed = conditions.put(status, "Completed", done, "RolloutCompleted", "RolloutCompleted", now_s)
    if changed and done == "False":
        run.emit(
            "RolloutNotCompleted",
            f"Rollout not completed, started update to revision {rollout.revision or 0} ({status['currentPodHash']})",
        )


def _set_progressing(run: Pass, status: dict[str, Any], *, is_healthy: bool, fell_ill: bool) -> None:
    rollout, now_s = run.rollout, run.now_s
    current = conditions.find(rollout.status, "Progressing")
    new = run.new_or_none
    subject = f'ReplicaSet "{new.name}"' if new is not None else f'Rollout "{rollout.name}"'
    if is_healthy:
        message = f"{subject} has successfully progressed."
        conditions.put(status, "Progressing", "True", "NewReplicaSetAvailable", message, now_s)
    elif conditions.progressed(rollout, status) or fell_ill:
        reason, message = "ReplicaSetUpdated", f"{subject} is progressing."
        if conditions.completed(status) and fell_ill:
            reason, message = "ReplicaSetNotAvailable", "Rollout does not have minimum availability"
        conditions.drop(status, "Progressing")
        conditions.put(status, "Progressing", "True", reason, message, now_s)
        if current is not None and current["status"] == "True":
            # Said again for its lastUpdateTime, from which the deadline counts.
            last = {**status["conditions"][-1], "lastTransitionTime": current.get("lastTransitionTime")}
            status["conditions"] = [*status["conditions"][:-1], last]
    elif not _indefinite(run) and not _waits_for_scale_down(run) and conditions.timed_out(rollout, status, now_s):
        conditions.put(status, "Progressing", "False", "ProgressDeadlineExceeded", _timeout_message(run), now_s)


def _set_available(run: Pass, status: dict[str, Any]) -> None:
    if run.rollout.blue_green is not None:
        active_hash = status["blueGreen"].get("activeSelector")
        active = next((m for m in run.members if active_hash and m.hash == active_hash), None)
        available = sizes.saturated(run.rollout, active)
    else:
        available = sum(m.available for m in run.members) >= run.rollout.replicas
    message = "Rollout has minimum availability" if available else "Rollout does not have minimum availability"
    conditions.put(status, "Available", "True" if available else "False", "AvailableReason", message, run.now_s)


def _tell_pause(run: Pass, status: Mapping[str, Any]) -> None:
    before, after = bool(run.rollout.status.get("pauseConditions")), status.get("pauseConditions") or ()
    if after and not before:
        run.emit("RolloutPaused", f"Rollout is paused ({after[0]['reason']})")
    elif before and not after and not status.get("abortedAt"):
        run.emit("RolloutResumed", "Rollout is resumed")


def _watch_deadline(run: Pass, status: Mapping[str, Any]) -> None:
    """When nothing moves any more, the deadline has to be looked at in time."""
    rollout = run.rollout
    progressing = conditions.find(rollout.status, "Progressing")
    if progressing is None or progressing.get("reason") == "ProgressDeadlineExceeded":
        return
    waits = bool(rollout.status.get("pauseConditions")) or rollout.paused or rollout.aborted or _indefinite(run)
    if waits or conditions.healthy(rollout, status):
        return
    left_s = parse_rfc3339(progressing["lastUpdateTime"]) + rollout.deadline_s - run.now_s
    # A deadline that has passed without effect (it does not count now) is looked at again when something changes.
    if left_s > -1.0:
        run.look_again(left_s + 1.0)
