"""The shape of an ErrorBudgetPolicy as an openAPIV3Schema."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

ACTIONS = ("Warn", "RequireApproval", "Freeze")
"""What a threshold may ask for, the mildest first."""

PHASES = ("Open", "Warning", "ApprovalRequired", "Frozen")
"""What a policy is in, one per action after Open."""

COVERED_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Rollout")

THRESHOLDS = (
    {"left": "50%", "action": "Warn"},
    {"left": "20%", "action": "RequireApproval"},
    {"left": "0%", "action": "Freeze"},
)
THAW = {"margin": "10%", "after": "30m"}


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _object(description: str, /, **properties: Schema) -> Schema:
    return {"type": "object", "description": description, "properties": properties}


def openapi() -> Schema:
    """The schema with its defaults."""
    names: Schema = {"type": "array", "items": {"type": "string"}}
    requirement = _object(
        "one rule", key=_text("label"), operator=_text("In, NotIn, Exists, DoesNotExist"), values=names
    )
    labels: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
    expressions: Schema = {"type": "array", "items": requirement}
    selector = _object("labels of the workloads", matchLabels=labels, matchExpressions=expressions)
    covers = _object(
        "workloads whose releases depend on the budgets; all of the namespace if absent",
        kinds={**names, "description": "of these kinds", "items": {"type": "string", "enum": list(COVERED_KINDS)}},
        names={**names, "description": "with these names"},
        selector=selector,
    )
    threshold = _object(
        "one step",
        left=_text("when this much or less of the budget is left, e.g. 20%"),
        action=_text("what is done then", enum=list(ACTIONS)),
    )
    threshold["required"] = ["left", "action"]
    thaw = _object(
        "when a step is taken back",
        margin=_text("so much more than the step's threshold must be left, e.g. 10%", default=THAW["margin"]),
        after=_text("for so long, e.g. 30m", default=THAW["after"]),
    )
    thaw["default"] = dict(THAW)
    spec = _object(
        "the policy",
        slos={**names, "description": "names of SLOs; the one with the least left counts", "minItems": 1},
        covers=covers,
        thresholds={"type": "array", "items": threshold, "default": [dict(t) for t in THRESHOLDS]},
        thaw=thaw,
    )
    spec["required"] = ["slos"]
    texts = {name: {"type": "string"} for name in ("apiVersion", "kind")}
    status: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    root = _object("", **texts, metadata={"type": "object"}, spec=spec, status=status)
    return {**root, "required": ["spec"]}
