"""Served versions that are not the stored ones, and how objects change between them."""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.machinery.kind import Component
from pilothouse.wire.kubernetes.resources import Conversion


def conversions() -> dict[tuple[str, str], Conversion]:
    """By (apiVersion, kind) of the served version."""
    return {
        ("events.k8s.io/v1", "Event"): Conversion(
            "Event",
            Component("apis_events.k8s.io_v1.json", "io.k8s.api.events.v1.Event"),
            _event_to_core,
            _event_to_group,
        ),
        ("autoscaling/v1", "HorizontalPodAutoscaler"): Conversion(
            "autoscaling/HorizontalPodAutoscaler",
            Component("apis_autoscaling_v1.json", "io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler"),
            _autoscaler_to_v2,
            _autoscaler_to_v1,
        ),
    }


_EVENT_FIELDS = {
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
    "reportingController": "reportingComponent",
}


def _event_to_core(obj: Object) -> Object:
    out = {_EVENT_FIELDS.get(key, key): value for key, value in obj.items()}
    return {**out, "apiVersion": "v1"}


def _event_to_group(obj: Object) -> Object:
    names = {core: group for group, core in _EVENT_FIELDS.items()}
    out = {names.get(key, key): value for key, value in obj.items()}
    for key in ("reportingController", "reportingInstance"):
        if not out.get(key):
            out.pop(key, None)
    return {**out, "apiVersion": "events.k8s.io/v1"}


def _autoscaler_to_v2(obj: Object) -> Object:
    spec: dict[str, Any] = dict(obj.get("spec") or {})
    target = spec.pop("targetCPUUtilizationPercentage", None)
    if target is not None:
        spec["metrics"] = [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}},
            }
        ]
    status: dict[str, Any] = dict(obj.get("status") or {})
    current = status.pop("currentCPUUtilizationPercentage", None)
    if current is not None:
        status["currentMetrics"] = [
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": current}}}
        ]
    out: dict[str, Any] = {**obj, "apiVersion": "autoscaling/v2", "spec": spec}
    if status:
        out["status"] = status
    return out


def _autoscaler_to_v1(obj: Object) -> Object:
    spec: dict[str, Any] = dict(obj.get("spec") or {})
    for metric in spec.pop("metrics", None) or ():
        resource = metric.get("resource") or {}
        if metric.get("type") == "Resource" and resource.get("name") == "cpu":
            utilization = (resource.get("target") or {}).get("averageUtilization")
            if utilization is not None:
                spec["targetCPUUtilizationPercentage"] = utilization
    spec.pop("behavior", None)
    status: dict[str, Any] = dict(obj.get("status") or {})
    for metric in status.pop("currentMetrics", None) or ():
        resource = metric.get("resource") or {}
        utilization = (resource.get("current") or {}).get("averageUtilization")
        if resource.get("name") == "cpu" and utilization is not None:
            status["currentCPUUtilizationPercentage"] = utilization
    status.pop("conditions", None)
    return {**obj, "apiVersion": "autoscaling/v1", "spec": spec, "status": status}
