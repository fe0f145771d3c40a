"""PrometheusRule as prometheus-operator 0.93 defines it: its CustomResourceDefinition is its schema and its rules.

Expressions and templates are not checked when the object is stored: the operator's optional webhook would refuse
the whole
object, and then the good rules would go with the broken one. `engines.alerting.parse_rule_groups` reports each rule.
"""

from __future__ import annotations

from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Custom, Kind, Strategy

KIND = Kind(
    "monitoring.coreos.com",
    "v1",
    "PrometheusRule",
    "prometheusrules",
    Custom("monitoring.coreos.com/prometheusrules.monitoring.coreos.com.json", "v1"),
    singular="prometheusrule",
    short_names=("promrule",),
    categories=("prometheus-operator",),
    strategy=Strategy(unconditional=False),
    columns=(NAME, AGE),
)
