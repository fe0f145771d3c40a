"""A PodDisruptionBudget's status: how many pods are healthy, should be, and may be disturbed now.

Source: disruption controller of Kubernetes 1.36 (`trySync`, `getExpectedPodCount`, `updatePdbStatus`, `failSafe`).
Called by `controller.py`; performs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.base.actions import Action, Decision, Emit, Object
from pilothouse.base.clock import parse_rfc3339, rfc3339
from pilothouse.engines.rolling.fenceposts import scaled
from pilothouse.engines.rolling.views import PodView, controller_of

DELETION_TIMEOUT_S = 120.0
"""How long an allowed eviction counts as on its way although the pod shows no deletion yet."""


class BudgetMeta(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0


class BudgetSpec(msgspec.Struct, gc=False):
    minAvailable: int | str | None = None
    maxUnavailable: int | str | None = None
    selector: Any = None


class BudgetView(msgspec.Struct, gc=False):
    metadata: BudgetMeta
    spec: BudgetSpec
    status: Any = None


@dataclass(frozen=True, slots=True)
class Scale:
    """The controller that answers for a pod: the outermost one that has replicas, and how many it wants."""

    uid: str
    replicas: int


ScaleOf = Callable[[Mapping[str, Any]], Scale | None]
"""From a pod's controller reference to its Scale; None when no controller with replicas is found."""


class _NoController(Exception):
    """A pod's controller is not known or has no replicas."""


def decide(obj: Object, budget: BudgetView, pods: Sequence[PodView], scale_of: ScaleOf, now_s: float) -> Decision:
    """One pass. pods: all that the selector matches, whatever their phase."""
    events: list[Action] = []
    if not pods:
        events.append(Emit(obj, "Normal", "NoPods", "No matching pods found"))
    try:
        expected, desired, unmanaged = _expected(budget, pods, scale_of)
    except (_NoController, ValueError) as failure:
        message = f"Failed to calculate the number of expected pods: {failure}"
        told = Emit(obj, "Warning", "CalculateExpectedPodCountFailed", message)
        status = _failed_status(budget, str(failure), now_s)
        # An Event only with a new status: otherwise each look would add one.
        return Decision(actions=(told,) if status != budget.status else (), status=status)
    if unmanaged:
        events.append(Emit(obj, "Warning", "UnmanagedPods", _unmanaged_message(budget)))
    disrupted, again_s = _disrupted(budget, pods, now_s)
    healthy = sum(
        1 for p in pods if p.ready and p.metadata.deletionTimestamp is None and p.metadata.name not in disrupted
    )
    status = _status(budget, healthy, desired, expected, disrupted, now_s)
    return Decision(actions=tuple(events) if status != budget.status else (), status=status, requeue_s=again_s)


def _unmanaged_message(budget: BudgetView) -> str:
    return (
        f"Pods selected by this PodDisruptionBudget (selector: {_selector_text(budget.spec.selector)}) were found "
        "to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in "
        'undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an '
        "integer value."
    )


def _selector_text(selector: Mapping[str, Any] | None) -> str:
    """The selector as Go prints one: `&LabelSelector{MatchLabels:map[string]string{app: web,},…}`."""
    pairs = "".join(f"{k}: {v}," for k, v in sorted(((selector or {}).get("matchLabels") or {}).items()))
    expressions = ""
    for entry in (selector or {}).get("matchExpressions") or ():
        values = " ".join(entry.get("values") or ())
        expressions += (
            f"LabelSelectorRequirement{{Key:{entry['key']},Operator:{entry['operator']},Values:[{values}],}},"
        )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{pairs}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )


