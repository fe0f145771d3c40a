"""Experiment as Argo Rollouts 1.9 (9f8d111d8) defines it: its CustomResourceDefinition is its schema.

As with AnalysisRuns the controller's status is kept apart from what people write.
"""

from __future__ import annotations

from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Custom, Kind, Strategy

KIND = Kind(
    "argoproj.io",
    "v1alpha1",
    "Experiment",
    "experiments",
    Custom("argoproj.io/experiments.argoproj.io.json", "v1alpha1"),
    singular="experiment",
    short_names=("exp",),
    strategy=Strategy(unconditional=False),
    columns=(NAME, Column("Status", lambda obj, _now: (obj.get("status") or {}).get("phase")), AGE),
)
