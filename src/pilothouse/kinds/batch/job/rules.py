"""What the API server refuses in a Job, and in the update of one.

Source: Kubernetes 1.36 `pkg/apis/batch/validation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.rolling.lookup import matcher
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.job_rules import job_spec_causes
from pilothouse.engines.schema.selector_rules import selector_causes

_FIXED = (
    "selector",
    "template",
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
)


def validate(new: Object, old: Object | None) -> list[Cause]:
    spec: Mapping[str, Any] = new.get("spec") or {}
    causes = job_spec_causes(spec, "spec")
    causes += _selector_causes(spec)
    if old is not None:
        causes += _update_causes(spec, old["spec"], old)
    return causes


def _selector_causes(spec: Mapping[str, Any]) -> list[Cause]:
    selector = spec.get("selector")
    if selector is None:
        return [wording.required("spec.selector")]
    causes = selector_causes(selector, "spec.selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not causes and not matcher(selector)(labels):
        text = "`selector` does not match template `labels`"
        causes.append(wording.invalid("spec.template.metadata.labels", labels, text))
    return causes


def _update_causes(spec: Mapping[str, Any], old: Mapping[str, Any], stored: Object) -> list[Cause]:
    causes: list[Cause] = []
    if spec.get("completions") != old.get("completions") and not _resized(spec):
        causes.append(wording.invalid("spec.completions", spec.get("completions"), "field is immutable"))
    for key in _FIXED:
        if key == "template" and _may_be_steered(old, stored):
            continue
        if spec.get(key) != old.get(key):
            causes.append(wording.invalid(f"spec.{key}", spec.get(key), "field is immutable"))
    return causes


def _resized(spec: Mapping[str, Any]) -> bool:
    """An indexed Job may change its size when parallelism goes along."""
    return spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")


def _may_be_steered(old: Mapping[str, Any], stored: Object) -> bool:
    """Before it first starts, a suspended Job's template may still say where and how its pods are scheduled."""
    return bool(old.get("suspend")) and not (stored.get("status") or {}).get("startTime")
