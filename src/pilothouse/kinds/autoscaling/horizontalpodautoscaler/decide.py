"""One sync of a HorizontalPodAutoscaler as kube-controller-manager 1.36 does it.

From spec, scale, pods and metrics to a new size, conditions, Events and the history to remember. Pure; called by
`controller` and by reports that replay a sync.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pilothouse.base import quantity
from pilothouse.base.actions import Action, Decision, Emit, Object, Patch
from pilothouse.base.clock import rfc3339
from pilothouse.engines.autoscaling.behavior import (
    DEFAULT_DOWN,
    DEFAULT_UP,
    DOWN_STABILIZED,
    UP_STABILIZED,
    History,
    Policy,
    Recommendation,
    Rules,
    UpLimit,
    limit,
    limit_with_rules,
    record_scaling,
    stabilize,
    stabilize_with_rules,
)
from pilothouse.engines.autoscaling.pods import PodFacts, Readiness
from pilothouse.engines.autoscaling.replicas import Failure, Tolerances
from pilothouse.kinds.autoscaling.horizontalpodautoscaler.sources import Answer, Outcome, Situation, evaluate

SYNC_PERIOD_S = 15.0
"""kube-controller-manager --horizontal-pod-autoscaler-sync-period."""


@dataclass(frozen=True, slots=True)
class Options:
    """The controller's flags and feature gates, with the defaults of 1.36."""

    tolerance: float = 0.1
    readiness: Readiness = field(default_factory=Readiness)
    downscale_stabilization_s: float = 300.0
    up_limit: UpLimit = field(default_factory=UpLimit)
    scale_to_zero: bool = False
    configurable_tolerance: bool = True


