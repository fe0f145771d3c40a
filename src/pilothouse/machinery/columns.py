"""Columns that many kinds show, and how `kubectl get` writes spans (apimachinery 1.36 `util/duration`)."""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.clock import parse_rfc3339
from pilothouse.machinery.kind import Column

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_YEAR = 365 * _DAY


def human_duration(seconds: float) -> str:
    """`45s`, `2m5s`, `3h`, `4d2h`: two units while small, then one (HumanDuration)."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    if total < 2 * _MINUTE:
        return f"{max(total, 0)}s"
    if total < 10 * _MINUTE:
        return _two(total, _MINUTE, "m", 1, "s")
    if total < 3 * _HOUR:
        return f"{total // _MINUTE}m"
    if total < 8 * _HOUR:
        return _two(total, _HOUR, "h", _MINUTE, "m")
    if total < 2 * _DAY:
        return f"{total // _HOUR}h"
    if total < 8 * _DAY:
        return _two(total, _DAY, "d", _HOUR, "h")
    if total < 2 * _YEAR:
        return f"{total // _DAY}d"
    if total < 8 * _YEAR:
        return _two(total, _YEAR, "y", _DAY, "d")
    return f"{total // _YEAR}y"


def _two(total: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = total % large // small
    return f"{total // large}{large_unit}" + (f"{rest}{small_unit}" if rest else "")


def since(timestamp: str | None, now_s: float) -> str:
    """The span from a stored time until now; `<unknown>` when there is none."""
    return "<unknown>" if not timestamp else human_duration(now_s - parse_rfc3339(timestamp))


def name_of(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
    return obj["metadata"]["name"]


def age_of(obj: Object, now_s: float) -> Any:
    return since(obj["metadata"].get("creationTimestamp"), now_s)


NAME = Column("Name", name_of, format="name")
AGE = Column("Age", age_of)
