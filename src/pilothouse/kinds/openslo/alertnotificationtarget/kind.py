"""AlertNotificationTarget, openslo/v1: whom an alert policy tells.

Its rules are `engines.slo.openslo_rules`; what the format leaves open is accepted.
"""

from __future__ import annotations

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.slo import openslo_shapes
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Inline, Kind, Strategy


def openapi() -> openslo_shapes.Schema:
    return openslo_shapes.openapi("AlertNotificationTarget")


def validate(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    return openslo_shapes.causes(new)


KIND = Kind(
    "openslo",
    "v1",
    "AlertNotificationTarget",
    "alertnotificationtargets",
    Inline(openapi),
    singular="alertnotificationtarget",
    validate=validate,
    strategy=Strategy(status=False),
    columns=(
        NAME,
        Column("Target", lambda obj, _now: obj["spec"].get("target", "")),
        AGE,
    ),
)