DEFAULTS = Options()


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale subresource of the target. kind: full name such as "apps/Deployment"; selector: in text form."""

    kind: str
    namespace: str
    name: str
    spec_replicas: int
    status_replicas: int
    selector: str


class Sync(NamedTuple):
    """What one sync decided.

    history: to pass to the next sync, once the writes went through; history_if_refused: when the scale was not written.
    replicas: the new size, or None when the scale stays as it is; why: the reason in the Event.
    error: the sync's failure in upstream's words, "" when it worked; the next sync tries again.
    """

    decision: Decision
    history: History
    history_if_refused: History
    replicas: int | None = None
    why: str = ""
    error: str = ""


class _Draft:
    """What a sync collects on its way: conditions in the order of first appearance, and Events."""

    __slots__ = ("_stored", "actions", "conditions", "hpa", "now_s")

    def __init__(self, hpa: Object, now_s: float) -> None:
        self.hpa = hpa
        self.now_s = now_s
        self._stored: Sequence[Mapping[str, Any]] = (hpa.get("status") or {}).get("conditions") or ()
        self.conditions: list[Mapping[str, Any]] = list(self._stored)
        self.actions: list[Action] = []

    def condition(self, kind: str, met: bool, reason: str, message: str) -> None:
        status = "True" if met else "False"
        for index, old in enumerate(self.conditions):
            if old["type"] == kind:
                since = old.get("lastTransitionTime") if old.get("status") == status else None
                self.conditions[index] = self._made(kind, status, since, reason, message)
                return
        self.conditions.append(self._made(kind, status, None, reason, message))

    def _made(self, kind: str, status: str, since: str | None, reason: str, message: str) -> Mapping[str, Any]:
        """The condition; the stored one when it says the same, so that the write sees at once that nothing changed."""
        for known in self._stored if since else ():
            if (
                known["type"] == kind
                and known.get("status") == status
                and known.get("reason") == reason
                and known.get("message") == message
                and known.get("lastTransitionTime") == since
            ):
                return known
        return {
            "type": kind,
            "status": status,
            "lastTransitionTime": since or rfc3339(self.now_s),
            "reason": reason,
            "message": message,
        }

    def warn(self, reason: str, message: str) -> None:
        self.actions.append(Emit(self.hpa, "Warning", reason, message))


def decide(
    hpa: Object,
    scale: Scale | Failure,
    pods: Sequence[PodFacts],
    answers: Sequence[Answer],
    history: History,
    now_s: float,
    options: Options = DEFAULTS,
    *,
    rivals: Sequence[str] = (),
) -> Sync:
    """One sync. answers: one per entry of `spec.metrics`, in order; rivals: all autoscalers ("namespace/name", this one
    among them) whose selectors find these pods, when there is more than one."""
    draft = _Draft(hpa, now_s)
    if isinstance(scale, Failure):
        return _no_scale(draft, scale.message, history)
    draft.condition(
        "AbleToScale", True, "SucceededGetScale", "the HPA controller was able to get the target's current scale"
    )
    if not options.scale_to_zero:
        draft.conditions = [c for c in draft.conditions if c["type"] != "ScaledToZero"]
    if history.recommendations is None:
        first = (Recommendation(scale.spec_replicas, now_s),)
        history = History(first, history.ups, history.downs)
    return _sized(draft, scale, pods, answers, history, options, rivals)


def _no_scale(draft: _Draft, error: str, history: History) -> Sync:
    draft.warn("FailedGetScale", error)
    text = f"the HPA controller was unable to get the target's current scale: {error}"
    draft.condition("AbleToScale", False, "FailedGetScale", text)
    status = {**(draft.hpa.get("status") or {}), "conditions": draft.conditions}
    decision = Decision(tuple(draft.actions), status, SYNC_PERIOD_S)
    return Sync(decision, history, history, error=error)


def _sized(
    draft: _Draft,
    scale: Scale,
    pods: Sequence[PodFacts],
    answers: Sequence[Answer],
    history: History,
    options: Options,
    rivals: Sequence[str],
) -> Sync:
    """The branches of upstream's reconcileAutoscaler: disabled at zero, outside the bounds, or by metrics."""
    spec, current = draft.hpa["spec"], scale.spec_replicas
    minimum, maximum = minimum_of(spec), int(spec["maxReplicas"])
    was_zeroed = options.scale_to_zero and _is_true(draft.conditions, "ScaledToZero")
    can_wake = was_zeroed and (minimum != 0 or has_total_metrics(spec))
    if current == 0 and not can_wake:
        text = "scaling is disabled since the replica count of the target is zero"
        draft.condition("ScalingActive", False, "ScalingDisabled", text)
        return _finish(draft, scale, 0, None, history, "", options)
    if current > maximum:
        why = "Current number of replicas above Spec.MaxReplicas"
        return _finish(draft, scale, maximum, None, history, why, options)
    if 0 < current < minimum:
        why = "Current number of replicas below Spec.MinReplicas"
        return _finish(draft, scale, minimum, None, history, why, options)
    verdict = _by_metrics(draft, scale, pods, answers, options, rivals)
    if isinstance(verdict, _Failed):
        return _failed(draft, current, verdict, history)
    wanted = verdict.replicas
    why = f"{verdict.name} above target" if wanted > current else "All metrics below target" if wanted < current else ""
    wanted, history = _bounded(draft, current, wanted, minimum, maximum, history, options)
    if current == 0 and minimum != 0 and was_zeroed and wanted < minimum:
        wanted, why = minimum, why or "Current number of replicas below Spec.MinReplicas"
    return _finish(draft, scale, wanted, verdict.statuses, history, why, options)


