"""The ReplicaSets of a Rollout brought towards their sizes, and old ones taken down when nothing needs them.

Each function gives True when it changed a size: the pass then waits for what comes of it.
Source: argo-rollouts 1.9 (9f8d111d8) `rollout/replicaset.go`, `rollout/canary.go`, `rollout/bluegreen.go`.
"""

from __future__ import annotations

from typing import Any

from pilothouse.base.clock import rfc3339
from pilothouse.kinds.argoproj.rollout import sizes
from pilothouse.kinds.argoproj.rollout.reading import DEADLINE, DESIRED, HASH_LABEL, SET_KIND, Member
from pilothouse.kinds.argoproj.rollout.run import INCONCLUSIVE_ANALYSIS, Pass


def is_scaling(run: Pass) -> bool:
    """Whether spec.replicas changed since the new and the stable set were last scaled.

    Upstream asks all sets. One that a Service still selects is left as it is, though, and a pass that only scales moves
    no Service: such a Rollout would wait for itself for ever.
    """
    for member in run.members:
        if member is not run.new_or_none and member is not run.stable:
            continue
        desired = member.annotations.get(DESIRED, "")
        if member.replicas > 0 and desired.isdigit() and int(desired) != run.rollout.replicas:
            return True
    return False


def scale(run: Pass, member: Member, size: int) -> bool:
    """Writes a size and the Rollout's size it was made for; True when the size changed."""
    wanted = str(run.rollout.replicas)
    changed = member.replicas != size
    if not changed and member.annotations.get(DESIRED) == wanted:
        return False
    annotations: dict[str, str | None] = {DESIRED: wanted}
    if size == 0 and not delays_after_abort(run) and DEADLINE in member.annotations:
        annotations[DEADLINE] = None
        del member.annotations[DEADLINE]
    patch: dict[str, Any] = {"metadata": {"annotations": annotations}}
    if changed:
        patch["spec"] = {"replicas": size}
    run.patch(SET_KIND, member.name, patch)
    member.annotations[DESIRED] = wanted
    if changed:
        way = "up" if member.replicas < size else "down"
        run.emit(
            "ScalingReplicaSet",
            f"Scaled {way} ReplicaSet {member.name} (revision {member.revision}) from {member.replicas} to {size}",
        )
        member.replicas = size
    return changed


def delays_after_abort(run: Pass) -> bool:
    """Whether the new pods stay for a while after an abort."""
    rollout = run.rollout
    if not run.pauses.aborted or run.stable is None:
        return False
    if rollout.canary is not None and rollout.routing is None:
        return False
    if rollout.abort_delay_s is None:
        return False
    return not rollout.dynamic or rollout.abort_delay_is_set


def drop_deadlines(run: Pass) -> None:
    """New and stable sets are wanted again: they have no moment to go any more."""
    if run.new_or_none is not None and not delays_after_abort(run):
        run.drop_deadline(run.new_or_none)
    if run.stable is not None and run.stable is not run.new_or_none:
        run.drop_deadline(run.stable)


def reconcile_new(run: Pass) -> bool:
    new = run.new_or_none
    if new is None:
        return False
    rollout = run.rollout
    if rollout.blue_green is not None:
        size = sizes.blue_green_new(rollout, new, run.members)
    else:
        size, _ = sizes.canary(rollout, new, run.stable, run.others, run.weights)
    if delays_after_abort(run):
        held = _held_after_abort(run, new)
        if held is not None:
            return held
        if new.deadline_s is not None:
            size = 0
    scaled = scale(run, new, size)
    _migrate_workload(run, new, size)
    return scaled


def _held_after_abort(run: Pass, new: Member) -> bool | None:
    """False while the new set is kept up after an abort; None once its moment to go has come."""
    if new.annotations.get(DEADLINE):
        left_s = (new.deadline_s or 0.0) - run.now_s
        if new.deadline_s is None or left_s <= 0:
            return None
        run.look_again(left_s)
        scale(run, new, new.replicas)
        return False
    scale(run, new, new.replicas)
    # Only once the stable set carries everything may the new one be given a moment to go.
    if run.stable is not None and run.stable.available >= run.rollout.replicas:
        delay_s = run.rollout.abort_delay_s or 0
        run.annotate(new, DEADLINE, rfc3339(run.now_s + delay_s))
        run.look_again(delay_s)
    return False


def _migrate_workload(run: Pass, new: Member, size: int) -> None:
    """workloadRef.scaleDown progressively: the Deployment gives up what the Rollout has made ready."""
    reference = run.rollout.spec.get("workloadRef") or {}
    if new.revision != 1 or reference.get("scaleDown") != "progressively":
        return
    if run.rollout.status.get("phase") == "Healthy":
        scale_workload(run, 0)
        return
    ready = run.rollout.status.get("readyReplicas", 0)
    if ready > 0 or new.replicas > size:
        scale_workload(run, max(run.rollout.replicas - ready, 0))


