"""Calendar windows: when the one that holds a moment began and ends, by the wall clock of a zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from pilothouse.engines.slo.model import Calendar
from pilothouse.engines.slo.openslo_rules import START_FORM

_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_DAYS = {"d": 1, "w": 7}
_SECONDS = {"m": 60, "h": 3600}


def bounds_ms(calendar: Calendar, at_ms: int) -> tuple[int, int]:
    """(begin, end) of the window that holds the moment, in Unix ms; also for moments before the first start.

    Months and days follow the wall clock of the zone, so that a month has its own length and a day may have 23 hours.
    """
    zone = ZoneInfo(calendar.zone)
    first = datetime.strptime(calendar.start, START_FORM).replace(tzinfo=zone)
    now = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
    index = _guess(calendar, first, now)
    # The guess may be one off where days or months differ in length.
    while _ms(_start(calendar, first, index)) > at_ms:
        index -= 1
    while _ms(_start(calendar, first, index + 1)) <= at_ms:
        index += 1
    return _ms(_start(calendar, first, index)), _ms(_start(calendar, first, index + 1))


def _guess(calendar: Calendar, first: datetime, now: datetime) -> int:
    if calendar.unit in _MONTHS:
        months = (now.year - first.year) * 12 + now.month - first.month
        return months // (_MONTHS[calendar.unit] * calendar.count)
    if calendar.unit in _DAYS:
        return (now.date() - first.date()).days // (_DAYS[calendar.unit] * calendar.count)
    return int((_ms(now) - _ms(first)) // (_SECONDS[calendar.unit] * calendar.count * 1000))


def _start(calendar: Calendar, first: datetime, index: int) -> datetime:
    """The begin of the window with this number, counted from the first."""
    steps = index * calendar.count
    if calendar.unit in _MONTHS:
        return _months_later(first, steps * _MONTHS[calendar.unit])
    if calendar.unit in _DAYS:
        return first + timedelta(days=steps * _DAYS[calendar.unit])
    moved = first.astimezone(UTC) + timedelta(seconds=steps * _SECONDS[calendar.unit])
    return moved.astimezone(first.tzinfo)


def _months_later(first: datetime, months: int) -> datetime:
    """The same day of a later month, or its last day when it is shorter."""
    whole = first.year * 12 + first.month - 1 + months
    year, month = whole // 12, whole % 12 + 1
    after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=first.tzinfo)
    last_day = (after - timedelta(days=1)).day
    return first.replace(year=year, month=month, day=min(first.day, last_day))


def _ms(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1000)
