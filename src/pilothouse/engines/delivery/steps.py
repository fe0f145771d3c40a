"""What the steps of a canary mean at a position: the weight, the canary's scale, a text for people.

Steps are the JSON of `spec.strategy.canary.steps`; `index` is `status.currentStepIndex`, which equals the number of
steps once all are done. Source: argo-rollouts 1.9 (9f8d111d8) `utils/replicaset/canary.go`, `utils/rollout`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilothouse.base.duration import parse_duration_s
from pilothouse.engines.delivery.split import pods_for_weight

Step = Mapping[str, Any]


def current(steps: Sequence[Step], index: int | None) -> Step | None:
    """The step at hand; None when there are none or all are done."""
    at = index or 0
    return steps[at] if at < len(steps) else None


def weight_at(steps: Sequence[Step], index: int | None, max_weight: int = 100) -> int:
    """The last setWeight up to here; 0 before the first, everything when all steps are done."""
    if current(steps, index) is None:
        return max_weight
    return next((int(s["setWeight"]) for s in reversed(steps[: (index or 0) + 1]) if "setWeight" in s), 0)


def weight_before(steps: Sequence[Step], index: int) -> int:
    """The last setWeight of the steps before this one."""
    return next((int(s["setWeight"]) for s in reversed(steps[:index]) if "setWeight" in s), 0)


def canary_scale_at(steps: Sequence[Step], index: int | None) -> Mapping[str, Any] | None:
    """The setCanaryScale in force here; None when there is none or the traffic's weight shall decide again."""
    if current(steps, index) is None:
        return None
    for step in reversed(steps[: (index or 0) + 1]):
        scale = step.get("setCanaryScale")
        if scale is not None:
            return None if scale.get("matchTrafficWeight") else scale
    return None


def weight_down_from(steps: Sequence[Step], replicas: int, canary_replicas: int, max_weight: int) -> int:
    """On the way back of an abort with dynamicStableScale: the largest step's weight that needs fewer canary pods."""
    for step in reversed(steps):
        if "setWeight" in step and pods_for_weight(replicas, step["setWeight"], max_weight) < canary_replicas:
            return int(step["setWeight"])
    return 0


def pause_s(step: Step) -> float | None:
    """Seconds of a pause step; None when a person must end it. ValueError when the duration is none."""
    duration = (step.get("pause") or {}).get("duration")
    return None if duration is None else duration_s(duration)


def duration_s(value: int | str) -> float:
    """Seconds of `30`, `"30"` or `"30s"`; ValueError when it is no duration."""
    if isinstance(value, int):
        return float(value)
    return float(value) if value.isdigit() else parse_duration_s(value)


def is_indefinite(step: Step | None) -> bool:
    """Whether time at this step does not count against the progress deadline."""
    return step is not None and any(step.get(key) is not None for key in ("experiment", "analysis", "pause"))


def described(step: Step) -> str:
    """The step in the words of Argo's events and views: `setWeight: 20`, `pause: 1h`."""
    if "setWeight" in step:
        return f"setWeight: {step['setWeight']}"
    if step.get("pause") is not None:
        duration = step["pause"].get("duration")
        return "pause" if duration is None else f"pause: {duration}"
    for key in ("experiment", "analysis"):
        if step.get(key) is not None:
            return key
    if "setCanaryScale" in step:
        return _scale(step["setCanaryScale"])
    for key in ("plugin", "setHeaderRoute", "setMirrorRoute"):
        if key in step:
            return f"{key}: {step[key].get('name', '')}"
    return "invalid"


def _scale(scale: Mapping[str, Any]) -> str:
    if "weight" in scale:
        return f"setCanaryScale{{weight: {scale['weight']}}}"
    if scale.get("matchTrafficWeight"):
        return "setCanaryScale{matchTrafficWeight: true}"
    return f"setCanaryScale{{replicas: {scale.get('replicas', 0)}}}"
