"""AnalysisRun as Argo Rollouts 1.9 (9f8d111d8) defines it: its CustomResourceDefinition is its schema.

It has no status subresource upstream. Here the controller's status is kept apart all the same: a manifest that is
applied again does not undo what was measured.
"""

from __future__ import annotations

from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Custom, Kind, Strategy

KIND = Kind(
    "argoproj.io",
    "v1alpha1",
    "AnalysisRun",
    "analysisruns",
    Custom("argoproj.io/analysisruns.argoproj.io.json", "v1alpha1"),
    singular="analysisrun",
    short_names=("ar",),
    strategy=Strategy(unconditional=False),
    columns=(NAME, Column("Status", lambda obj, _now: (obj.get("status") or {}).get("phase")), AGE),
)