def _expected(budget: BudgetView, pods: Sequence[PodView], scale_of: ScaleOf) -> tuple[int, int, list[str]]:
    """(expected pods, desired healthy, names of pods without a controller)."""
    spec = budget.spec
    if spec.maxUnavailable is not None:
        expected, unmanaged = _expected_scale(pods, scale_of)
        return expected, max(expected - scaled(spec.maxUnavailable, expected, round_up=True), 0), unmanaged
    if isinstance(spec.minAvailable, str):
        expected, unmanaged = _expected_scale(pods, scale_of)
        return expected, scaled(spec.minAvailable, expected, round_up=True), unmanaged
    if spec.minAvailable is not None:
        return len(pods), spec.minAvailable, []
    return 0, 0, []


def _expected_scale(pods: Sequence[PodView], scale_of: ScaleOf) -> tuple[int, list[str]]:
    """The sum of what the pods' controllers want, each once."""
    wanted: dict[str, int] = {}
    asked: dict[str, None] = {}
    unmanaged: list[str] = []
    for pod in pods:
        reference = controller_of(pod.metadata.ownerReferences)
        if reference is None:
            unmanaged.append(pod.metadata.name)
        elif reference["uid"] not in asked:
            asked[reference["uid"]] = None
            scale = scale_of(reference)
            if scale is None:
                raise _NoController(f'found no controllers for pod "{pod.metadata.name}"')
            wanted[scale.uid] = scale.replicas
    return sum(wanted.values()), unmanaged


def _disrupted(budget: BudgetView, pods: Sequence[PodView], now_s: float) -> tuple[dict[str, str], float | None]:
    """Pods whose eviction was allowed and has not begun yet; and seconds until the first of them is given up."""
    listed = (budget.status or {}).get("disruptedPods") or {}
    if not listed:
        return {}, None
    kept: dict[str, str] = {}
    waits: list[float] = []
    for pod in pods:
        since = listed.get(pod.metadata.name)
        if since is None or pod.metadata.deletionTimestamp is not None:
            continue
        left_s = parse_rfc3339(since) + DELETION_TIMEOUT_S - now_s
        if left_s >= 0:
            kept[pod.metadata.name] = since
            waits.append(left_s)
    return kept, min(waits) + 0.001 if waits else None


def _status(
    budget: BudgetView, healthy: int, desired: int, expected: int, disrupted: Mapping[str, str], now_s: float
) -> dict[str, Any]:
    # Nothing may be disturbed before the first pods have been counted.
    allowed = max(healthy - desired, 0) if expected > 0 else 0
    status: dict[str, Any] = {}
    if budget.metadata.generation:
        status["observedGeneration"] = budget.metadata.generation
    if disrupted:
        status["disruptedPods"] = dict(disrupted)
    status["disruptionsAllowed"] = allowed
    status["currentHealthy"] = healthy
    status["desiredHealthy"] = desired
    status["expectedPods"] = expected
    enough = allowed > 0
    status["conditions"] = _conditions(
        budget, "True" if enough else "False", "SufficientPods" if enough else "InsufficientPods", "", now_s
    )
    return status


def _failed_status(budget: BudgetView, message: str, now_s: float) -> dict[str, Any]:
    """Nothing may be disturbed while the count is not known."""
    old = budget.status or {"currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
    conditions = _conditions(budget, "False", "SyncFailed", message, now_s, old.get("observedGeneration"))
    return {**old, "disruptionsAllowed": 0, "conditions": conditions}


def _conditions(
    budget: BudgetView, status: str, reason: str, message: str, now_s: float, generation: int | None = None
) -> list[Mapping[str, Any]]:
    """DisruptionAllowed as it now is; its time moves only with its status."""
    old = (budget.status or {}).get("conditions") or []
    current = next((c for c in old if c["type"] == "DisruptionAllowed"), None)
    condition: dict[str, Any] = {"type": "DisruptionAllowed", "status": status}
    observed = generation if generation is not None else budget.metadata.generation
    if observed:
        condition["observedGeneration"] = observed
    same = current is not None and current["status"] == status
    condition["lastTransitionTime"] = current["lastTransitionTime"] if current and same else rfc3339(now_s)
    condition["reason"] = reason
    condition["message"] = message
    if current is None:
        return [*old, condition]
    return [condition if c is current else c for c in old]
