"""Field errors in Kubernetes' own words (apimachinery 1.36 `pkg/util/validation/field`): one small function per error
type."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pilothouse.base.errors import Cause

Path = tuple[str | int, ...]
"""Steps to a field: names and list indexes, e.g. ("spec", "containers", 0, "image")."""


def path_text(path: Path) -> str:
    """`spec.containers[0].image`."""
    out = ""
    for step in path:
        if isinstance(step, int):
            out += f"[{step}]"
        else:
            out += f".{step}" if out else step
    return out


def shown(value: Any) -> str:
    """A value as the messages print it: strings quoted, null, objects as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def required(field: str, detail: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value: {detail}" if detail else "Required value", field)


def invalid(field: str, value: Any, detail: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {shown(value)}: {detail}", field)


def mistyped(field: str, value: Any, detail: str) -> Cause:
    return Cause("FieldValueTypeInvalid", f"Invalid value: {shown(value)}: {detail}", field)


def unsupported(field: str, value: Any, supported: Iterable[Any]) -> Cause:
    """`supported` is listed in the given order: upstream sorts some lists and not others."""
    listed = ", ".join(shown(word) for word in supported)
    return Cause("FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {listed}", field)


def duplicate(field: str, value: Any) -> Cause:
    return Cause("FieldValueDuplicate", f"Duplicate value: {shown(value)}", field)


def not_found(field: str, value: Any) -> Cause:
    return Cause("FieldValueNotFound", f"Not found: {shown(value)}", field)


def forbidden(field: str, detail: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {detail}", field)


def too_long(field: str, limit: int) -> Cause:
    return Cause("FieldValueTooLong", f"Too long: may not be more than {limit} bytes", field)


def too_many(field: str, count: int, limit: int) -> Cause:
    return Cause("FieldValueTooMany", f"Too many: {count}: must have at most {limit} items", field)


def negative(field: str, value: Any) -> Cause:
    return invalid(field, value, "must be greater than or equal to 0")
