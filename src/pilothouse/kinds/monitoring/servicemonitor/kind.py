"""ServiceMonitor as prometheus-operator 0.93 defines it: its CustomResourceDefinition is its schema and its rules."""

from __future__ import annotations

from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Custom, Kind, Strategy

KIND = Kind(
    "monitoring.coreos.com",
    "v1",
    "ServiceMonitor",
    "servicemonitors",
    Custom("monitoring.coreos.com/servicemonitors.monitoring.coreos.com.json", "v1"),
    singular="servicemonitor",
    short_names=("smon",),
    categories=("prometheus-operator",),
    strategy=Strategy(unconditional=False),
    columns=(NAME, AGE),
)
