"""Times as Go's JSON shows them: RFC 3339 with as many digits as needed."""

from __future__ import annotations

from pilothouse.base.clock import datetime_of

NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time: what has not happened yet."""


def go_time(unix_s: float) -> str:
    """`2026-01-05T00:00:00.25Z`, microseconds at most, no trailing zeros."""
    moment = datetime_of(unix_s)
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"
