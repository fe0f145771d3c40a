"""Time intervals that mute or activate routes (alertmanager timeinterval/timeinterval.go): read from YAML, asked
with a time.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pilothouse.base.clock import datetime_of

Range = tuple[int, int]

WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_FIELDS = ("times", "weekdays", "days_of_month", "months", "years", "location")
_TIME = re.compile(r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)")


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """All given parts must hold; a part that is None always does.

    times: minutes of the day, end excluded. weekdays: 0 is Sunday. days_of_month: negative counts from the end.
    """

    times: tuple[Range, ...] | None = None
    weekdays: tuple[Range, ...] | None = None
    days_of_month: tuple[Range, ...] | None = None
    months: tuple[Range, ...] | None = None
    years: tuple[Range, ...] | None = None
    location: tzinfo | None = None

    def contains(self, time_ms: int) -> bool:
        """Whether the moment (Unix ms) lies inside, in the interval's own time zone (UTC by default)."""
        moment = datetime_of(time_ms / 1000)
        if self.location is not None:
            moment = moment.astimezone(self.location)
        return (
            _any_of(self.times, lambda r: r[0] <= moment.hour * 60 + moment.minute < r[1])
            and _any_of(self.days_of_month, lambda r: _day_in(moment, r))
            and _any_of(self.months, lambda r: r[0] <= moment.month <= r[1])
            and _any_of(self.weekdays, lambda r: r[0] <= moment.isoweekday() % 7 <= r[1])
            and _any_of(self.years, lambda r: r[0] <= moment.year <= r[1])
        )


def _any_of(ranges: tuple[Range, ...] | None, holds: Any) -> bool:
    return ranges is None or any(holds(r) for r in ranges)


def _day_in(moment: datetime, wanted: Range) -> bool:
    days = calendar.monthrange(moment.year, moment.month)[1]
    begin, end = (n + days + 1 if n < 0 else n for n in wanted)
    if begin > days:
        return False
    return max(begin, -days) <= moment.day <= min(end, days)


def parse_interval(entry: Any) -> TimeInterval:
    """One entry of `time_intervals`; ValueError in Alertmanager's words when it is none."""
    if not isinstance(entry, Mapping):
        raise ValueError("a time interval must be a mapping")
    for key in entry:
        if key not in _FIELDS:
            raise ValueError(f"field {key} not found in type timeinterval.TimeInterval")
    return TimeInterval(
        times=_all(entry, "times", _times),
        weekdays=_all(entry, "weekdays", _weekdays),
        days_of_month=_all(entry, "days_of_month", _days_of_month),
        months=_all(entry, "months", _months),
        years=_all(entry, "years", _years),
        location=_location(entry.get("location")),
    )


def _all(entry: Mapping[str, Any], key: str, read: Any) -> tuple[Range, ...] | None:
    value = entry.get(key)
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"{key} must be a list")
    return tuple(read(item) for item in value)


def _times(item: Any) -> Range:
    start, end = (str(item.get(k) or "") for k in ("start_time", "end_time")) if isinstance(item, Mapping) else ("", "")
    if not start or not end:
        raise ValueError("both start and end times must be provided")
    begin, finish = _minutes(start), _minutes(end)
    if begin >= finish:
        raise ValueError("start time cannot be equal or greater than end time")
    return begin, finish


def _minutes(text: str) -> int:
    if _TIME.fullmatch(text) is None:
        raise ValueError(f"couldn't parse timestamp {text}, invalid format")
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _pair(item: Any, member: Any) -> Range:
    text = str(item).lower()
    if ":" not in text:
        value = member(text)
        return value, value
    parts = text.split(":")
    if len(parts) != 2:
        raise ValueError(f"couldn't parse range {text}, invalid format")
    return member(parts[0]), member(parts[1])


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'strconv.Atoi: parsing "{text}": invalid syntax') from None


def _weekday(text: str) -> int:
    if text not in WEEKDAYS:
        raise ValueError(f"{text} is not a valid weekday")
    return WEEKDAYS.index(text)


def _weekdays(item: Any) -> Range:
    begin, end = _pair(item, _weekday)
    if begin > end:
        raise ValueError("start day cannot be before end day")
    return begin, end


def _month(text: str) -> int:
    if text in MONTHS:
        return MONTHS.index(text) + 1
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"{text} is not a valid month") from None
    if not 1 <= value <= 12:
        raise ValueError(f"{text} is not a valid month")
    return value


def _months(item: Any) -> Range:
    begin, end = _pair(item, _month)
    if begin > end:
        raise ValueError(f"end month {MONTHS[end - 1]} is before start month {MONTHS[begin - 1]}")
    return begin, end


def _years(item: Any) -> Range:
    begin, end = _pair(item, _integer)
    if begin > end:
        raise ValueError(f"end year {end} is before start year {begin}")
    return begin, end


def _days_of_month(item: Any) -> Range:
    begin, end = _pair(item, _integer)
    for day in (begin, end):
        if day == 0 or not -31 <= day <= 31:
            raise ValueError(f"{day} is not a valid day of the month: out of range")
    if begin < 0 < end:
        raise ValueError("end day must be negative if start day is negative")
    # The shortest month has 28 days: what is wrong there is wrong always.
    if (28 + begin if begin < 0 else begin) > (28 + end if end < 0 else end):
        raise ValueError(f"end day {end} is always before start day {begin}")
    return begin, end


def _location(value: Any) -> tzinfo | None:
    if value is None or value == "":
        return None
    name = str(value)
    if name == "Local":
        name = "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name}") from None
