"""PrometheusServiceLevel, sloth.slok.dev/v1: the SLOs of one service, in Sloth's words.

Source: slok/sloth 0e395d81, pkg/kubernetes/api/sloth/v1/types.go. Stored as Sloth's own definition would store it; a
wrong objective or query is found when rules are made (`engines.slo`), as Sloth's operator does.
"""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Inline, Kind, Strategy

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}
_OPEN: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    out: Schema = {"type": "object", "properties": properties}
    return {**out, "required": list(required)} if required else out


def openapi() -> Schema:
    """The shape of the object."""
    step = _object(("id",), id=_TEXT, config=_OPEN, priority={"type": "integer"})
    plugins = _object(overridePrevious={"type": "boolean"}, chain={"type": "array", "items": step})
    alert = _object(disable={"type": "boolean"}, labels=_TEXTS, annotations=_TEXTS)
    alerting = _object(name=_TEXT, labels=_TEXTS, annotations=_TEXTS, pageAlert=alert, ticketAlert=alert)
    sli = _object(
        raw=_object(("errorRatioQuery",), errorRatioQuery=_TEXT),
        events=_object(("errorQuery", "totalQuery"), errorQuery=_TEXT, totalQuery=_TEXT),
        plugin=_object(("id",), id=_TEXT, options=_TEXTS),
    )
    slo = _object(
        ("name", "objective", "sli", "alerting"),
        name={**_TEXT, "maxLength": 128},
        description=_TEXT,
        objective={"type": "number"},
        labels=_TEXTS,
        plugins=plugins,
        sli=sli,
        alerting=alerting,
    )
    slos: Schema = {"type": "array", "items": slo, "minItems": 1}
    spec = _object(("service", "slos"), service=_TEXT, labels=_TEXTS, sloPlugins=plugins, slos=slos)
    counts = {name: {"type": "integer"} for name in ("promOpRulesGeneratedSLOs", "processedSLOs", "observedGeneration")}
    times = {"lastPromOpRulesSuccessfulGenerated": {**_TEXT, "format": "date-time"}}
    status = _object(promOpRulesGenerated={"type": "boolean"}, **counts, **times)
    return _object(apiVersion=_TEXT, kind=_TEXT, metadata={"type": "object"}, spec=spec, status=status)


def _status(field: str) -> Any:
    return lambda obj, _now: (obj.get("status") or {}).get(field, "")


def _service(obj: Object, _now_s: float) -> str:
    return str((obj.get("spec") or {}).get("service", ""))


KIND = Kind(
    "sloth.slok.dev",
    "v1",
    "PrometheusServiceLevel",
    "prometheusservicelevels",
    Inline(openapi),
    singular="prometheusservicelevel",
    short_names=("psl", "pslo"),
    columns=(
        NAME,
        Column("Service", _service),
        Column("Desired SLOs", _status("processedSLOs"), "integer"),
        Column("Ready SLOs", _status("promOpRulesGeneratedSLOs"), "integer"),
        Column("Gen OK", _status("promOpRulesGenerated"), "boolean"),
        AGE,
    ),
    strategy=Strategy(unconditional=False),
)
