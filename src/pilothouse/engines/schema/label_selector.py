"""Field rules for label selectors, and for counts that may be percentages.

Source: Kubernetes 1.36 `apimachinery/pkg/apis/meta/v1/validation`, `pkg/apis/apps/validation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names, wording

_PERCENT_TEXT = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)


def selector_causes(selector: Mapping[str, Any], field: str) -> list[Cause]:
    """What is wrong with a `metav1.LabelSelector`."""
    causes = names.label_causes(selector.get("matchLabels"), f"{field}.matchLabels")
    for index, entry in enumerate(selector.get("matchExpressions") or ()):
        causes += _expression_causes(entry, f"{field}.matchExpressions[{index}]")
    return causes


def _expression_causes(entry: Mapping[str, Any], field: str) -> list[Cause]:
    operator, values = entry.get("operator", ""), entry.get("values") or ()
    causes: list[Cause] = []
    if operator in ("In", "NotIn"):
        if not values:
            causes.append(wording.required(f"{field}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            causes.append(
                wording.forbidden(
                    f"{field}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                )
            )
    else:
        causes.append(wording.invalid(f"{field}.operator", operator, "not a valid selector operator"))
    causes += [
        wording.invalid(f"{field}.key", entry.get("key", ""), text)
        for text in names.qualified_name(entry.get("key", ""))
    ]
    for index, value in enumerate(values):
        causes += [wording.invalid(f"{field}.values[{index}]", value, text) for text in names.label_value(value)]
    return causes


def count_or_percent_causes(value: int | str | None, field: str) -> list[Cause]:
    """A whole number not below 0, or a percentage (`ValidatePositiveIntOrPercent`)."""
    if isinstance(value, str):
        return [] if _is_percent(value) else [wording.invalid(field, value, _PERCENT_TEXT)]
    return [wording.negative(field, value)] if value is not None and value < 0 else []


def at_most_whole_causes(value: int | str | None, field: str) -> list[Cause]:
    """A percentage must not be above 100% (`IsNotMoreThan100Percent`)."""
    if isinstance(value, str) and _is_percent(value) and int(value[:-1]) > 100:
        return [wording.invalid(field, value, "must not be greater than 100%")]
    return []


def number_of(value: int | str | None) -> int:
    """The number in a count or a percentage, 0 when there is none (`getIntOrPercentValue`)."""
    if isinstance(value, str):
        return int(value[:-1]) if _is_percent(value) else 0
    return value or 0


def _is_percent(text: str) -> bool:
    return text.endswith("%") and text[:-1].isascii() and text[:-1].isdigit()


def negative_causes(spec: Mapping[str, Any], *fields: str) -> list[Cause]:
    """Fields of a spec that must not be below 0."""
    return [wording.negative(f"spec.{name}", spec[name]) for name in fields if spec.get(name, 0) < 0]
