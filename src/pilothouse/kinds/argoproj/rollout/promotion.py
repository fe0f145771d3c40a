"""When the new set becomes the stable one, and what that changes.

Source: argo-rollouts 1.9 (9f8d111d8) `rollout/sync.go` (`shouldFullPromote`, `promoteStable`, `resetRolloutStatus`).
"""

from __future__ import annotations

from typing import Any

from pilothouse.kinds.argoproj.rollout import sizes
from pilothouse.kinds.argoproj.rollout.analysis import Analyses
from pilothouse.kinds.argoproj.rollout.history import is_fast_rollback, within_window
from pilothouse.kinds.argoproj.rollout.run import Pass
from pilothouse.kinds.argoproj.rollout.scaling import scale_workload


def reason_to_promote(run: Pass, status: dict[str, Any], analyses: Analyses | None) -> str:
    """Why the new set shall be stable now, "" when it shall not yet. The order of the questions matters."""
    if run.stable is None:
        return "Initial deploy"
    if run.rollout.canary is not None:
        return _reason_of_canary(run)
    return _reason_of_blue_green(run, status, analyses)


def _reason_of_canary(run: Pass) -> str:
    rollout, new = run.rollout, run.new_or_none
    if run.pauses.aborted or new is None:
        return ""
    if new.available < rollout.replicas and not sizes.threshold_met(rollout, new, rollout.replicas):
        return ""
    shortcut = _shortcut(run)
    if shortcut:
        return shortcut
    count = len(rollout.steps)
    return f"Completed all {count} canary steps" if count == 0 or rollout.index == count else ""


def _shortcut(run: Pass) -> str:
    if run.rollout.promote_full:
        return "Full promotion requested"
    if is_fast_rollback(run):
        return "Rollback within window" if within_window(run) else "Fast rollback"
    return ""


def _reason_of_blue_green(run: Pass, status: dict[str, Any], analyses: Analyses | None) -> str:
    active = status["blueGreen"].get("activeSelector") or ""
    if not active:
        # The Service is only switched once something is stable: the first set becomes it without having been active.
        return "Initial deploy"
    if active != status["currentPodHash"]:
        return ""
    shortcut = _shortcut(run)
    if shortcut:
        return shortcut
    if run.pauses.aborted:
        return ""
    if run.rollout.strategy.get("postPromotionAnalysis") and not (analyses and analyses.succeeded("post")):
        return ""
    return "Completed blue-green update"


def promote(run: Pass, status: dict[str, Any], reason: str) -> None:
    """Makes the new set the stable one in the new status."""
    rollout = run.rollout
    run.pauses.clear()
    run.pauses.lift_abort()
    status["promoteFull"] = False
    status["blueGreen"].pop("scaleUpPreviewCheckPoint", None)
    if rollout.canary is not None:
        status["currentStepIndex"] = len(rollout.steps) or None
    if status.get("stableRS") != status["currentPodHash"]:
        duration = status.get("duration")
        if duration and not duration.get("completionStatus"):
            how = "FastPromoted" if rollout.promote_full else "Promoted"
            status["duration"] = {**duration, "completionStatus": how}
        status["stableRS"] = status["currentPodHash"]
        run.emit(
            "RolloutCompleted",
            f"Rollout completed update to revision {rollout.revision or 0} ({status['currentPodHash']}): {reason}",
        )
    reference = rollout.spec.get("workloadRef") or {}
    healthy = rollout.status.get("phase") == "Healthy"
    if rollout.revision == "1" and healthy and reference.get("scaleDown") == "onsuccess":
        scale_workload(run, 0)


def start_over(run: Pass, status: dict[str, Any]) -> None:
    """A new template or new steps: everything that belonged to the update before is forgotten."""
    run.pauses.clear()
    run.pauses.lift_abort()
    status["restartedAt"] = run.rollout.spec.get("restartAt")
    status["promoteFull"] = False
    for key in ("prePromotionAnalysisRunStatus", "postPromotionAnalysisRunStatus", "scaleUpPreviewCheckPoint"):
        status["blueGreen"].pop(key, None)
    for key in ("currentStepAnalysisRunStatus", "currentBackgroundAnalysisRunStatus"):
        status["canary"].pop(key, None)
    status["currentStepIndex"] = 0 if run.rollout.steps else None