def scale_workload(run: Pass, size: int) -> None:
    workload = run.observed.workload
    if workload is None or workload.kind != "apps/Deployment":
        return
    if (workload.obj.get("spec") or {}).get("replicas", 1) != size:
        run.patch(workload.kind, workload.obj["metadata"]["name"], {"spec": {"replicas": size}})


def reconcile_others(run: Pass) -> bool:
    """Takes down sets that are neither new nor stable."""
    standing = [m for m in run.others if m.replicas > 0]
    if not standing:
        return False
    standing.sort(key=lambda m: (m.revision, m.age_key), reverse=True)
    if run.rollout.canary is not None:
        return _others_of_canary(run, standing)
    return _others_of_blue_green(run, standing)


def _others_of_canary(run: Pass, standing: list[Member]) -> bool:
    rollout, before = run.rollout, sum(m.replicas for m in standing)
    for member in sorted(standing, key=lambda m: m.age_key):
        # Pods that never came up block the way and carry nothing: they go first.
        if member.available < member.replicas:
            scale(run, member, member.available)
    spare = sum(m.available for m in run.members) - (rollout.replicas - rollout.unavailable)
    marked = 0
    for member in standing:
        if spare <= 0:
            break
        # A Rollout of no pods has nothing that a Service could be switched to: what it selects may go.
        needed = rollout.routing is not None and rollout.replicas > 0 and is_referenced(run, member)
        if member.replicas == 0 or needed:
            continue
        size = 0
        if rollout.routing is None:
            size = max(member.replicas - spare, 0)
        elif (rollout.fully_promoted or member.annotations.get(DEADLINE)) and not rollout.dynamic:
            marked, size = _delayed(run, member, marked, member.replicas)
        spare -= member.replicas - size
        scale(run, member, size)
    return sum(m.replicas for m in standing) < before


def _others_of_blue_green(run: Pass, standing: list[Member]) -> bool:
    rollout = run.rollout
    if rollout.pause_since_s(INCONCLUSIVE_ANALYSIS) is not None:
        return False
    spec = rollout.strategy
    if spec.get("postPromotionAnalysis") and spec.get("scaleDownDelaySeconds") is None:
        part = rollout.of_blue_green.get("postPromotionAnalysisRunStatus") or {}
        switched = rollout.of_blue_green.get("activeSelector") == run.new.hash and rollout.stable_hash != run.new.hash
        if switched and part.get("status") != "Successful":
            return False
    scaled, marked = False, 0
    for member in standing:
        if is_referenced(run, member):
            continue
        marked, size = _delayed(run, member, marked, rollout.replicas)
        if member.replicas != size:
            scaled = scale(run, member, size) or scaled
    return scaled


def _delayed(run: Pass, member: Member, marked: int, kept: int) -> tuple[int, int]:
    """(sets that have a moment to go, this one included; the size it shall have). kept: its size until that moment."""
    limit = run.rollout.scale_down_limit
    if not member.annotations.get(DEADLINE):
        if marked >= limit:
            return marked, 0
        delay_s = run.rollout.scale_down_delay_s
        if delay_s:
            run.annotate(member, DEADLINE, rfc3339(run.now_s + delay_s))
            run.look_again(delay_s)
            return marked + 1, member.replicas
        return marked + 1, 0
    marked += 1
    if marked > limit or member.deadline_s is None or member.deadline_s <= run.now_s:
        return marked, 0
    run.look_again(member.deadline_s - run.now_s)
    return marked, kept


def is_referenced(run: Pass, member: Member) -> bool:
    """Whether the status or a Service still points at the set: then it may be serving."""
    rollout = run.rollout
    weights = rollout.weights or {}
    hashes = [
        rollout.stable_hash,
        rollout.current_hash,
        rollout.of_blue_green.get("activeSelector"),
        rollout.of_blue_green.get("previewSelector"),
        (weights.get("canary") or {}).get("podTemplateHash"),
        (weights.get("stable") or {}).get("podTemplateHash"),
    ]
    if member.hash in hashes:
        return True
    keys = ("canaryService", "stableService") if rollout.canary is not None else ("activeService", "previewService")
    for name in filter(None, (rollout.strategy.get(key) for key in keys)):
        service = run.observed.find("Service", name)
        if service is not None and ((service.get("spec") or {}).get("selector") or {}).get(HASH_LABEL) == member.hash:
            return True
    return False
