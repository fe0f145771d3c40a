"""SLI, openslo/v1: an indicator that SLOs refer to.

Its rules are `engines.slo.openslo_rules`; what the format leaves open is accepted.
"""

from __future__ import annotations

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.slo import openslo_shapes
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Inline, Kind, Strategy


def openapi() -> openslo_shapes.Schema:
    return openslo_shapes.openapi("SLI")


def validate(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    return openslo_shapes.causes(new)


KIND = Kind(
    "openslo",
    "v1",
    "SLI",
    "slis",
    Inline(openapi),
    singular="sli",
    validate=validate,
    strategy=Strategy(status=False),
    columns=(
        NAME,
        Column(
            "Metric",
            lambda obj, _now: next(iter(k for k in ("ratioMetric", "thresholdMetric") if k in obj["spec"]), ""),
        ),
        AGE,
    ),
)
