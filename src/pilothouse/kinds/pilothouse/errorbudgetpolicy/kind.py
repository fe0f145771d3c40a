"""ErrorBudgetPolicy, `pilothouse.dev/v1alpha1`: a budget runs low: warn, ask for approval, then freeze releases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.duration import parse_duration_s
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.selector_rules import selector_causes
from pilothouse.kinds.pilothouse.errorbudgetpolicy.schema import ACTIONS, THAW, THRESHOLDS, openapi
from pilothouse.kinds.pilothouse.errorbudgetpolicy.spec import phase_of, ratio
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Inline, Kind


def validate(new: Object, _old: Object | None) -> list[Cause]:
    spec: Mapping[str, Any] = new.get("spec") or {}
    causes = [
        wording.required(f"spec.slos[{index}]", "name an SLO")
        for index, name in enumerate(spec.get("slos") or ())
        if not name
    ]
    causes += _threshold_causes(spec.get("thresholds") or THRESHOLDS)
    thaw = {**THAW, **(spec.get("thaw") or {})}
    causes += _share_causes("spec.thaw.margin", thaw["margin"])
    try:
        if parse_duration_s(thaw["after"]) < 0:
            causes.append(wording.invalid("spec.thaw.after", thaw["after"], "must not be negative"))
    except ValueError as error:
        causes.append(wording.invalid("spec.thaw.after", thaw["after"], str(error)))
    selector = (spec.get("covers") or {}).get("selector")
    return causes + (selector_causes(selector, "spec.covers.selector") if selector is not None else [])


def _threshold_causes(thresholds: Any) -> list[Cause]:
    """Shares, each action once, and a harder action never before a milder one."""
    causes: list[Cause] = []
    seen: dict[str, float] = {}
    for index, entry in enumerate(thresholds):
        field = f"spec.thresholds[{index}]"
        wrong = _share_causes(f"{field}.left", entry["left"])
        causes += wrong
        if entry["action"] in seen:
            causes.append(wording.duplicate(f"{field}.action", entry["action"]))
        elif not wrong:
            seen[entry["action"]] = ratio(entry["left"])
    ordered = [seen[action] for action in ACTIONS if action in seen]
    if ordered != sorted(ordered, reverse=True):
        detail = f"a harder action needs less budget left: {' > '.join(a for a in ACTIONS if a in seen)}"
        causes.append(wording.invalid("spec.thresholds", len(seen), detail))
    return causes


def _share_causes(field: str, text: str) -> list[Cause]:
    try:
        ratio(text)
    except ValueError:
        return [wording.invalid(field, text, "must be a share such as 20%")]
    return []


def _left(obj: Object, _now_s: float) -> str:
    return str((obj.get("status") or {}).get("left", ""))


KIND = Kind(
    "pilothouse.dev",
    "v1alpha1",
    "ErrorBudgetPolicy",
    "errorbudgetpolicies",
    Inline(openapi),
    singular="errorbudgetpolicy",
    short_names=("ebp",),
    validate=validate,
    columns=(
        NAME,
        Column("Phase", lambda obj, _now: phase_of(obj)),
        Column("Left", _left),
        Column("SLOs", lambda obj, _now: ",".join(obj["spec"].get("slos") or ())),
        AGE,
    ),
)
