"""DataSource, openslo/v1: where the numbers of indicators come from.

Its rules are `engines.slo.openslo_rules`; what the format leaves open is accepted.
"""

from __future__ import annotations

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.slo import openslo_shapes
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Inline, Kind, Strategy


def openapi() -> openslo_shapes.Schema:
    return openslo_shapes.openapi("DataSource")


def validate(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    return openslo_shapes.causes(new)


KIND = Kind(
    "openslo",
    "v1",
    "DataSource",
    "datasources",
    Inline(openapi),
    singular="datasource",
    validate=validate,
    strategy=Strategy(status=False),
    columns=(
        NAME,
        Column("Type", lambda obj, _now: obj["spec"].get("type", "")),
        AGE,
    ),
)
