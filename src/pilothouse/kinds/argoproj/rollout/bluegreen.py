"""One pass of the blue-green strategy: preview, sizes, the pause before the switch, the switch, analyses.

Source: argo-rollouts 1.9 (9f8d111d8) `rollout/bluegreen.go`.
"""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Decision, Object
from pilothouse.kinds.argoproj.rollout import ephemeral, restart, revision, scaling, services, sizes
from pilothouse.kinds.argoproj.rollout import status as statuses
from pilothouse.kinds.argoproj.rollout.analysis import Analyses
from pilothouse.kinds.argoproj.rollout.history import is_fast_rollback, pod_spec_changed, within_window
from pilothouse.kinds.argoproj.rollout.promotion import promote, reason_to_promote, start_over
from pilothouse.kinds.argoproj.rollout.run import BLUE_GREEN, Pass


def reconcile(run: Pass) -> Decision:
    spec, find = run.rollout.strategy, run.observed.find
    active = find("Service", spec["activeService"])
    preview = find("Service", spec["previewService"]) if spec.get("previewService") else None
    assert active is not None, "a Rollout without its active Service is invalid and comes to no pass"
    preview_hash = services.hash_of(preview)
    if preview is not None and not run.rollout.halted():
        services.switch(run, preview, run.new.hash)
        preview_hash = run.new.hash
    active_hash = services.hash_of(active)
    if pod_spec_changed(run):
        return _finish(run, None, active_hash, preview_hash)
    restart.reconcile(run)
    reconcile_sizes(run)
    analyses = Analyses(run)
    _reconcile_pause(run, analyses, active_hash)
    active_hash = _reconcile_active(run, analyses, active, active_hash)
    rollout = run.rollout
    skip = rollout.fully_promoted or run.pauses.aborted or rollout.promote_full or not rollout.stable_hash
    analyses.reconcile(skip=skip or is_fast_rollback(run))
    ephemeral.reconcile(run)
    return _finish(run, analyses, active_hash, preview_hash)


def reconcile_sizes(run: Pass) -> None:
    scaling.drop_deadlines(run)
    if run.stable is not None and run.stable is not run.new_or_none:
        scaling.scale(run, run.stable, run.rollout.replicas)
    scaling.reconcile_new(run)
    scaling.reconcile_others(run)
    revision.forget_old_sets(run)


def _fast_tracked(run: Pass, active_hash: str) -> bool:
    """Whether there is nothing to wait for: a fast rollback, a full promotion, a first or a finished switch."""
    return is_fast_rollback(run) or run.rollout.promote_full or active_hash in ("", run.new.hash)


def _needs_pause(run: Pass) -> bool:
    spec = run.rollout.strategy
    return spec.get("autoPromotionEnabled") is False or spec.get("autoPromotionSeconds", 0) > 0


def _reconcile_pause(run: Pass, analyses: Analyses, active_hash: str) -> None:
    rollout = run.rollout
    if rollout.aborted or not sizes.ready_for_pause(rollout, run.new, run.members) or rollout.halted():
        return
    passed = bool(rollout.of_blue_green.get("scaleUpPreviewCheckPoint"))
    if _fast_tracked(run, active_hash) or passed or not _needs_pause(run):
        run.pauses.remove(BLUE_GREEN)
        return
    if not analyses.pre_promotion_done():
        return
    since_s = rollout.pause_since_s(BLUE_GREEN)
    if since_s is None:
        if rollout.status.get("controllerPause"):
            return
        run.pauses.add(BLUE_GREEN)
        since_s = run.now_s
    elif run.pauses.blue_green_over(run.now_s):
        run.pauses.remove(BLUE_GREEN)
        return
    seconds = rollout.strategy.get("autoPromotionSeconds", 0)
    if seconds > 0 and since_s + seconds > run.now_s:
        run.look_again(since_s + seconds - run.now_s)


def _reconcile_active(run: Pass, analyses: Analyses, active: Object, active_hash: str) -> str:
    """Switches the active Service when everything that must come before has come; gives its hash afterwards."""
    rollout, new = run.rollout, run.new
    if rollout.halted():
        return active_hash
    whole = sizes.ready_for_pause(rollout, new, run.members) and sizes.saturated(rollout, new)
    # Aborted with a new set that is no longer whole: the stable set must serve all the same.
    if not whole and not (rollout.aborted and active_hash == new.hash):
        return active_hash
    to = active_hash
    over = run.pauses.blue_green_over(run.now_s) and analyses.pre_promotion_done()
    if _fast_tracked(run, active_hash) or over:
        to = new.hash
    if rollout.aborted:
        to = rollout.stable_hash
    if to:
        services.switch(run, active, to)
    return to


def finish_scaling(run: Pass) -> Decision:
    """The end of a pass that only scales: the status is kept but for its counts."""
    status: dict[str, Any] = dict(run.rollout.status)
    _count(run, status)
    return statuses.finish(run, status)


def _count(run: Pass, status: dict[str, Any]) -> None:
    """Counts of what serves: of the active set when there is one."""
    active_hash = (status.get("blueGreen") or {}).get("activeSelector")
    active = next((m for m in run.members if active_hash and m.hash == active_hash), None)
    if active is not None:
        view = active.view
        status["HPAReplicas"] = view.status.replicas
        status["availableReplicas"] = view.status.availableReplicas
        status["readyReplicas"] = view.status.readyReplicas
        status["selector"] = statuses.selector_text(view.spec.selector)


def _finish(run: Pass, analyses: Analyses | None, active_hash: str, preview_hash: str) -> Decision:
    rollout = run.rollout
    status = statuses.base(run)
    part = status["blueGreen"]
    if analyses is None:
        start_over(run, status)
    if rollout.promote_full or within_window(run):
        run.pauses.clear()
        run.pauses.lift_abort()
    part["previewSelector"] = preview_hash
    part["activeSelector"] = active_hash
    reason = reason_to_promote(run, status, analyses)
    if reason:
        promote(run, status, reason)
    elif _checkpoint(run, analyses):
        part["scaleUpPreviewCheckPoint"] = True
    status["blueGreen"] = {key: value for key, value in part.items() if value}
    _count(run, status)
    return statuses.finish(run, status)


def _checkpoint(run: Pass, analyses: Analyses | None) -> bool:
    """previewReplicaCount: whether the preview has done its part and the new set may grow to its full size."""
    count = run.rollout.strategy.get("previewReplicaCount")
    if count is None or analyses is None:
        return False
    if run.rollout.of_blue_green.get("scaleUpPreviewCheckPoint"):
        return True
    if not analyses.pre_promotion_done() or not run.pauses.blue_green_over(run.now_s):
        return False
    return bool(run.new.available == count)
