"""The status of a Deployment: counts, conditions, progress.

Source: deployment controller `calculateStatus`, `syncRolloutStatus`, `requeueStuckDeployment`, Kubernetes 1.36 (with
the terminatingReplicas gate at its default, on).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pilothouse.base.clock import parse_rfc3339, rfc3339
from pilothouse.kinds.apps.deployment.views import DeploymentView, Member

Status = dict[str, Any]
Condition = Mapping[str, Any]


def find(status: Mapping[str, Any] | None, type_: str) -> Condition | None:
    """The condition of this type, or None."""
    for condition in (status or {}).get("conditions") or ():
        if condition["type"] == type_:
            found: Condition = condition
            return found
    return None


def with_condition(
    conditions: Sequence[Condition], type_: str, status: str, reason: str, message: str, now_s: float
) -> list[Condition]:
    """The conditions with this one set; unchanged when status and reason are as they were.

    The transition time moves only with the status.
    """
    current = next((c for c in conditions if c["type"] == type_), None)
    if current is not None and current["status"] == status and current.get("reason") == reason:
        return list(conditions)
    now = rfc3339(now_s)
    same_status = current is not None and current["status"] == status
    condition = {
        "type": type_,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": current.get("lastTransitionTime", now) if current and same_status else now,
        "reason": reason,
        "message": message,
    }
    return [*without(conditions, type_), condition]


def without(conditions: Iterable[Condition], type_: str) -> list[Condition]:
    return [c for c in conditions if c["type"] != type_]


def counted(deployment: DeploymentView, members: Sequence[Member], new: Member | None, now_s: float) -> Status:
    """The status as the ReplicaSets' own statuses add up, with Available decided and the other conditions kept."""
    wanted = actual = ready = available = 0
    terminating: int | None = 0
    for member in members:
        status = member.view.status
        wanted += member.replicas
        actual += status.replicas
        ready += status.readyReplicas
        available += status.availableReplicas
        if status.terminatingReplicas is None:
            # One set that has not counted yet leaves the whole unknown.
            terminating = None
        elif terminating is not None:
            terminating += status.terminatingReplicas
    old = deployment.status or {}
    counts = {
        "observedGeneration": deployment.metadata.generation,
        "replicas": actual,
        "updatedReplicas": new.view.status.replicas if new is not None else 0,
        "readyReplicas": ready,
        "availableReplicas": available,
        "unavailableReplicas": max(wanted - available, 0),
    }
    out: Status = {key: value for key, value in counts.items() if value}
    if terminating is not None:
        out["terminatingReplicas"] = terminating
    if old.get("collisionCount") is not None:
        out["collisionCount"] = old["collisionCount"]
    out["conditions"] = _with_availability(deployment, old.get("conditions") or (), available, now_s)
    return out


def _with_availability(
    deployment: DeploymentView, conditions: Sequence[Condition], available: int, now_s: float
) -> list[Condition]:
    if available >= deployment.spec.replicas - deployment.unavailable:
        reason, message = "MinimumReplicasAvailable", "Deployment has minimum availability."
        return with_condition(conditions, "Available", "True", reason, message, now_s)
    reason, message = "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    return with_condition(conditions, "Available", "False", reason, message, now_s)


def complete(deployment: DeploymentView, status: Mapping[str, Any] | None) -> bool:
    """All pods are of the new template and available, and nothing else is left (`DeploymentComplete`)."""
    status = status or {}
    wanted = deployment.spec.replicas
    return bool(
        status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("observedGeneration", 0) >= deployment.metadata.generation
    )


def rollout_status(deployment: DeploymentView, members: Sequence[Member], new: Member | None, now_s: float) -> Status:
    """The status during and after a rollout: `counted` plus Progressing and ReplicaFailure."""
    status = counted(deployment, members, new, now_s)
    conditions = status["conditions"]
    if deployment.deadline_s is None:
        conditions = without(conditions, "Progressing")
    else:
        conditions = _with_progress(deployment, status, new, now_s)
    status["conditions"] = _with_failure(conditions, members, new)
    return status


