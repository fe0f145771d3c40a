"""Scenario, `pilothouse.dev/v1alpha1`: Pilothouse's own kind. Stored like any other; a rehearsal plays it."""

from __future__ import annotations

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.base.manifests import Document
from pilothouse.kinds.pilothouse.scenario import read
from pilothouse.kinds.pilothouse.scenario.schema import openapi
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Inline, Kind, Strategy


def validate(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    """What `read.parse` finds wrong without knowing the manifests; each message starts with its field."""
    _spec, findings = read.parse(Document(new, "", 0, 0))
    causes = []
    for finding in findings:
        field, found, message = finding.message.partition(": ")
        if finding.severity == "error":
            causes.append(Cause("FieldValueInvalid", message if found else finding.message, field if found else "spec"))
    return causes


def _count(field: str) -> Column:
    return Column(field.capitalize(), lambda obj, _now: len((obj.get("spec") or {}).get(field) or ()), "integer")


KIND = Kind(
    "pilothouse.dev",
    "v1alpha1",
    "Scenario",
    "scenarios",
    Inline(openapi),
    singular="scenario",
    validate=validate,
    strategy=Strategy(status=False),
    columns=(
        NAME,
        Column("Duration", lambda obj, _now: str((obj.get("spec") or {}).get("duration", "24h"))),
        _count("events"),
        _count("expect"),
        AGE,
    ),
)
