"""ServiceAccount as Kubernetes 1.36 stores it: no rules beyond metadata."""

from __future__ import annotations

from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

KIND = Kind(
    "",
    "v1",
    "ServiceAccount",
    "serviceaccounts",
    Component("api_v1.json", "io.k8s.api.core.v1.ServiceAccount"),
    singular="serviceaccount",
    short_names=("sa",),
    strategy=Strategy(status=False, generation=False),
    columns=(NAME, Column("Secrets", lambda obj, _now: len(obj.get("secrets") or ()), "integer"), AGE),
)
