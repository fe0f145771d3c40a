"""One metric of an autoscaler's spec with its answer, turned into a proposal, a status entry and upstream's words.

Follows kube-controller-manager 1.36 `horizontal.go` (computeStatusFor…Metric). Pure; called by `decide`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pilothouse.base import quantity
from pilothouse.engines.autoscaling.metrics import PodMetric, PodUsage, Unavailable, resource_values
from pilothouse.engines.autoscaling.pods import PodFacts, Readiness
from pilothouse.engines.autoscaling.replicas import (
    Failure,
    Proposal,
    Tolerances,
    external_total,
    for_average,
    for_total,
    for_total_per_pod,
    for_utilization,
)

Answer = Sequence[PodUsage] | Mapping[str, PodMetric] | int | tuple[int, ...] | Unavailable | None
"""What the metrics API said for one metric: Resource and ContainerResource: entries of pods, or already the one
resource's values by pod name; Pods: values by pod name;
Object: one milli value; External: several; None when nobody asked (an unknown type)."""

NOT_COMPUTED: Mapping[str, Any] = {"type": ""}
"""The currentMetrics entry of a metric that failed: upstream writes its zero value."""


class Situation(NamedTuple):
    """What all metrics of one sync share."""

    namespace: str
    spec_replicas: int
    status_replicas: int
    pods: Sequence[PodFacts]
    tolerances: Tolerances
    readiness: Readiness
    now_s: float


class Outcome(NamedTuple):
    """One metric's result. When `proposal` is None, `reason` and `error` are the condition's and the Event's words and
    `wrapped` is how the error reads among several."""

    proposal: Proposal | None
    name: str = ""
    status: Mapping[str, Any] = NOT_COMPUTED
    reason: str = ""
    error: str = ""
    wrapped: str = ""


def evaluate(metric: Mapping[str, Any], answer: Answer, situation: Situation) -> Outcome:
    """The outcome of one entry of `spec.metrics`."""
    match metric.get("type"):
        case "Resource":
            return _resource(metric["resource"], answer, situation, source="Resource")
        case "ContainerResource":
            return _resource(metric["containerResource"], answer, situation, source="ContainerResource")
        case "Pods":
            return _pods(metric["pods"], answer, situation)
        case "Object":
            return _object(metric["object"], answer, situation)
        case "External":
            return _external(metric["external"], answer, situation)
        case other:
            text = f'unknown metric source type "{other or ""}"'
            return Outcome(None, reason="InvalidMetricSourceType", error=text, wrapped=text)


_NO_RESOURCE_TARGET = (
    "invalid resource metric source: neither an average utilization target nor an average value (usage) target was set"
)


class _Words(NamedTuple):
    """What differs between Resource and ContainerResource: status key, reason, the words in names and errors."""

    key: str
    reason: str
    label: str
    wrapped: str


_RESOURCE_WORDS = {
    "Resource": _Words("resource", "FailedGetResourceMetric", "resource", "resource"),
    "ContainerResource": _Words(
        "containerResource", "FailedGetContainerResourceMetric", "container resource", "container"
    ),
}


def _resource(source_spec: Mapping[str, Any], answer: Answer, situation: Situation, source: str) -> Outcome:
    words = _RESOURCE_WORDS[source]
    resource, container, target = source_spec["name"], source_spec.get("container", ""), source_spec["target"]
    if target.get("averageValue") is None and target.get("averageUtilization") is None:
        return _resource_failure(words, resource, _NO_RESOURCE_TARGET)
    by_value = target.get("averageValue") is not None
    proposal = _resource_proposal(resource, container, target, answer, situation, by_value=by_value)
    if isinstance(proposal, Failure):
        text = f"failed to get {resource} {'usage' if by_value else 'utilization'}: {proposal.message}"
        return _resource_failure(words, resource, text)
    current: dict[str, Any] = {"averageValue": shown(resource, proposal.usage_milli)}
    if not by_value:
        current["averageUtilization"] = proposal.utilization_percent
    status: dict[str, Any] = {"name": resource, "current": current}
    if source == "ContainerResource":
        status["container"] = container
    name = f"{resource} resource" if by_value else f"{resource} {words.label} utilization (percentage of request)"
    return Outcome(proposal, name, {"type": source, words.key: status})


def _resource_failure(words: _Words, resource: str, text: str) -> Outcome:
    wrapped = f"failed to get {resource} {words.wrapped} metric value: {text}"
    return Outcome(None, reason=words.reason, error=text, wrapped=wrapped)


def _resource_proposal(
    resource: str, container: str, target: Mapping[str, Any], answer: Answer, situation: Situation, *, by_value: bool
) -> Proposal | Failure:
    values = answer if isinstance(answer, Mapping) else resource_values(_usages(answer), resource, container)
    if isinstance(values, Unavailable):
        return Failure(f"unable to get metrics for resource {resource}: {values.message}")
    s = situation
    if by_value:
        target_milli = quantity.milli(target["averageValue"])
        return for_average(s.spec_replicas, target_milli, resource, values, s.pods, s.tolerances, s.readiness, s.now_s)
    percent = int(target["averageUtilization"])
    return for_utilization(
        s.spec_replicas, percent, resource, container, values, s.pods, s.tolerances, s.readiness, s.now_s
    )


def _usages(answer: Answer) -> Sequence[PodUsage] | Unavailable:
    if isinstance(answer, Unavailable):
        return answer
    return answer if isinstance(answer, Sequence) else ()  # type: ignore[return-value]


def _pods(spec: Mapping[str, Any], answer: Answer, situation: Situation) -> Outcome:
    metric, s = spec["metric"], situation
    target_milli = quantity.milli(spec["target"].get("averageValue"))
    proposal: Proposal | Failure
    if isinstance(answer, Mapping) and answer:
        proposal = for_average(s.spec_replicas, target_milli, "", answer, s.pods, s.tolerances, s.readiness, s.now_s)
    else:
        proposal = Failure(f"unable to get metric {metric['name']}: {_custom_error(answer)}")
    if isinstance(proposal, Failure):
        return _failed("FailedGetPodsMetric", proposal.message, f"failed to get pods metric value: {proposal.message}")
    current = {"averageValue": quantity.format_milli(proposal.usage_milli)}
    status = {"type": "Pods", "pods": {"metric": identifier(metric), "current": current}}
    return Outcome(proposal, f"pods metric {metric['name']}", status)


def _custom_error(answer: Answer) -> str:
    if isinstance(answer, Unavailable):
        return f"unable to fetch metrics from custom metrics API: {answer.message}"
    return "no metrics returned from custom metrics API"


def _failed(reason: str, error: str, wrapped: str) -> Outcome:
    return Outcome(None, reason=reason, error=error, wrapped=wrapped)


def _object(spec: Mapping[str, Any], answer: Answer, situation: Situation) -> Outcome:
    metric, target, described = spec["metric"], spec["target"], spec["describedObject"]
    kind = target.get("type")
    if kind not in ("Value", "AverageValue"):
        text = "invalid object metric source: neither a value target nor an average value target was set"
        return _failed("FailedGetObjectMetric", text, f"failed to get object metric value: {text}")
    proposal: Proposal | Failure
    if not isinstance(answer, int):
        where = f"{described.get('kind', '')} {situation.namespace}/{described.get('name', '')}"
        proposal = Failure(f"unable to get metric {metric['name']}: {_custom_error(answer)} on {where}")
    else:
        proposal = _total(target, kind == "AverageValue", answer, situation)
    if isinstance(proposal, Failure):
        inner = proposal.message
        if kind == "AverageValue":
            inner = f"failed to get {metric['name']} object metric: {inner}"
        return _failed("FailedGetObjectMetric", proposal.message, f"failed to get object metric value: {inner}")
    status = {
        "type": "Object",
        "object": {
            "metric": identifier(metric),
            "current": _total_status(kind == "AverageValue", proposal),
            "describedObject": described,
        },
    }
    name = f"{described.get('kind', '')} metric {metric['name']}"
    if kind == "AverageValue":
        # Upstream calls this one external, too.
        name = f"external metric {metric['name']}({go_selector(metric.get('selector'))})"
    return Outcome(proposal, name, status)


def _external(spec: Mapping[str, Any], answer: Answer, situation: Situation) -> Outcome:
    metric, target = spec["metric"], spec["target"]
    name, per_pod = metric["name"], target.get("averageValue") is not None
    selector = go_selector(metric.get("selector"))
    if not per_pod and target.get("value") is None:
        text = "invalid external metric source: neither a value target nor an average value target was set"
        return _failed("FailedGetExternalMetric", text, f"failed to get {name} external metric value: {text}")
    proposal: Proposal | Failure
    if not isinstance(answer, tuple) or not answer:
        error = "no metrics returned from external metrics API"
        if isinstance(answer, Unavailable):
            error = f"unable to fetch metrics from external metrics API: {answer.message}"
        proposal = Failure(f"unable to get external metric {situation.namespace}/{name}/{selector}: {error}")
    else:
        proposal = _total(target, per_pod, external_total(answer), situation)
    if isinstance(proposal, Failure):
        inner = f"failed to get {name} external metric" if per_pod else f"failed to get external metric {name}"
        wrapped = f"failed to get {name} external metric value: {inner}: {proposal.message}"
        return _failed("FailedGetExternalMetric", proposal.message, wrapped)
    status = {
        "type": "External",
        "external": {"metric": identifier(metric), "current": _total_status(per_pod, proposal)},
    }
    return Outcome(proposal, f"external metric {name}({selector})", status)


def _total(target: Mapping[str, Any], per_pod: bool, usage_milli: int, s: Situation) -> Proposal | Failure:
    if per_pod:
        return for_total_per_pod(s.status_replicas, quantity.milli(target["averageValue"]), usage_milli, s.tolerances)
    return for_total(s.spec_replicas, quantity.milli(target["value"]), usage_milli, s.pods, s.tolerances)


def _total_status(per_pod: bool, proposal: Proposal) -> dict[str, str]:
    return {"averageValue" if per_pod else "value": quantity.format_milli(proposal.usage_milli)}


def identifier(metric: Mapping[str, Any]) -> dict[str, Any]:
    """A MetricIdentifier: name, and the selector when there is one."""
    out: dict[str, Any] = {"name": metric["name"]}
    if metric.get("selector") is not None:
        out["selector"] = metric["selector"]
    return out


def shown(resource: str, value_milli: int) -> str:
    """The quantity in status (1.36 `buildQuantity`): memory in whole bytes and binary units, all else decimal."""
    if resource != "memory":
        return quantity.format_milli(value_milli)
    size_bytes = value_milli // 1000
    return quantity.format_binary(size_bytes) if size_bytes >= 1024 else quantity.format_decimal(size_bytes)


def go_selector(selector: Mapping[str, Any] | None) -> str:
    """A label selector as Go prints the struct (`%+v` of *metav1.LabelSelector): it stands in names and errors."""
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{e.get('key', '')},Operator:{e.get('operator', '')},"
        f"Values:[{' '.join(e.get('values') or ())}],}},"
        for e in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
