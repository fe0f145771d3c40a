"""Rollout as Argo Rollouts 1.9 (9f8d111d8) defines it: its CustomResourceDefinition is its schema and its columns.

Rules beyond the schema are not checked when it is stored: the controller reports them as InvalidSpec.
"""

from __future__ import annotations

from pilothouse.base.actions import Object
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Custom, Kind, Strategy


def _count(field: str) -> Column:
    return Column(_TITLES[field], lambda obj, _now: (obj.get("status") or {}).get(field), "integer")


_TITLES = {
    "HPAReplicas": "Current",
    "updatedReplicas": "Up-to-date",
    "availableReplicas": "Available",
}


def _desired(obj: Object, _now_s: float) -> int | None:
    count: int | None = (obj.get("spec") or {}).get("replicas")
    return count


KIND = Kind(
    "argoproj.io",
    "v1alpha1",
    "Rollout",
    "rollouts",
    Custom("argoproj.io/rollouts.argoproj.io.json", "v1alpha1"),
    singular="rollout",
    short_names=("ro",),
    strategy=Strategy(scale=True, unconditional=False),
    columns=(
        NAME,
        Column("Desired", _desired, "integer"),
        _count("HPAReplicas"),
        _count("updatedReplicas"),
        _count("availableReplicas"),
        AGE,
    ),
)
