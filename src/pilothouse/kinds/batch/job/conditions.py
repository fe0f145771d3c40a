"""Conditions of a Job: how one is written, and what the ones on the way to the end become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilothouse.base.clock import rfc3339

Condition = Mapping[str, Any]
BACKOFF = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
DEADLINE = ("DeadlineExceeded", "Job was active longer than specified deadline")
MAX_FAILED = ("MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes")
FAILED_INDEXES = ("FailedIndexes", "Job has failed indexes")
COMPLETIONS = ("CompletionsReached", "Reached expected number of succeeded pods")
_FINAL = {"FailureTarget": "Failed", "SuccessCriteriaMet": "Complete"}


def new(type_: str, status: str, reason: str, message: str, now_s: float) -> Condition:
    now = rfc3339(now_s)
    return {
        "type": type_,
        "status": status,
        "lastProbeTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def final_of(condition: Condition, now_s: float) -> Condition:
    """Failed for FailureTarget, Complete for SuccessCriteriaMet; reason and message stay."""
    return new(_FINAL[condition["type"]], "True", condition["reason"], condition["message"], now_s)


def with_status(conditions: Sequence[Condition], wanted: Condition) -> tuple[list[Condition], bool]:
    """(conditions, changed) after one of its type says this; going from nothing to False is no change."""
    out = list(conditions)
    for at, old in enumerate(out):
        if old["type"] == wanted["type"]:
            same = all(old.get(key) == wanted[key] for key in ("status", "reason", "message"))
            if not same:
                out[at] = wanted
            return out, not same
    if wanted["status"] == "False":
        return out, False
    return [*out, wanted], True
