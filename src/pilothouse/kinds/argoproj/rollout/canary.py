"""One pass of the canary strategy: services, traffic, experiments, analyses, sizes, then the step.

Source: argo-rollouts 1.9 (9f8d111d8) `rollout/canary.go`.
"""

from __future__ import annotations

from pilothouse.base.actions import Decision
from pilothouse.engines.delivery import steps
from pilothouse.kinds.argoproj.rollout import (
    ephemeral,
    experiments,
    restart,
    revision,
    scaling,
    services,
    sizes,
    traffic,
)
from pilothouse.kinds.argoproj.rollout import status as statuses
from pilothouse.kinds.argoproj.rollout.analysis import Analyses, phase_of
from pilothouse.kinds.argoproj.rollout.history import (
    is_fast_rollback,
    pod_spec_changed,
    step_hash,
    steps_changed,
    within_window,
)
from pilothouse.kinds.argoproj.rollout.promotion import promote, reason_to_promote, start_over
from pilothouse.kinds.argoproj.rollout.run import CANARY_STEP, Pass


def reconcile(run: Pass) -> Decision:
    if steps_changed(run.rollout) or pod_spec_changed(run):
        return _finish(run, None)
    restarted = restart.reconcile(run)
    if restarted:
        # Availability is unknown until the evicted pods are counted: nothing else is taken down in this pass.
        return run.decision(None)
    ephemeral.reconcile(run)
    revision.forget_old_sets(run)
    services.reconcile_canary(run)
    traffic.reconcile(run)
    experiments.reconcile(run)
    analyses = Analyses(run)
    rollout = run.rollout
    skip = rollout.fully_promoted or run.pauses.aborted or rollout.promote_full or not rollout.stable_hash
    analyses.reconcile(skip=skip or is_fast_rollback(run))
    if not run.pauses.added and not reconcile_sizes(run):
        _reconcile_pause(run)
    return _finish(run, analyses)


def reconcile_sizes(run: Pass) -> bool:
    """Brings the sets one step nearer to their sizes, the stable one first; True when something was scaled."""
    rollout = run.rollout
    if rollout.halted():
        return False
    scaling.drop_deadlines(run)
    if run.stable is not None and run.stable is not run.new_or_none:
        # The weights that were there before this pass: stable pods follow the traffic, they do not run ahead of it.
        _, size = sizes.canary(rollout, run.new_or_none, run.stable, run.others, rollout.weights)
        if scaling.scale(run, run.stable, size):
            return True
    return scaling.reconcile_new(run) or scaling.reconcile_others(run)


def _reconcile_pause(run: Pass) -> None:
    rollout, step = run.rollout, run.rollout.step
    if rollout.paused or rollout.promote_full or step is None or step.get("pause") is None:
        return
    since_s = rollout.pause_since_s(CANARY_STEP)
    if since_s is None:
        if not rollout.status.get("controllerPause"):
            run.pauses.add(CANARY_STEP)
            _look_at_end(run, run.now_s, steps.pause_s(step))
        return
    _look_at_end(run, since_s, steps.pause_s(step))


def _look_at_end(run: Pass, since_s: float, duration_s: float | None) -> None:
    if duration_s is not None and since_s + duration_s > run.now_s:
        run.look_again(since_s + duration_s - run.now_s)


def _step_done(run: Pass, analyses: Analyses) -> bool:
    rollout, step = run.rollout, run.rollout.step
    if rollout.paused or step is None:
        return False
    if step.get("pause") is not None:
        return run.pauses.canary_step_over(steps.pause_s(step), run.now_s)
    if "setWeight" in step or "setCanaryScale" in step:
        return sizes.canary_settled(rollout, run.new, run.stable, run.others, run.weights) and _weight_is_set(run)
    if step.get("experiment") is not None:
        return phase_of(experiments.current(run)) == "Successful"
    if step.get("analysis") is not None:
        return analyses.succeeded("step")
    if "plugin" in step:
        run.emit(
            "RolloutStepSkipped",
            f"step plugin {step['plugin'].get('name', '')!r} cannot run here and counts as done",
            warning=True,
        )
    return True


def _weight_is_set(run: Pass) -> bool:
    """Whether the router follows the step: with routing, the weight of this pass is the step's."""
    step = run.rollout.step or {}
    if run.rollout.routing is None or run.weights is None or "setWeight" not in step:
        return True
    return bool(run.weights["canary"].get("weight", 0) == step["setWeight"]) or run.new.available == 0


def _finish(run: Pass, analyses: Analyses | None) -> Decision:
    rollout, count = run.rollout, len(run.rollout.steps)
    status = statuses.base(run)
    status["currentStepHash"] = step_hash(rollout)
    if analyses is None:
        start_over(run, status)
        _skip_steps_on_rollback(run, status)
        return statuses.finish(run, status)
    index = rollout.index
    if rollout.promote_full or within_window(run):
        run.pauses.clear()
        run.pauses.lift_abort()
        index = count if count else index
    reason = reason_to_promote(run, status, analyses)
    if reason:
        promote(run, status, reason)
        return statuses.finish(run, status)
    if run.pauses.aborted:
        if count:
            at_stable = status.get("stableRS") == status["currentPodHash"]
            status["currentStepIndex"] = count if at_stable else 0
        return statuses.finish(run, status)
    if index == rollout.index and index is not None and _step_done(run, analyses):
        assert rollout.step is not None  # a step that is done is there
        index += 1
        status["canary"].pop("currentStepAnalysisRunStatus", None)
        told = steps.described(rollout.step)
        run.emit("RolloutStepCompleted", f"Rollout step {index}/{count} completed ({told})")
        run.pauses.remove(CANARY_STEP)
    status["currentStepIndex"] = index
    return statuses.finish(run, status)


def _skip_steps_on_rollback(run: Pass, status: dict[str, object]) -> None:
    new, count = run.new_or_none, len(run.rollout.steps)
    if new is None or not count:
        return
    if run.rollout.stable_hash == new.hash:
        run.emit("SkipSteps", "Rollback to stable ReplicaSets")
        status["currentStepIndex"] = count
    elif within_window(run) and new.replicas > 0:
        run.emit("SkipSteps", "Rollback to active ReplicaSets within RollbackWindow")
        status["currentStepIndex"] = count
