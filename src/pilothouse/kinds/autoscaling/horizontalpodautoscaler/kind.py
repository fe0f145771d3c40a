"""The kind autoscaling/HorizontalPodAutoscaler: names, defaults and columns; its rules are in `rules`.

Source: Kubernetes 1.36 `pkg/apis/autoscaling/v2/defaults.go`, `pkg/registry/autoscaling/horizontalpodautoscaler`,
`pkg/printers/internalversion` (formatHPAMetrics).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base import quantity
from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema.sharing import change, fill
from pilothouse.kinds.autoscaling.horizontalpodautoscaler import rules
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_DEFAULT_METRICS = [
    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
]
_UP_DEFAULTS: Mapping[str, Any] = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_DOWN_DEFAULTS: Mapping[str, Any] = {
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}
METRICS_SHOWN = 2


def default(obj: Object) -> Object:
    """minReplicas 1, a cpu target of 80 %, and both halves of a behavior stanza once there is one."""
    out: Object = change(obj, "spec", _default_spec)
    return out


def _default_spec(spec: Any) -> Any:
    spec = fill(spec, {"minReplicas": 1})
    if not spec.get("metrics"):
        spec = {**spec, "metrics": _DEFAULT_METRICS}
    return change(spec, "behavior", _default_behavior)


def _default_behavior(behavior: Any) -> Any:
    behavior = fill(behavior, {"scaleUp": {}, "scaleDown": {}})
    behavior = change(behavior, "scaleUp", lambda half: fill(half, _UP_DEFAULTS))
    return change(behavior, "scaleDown", lambda half: fill(half, _DOWN_DEFAULTS))


def prepare(new: Object, old: Object | None) -> Object:
    """The status that the API server shows before the first sync."""
    return {**new, "status": {"desiredReplicas": 0, "currentMetrics": None}} if old is None else new


def validate(new: Object, old: Object | None) -> list[Cause]:
    """An object that already scales to zero may stay so."""
    was_zero = old is not None and (old.get("spec") or {}).get("minReplicas") == 0
    return rules.spec_causes(new.get("spec") or {}, 0 if was_zero else 1)


def _reference(obj: Object, _now_s: float) -> str:
    target = obj["spec"]["scaleTargetRef"]
    return f"{target['kind']}/{target['name']}"


def targets(obj: Object, _now_s: float) -> str:
    """`cpu: 42%/70%, <unknown>/10 + 1 more...`: current and wanted, two metrics at most."""
    metrics = obj["spec"].get("metrics") or ()
    if not metrics:
        return "<none>"
    current = (obj.get("status") or {}).get("currentMetrics") or ()
    shown = [_shown(m, current[i] if i < len(current) else {}) for i, m in enumerate(metrics[:METRICS_SHOWN])]
    text = ", ".join(shown)
    return f"{text} + {len(metrics) - METRICS_SHOWN} more..." if len(metrics) > METRICS_SHOWN else text


_SOURCES = {
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}


def _shown(metric: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    kind = metric.get("type", "")
    field = _SOURCES.get(kind)
    if field is None or metric.get(field) is None:
        return "<unknown type>"
    source, target = metric[field], metric[field]["target"]
    current = (status.get(field) or {}).get("current") or {}
    by_average = target.get("averageValue") is not None
    if field in ("resource", "containerResource"):
        return f"{source['name']}: {_share_or_value(current, target, by_average=by_average)}"
    key = "averageValue" if by_average else "value"
    known = current.get(key)
    wanted = quantity.canonical(str(target[key])) if target.get(key) is not None else "<unknown>"
    text = f"{'<unknown>' if known is None else known}/{wanted}"
    return f"{text} (avg)" if by_average and kind != "Pods" else text


def _share_or_value(current: Mapping[str, Any], target: Mapping[str, Any], *, by_average: bool) -> str:
    if by_average:
        known = current.get("averageValue")
        wanted = quantity.canonical(str(target["averageValue"]))
        return f"{'<unknown>' if known is None else known}/{wanted}"
    share, wanted_share = current.get("averageUtilization"), target.get("averageUtilization")
    known = "<unknown>" if share is None else f"{share}%"
    return f"{known}/{'<auto>' if wanted_share is None else f'{wanted_share}%'}"


def _minimum(obj: Object, _now_s: float) -> str:
    value = obj["spec"].get("minReplicas")
    return "<unset>" if value is None else str(value)


KIND = Kind(
    group="autoscaling",
    version="v2",
    kind="HorizontalPodAutoscaler",
    plural="horizontalpodautoscalers",
    schema=Component("apis_autoscaling_v2.json", "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler"),
    singular="horizontalpodautoscaler",
    short_names=("hpa",),
    categories=("all",),
    default=default,
    validate=validate,
    strategy=Strategy(generation=False, prepare=prepare, status_writes_labels=True),
    columns=(
        NAME,
        Column("Reference", _reference),
        Column("Targets", targets),
        Column("MinPods", _minimum),
        Column("MaxPods", lambda obj, _now_s: obj["spec"].get("maxReplicas", 0)),
        Column("Replicas", lambda obj, _now_s: (obj.get("status") or {}).get("currentReplicas") or 0),
        AGE,
    ),
)
