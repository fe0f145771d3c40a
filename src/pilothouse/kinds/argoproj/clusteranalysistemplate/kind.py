"""ClusterAnalysisTemplate as Argo Rollouts 1.9 (9f8d111d8) defines it: its CustomResourceDefinition is its schema.

What its metrics mean is judged by whoever uses it: a Rollout that names a broken one says so (InvalidSpec).
"""

from __future__ import annotations

from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Custom, Kind, Strategy

KIND = Kind(
    "argoproj.io",
    "v1alpha1",
    "ClusterAnalysisTemplate",
    "clusteranalysistemplates",
    Custom("argoproj.io/clusteranalysistemplates.argoproj.io.json", "v1alpha1"),
    singular="clusteranalysistemplate",
    short_names=("cat",),
    namespaced=False,
    strategy=Strategy(status=False, unconditional=False),
    columns=(NAME, AGE),
)
