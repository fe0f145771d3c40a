"""Rules for Job specs, shared by Jobs and by what stamps them (CronJobs): counts, policies, the pod template.

Source: Kubernetes 1.36 `pkg/apis/batch/validation` (`validateJobSpec`, `ValidateJobTemplateSpec`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.podspec import template_causes

_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_INDEXED_PARALLELISM = 100_000
_RULES_MAX, _CODES_MAX = 20, 255
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")


def job_spec_causes(spec: Mapping[str, Any], field: str) -> list[Cause]:
    """Causes for a defaulted Job spec at `field`; its selector is the Job's own matter."""
    causes = [wording.negative(f"{field}.{key}", spec[key]) for key in _COUNTS if (spec.get(key) or 0) < 0]
    causes += _mode_causes(spec, field)
    template: Mapping[str, Any] = spec.get("template") or {}
    causes += _without_policy(template_causes(template, f"{field}.template"), field)
    policy = (template.get("spec") or {}).get("restartPolicy", "")
    at = f"{field}.template.spec.restartPolicy"
    if policy in ("", "Always"):
        causes.append(wording.required(at, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        causes.append(wording.unsupported(at, policy, ("OnFailure", "Never")))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        text = 'only "Never" is supported when podFailurePolicy is specified'
        causes.append(wording.invalid(at, policy, text))
    causes += _failure_policy_causes(spec, f"{field}.podFailurePolicy")
    return causes + _success_policy_causes(spec, f"{field}.successPolicy")


def _without_policy(causes: list[Cause], field: str) -> list[Cause]:
    """The restart policy is judged here, more narrowly than for pods."""
    return [cause for cause in causes if cause.field != f"{field}.template.spec.restartPolicy"]


def _mode_causes(spec: Mapping[str, Any], field: str) -> list[Cause]:
    causes: list[Cause] = []
    mode = spec.get("completionMode", "NonIndexed")
    if mode not in ("Indexed", "NonIndexed"):
        causes.append(wording.unsupported(f"{field}.completionMode", mode, ("Indexed", "NonIndexed")))
    elif mode == "Indexed":
        if spec.get("completions") is None:
            text = "when completion mode is Indexed"
            causes.append(wording.required(f"{field}.completions", text))
        if (spec.get("parallelism") or 0) > _INDEXED_PARALLELISM:
            text = f"must be less than or equal to {_INDEXED_PARALLELISM} when completion mode is Indexed"
            causes.append(wording.invalid(f"{field}.parallelism", spec["parallelism"], text))
    elif spec.get("backoffLimitPerIndex") is not None:
        text = "requires indexed completion mode"
        causes.append(wording.invalid(f"{field}.backoffLimitPerIndex", spec["backoffLimitPerIndex"], text))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        text = "when maxFailedIndexes is specified"
        causes.append(wording.required(f"{field}.backoffLimitPerIndex", text))
    replacement = spec.get("podReplacementPolicy", "TerminatingOrFailed")
    allowed = ("Failed",) if spec.get("podFailurePolicy") else ("Failed", "TerminatingOrFailed")
    if replacement not in allowed:
        causes.append(wording.unsupported(f"{field}.podReplacementPolicy", replacement, allowed))
    return causes


def _failure_policy_causes(spec: Mapping[str, Any], field: str) -> list[Cause]:
    rules = (spec.get("podFailurePolicy") or {}).get("rules") or ()
    names = [
        container.get("name", "")
        for key in ("containers", "initContainers")
        for container in (((spec.get("template") or {}).get("spec") or {}).get(key) or ())
    ]
    causes = [wording.too_many(f"{field}.rules", len(rules), _RULES_MAX)] if len(rules) > _RULES_MAX else []
    for index, rule in enumerate(rules):
        causes += _rule_causes(rule, f"{field}.rules[{index}]", names, spec)
    return causes


def _rule_causes(rule: Mapping[str, Any], at: str, names: list[str], spec: Mapping[str, Any]) -> list[Cause]:
    causes: list[Cause] = []
    action = rule.get("action", "")
    if action not in _ACTIONS:
        causes.append(wording.unsupported(f"{at}.action", action, _ACTIONS))
    elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        text = "requires the backoffLimitPerIndex to be set"
        causes.append(wording.invalid(f"{at}.action", action, text))
    codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions")
    if codes is not None and patterns:
        text = "specifying both OnExitCodes and OnPodConditions is not supported"
        causes.append(wording.invalid(at, dict(rule), text))
    elif codes is None and not patterns:
        text = "specifying one of OnExitCodes and OnPodConditions is required"
        causes.append(wording.invalid(at, dict(rule), text))
    return causes + ([] if codes is None else _code_causes(codes, f"{at}.onExitCodes", names))


def _code_causes(rule: Mapping[str, Any], at: str, names: list[str]) -> list[Cause]:
    causes: list[Cause] = []
    operator, values = rule.get("operator", ""), list(rule.get("values") or ())
    if operator not in ("In", "NotIn"):
        causes.append(wording.unsupported(f"{at}.operator", operator, ("In", "NotIn")))
    name = rule.get("containerName")
    if name is not None and name not in names:
        text = "must be one of the container or initContainer names in the pod template"
        causes.append(wording.invalid(f"{at}.containerName", name, text))
    if not values:
        causes.append(wording.invalid(f"{at}.values", values, "at least one value is required"))
    elif len(values) > _CODES_MAX:
        causes.append(wording.too_many(f"{at}.values", len(values), _CODES_MAX))
    elif values != sorted(values):
        causes.append(wording.invalid(f"{at}.values", values, "must be ordered"))
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            causes.append(wording.invalid(f"{at}.values[{index}]", value, "must not be 0 for the In operator"))
        if value in values[:index]:
            causes.append(wording.duplicate(f"{at}.values[{index}]", value))
    return causes


def _success_policy_causes(spec: Mapping[str, Any], field: str) -> list[Cause]:
    policy = spec.get("successPolicy")
    if policy is None:
        return []
    rules = policy.get("rules") or ()
    causes: list[Cause] = []
    if spec.get("completionMode") != "Indexed":
        causes.append(wording.invalid(field, dict(policy), "requires indexed completion mode"))
    if not rules:
        text = "at least one rules must be specified when the successPolicy is specified"
        causes.append(wording.required(f"{field}.rules", text))
    if len(rules) > _RULES_MAX:
        causes.append(wording.too_many(f"{field}.rules", len(rules), _RULES_MAX))
    for index, rule in enumerate(rules):
        if rule.get("succeededCount") is None and rule.get("succeededIndexes") is None:
            text = "at least one of succeededCount or succeededIndexes must be specified"
            causes.append(wording.required(f"{field}.rules[{index}]", text))
        if (rule.get("succeededCount") or 0) < 0:
            causes.append(wording.negative(f"{field}.rules[{index}].succeededCount", rule["succeededCount"]))
    return causes
