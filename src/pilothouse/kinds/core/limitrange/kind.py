"""LimitRange as Kubernetes 1.36 stores it: container defaults follow from maximum and minimum.

Source: `pkg/apis/core/v1/defaults.go` (SetDefaults_LimitRangeItem), `pkg/apis/core/validation` (ValidateLimitRange).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base import quantity
from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.sharing import change, each
from pilothouse.machinery.columns import NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_RULES = (
    ("min", "max", "min value {0} is greater than max value {1}"),
    ("defaultRequest", "max", "default request value {0} is greater than max value {1}"),
    ("defaultRequest", "default", "default request value {0} is greater than default limit value {1}"),
    ("default", "max", "default value {0} is greater than max value {1}"),
)
"""(of what, not above what, in which words)."""


def default(obj: Object) -> Object:
    out: Object = change(obj, "spec", lambda spec: change(spec, "limits", each(_default_entry)))
    return out


def _default_entry(entry: Any) -> Any:
    if entry.get("type") != "Container":
        return entry
    limit = {**(entry.get("max") or {}), **(entry.get("default") or {})}
    request = {**(entry.get("min") or {}), **limit, **(entry.get("defaultRequest") or {})}
    out = dict(entry)
    if limit:
        out["default"] = limit
    if request:
        out["defaultRequest"] = request
    return entry if out == entry else out


def validate(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    causes: list[Cause] = []
    types: list[str] = []
    for index, entry in enumerate((new.get("spec") or {}).get("limits") or ()):
        field = f"spec.limits[{index}]"
        type_ = entry.get("type", "")
        if type_ in types:
            causes.append(wording.duplicate(f"{field}.type", type_))
        types.append(type_)
        causes += _entry_causes(entry, field)
    return causes


def _entry_causes(entry: Mapping[str, Any], field: str) -> list[Cause]:
    causes: list[Cause] = []
    type_ = entry.get("type", "")
    if type_ == "Pod":
        for key in ("default", "defaultRequest"):
            if entry.get(key):
                causes.append(wording.forbidden(f"{field}.{key}", "may not be specified when `type` is 'Pod'"))
    if type_ == "PersistentVolumeClaim" and not _storage(entry, "min") and not _storage(entry, "max"):
        text = "either minimum or maximum storage value is required, but neither was provided"
        causes.append(wording.required(f"{field}.limits", text))
    for small, large, words in _RULES:
        for name, value in (entry.get(small) or {}).items():
            bound = (entry.get(large) or {}).get(name)
            if bound is not None and quantity.parse(str(value)) > quantity.parse(str(bound)):
                causes.append(wording.invalid(f"{field}.{small}[{name}]", value, words.format(value, bound)))
    for key in ("default", "defaultRequest"):
        for name, value in (entry.get(key) or {}).items():
            least = (entry.get("min") or {}).get(name)
            if least is not None and quantity.parse(str(value)) < quantity.parse(str(least)):
                word = "default request" if key == "defaultRequest" else "default"
                text = f"{word} value {value} is less than min value {least}"
                causes.append(wording.invalid(f"{field}.{key}[{name}]", value, text))
    for name, value in (entry.get("maxLimitRequestRatio") or {}).items():
        if quantity.parse(str(value)) < 1:
            text = f"ratio {value} is less than 1"
            causes.append(wording.invalid(f"{field}.maxLimitRequestRatio[{name}]", value, text))
    return causes


def _storage(entry: Mapping[str, Any], key: str) -> bool:
    return "storage" in (entry.get(key) or {})


def _created(obj: Object, _now_s: float) -> str:
    return str(obj["metadata"].get("creationTimestamp", ""))


KIND = Kind(
    "",
    "v1",
    "LimitRange",
    "limitranges",
    Component("api_v1.json", "io.k8s.api.core.v1.LimitRange"),
    singular="limitrange",
    short_names=("limits",),
    default=default,
    validate=validate,
    strategy=Strategy(status=False, generation=False),
    columns=(NAME, Column("Created At", _created, type="date")),
)
