"""Rules for counts: whole numbers not below 0, or percentages of something.

Source: Kubernetes 1.36 `pkg/apis/apps/validation` (`ValidatePositiveIntOrPercent`, `IsNotMoreThan100Percent`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording

_PERCENT_TEXT = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)


def negative_causes(spec: Mapping[str, Any], *fields: str) -> list[Cause]:
    """Fields of a spec that must not be below 0."""
    return [wording.negative(f"spec.{name}", spec[name]) for name in fields if spec.get(name, 0) < 0]


def count_or_percent_causes(value: int | str | None, field: str) -> list[Cause]:
    """A whole number not below 0, or a percentage."""
    if isinstance(value, str):
        return [] if is_percent(value) else [wording.invalid(field, value, _PERCENT_TEXT)]
    return [wording.negative(field, value)] if value is not None and value < 0 else []


def at_most_whole_causes(value: int | str | None, field: str) -> list[Cause]:
    """A percentage must not be above 100%."""
    if isinstance(value, str) and is_percent(value) and int(value[:-1]) > 100:
        return [wording.invalid(field, value, "must not be greater than 100%")]
    return []


def number_of(value: int | str | None) -> int:
    """The number in a count or a percentage, 0 when there is none."""
    if isinstance(value, str):
        return int(value[:-1]) if is_percent(value) else 0
    return value or 0


def is_percent(text: str) -> bool:
    return text.endswith("%") and text[:-1].isascii() and text[:-1].isdigit()
