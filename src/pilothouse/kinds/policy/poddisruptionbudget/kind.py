"""The kind policy/PodDisruptionBudget: names, rules and columns.

Source: Kubernetes 1.36 `pkg/apis/policy/validation`, `pkg/registry/policy/poddisruptionbudget`, `pkg/printers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import counts, wording
from pilothouse.engines.schema.selector_rules import selector_causes
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_POLICIES = ("AlwaysAllow", "IfHealthyBudget")


def prepare(new: Object, old: Object | None) -> Object:
    """A first status that allows nothing."""
    if old is not None:
        return new
    return {**new, "status": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}}


def validate(new: Object, _old: Object | None) -> list[Cause]:
    spec: Mapping[str, Any] = new.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    causes: list[Cause] = []
    if least is not None and most is not None:
        # The message shows the Go struct, whose fields are named and ordered like this.
        shown = {
            "MinAvailable": least,
            "Selector": spec.get("selector"),
            "MaxUnavailable": most,
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
        }
        causes.append(wording.invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
    for name, value in (("minAvailable", least), ("maxUnavailable", most)):
        causes += counts.count_or_percent_causes(value, f"spec.{name}")
        causes += counts.at_most_whole_causes(value, f"spec.{name}")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in _POLICIES:
        causes.append(wording.unsupported("spec.unhealthyPodEvictionPolicy", policy, _POLICIES))
    return causes + selector_causes(spec.get("selector"), "spec.selector")


def _count(name: str) -> Any:
    return lambda obj, _now_s: str(obj["spec"][name]) if obj["spec"].get(name) is not None else "N/A"


def _allowed(obj: Object, _now_s: float) -> int:
    count: int = (obj.get("status") or {}).get("disruptionsAllowed", 0)
    return count


KIND = Kind(
    group="policy",
    version="v1",
    kind="PodDisruptionBudget",
    plural="poddisruptionbudgets",
    schema=Component("apis_policy_v1.json", "io.k8s.api.policy.v1.PodDisruptionBudget"),
    short_names=("pdb",),
    validate=validate,
    strategy=Strategy(prepare=prepare),
    columns=(
        NAME,
        Column("Min Available", _count("minAvailable")),
        Column("Max Unavailable", _count("maxUnavailable")),
        Column("Allowed Disruptions", _allowed, type="integer"),
        AGE,
    ),
)
