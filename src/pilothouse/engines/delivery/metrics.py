"""A metric of an analysis: whether it is well formed, its numbers, when it is measured next.

A metric and its result are the JSON of `spec.metrics[]` and `status.metricResults[]`. Numbers may be written as text.
Source: argo-rollouts 1.9 (9f8d111d8) `utils/analysis/factory.go`, `analysis/analysis.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pilothouse.base.clock import parse_rfc3339
from pilothouse.base.duration import parse_duration_s

ERROR_RETRY_S = 10.0
"""How soon a measurement that ended in an error is repeated."""
CONSECUTIVE_ERRORS = 4
MEASUREMENTS_KEPT = 10
Metric = Mapping[str, Any]
Result = Mapping[str, Any]


def whole(value: Any, otherwise: int = 0) -> int:
    """An IntOrString; text that is no number counts as 0, as upstream reads it."""
    if value is None:
        return otherwise
    if isinstance(value, int):
        return value
    try:
        return int(str(value).removesuffix("%"))
    except ValueError:
        return 0


def failure_limit(metric: Metric) -> int:
    return whole(metric.get("failureLimit"))


def effective_count(metric: Metric) -> int | None:
    """How many measurements end the metric; None: it goes on until it is ended. Without an interval it is one."""
    if not whole(metric.get("count")):
        return None if metric.get("interval") else 1
    return whole(metric.get("count"))


def fault(metric: Metric) -> str:
    """What is wrong with one metric, "" when nothing is."""
    successes, failures = whole(metric.get("consecutiveSuccessLimit")), failure_limit(metric)
    if successes < 0:
        return "consecutiveSuccessLimit must be >= 0"
    if failures < -1:
        return "failureLimit must be >= 0, or -1 to be disabled"
    if successes == 0 and failures == -1:
        return "failureLimit and consecutiveSuccessLimit cannot both be disabled"
    if whole(metric.get("inconclusiveLimit")) < 0:
        return "inconclusiveLimit must be >= 0"
    if whole(metric.get("consecutiveErrorLimit")) < 0:
        return "consecutiveErrorLimit must be >= 0"
    return _count_fault(metric, successes, failures) or _duration_fault(metric) or _provider_fault(metric)


def _count_fault(metric: Metric, successes: int, failures: int) -> str:
    count = whole(metric.get("count"))
    if count > 0:
        if failures >= 0 and count < failures + successes:
            return (
                f"count ({count}) must be >= failureLimit + consecutiveSuccessLimit"
                f" ({failures} + {successes}) if both >= 0"
            )
        if failures < 0 and count < successes:
            return "count must be >= consecutiveSuccessLimit"
        if count < whole(metric.get("inconclusiveLimit")):
            return "count must be >= inconclusiveLimit"
    if count > 1 and not metric.get("interval"):
        return "interval must be specified when count > 1"
    return ""


def _duration_fault(metric: Metric) -> str:
    for key, name in (("interval", "interval"), ("initialDelay", "startDelay")):
        if metric.get(key):
            try:
                parse_duration_s(str(metric[key]))
            except ValueError as error:
                return f"invalid {name} string: {error}"
    return ""


def _provider_fault(metric: Metric) -> str:
    provider = metric.get("provider") or {}
    count = sum(len(value) if key == "plugin" else 1 for key, value in provider.items() if value is not None)
    if count == 0:
        return "no provider specified"
    return "multiple providers specified" if count > 1 else ""


def faults(metrics: Iterable[Metric]) -> str:
    """What is wrong with the metrics of a run, "" when nothing is."""
    seen: dict[str, None] = {}
    for index, metric in enumerate(metrics):
        name = metric.get("name", "")
        if name in seen:
            return f"metrics[{index}]: duplicate name '{name}'"
        seen[name] = None
        found = fault(metric)
        if found:
            return f"metrics[{index}]: {found}"
    return "" if seen else "no metrics specified"


def next_due_s(metric: Metric, result: Result | None, started_s: float | None, now_s: float) -> float | None:
    """When the metric wants attention (Unix seconds; in the past: now); None: not by time.

    started_s: when the run began, None before its first pass.
    """
    measurements = (result or {}).get("measurements") or ()
    if not measurements:
        if not metric.get("initialDelay"):
            return now_s
        return (now_s if started_s is None else started_s) + parse_duration_s(metric["initialDelay"])
    last = measurements[-1]
    if last.get("finishedAt") is None:
        return parse_rfc3339(last["resumeAt"]) if last.get("resumeAt") else now_s
    count = effective_count(metric)
    if count is not None and (result or {}).get("count", 0) >= count:
        return None
    wait_s = ERROR_RETRY_S
    if last.get("phase") != "Error":
        if not metric.get("interval"):
            return None
        wait_s = parse_duration_s(metric["interval"])
    return parse_rfc3339(last["finishedAt"]) + wait_s
