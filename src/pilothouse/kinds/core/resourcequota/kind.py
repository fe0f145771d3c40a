"""ResourceQuota as Kubernetes 1.36 stores it: names, rules and columns.

Source: `pkg/apis/core/validation` (ValidateResourceQuota), printers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base import quantity
from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_SCOPES = (
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
)
_OPPOSITES = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))


def prepare(new: Object, old: Object | None) -> Object:
    return {**new, "status": {}} if old is None else new


def validate(new: Object, old: Object | None) -> list[Cause]:
    spec: Mapping[str, Any] = new.get("spec") or {}
    causes: list[Cause] = []
    for name, value in (spec.get("hard") or {}).items():
        amount = quantity.parse(str(value))
        if amount < 0:
            causes.append(wording.negative(f"spec.hard[{name}]", value))
        elif _is_count(name) and amount.denominator != 1:
            causes.append(wording.invalid(f"spec.hard[{name}]", value, "must be an integer"))
    causes += _scope_causes(spec)
    if old is not None and (spec.get("scopes") or []) != (old["spec"].get("scopes") or []):
        causes.append(wording.invalid("spec.scopes", spec.get("scopes"), "field is immutable"))
    return causes


def _is_count(name: str) -> bool:
    return name.startswith(("count/", "services")) or name in (
        "pods",
        "configmaps",
        "persistentvolumeclaims",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
    )


def _scope_causes(spec: Mapping[str, Any]) -> list[Cause]:
    scopes = list(spec.get("scopes") or ())
    causes = [wording.unsupported("spec.scopes", scope, _SCOPES) for scope in scopes if scope not in _SCOPES]
    for pair in _OPPOSITES:
        if all(scope in scopes for scope in pair):
            causes.append(wording.invalid("spec.scopes", scopes, "conflicting scopes"))
    return causes


def _cells(limits: bool) -> Any:
    def value(obj: Object, _now_s: float) -> str:
        status = obj.get("status") or {}
        hard, used = status.get("hard") or {}, status.get("used") or {}
        names = sorted(name for name in hard if name.startswith("limits.") == limits)
        return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)

    return value


KIND = Kind(
    "",
    "v1",
    "ResourceQuota",
    "resourcequotas",
    Component("api_v1.json", "io.k8s.api.core.v1.ResourceQuota"),
    singular="resourcequota",
    short_names=("quota",),
    validate=validate,
    strategy=Strategy(generation=False, prepare=prepare),
    columns=(NAME, Column("Request", _cells(limits=False)), Column("Limit", _cells(limits=True)), AGE),
)