def _with_progress(deployment: DeploymentView, status: Status, new: Member | None, now_s: float) -> list[Condition]:
    conditions: list[Condition] = status["conditions"]
    current = find(deployment.status, "Progressing")
    settled = current is not None and current.get("reason") == "NewReplicaSetAvailable"
    if settled and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        # One set is active and it once was complete: a pod that comes or goes now is no rollout.
        return conditions
    subject = f'ReplicaSet "{new.name}"' if new is not None else f'Deployment "{deployment.metadata.name}"'
    if complete(deployment, status):
        message = f"{subject} has successfully progressed."
        return with_condition(conditions, "Progressing", "True", "NewReplicaSetAvailable", message, now_s)
    if _progressed(deployment.status or {}, status):
        moved = with_condition(
            without(conditions, "Progressing"), "Progressing", "True", "ReplicaSetUpdated",
            f"{subject} is progressing.", now_s,
        )  # fmt: skip
        if current is not None and current["status"] == "True":
            # The same reason again, so that lastUpdateTime, from which the deadline counts, moves on.
            moved[-1] = {**moved[-1], "lastTransitionTime": current.get("lastTransitionTime")}
        return moved
    if timed_out(deployment, now_s):
        message = f"{subject} has timed out progressing."
        return with_condition(conditions, "Progressing", "False", "ProgressDeadlineExceeded", message, now_s)
    return conditions


def _progressed(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """More pods updated, ready or available than before, or fewer old ones (`DeploymentProgressing`)."""
    old_updated, new_updated = old.get("updatedReplicas", 0), new.get("updatedReplicas", 0)
    return bool(
        new_updated > old_updated
        or new.get("replicas", 0) - new_updated < old.get("replicas", 0) - old_updated
        or new.get("readyReplicas", 0) > old.get("readyReplicas", 0)
        or new.get("availableReplicas", 0) > old.get("availableReplicas", 0)
    )


def timed_out(deployment: DeploymentView, now_s: float) -> bool:
    """No progress for longer than the deadline (`DeploymentTimedOut`)."""
    current = find(deployment.status, "Progressing")
    if current is None or deployment.deadline_s is None or current.get("reason") == "NewReplicaSetAvailable":
        return False
    if current.get("reason") == "ProgressDeadlineExceeded":
        return True
    return parse_rfc3339(current["lastUpdateTime"]) + deployment.deadline_s < now_s


def _with_failure(conditions: Sequence[Condition], members: Sequence[Member], new: Member | None) -> list[Condition]:
    """ReplicaFailure as one of the sets reports it, the new one first."""
    rest = without(conditions, "ReplicaFailure")
    candidates = [new, *members] if new is not None else members
    for member in candidates:
        for failure in member.view.status.conditions or ():
            if failure["type"] != "ReplicaFailure":
                continue
            current = next((c for c in conditions if c["type"] == "ReplicaFailure"), None)
            if current and (current["status"], current.get("reason")) == (failure["status"], failure.get("reason")):
                return list(conditions)
            since = failure.get("lastTransitionTime")
            keys = ("type", "status", "lastUpdateTime", "lastTransitionTime", "reason", "message")
            return [*rest, {key: since if key == "lastUpdateTime" else failure.get(key) for key in keys}]
    return rest


def check_again_in_s(deployment: DeploymentView, status: Status, now_s: float) -> float | None:
    """Seconds until the progress deadline must be looked at; None when there is nothing to wait for.

    A rollout that was complete once never exceeds its deadline (`timed_out`), so nobody waits for it. Upstream asks
    again every few milliseconds as long as one of its pods is not available; nothing but the cost comes of it.
    """
    current = find(deployment.status, "Progressing")
    if deployment.deadline_s is None or current is None:
        return None
    if current.get("reason") in ("ProgressDeadlineExceeded", "NewReplicaSetAvailable"):
        return None
    if complete(deployment, status):
        return None
    left_s = parse_rfc3339(current["lastUpdateTime"]) + deployment.deadline_s - now_s
    # Upstream retries at once with back-off in the last second; the deadline passes strictly after its moment.
    return left_s + 1.0 if left_s >= 1.0 else max(left_s, 0.0) + 0.01
