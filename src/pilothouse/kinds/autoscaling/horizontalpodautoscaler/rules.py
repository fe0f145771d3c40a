"""What is wrong with a HorizontalPodAutoscaler, in the API server's words.

Source: Kubernetes 1.36 `pkg/apis/autoscaling/validation`. Pure; called by `kind`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base import quantity
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording

MAX_STABILIZATION_S = 3600
MAX_PERIOD_S = 1800
_FIELDS = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_SELECT = ("Disabled", "Max", "Min")
_POLICIES = ("Percent", "Pods")
_TARGETS = ("Utilization", "Value", "AverageValue")
Json = Mapping[str, Any]


def spec_causes(spec: Json, lowest: int) -> list[Cause]:
    """Causes for `.spec`; lowest: the least minReplicas that is allowed (0 with scale to zero)."""
    causes = _bounds(spec, lowest)
    causes += reference_causes(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    metrics = spec.get("metrics") or ()
    for index, metric in enumerate(metrics):
        causes += _metric(metric, f"spec.metrics[{index}]")
    if spec.get("minReplicas") == 0 and not any(m.get("type") in ("Object", "External") for m in metrics):
        text = "must specify at least one Object or External metric to support scaling to zero replicas"
        causes.append(wording.forbidden("spec.metrics", text))
    behavior = spec.get("behavior") or {}
    for side in ("scaleUp", "scaleDown"):
        causes += _scaling(behavior.get(side), f"spec.behavior.{side}")
    return causes


def _bounds(spec: Json, lowest: int) -> list[Cause]:
    causes: list[Cause] = []
    minimum, maximum = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if minimum is not None and minimum < lowest:
        text = f"must be greater than or equal to {lowest}"
        causes.append(wording.invalid("spec.minReplicas", minimum, text))
    if maximum < 1:
        causes.append(wording.invalid("spec.maxReplicas", maximum, "must be greater than 0"))
    if minimum is not None and maximum < minimum:
        causes.append(wording.invalid("spec.maxReplicas", maximum, "must be greater than or equal to `minReplicas`"))
    return causes


def reference_causes(reference: Json, at: str) -> list[Cause]:
    """A CrossVersionObjectReference: kind and name, both fit for a path."""
    causes: list[Cause] = []
    for field in ("kind", "name"):
        value = reference.get(field) or ""
        causes += _segment(value, f"{at}.{field}") if value else [wording.required(f"{at}.{field}")]
    return causes


def _segment(value: str, at: str) -> list[Cause]:
    if value in (".", ".."):
        return [wording.invalid(at, value, f"may not be '{value}'")]
    return [wording.invalid(at, value, f"may not contain '{sign}'") for sign in "/%" if sign in value]


def _metric(metric: Json, at: str) -> list[Cause]:
    kind = metric.get("type") or ""
    causes: list[Cause] = []
    if not kind:
        causes.append(wording.required(f"{at}.type", "must specify a metric source type"))
    if kind not in _FIELDS:
        causes.append(wording.unsupported(f"{at}.type", kind, sorted(_FIELDS)))
    present = [field for field in _FIELDS.values() if metric.get(field) is not None]
    if present:
        causes += _SOURCES[present[0]](metric[present[0]], f"{at}.{present[0]}")
    expected = _FIELDS.get(kind, kind.lower())
    if expected not in present:
        causes.append(wording.required(f"{at}.{expected}", "must populate information for the given metric source"))
    if len(present) != 1:
        for field in present:
            if field != expected:
                causes.append(wording.forbidden(f"{at}.{field}", "must populate the given metric source only"))
    return causes


def _object(source: Json, at: str) -> list[Cause]:
    target = source.get("target") or {}
    causes = reference_causes(source.get("describedObject") or {}, f"{at}.describedObject")
    causes += _identifier(source.get("metric") or {}, f"{at}.metric") + _target(target, f"{at}.target")
    if target.get("value") is None and target.get("averageValue") is None:
        text = "must set either a target value or averageValue"
        causes.append(wording.required(f"{at}.target.averageValue", text))
    return causes


def _external(source: Json, at: str) -> list[Cause]:
    target = source.get("target") or {}
    causes = _identifier(source.get("metric") or {}, f"{at}.metric") + _target(target, f"{at}.target")
    total, average = target.get("value"), target.get("averageValue")
    if total is None and average is None:
        text = "must set either a target value for metric or a per-pod target"
        causes.append(wording.required(f"{at}.target.averageValue", text))
    if total is not None and average is not None:
        text = "may not set both a target value for metric and a per-pod target"
        causes.append(wording.forbidden(f"{at}.target.value", text))
    return causes


def _pods(source: Json, at: str) -> list[Cause]:
    target = source.get("target") or {}
    causes = _identifier(source.get("metric") or {}, f"{at}.metric") + _target(target, f"{at}.target")
    if not _positive(target.get("averageValue")):
        causes.append(wording.required(f"{at}.target.averageValue", "must specify a positive target averageValue"))
    return causes


def _resource(source: Json, at: str) -> list[Cause]:
    target = source.get("target") or {}
    causes: list[Cause] = []
    if not source.get("name"):
        causes.append(wording.required(f"{at}.name", "must specify a resource name"))
    causes += _target(target, f"{at}.target")
    share, average = target.get("averageUtilization"), target.get("averageValue")
    if share is None and average is None:
        text = "must set either a target raw value or a target utilization"
        causes.append(wording.required(f"{at}.target.averageUtilization", text))
    if share is not None and average is not None:
        text = "may not set both a target raw value and a target utilization"
        causes.append(wording.forbidden(f"{at}.target.averageValue", text))
    return causes


def _container_resource(source: Json, at: str) -> list[Cause]:
    causes = _resource(source, at)
    if not source.get("container"):
        causes.insert(0 if source.get("name") else 1, wording.required(f"{at}.container", "must specify a container"))
    return causes


_SOURCES = {
    "object": _object,
    "external": _external,
    "pods": _pods,
    "resource": _resource,
    "containerResource": _container_resource,
}


def _identifier(metric: Json, at: str) -> list[Cause]:
    name = metric.get("name") or ""
    return _segment(name, f"{at}.name") if name else [wording.required(f"{at}.name", "must specify a metric name")]


def _target(target: Json, at: str) -> list[Cause]:
    kind = target.get("type") or ""
    causes: list[Cause] = []
    if not kind:
        causes.append(wording.required(f"{at}.type", "must specify a metric target type"))
    if kind not in _TARGETS:
        causes.append(wording.invalid(f"{at}.type", kind, "must be either Utilization, Value, or AverageValue"))
    for field in ("value", "averageValue"):
        if target.get(field) is not None and not _positive(target[field]):
            causes.append(wording.invalid(f"{at}.{field}", target[field], "must be positive"))
    share = target.get("averageUtilization")
    if share is not None and share < 1:
        causes.append(wording.invalid(f"{at}.averageUtilization", share, "must be greater than 0"))
    return causes


def _positive(value: str | int | float | None) -> bool:
    return value is not None and quantity.parse(str(value)) > 0


def _scaling(rules: Json | None, at: str) -> list[Cause]:
    if rules is None:
        return []
    causes: list[Cause] = []
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        text = "must be greater than or equal to zero"
        causes.append(wording.invalid(f"{at}.stabilizationWindowSeconds", window, text))
    if window is not None and window > MAX_STABILIZATION_S:
        text = f"must be less than or equal to {MAX_STABILIZATION_S}"
        causes.append(wording.invalid(f"{at}.stabilizationWindowSeconds", window, text))
    select = rules.get("selectPolicy")
    if select is not None and select not in _SELECT:
        causes.append(wording.unsupported(f"{at}.selectPolicy", select, _SELECT))
    policies = rules.get("policies") or ()
    if not policies:
        causes.append(wording.required(f"{at}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        causes += _policy(policy, f"{at}.policies[{index}]")
    tolerance = rules.get("tolerance")
    if tolerance is not None and quantity.parse(str(tolerance)) < 0:
        causes.append(wording.negative(f"{at}.tolerance", tolerance))
    return causes


def _policy(policy: Json, at: str) -> list[Cause]:
    causes: list[Cause] = []
    kind, value, period = policy.get("type") or "", policy.get("value") or 0, policy.get("periodSeconds") or 0
    if kind not in _POLICIES:
        causes.append(wording.unsupported(f"{at}.type", kind, _POLICIES))
    if value <= 0:
        causes.append(wording.invalid(f"{at}.value", value, "must be greater than zero"))
    if period <= 0:
        causes.append(wording.invalid(f"{at}.periodSeconds", period, "must be greater than zero"))
    if period > MAX_PERIOD_S:
        text = f"must be less than or equal to {MAX_PERIOD_S}"
        causes.append(wording.invalid(f"{at}.periodSeconds", period, text))
    return causes
