"""How large each ReplicaSet of a Rollout should be now: the Rollout's settings put into `engines.delivery`.

Source: argo-rollouts 1.9 (9f8d111d8) `utils/replicaset/canary.go`, `utils/replicaset/replicaset.go`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilothouse.engines.delivery import counts, steps
from pilothouse.engines.rolling.fenceposts import percent_of
from pilothouse.kinds.argoproj.rollout.reading import Member, Rollout


def canary_weight(rollout: Rollout, new: Member | None, stable: Member | None) -> int:
    """The weight of the step at hand; after an abort 0, or with dynamicStableScale the way back step by step."""
    if rollout.aborted:
        if not rollout.dynamic or new is None or stable is None:
            return 0
        expected = rollout.replicas - stable.available
        # Canary pods kept up by an explicit delay must not hold the weight up: nothing would ever move.
        pods = expected if rollout.abort_delay_is_set else max(expected, new.available)
        return steps.weight_down_from(rollout.steps, rollout.replicas, pods, rollout.max_weight)
    return steps.weight_at(rollout.steps, rollout.index, rollout.max_weight)


def canary_scale(rollout: Rollout) -> Mapping[str, Any] | None:
    """The setCanaryScale in force; it needs traffic routing, and after an abort only counts for canaries left up."""
    if rollout.routing is None or (rollout.aborted and rollout.abort_delay_s is not None):
        return None
    return steps.canary_scale_at(rollout.steps, rollout.index)


def fixed_or_weight(rollout: Rollout, new: Member | None, stable: Member | None) -> tuple[int | None, int]:
    """(a number of canary pods, 0) or (None, the weight that decides it)."""
    if rollout.promote_full or not rollout.stable_hash or rollout.fully_promoted:
        return None, rollout.max_weight
    scale = canary_scale(rollout)
    if scale is not None:
        if scale.get("replicas") is not None:
            return int(scale["replicas"]), 0
        if scale.get("weight") is not None:
            return None, int(scale["weight"])
    return None, canary_weight(rollout, new, stable)


def canary(
    rollout: Rollout,
    new: Member | None,
    stable: Member | None,
    others: Sequence[Member],
    weights: Mapping[str, Any] | None,
) -> tuple[int, int]:
    """(canary, stable) sizes. weights: `status.canary.weights` to reckon with, None when the router has none."""
    fixed, weight = fixed_or_weight(rollout, new, stable)
    if rollout.routing is None:
        limits = counts.Limits(rollout.replicas, rollout.surge, rollout.unavailable)
        own = stable if stable is not None and stable is not new else None
        older = sum(m.replicas for m in others)
        return counts.basic(
            limits, weight, rollout.max_weight, new.size if new else None, own.size if own else None, older
        )
    actual = None
    if weights is not None:
        actual = (weights["canary"].get("weight", 0), weights["stable"].get("weight", 0))
    least = int((rollout.canary or {}).get("minPodsPerReplicaSet") or 0)
    return counts.routed(
        counts.Routed(
            rollout.replicas, weight, rollout.max_weight, fixed, rollout.dynamic, least, actual, rollout.aborted
        )
    )


def threshold_met(rollout: Rollout, member: Member | None, wanted: int) -> bool:
    """Whether enough of the wanted pods are available: all, or as replicaProgressThreshold says."""
    threshold = (rollout.canary or {}).get("replicaProgressThreshold")
    if threshold is None or member is None or threshold.get("value", 0) < 0:
        return member is not None and wanted == member.replicas == member.available
    if threshold.get("type") == "Percentage":
        return wanted == 0 or 100 * member.available >= threshold.get("value", 0) * wanted
    return member.available >= int(threshold.get("value", 0))


def canary_settled(
    rollout: Rollout,
    new: Member | None,
    stable: Member | None,
    others: Sequence[Member],
    weights: Mapping[str, Any] | None,
) -> bool:
    """Whether the step's sizes are reached: canary available, stable made, and without a router nothing else serves."""
    wanted, wanted_stable = canary(rollout, new, stable, others, weights)
    if not threshold_met(rollout, new, wanted):
        return False
    made = stable is not None and wanted_stable == stable.replicas == stable.view.status.replicas
    if not made and (rollout.routing is None or not rollout.dynamic):
        return False
    return rollout.routing is not None or not any(m.available for m in others)


def blue_green_new(rollout: Rollout, new: Member, members: Sequence[Member]) -> int:
    """The new set of a blue-green update: full size, or as many as previewReplicaCount until it may be switched."""
    preview = rollout.strategy.get("previewReplicaCount")
    active_hash = rollout.of_blue_green.get("activeSelector") or ""
    active = next((m for m in members if active_hash and m.hash == active_hash), None)
    if preview is None or active is None or active is new or rollout.promote_full:
        return rollout.replicas
    if new.hash != rollout.current_hash:
        return int(preview)
    waiting = rollout.paused or bool(rollout.status.get("pauseConditions"))
    if not waiting and rollout.of_blue_green.get("scaleUpPreviewCheckPoint"):
        return rollout.replicas
    return int(preview)


def saturated(rollout: Rollout, member: Member | None) -> bool:
    """Whether the set has the whole size, was scaled for it, and all of it is available."""
    from_annotation = member.annotations.get("rollout.argoproj.io/desired-replicas") if member else None
    return member is not None and (
        member.replicas == rollout.replicas == member.available and from_annotation == str(rollout.replicas)
    )


def ready_for_pause(rollout: Rollout, new: Member, members: Sequence[Member]) -> bool:
    """Whether the new set of a blue-green update stands at the size that it shall have now."""
    return blue_green_new(rollout, new, members) == new.replicas == new.available


def is_zero(value: Any) -> bool:
    """Whether a maxSurge or maxUnavailable is literally nothing."""
    if isinstance(value, str):
        try:
            return percent_of(value) == 0
        except ValueError:
            return False
    return isinstance(value, int) and value == 0
