"""Conditions and the phase of a Rollout, as pure functions of its spec and its status.

Source: argo-rollouts 1.9 (9f8d111d8) `utils/conditions`, `utils/rollout/rolloututil.go`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilothouse.base.clock import parse_rfc3339, rfc3339
from pilothouse.kinds.argoproj.rollout.reading import Rollout

Status = Mapping[str, Any]
Condition = Mapping[str, Any]


def find(status: Status, type_: str) -> Condition | None:
    for condition in status.get("conditions") or ():
        if condition["type"] == type_:
            found: Condition = condition
            return found
    return None


def reason_of(status: Status, type_: str) -> str:
    return str((find(status, type_) or {}).get("reason", ""))


def put(status: dict[str, Any], type_: str, value: str, reason: str, message: str, now_s: float) -> bool:
    """Sets a condition; False when status and reason are as they were, in which case nothing changes."""
    current = find(status, type_)
    if current is not None and current["status"] == value and current.get("reason") == reason:
        return False
    now = rfc3339(now_s)
    same = current is not None and current["status"] == value
    condition = {
        "type": type_,
        "status": value,
        "lastUpdateTime": now,
        "lastTransitionTime": current.get("lastTransitionTime", now) if current is not None and same else now,
        "reason": reason,
        "message": message,
    }
    status["conditions"] = [*without(status, type_), condition]
    return True


def without(status: Status, type_: str) -> list[Condition]:
    return [c for c in status.get("conditions") or () if c["type"] != type_]


def drop(status: dict[str, Any], type_: str) -> None:
    status["conditions"] = without(status, type_)


def completed(status: Status) -> bool:
    """The stable set is the current one."""
    return bool(status.get("stableRS")) and status.get("stableRS") == status.get("currentPodHash")


def progressed(rollout: Rollout, status: Status) -> bool:
    """Whether anything moved between the stored status and this one."""
    old = rollout.status
    if rollout.blue_green is not None:
        before, after = rollout.of_blue_green, status.get("blueGreen") or {}
        moved = any(before.get(key) != after.get(key) for key in ("activeSelector", "previewSelector"))
    else:
        moved = any((old.get(key) or "") != (status.get(key) or "") for key in ("stableRS", "currentStepHash"))
        indexes = (old.get("currentStepIndex"), status.get("currentStepIndex"))
        moved = moved or (None not in indexes and indexes[0] != indexes[1])
    updated = (old.get("updatedReplicas", 0), status.get("updatedReplicas", 0))
    leftover = (old.get("replicas", 0) - updated[0], status.get("replicas", 0) - updated[1])
    return bool(
        moved
        or updated[0] != updated[1]
        or leftover[1] < leftover[0]
        or status.get("readyReplicas", 0) > old.get("readyReplicas", 0)
        or status.get("availableReplicas", 0) > old.get("availableReplicas", 0)
    )


def healthy(rollout: Rollout, status: Status) -> bool:
    """All replicas updated and available, nothing old left that serves, and the controller has seen the newest spec."""
    wanted = rollout.replicas
    if rollout.blue_green is not None:
        part, current = status.get("blueGreen") or {}, status.get("currentPodHash")
        done = part.get("activeSelector") == current
        if rollout.strategy.get("previewService"):
            done = done and part.get("previewSelector") == current
    else:
        index = status.get("currentStepIndex")
        stepped = not rollout.steps or index is None or index == len(rollout.steps)
        done = stepped and completed(status) and status.get("replicas", 0) == wanted
    return bool(
        done
        and status.get("updatedReplicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and rollout.status.get("observedGeneration") == rollout.generation
    )


def timed_out(rollout: Rollout, status: Status, now_s: float) -> bool:
    """No progress for longer than the deadline; time in a pause or after an abort does not count."""
    progressing = find(status, "Progressing")
    if progressing is None or progressing.get("reason") in ("RolloutAborted", "RolloutPaused"):
        return False
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return True
    return parse_rfc3339(progressing["lastUpdateTime"]) + rollout.deadline_s < now_s


def failure_of(sets: Sequence[Any]) -> Condition | None:
    """ReplicaFailure as the first of the sets (`ReplicaSetView`s) reports it, None when none does."""
    for view in sets:
        for condition in view.status.conditions or ():
            if condition["type"] == "ReplicaFailure":
                found: Condition = condition
                return found
    return None


def phase(rollout: Rollout, status: Status) -> tuple[str, str]:
    """(Healthy, Paused, Progressing or Degraded; why) as the controller writes them into the status."""
    for condition in status.get("conditions") or ():
        if condition["type"] == "InvalidSpec":
            return "Degraded", f"InvalidSpec: {condition.get('message', '')}"
        if condition.get("reason") in ("RolloutAborted", "ProgressDeadlineExceeded"):
            return "Degraded", f"{condition['reason']}: {condition.get('message', '')}"
    if rollout.paused:
        return "Paused", "manually paused"
    for pause in status.get("pauseConditions") or ():
        return "Paused", str(pause["reason"])
    if rollout.spec.get("restartAt") and rollout.spec["restartAt"] != status.get("restartedAt"):
        return "Progressing", "rollout is restarting"
    if status.get("updatedReplicas", 0) < rollout.replicas:
        return "Progressing", "more replicas need to be updated"
    if status.get("availableReplicas", 0) < status.get("updatedReplicas", 0):
        return "Progressing", "updated replicas are still becoming available"
    waiting = _blue_green_waits(rollout, status) if rollout.blue_green is not None else _canary_waits(rollout, status)
    return ("Progressing", waiting) if waiting else ("Healthy", "")


def _blue_green_waits(rollout: Rollout, status: Status) -> str:
    part = status.get("blueGreen") or {}
    active = part.get("activeSelector") or ""
    if not active or active != status.get("currentPodHash"):
        return "active service cutover pending"
    if completed(status):
        return ""
    if rollout.strategy.get("postPromotionAnalysis"):
        run = (part.get("postPromotionAnalysisRunStatus") or {}).get("status", "")
        if run not in ("Successful", "Failed", "Error", "Inconclusive"):
            return "waiting for analysis to complete"
    return "waiting for post-promotion verification to complete"


def _canary_waits(rollout: Rollout, status: Status) -> str:
    if rollout.routing is None and status.get("replicas", 0) > status.get("updatedReplicas", 0):
        return "old replicas are pending termination"
    return "" if completed(status) else "waiting for all steps to complete"


def seen_phase(obj: Mapping[str, Any]) -> tuple[str, str]:
    """The phase as a client sees it: Progressing while the controller has yet to look at what was asked."""
    status, metadata = obj.get("status") or {}, obj["metadata"]
    observed = str(status.get("observedGeneration") or "")
    if observed.isdigit() and int(observed) < metadata.get("generation", 0):
        return "Progressing", "waiting for rollout spec update to be observed"
    if status.get("controllerPause") and not status.get("pauseConditions"):
        return "Progressing", "waiting for rollout to unpause"
    workload = (metadata.get("annotations") or {}).get("rollout.argoproj.io/workload-generation")
    seen = status.get("workloadObservedGeneration")
    if (obj.get("spec") or {}).get("workloadRef") and workload and seen and workload != seen:
        return "Progressing", "waiting for rollout spec update to be observed for the reference workload"
    return str(status.get("phase") or "Progressing"), str(status.get("message") or "")
