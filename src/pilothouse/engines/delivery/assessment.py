"""What measurements mean for a metric, and metrics for a run. Pure: JSON in, words out.

Source: argo-rollouts 1.9 (9f8d111d8) `analysis/analysis.go` (`assessMetricStatus`, `assessRunStatus`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pilothouse.engines.delivery.metrics import (
    CONSECUTIVE_ERRORS,
    Metric,
    Result,
    effective_count,
    failure_limit,
    whole,
)

Phase = Literal["", "Pending", "Running", "Successful", "Failed", "Error", "Inconclusive"]
_ORDER = ("Successful", "Running", "Pending", "Inconclusive", "Error", "Failed")
_ENDED = ("Successful", "Failed", "Error", "Inconclusive")


def ended(phase: str) -> bool:
    return phase in _ENDED


def is_worse(current: str, other: str) -> bool:
    """Whether `other` is worse than `current`; an unknown phase counts as Successful."""
    return _rank(other) > _rank(current)


def _rank(phase: str) -> int:
    return _ORDER.index(phase) if phase in _ORDER else 0


def is_terminating(terminate: bool, results: Iterable[Result]) -> bool:
    """Whether no further measurement shall begin: asked for, or a metric that counts has ended badly."""
    return terminate or any(
        r.get("phase") in ("Failed", "Error", "Inconclusive") for r in results if not r.get("dryRun")
    )


def beyond_limits(metric: Metric, result: Result) -> tuple[Phase, str]:
    """("Failed"…, why) when a limit is passed, the later check standing over the earlier; ("", "") when none is."""
    phase: Phase = ""
    why = ""
    limit, failed = failure_limit(metric), result.get("failed", 0)
    if 0 <= limit < failed:
        phase, why = "Failed", f"failed ({failed}) > failureLimit ({limit})"
    limit, unclear = whole(metric.get("inconclusiveLimit")), result.get("inconclusive", 0)
    if unclear > limit:
        phase, why = "Inconclusive", f"inconclusive ({unclear}) > inconclusiveLimit ({limit})"
    limit, errors = whole(metric.get("consecutiveErrorLimit"), CONSECUTIVE_ERRORS), result.get("consecutiveError", 0)
    if errors > limit:
        phase, why = "Error", f"consecutiveErrors ({errors}) > consecutiveErrorLimit ({limit})"
    return phase, why


def metric_phase(metric: Metric, result: Result, *, terminating: bool) -> str:
    """The phase of one metric after its latest measurement; an ended one stays as it ended."""
    if ended(result.get("phase", "")):
        return str(result["phase"])
    measurements = result.get("measurements") or ()
    if not measurements:
        return "Successful" if terminating else "Pending"
    if not ended(measurements[-1].get("phase", "")):
        return "Running"
    bad, _ = beyond_limits(metric, result)
    if bad:
        return bad
    successes = whole(metric.get("consecutiveSuccessLimit"))
    if 0 < successes <= result.get("consecutiveSuccess", 0):
        return "Successful"
    count = effective_count(metric)
    if count is not None and result.get("count", 0) >= count:
        if successes <= 0:
            return "Successful"
        # The run of successes was not reached: with a failure limit nobody knows, without one that is a failure.
        return "Inconclusive" if failure_limit(metric) >= 0 else "Failed"
    return "Successful" if terminating else "Running"
