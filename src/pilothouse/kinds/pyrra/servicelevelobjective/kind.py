"""ServiceLevelObjective, pyrra.dev/v1alpha1: a target over a window for a ratio, a latency or a boolean gauge.

Source: pyrra-dev/pyrra 1ba95afb, kubernetes/api/v1alpha1/servicelevelobjective_types.go: the shape of its definition,
and the checks of its webhook, which `engines.slo.pyrra` has.
"""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.base.manifests import Document
from pilothouse.engines.slo import pyrra
from pilothouse.engines.slo.fields import Sink
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Inline, Kind

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_NAMES: Schema = {"type": "array", "items": _TEXT}


def _object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    out: Schema = {"type": "object", "properties": properties}
    return {**out, "required": list(required)} if required else out


def openapi() -> Schema:
    """The shape of the object."""
    query = _object(("metric",), metric=_TEXT)
    indicator = _object(
        ratio=_object(("errors", "total"), errors=query, total=query, grouping=_NAMES),
        latency=_object(("success", "total"), success=query, total=query, grouping=_NAMES),
        latencyNative=_object(("latency", "total"), latency=_TEXT, total=query, grouping=_NAMES),
        bool_gauge=_object(("metric",), metric=_TEXT, grouping=_NAMES),
    )
    tiers = ("absent", "fastBurn", "mediumBurn", "slowBurn", "longTermBurn")
    alerting = _object(
        disabled=_FLAG,
        burnrates={**_FLAG, "default": True},
        absent={**_FLAG, "default": True},
        name=_TEXT,
        absentName=_TEXT,
        severities=_object(**dict.fromkeys(tiers, _TEXT)),
    )
    labels: Schema = {"type": "object", "additionalProperties": _TEXT}
    output = _object(shortRulesLabels=labels, longRulesLabels=labels, enableDescriptionAsLabel=_FLAG)
    strategy: Schema = {**_TEXT, "enum": ["abort", "warn", ""], "default": "abort"}
    spec = _object(
        ("indicator", "target", "window"),
        description=_TEXT,
        target=_TEXT,
        window=_TEXT,
        indicator=indicator,
        alerting=alerting,
        partial_response_strategy=strategy,
        performanceOverAccuracy={**_FLAG, "default": False},
        ruleOutput=output,
    )
    return _object(apiVersion=_TEXT, kind=_TEXT, metadata={"type": "object"}, spec=spec, status=_object(type=_TEXT))


def validate(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    """What Pyrra's webhook refuses."""
    sink = Sink(Document(new, "", 0, 0))
    pyrra.read(sink)
    causes = []
    for finding in sink.findings:
        field, found, message = finding.message.partition(": ")
        if finding.severity == "error":
            named = bool(found) and field.startswith("spec")
            causes.append(Cause("FieldValueInvalid", message if named else finding.message, field if named else "spec"))
    return causes


def _spec(field: str) -> Any:
    return lambda obj, _now: (obj.get("spec") or {}).get(field, "")


KIND = Kind(
    "pyrra.dev",
    "v1alpha1",
    "ServiceLevelObjective",
    "servicelevelobjectives",
    Inline(openapi),
    singular="servicelevelobjective",
    short_names=("slo",),
    validate=validate,
    columns=(
        NAME,
        Column("Window", _spec("window")),
        Column("Target", _spec("target")),
        Column("Type", lambda obj, _now: (obj.get("status") or {}).get("type", "")),
        AGE,
    ),
)
