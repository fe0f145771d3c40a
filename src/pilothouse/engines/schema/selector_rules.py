"""What is wrong with label selectors and node selector terms (apimachinery 1.36 `meta/v1/validation`, core
`validation.go`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names, wording

_SET = ("In", "NotIn")
_LABEL_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def selector_causes(selector: Mapping[str, Any] | None, field: str) -> list[Cause]:
    """Causes for a `metav1.LabelSelector`."""
    if not selector:
        return []
    out = names.label_causes(selector.get("matchLabels"), f"{field}.matchLabels")
    for index, requirement in enumerate(selector.get("matchExpressions", ())):
        at = f"{field}.matchExpressions[{index}]"
        operator, values = requirement.get("operator", ""), requirement.get("values")
        if operator in _SET and not values:
            out.append(wording.required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif operator in ("Exists", "DoesNotExist") and values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            out.append(wording.forbidden(f"{at}.values", text))
        elif operator not in _LABEL_OPERATORS:
            out.append(wording.invalid(f"{at}.operator", operator, "not a valid selector operator"))
        out += [wording.invalid(f"{at}.key", requirement.get("key", ""), m) for m in _key(requirement)]
        for number, value in enumerate(values or ()):
            out += [wording.invalid(f"{at}.values[{number}]", value, m) for m in names.label_value(value)]
    return out


def _key(requirement: Mapping[str, Any]) -> tuple[str, ...]:
    return names.qualified_name(requirement.get("key", ""))


def node_selector_causes(selector: Mapping[str, Any], field: str) -> list[Cause]:
    """Causes for a `v1.NodeSelector` (required node affinity)."""
    terms = selector.get("nodeSelectorTerms", ())
    if not terms:
        return [wording.required(f"{field}.nodeSelectorTerms", "must have at least one node selector term")]
    out: list[Cause] = []
    for index, term in enumerate(terms):
        out += node_term_causes(term, f"{field}.nodeSelectorTerms[{index}]")
    return out


def node_term_causes(term: Mapping[str, Any], field: str) -> list[Cause]:
    """Causes for one `v1.NodeSelectorTerm`."""
    out: list[Cause] = []
    for part in ("matchExpressions", "matchFields"):
        for index, requirement in enumerate(term.get(part, ())):
            out += _node_requirement(requirement, f"{field}.{part}[{index}]")
    return out


def _node_requirement(requirement: Mapping[str, Any], field: str) -> list[Cause]:
    operator, values = requirement.get("operator", ""), requirement.get("values", ())
    out: list[Cause] = []
    if operator in _SET and not values:
        out.append(wording.required(f"{field}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist") and values:
        text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        out.append(wording.forbidden(f"{field}.values", text))
    elif operator in ("Gt", "Lt") and len(values) != 1:
        text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
        out.append(wording.required(f"{field}.values", text))
    elif operator not in (*_LABEL_OPERATORS, "Gt", "Lt"):
        out.append(wording.invalid(f"{field}.operator", operator, "not a valid selector operator"))
    return out + [wording.invalid(f"{field}.key", requirement.get("key", ""), m) for m in _key(requirement)]
