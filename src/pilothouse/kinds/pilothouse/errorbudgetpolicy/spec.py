"""Reads an ErrorBudgetPolicy and tells which workloads it covers. Pure; `kind.validate` refused what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pilothouse.base import selectors
from pilothouse.base.actions import Object
from pilothouse.base.duration import parse_duration_s
from pilothouse.kinds.pilothouse.errorbudgetpolicy.schema import ACTIONS, COVERED_KINDS, PHASES, THAW, THRESHOLDS

FIX = "pilothouse.dev/reliability-fix"
"""Annotation of a change that makes things more reliable; its value says how."""
APPROVED = "pilothouse.dev/budget-approved-by"
"""Annotation of a change that somebody approved although little budget is left; its value is who."""
HELD = "pilothouse.dev/held-by"
"""Annotation of a Rollout that a policy paused: the policy's name."""


@dataclass(frozen=True, slots=True)
class Step:
    """left_ratio: at or below it the phase begins. rank: 1 Warning, 2 ApprovalRequired, 3 Frozen."""

    left_ratio: float
    rank: int


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as numbers. margin_ratio: of the budget; thaw_after_s: seconds."""

    name: str
    namespace: str
    slos: tuple[str, ...]
    steps: tuple[Step, ...]
    margin_ratio: float
    thaw_after_s: float


def read(policy: Object) -> Policy:
    """The policy; absent fields have the schema's defaults."""
    spec, metadata = policy["spec"], policy["metadata"]
    thaw = {**THAW, **(spec.get("thaw") or {})}
    thresholds = spec.get("thresholds") or THRESHOLDS
    steps = [Step(ratio(t["left"]), ACTIONS.index(t["action"]) + 1) for t in thresholds]
    return Policy(
        metadata["name"],
        metadata.get("namespace", ""),
        tuple(spec["slos"]),
        tuple(sorted(steps, key=lambda s: s.rank)),
        ratio(thaw["margin"]),
        parse_duration_s(thaw["after"]),
    )


def ratio(text: str) -> float:
    """`20%` or `0.2` as 0.2; ValueError when it is neither."""
    body = text.strip()
    value = float(body.removesuffix("%")) / 100 if body.endswith("%") else float(body)
    if not -10 <= value <= 1:
        raise ValueError(f"{text!r} is not a share such as 20%")
    return value


def phase_of(policy: Object) -> str:
    """The phase that was stored last."""
    phase = (policy.get("status") or {}).get("phase", PHASES[0])
    return phase if phase in PHASES else PHASES[0]


def covers(policy: Object, kind: str, workload: Object) -> bool:
    """Does the policy cover a workload of this kind (its short name) in its namespace?"""
    given: dict[str, Any] = policy["spec"].get("covers") or {}
    metadata = workload["metadata"]
    if kind not in (given.get("kinds") or COVERED_KINDS):
        return False
    if given.get("names") and metadata["name"] not in given["names"]:
        return False
    selector = given.get("selector")
    return selector is None or selectors.from_object(selector).matches(metadata.get("labels") or {})