class _Verdict(NamedTuple):
    replicas: int
    name: str
    statuses: list[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Failed:
    error: str
    statuses: list[Mapping[str, Any]] | None


def _by_metrics(
    draft: _Draft,
    scale: Scale,
    pods: Sequence[PodFacts],
    answers: Sequence[Answer],
    options: Options,
    rivals: Sequence[str],
) -> _Verdict | _Failed:
    """The highest proposal; failed metrics forbid scaling down, and all of them together forbid any scaling."""
    trouble = _selector_trouble(draft, scale.selector, rivals)
    if trouble:
        return _Failed(trouble, None)
    spec = draft.hpa["spec"]
    situation = Situation(
        draft.hpa["metadata"].get("namespace", ""),
        scale.spec_replicas,
        scale.status_replicas,
        pods,
        tolerances_of(spec, options),
        options.readiness,
        draft.now_s,
    )
    metrics = spec.get("metrics") or ()
    outcomes = [evaluate(metric, answer, situation) for metric, answer in zip(metrics, answers, strict=True)]
    replicas, name = 0, ""
    for outcome in outcomes:
        if outcome.proposal is None:
            draft.warn(outcome.reason, outcome.error)
        elif replicas == 0 or outcome.proposal.replicas > replicas:
            replicas, name = outcome.proposal.replicas, outcome.name
    statuses = [outcome.status for outcome in outcomes]
    failed = [outcome for outcome in outcomes if outcome.proposal is None]
    if len(failed) >= len(outcomes) or (failed and replicas < scale.spec_replicas):
        return _Failed(_first_failure(draft, failed, len(outcomes)), statuses)
    text = f"the HPA was able to successfully calculate a replica count from {name}"
    draft.condition("ScalingActive", True, "ValidMetricFound", text)
    return _Verdict(replicas, name, statuses)


def _first_failure(draft: _Draft, failed: Sequence[Outcome], total: int) -> str:
    reason, error, wrapped = (failed[0].reason, failed[0].error, failed[0].wrapped) if failed else ("", "", "<nil>")
    draft.condition("ScalingActive", False, reason, f"the HPA was unable to compute the replica count: {error}")
    return f"invalid metrics ({len(failed)} invalid out of {total}), first error is: {wrapped}"


def _selector_trouble(draft: _Draft, selector: str, rivals: Sequence[str]) -> str:
    """The error when the target's selector is missing or shared with other autoscalers; "" when it is fine."""
    if not selector:
        draft.warn("SelectorRequired", "selector is required")
        draft.condition("ScalingActive", False, "InvalidSelector", "the HPA target's scale is missing a selector")
        return "selector is required"
    if len(rivals) > 1:
        text = f"pods by selector {selector} are controlled by multiple HPAs: [{' '.join(rivals)}]"
        draft.warn("AmbiguousSelector", text)
        draft.condition("ScalingActive", False, "AmbiguousSelector", text)
        return text
    return ""


def _failed(draft: _Draft, current: int, failed: _Failed, history: History) -> Sync:
    draft.warn("FailedComputeMetricsReplicas", failed.error)
    old = draft.hpa.get("status") or {}
    status = _status(draft, current, int(old.get("desiredReplicas") or 0), failed.statuses, old.get("lastScaleTime"))
    return Sync(Decision(tuple(draft.actions), status, SYNC_PERIOD_S), history, history, error=failed.error)


def _bounded(
    draft: _Draft, current: int, wanted: int, minimum: int, maximum: int, history: History, options: Options
) -> tuple[int, History]:
    """Stabilisation, rate and bounds, with the conditions that tell what held the proposal back."""
    rules = rules_of(draft.hpa["spec"], options)
    now_s = draft.now_s
    if rules is None:
        window_s = options.downscale_stabilization_s
        stable, log = stabilize(history.recommendations, wanted, window_s, now_s)
        held = DOWN_STABILIZED
        limited = limit(current, stable, minimum, maximum, options.up_limit)
    else:
        up, down = rules
        stable, log = stabilize_with_rules(
            history.recommendations, current, wanted, up.stabilization_s, down.stabilization_s, now_s
        )
        held = UP_STABILIZED if wanted >= current else DOWN_STABILIZED
        limited = limit_with_rules(current, stable, minimum, maximum, up, down, history, now_s)
    if stable != wanted:
        draft.condition("AbleToScale", True, *held)
    else:
        draft.condition("AbleToScale", True, "ReadyForNewScale", "recommended size matches current size")
    draft.condition("ScalingLimited", limited.replicas != stable, limited.reason, limited.message)
    return limited.replicas, History(log, history.ups, history.downs)


def _finish(
    draft: _Draft,
    scale: Scale,
    wanted: int,
    statuses: list[Mapping[str, Any]] | None,
    history: History,
    why: str,
    options: Options,
) -> Sync:
    """Write the scale when the size changes, and the status in any case."""
    current = scale.spec_replicas
    last = (draft.hpa.get("status") or {}).get("lastScaleTime")
    if wanted == current:
        status = _status(draft, current, current, statuses, last)
        return Sync(Decision(tuple(draft.actions), status, SYNC_PERIOD_S), history, history)
    draft.actions.append(
        Patch(scale.kind, scale.namespace, scale.name, {"spec": {"replicas": wanted}}, subresource="scale")
    )
    draft.actions.append(Emit(draft.hpa, "Normal", "SuccessfulRescale", f"New size: {wanted}; reason: {why}"))
    text = f"the HPA controller was able to update the target scale to {wanted}"
    draft.condition("AbleToScale", True, "SucceededRescale", text)
    if options.scale_to_zero:
        _note_zero(draft, current, wanted)
    rules = rules_of(draft.hpa["spec"], options)
    after = history if rules is None else record_scaling(history, current, wanted, *rules, draft.now_s)
    status = _status(draft, current, wanted, statuses, rfc3339(draft.now_s))
    return Sync(Decision(tuple(draft.actions), status, SYNC_PERIOD_S), after, history, wanted, why)


def _note_zero(draft: _Draft, current: int, wanted: int) -> None:
    spec = draft.hpa["spec"]
    if current > 0 and wanted == 0 and minimum_of(spec) == 0 and has_total_metrics(spec):
        draft.condition("ScaledToZero", True, "ScaledToZero", "the HPA controller scaled the workload to zero")
    else:
        text = "the HPA controller did not scale the workload to zero"
        draft.condition("ScaledToZero", False, "NotScaledToZero", text)


def refused(hpa: Object, current: int, wanted: int, why: str, error: str, now_s: float) -> Decision:
    """What a sync says when its write of the scale was refused; the next sync tries again."""
    draft = _Draft(hpa, now_s)
    draft.warn("FailedRescale", f"New size: {wanted}; reason: {why}; error: {error}")
    text = f"the HPA controller was unable to update the target scale: {error}"
    draft.condition("AbleToScale", False, "FailedUpdateScale", text)
    old = hpa.get("status") or {}
    desired = int(old.get("desiredReplicas") or 0)
    status = _status(draft, current, desired, old.get("currentMetrics"), old.get("lastScaleTime"))
    return Decision(tuple(draft.actions), status, SYNC_PERIOD_S)


def _status(
    draft: _Draft, current: int, desired: int, statuses: Sequence[Mapping[str, Any]] | None, last_scale: str | None
) -> dict[str, Any]:
    """The new `.status`; currentReplicas 0 is left out as the API leaves it out."""
    status: dict[str, Any] = {}
    if last_scale:
        status["lastScaleTime"] = last_scale
    if current:
        status["currentReplicas"] = current
    status["desiredReplicas"] = desired
    # Upstream's field has no omitempty: an autoscaler without metrics shows null.
    status["currentMetrics"] = list(statuses) if statuses else None
    status["conditions"] = draft.conditions
    return status


def _is_true(conditions: Sequence[Mapping[str, Any]], kind: str) -> bool:
    return any(c["type"] == kind and c.get("status") == "True" for c in conditions)


def minimum_of(spec: Mapping[str, Any]) -> int:
    """minReplicas; 1 when the spec does not say."""
    value = spec.get("minReplicas")
    return 1 if value is None else int(value)


def has_total_metrics(spec: Mapping[str, Any]) -> bool:
    """Whether a metric exists that still says something when no pod runs."""
    return any(metric.get("type") in ("Object", "External") for metric in spec.get("metrics") or ())


def tolerances_of(spec: Mapping[str, Any], options: Options) -> Tolerances:
    """The controller's tolerance, or the behavior's own per direction."""
    behavior = spec.get("behavior")
    if not behavior or not options.configurable_tolerance:
        return Tolerances(options.tolerance, options.tolerance)
    read: Callable[[str], float] = lambda side: _tolerance(behavior.get(side), options.tolerance)  # noqa: E731
    return Tolerances(read("scaleDown"), read("scaleUp"))


def _tolerance(rules: Mapping[str, Any] | None, otherwise: float) -> float:
    own = (rules or {}).get("tolerance")
    return otherwise if own is None else float(quantity.parse(str(own)))


def rules_of(spec: Mapping[str, Any], options: Options) -> tuple[Rules, Rules] | None:
    """The behavior's rules (up, down), or None without a behavior stanza."""
    behavior = spec.get("behavior")
    if not behavior:
        return None
    down_s = options.downscale_stabilization_s
    return _rules(behavior.get("scaleUp"), DEFAULT_UP, 0.0), _rules(behavior.get("scaleDown"), DEFAULT_DOWN, down_s)


def _rules(raw: Mapping[str, Any] | None, otherwise: Rules, window_s: float) -> Rules:
    if raw is None:
        return Rules(otherwise.policies, otherwise.select, window_s)
    window = raw.get("stabilizationWindowSeconds")
    policies = tuple(Policy(p["type"], int(p["value"]), float(p["periodSeconds"])) for p in raw.get("policies") or ())
    return Rules(
        policies or otherwise.policies, raw.get("selectPolicy") or "Max", window_s if window is None else float(window)
    )
