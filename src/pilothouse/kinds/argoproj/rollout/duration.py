"""status.duration: when the update began and ended, how it ended, and how long people kept it waiting.

Source: argo-rollouts 1.9 (9f8d111d8) `rollout/sync.go` (`calculateStatusDuration`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.clock import parse_rfc3339, rfc3339
from pilothouse.kinds.argoproj.rollout import conditions
from pilothouse.kinds.argoproj.rollout.history import is_fast_rollback, is_rollback, pod_spec_changed, steps_changed
from pilothouse.kinds.argoproj.rollout.reading import Rollout
from pilothouse.kinds.argoproj.rollout.run import (
    BLUE_GREEN,
    CANARY_STEP,
    INCONCLUSIVE_ANALYSIS,
    INCONCLUSIVE_EXPERIMENT,
    Pass,
)

Duration = dict[str, Any]


def tracked(run: Pass, status: Mapping[str, Any]) -> Duration | None:
    """The duration for the new status; None while nothing was ever tracked."""
    if conditions.find(status, "InvalidSpec") is not None:
        return status.get("duration")
    stored = run.rollout.status
    before: Mapping[str, Any] = stored.get("duration") or {}
    duration: Duration | None = dict(status["duration"]) if status.get("duration") else None
    now = rfc3339(run.now_s)
    new = run.new_or_none
    changed = not run.rollout.current_hash or pod_spec_changed(run)
    changed = changed or (run.rollout.canary is not None and steps_changed(run.rollout))
    whole = new is not None and new.available >= run.rollout.replicas
    done = status.get("stableRS") == status.get("currentPodHash") and whole
    if before.get("rolloutStartedAt") and not before.get("finishedAt") and duration is not None:
        if changed:
            if is_rollback(run):
                duration["completionStatus"] = "FastRolledBack" if is_fast_rollback(run) else "RolledBack"
            else:
                _finish(duration, "Superseded", now)
        if done and not duration.get("finishedAt"):
            _finish(duration, duration.get("completionStatus") or "Promoted", now)
            return duration
        if run.pauses.aborted and not duration.get("finishedAt"):
            _finish(duration, duration.get("completionStatus") or "Aborted", now)
    paused_before = bool(before.get("manualPauseStartedAt"))
    if duration is None or (duration.get("finishedAt") and not done):
        paused_before = False
        retried = not run.pauses.aborted and conditions.reason_of(stored, "Progressing") == "RolloutAborted"
        if (changed and not done) or retried:
            duration = {"rolloutStartedAt": now}
    if duration is None or duration.get("finishedAt"):
        return duration
    _count_pause(duration, paused_before, _waits_for_a_person(run.rollout, status), run.now_s)
    return duration


def _finish(duration: Duration, how: str, now: str) -> None:
    if duration.get("manualPauseStartedAt"):
        waited = parse_rfc3339(now) - parse_rfc3339(duration.pop("manualPauseStartedAt"))
        duration["totalManualPauseDurationSeconds"] = (duration.get("totalManualPauseDurationSeconds") or 0) + int(
            waited
        )
    duration["completionStatus"] = how
    duration["finishedAt"] = now


def _count_pause(duration: Duration, before: bool, paused: bool, now_s: float) -> None:
    if before and not paused and duration.get("manualPauseStartedAt"):
        waited_s = now_s - parse_rfc3339(duration.pop("manualPauseStartedAt"))
        total = duration.get("totalManualPauseDurationSeconds") or 0
        duration["totalManualPauseDurationSeconds"] = total + int(waited_s)
    elif paused and not before:
        duration.setdefault("manualPauseStartedAt", rfc3339(now_s))


def _waits_for_a_person(rollout: Rollout, status: Mapping[str, Any]) -> bool:
    if rollout.paused:
        return True
    for pause in status.get("pauseConditions") or ():
        reason = pause["reason"]
        if reason in (INCONCLUSIVE_ANALYSIS, INCONCLUSIVE_EXPERIMENT):
            return True
        if reason == CANARY_STEP and rollout.step is not None and rollout.step.get("pause") is not None:
            return rollout.step["pause"].get("duration") is None
        if reason == BLUE_GREEN and rollout.strategy.get("autoPromotionEnabled") is False:
            return True
    return False
