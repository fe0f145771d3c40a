"""Time zones by name, and the two conversions a schedule needs: a moment to a wall clock and back.

A wall clock time that exists twice or not at all (daylight saving) becomes the moment that Go's `time.Date` gives, so
that schedules around such hours run when the real controller runs them. Source: Go 1.24 `time.Date`, `LoadLocation`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo:
    """The zone of this name (tz database); "" and "UTC" are UTC. ValueError, in Go's words, when there is none."""
    if name in ("", "UTC"):
        return UTC
    if ".." in name or name[0] in "/\\" or "\\" in name:
        raise ValueError("time: invalid location name")
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"unknown time zone {name}") from error


def wall(moment_s: int, where: tzinfo) -> datetime:
    """The wall clock of a zone at a moment (seconds since 1970)."""
    return (_EPOCH + timedelta(seconds=moment_s)).astimezone(where)


def moment(year: int, month: int, day: int, hour: int, where: tzinfo) -> int:
    """Seconds since 1970 of a full hour on a zone's wall clock; month and day may lie beyond their ends."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    as_utc_s = (datetime(year, month, 1, tzinfo=UTC) - _EPOCH) // _SECOND + (day - 1) * 86_400 + hour * 3_600
    offset_s = _offset_s(as_utc_s, where)
    if offset_s == 0:
        return as_utc_s
    # The first guess looks the offset up as if the wall clock were UTC; near a change the second look decides.
    return as_utc_s - _offset_s(as_utc_s - offset_s, where)


def _offset_s(moment_s: int, where: tzinfo) -> int:
    offset = wall(moment_s, where).utcoffset()
    return 0 if offset is None else offset // _SECOND
