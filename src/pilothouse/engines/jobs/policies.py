"""What a failed pod means for its Job (`podFailurePolicy`), and when enough indexes have succeeded (`successPolicy`).

Source: `pod_failure_policy.go`, `success_policy.go`, Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.engines.jobs.indexes import Indexes, parse


@dataclass(frozen=True, slots=True)
class Verdict:
    """action: FailJob, FailIndex, Ignore, Count, or "" when no rule matched; message: why the Job fails (FailJob)."""

    action: str = ""
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether the failure counts against the back-off limits."""
        return self.action != "Ignore"


def judge(policy: Mapping[str, Any] | None, pod: Object) -> Verdict:
    """The first rule that matches a failed pod."""
    for index, rule in enumerate((policy or {}).get("rules") or ()):
        action = rule["action"]
        what = _match(rule, pod)
        if what:
            return Verdict(action, f"{what} matching {action} rule at index {index}" if action == "FailJob" else "")
    return Verdict()


def _match(rule: Mapping[str, Any], pod: Object) -> str:
    """What matched, in words; "" when nothing did."""
    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    status = pod.get("status") or {}
    codes = rule.get("onExitCodes")
    if codes is not None:
        found = _container(codes, status)
        return f"Container {found[0]} for pod {name} failed with exit code {found[1]}" if found else ""
    for condition in status.get("conditions") or ():
        for pattern in rule.get("onPodConditions") or ():
            same = condition["type"] == pattern["type"]
            if same and condition["status"] == pattern.get("status", "True"):
                return f"Pod {name} has condition {condition['type']}"
    return ""


def _container(rule: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[str, int] | None:
    """(name, exit code) of the first container whose end the rule describes; a success never is."""
    for key in ("containerStatuses", "initContainerStatuses"):
        for container in status.get(key) or ():
            if rule.get("containerName") not in (None, container["name"]):
                continue
            ended = (container.get("state") or {}).get("terminated")
            code = 0 if ended is None else ended.get("exitCode", 0)
            if code != 0 and (code in rule["values"]) == (rule["operator"] == "In"):
                return container["name"], code
    return None


def success(policy: Mapping[str, Any] | None, succeeded: Indexes, completions: int) -> str:
    """Why the Job has succeeded early ("Matched rules at index 0"); "" while no rule is met."""
    for index, rule in enumerate((policy or {}).get("rules") or ()):
        wanted, count = rule.get("succeededIndexes"), rule.get("succeededCount")
        if wanted is None:
            met = count is not None and len(succeeded) >= count
        else:
            needed = parse(wanted, completions)
            have = sum(i in succeeded for i in needed)
            met = have >= (len(needed) if count is None else count)
        if met:
            return f"Matched rules at index {index}"
    return ""
