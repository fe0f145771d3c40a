"""SLO, openslo/v1: an objective over a window, its indicator and its alert policies.

Its rules are `engines.slo.openslo_rules`; what the format leaves open is accepted.
"""

from __future__ import annotations

from collections.abc import Callable

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.slo import openslo_shapes
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Inline, Kind, Strategy


def openapi() -> openslo_shapes.Schema:
    return openslo_shapes.openapi("SLO")


def validate(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    return openslo_shapes.causes(new)


def _objective(obj: Object, _now_s: float) -> str:
    """`99.9%`, or how many there are."""
    objectives = (obj.get("spec") or {}).get("objectives") or []
    if len(objectives) != 1:
        return f"{len(objectives)} objectives"
    percent = objectives[0].get("targetPercent")
    return f"{percent if percent is not None else (objectives[0].get('target') or 0) * 100:.12g}%"


def _window(obj: Object, _now_s: float) -> str:
    windows = (obj.get("spec") or {}).get("timeWindow") or []
    return str(windows[0].get("duration", "")) if windows else ""


def _field(name: str) -> Callable[[Object, float], str]:
    return lambda obj, _now: str((obj.get("spec") or {}).get(name, ""))


KIND = Kind(
    "openslo",
    "v1",
    "SLO",
    "slos",
    Inline(openapi),
    singular="slo",
    validate=validate,
    strategy=Strategy(status=False),
    columns=(
        NAME,
        Column("Service", _field("service")),
        Column("Objective", _objective),
        Column("Window", _window),
        Column("Method", _field("budgetingMethod")),
        AGE,
    ),
)
