"""One cron line: five fields or a descriptor, and the search for its next run.

Source: github.com/robfig/cron v3.0.1 `ParseStandard` and `SpecSchedule.Next`, which the CronJob controller of
Kubernetes 1.36 uses: names of months and days, `?` for `*`, `N/step`, `@daily` and its like, `@every DURATION`; a day
matches by day of month or day of week when both are restricted. Hours that daylight saving skips are skipped.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from pilothouse.base.duration import parse_duration_s
from pilothouse.engines.cron import zones

YEARS_SEARCHED = 5
"""A schedule that has no run within these years has none (31 February)."""
_MONTHS = {n: i for i, n in enumerate(re.findall("...", "janfebmaraprmayjunjulaugsepoctnovdec"), 1)}
_DAYS = {n: i for i, n in enumerate(re.findall("...", "sunmontuewedthufrisat"))}
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "


@dataclass(frozen=True, slots=True)
class Field:
    """The values of one field. starred: written with `*` or `?` and without a step."""

    values: frozenset[int]
    starred: bool = False

    def __contains__(self, value: int) -> bool:
        return value in self.values


@dataclass(frozen=True, slots=True)
class Every:
    """`@every`: a fixed distance from the time that is asked about, at least a second."""

    interval_s: int

    def next_s(self, after_s: float) -> int | None:
        return math.floor(after_s) + self.interval_s


@dataclass(frozen=True, slots=True)
class Schedule:
    """Five fields in a zone."""

    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    where: tzinfo = UTC

    def next_s(self, after_s: float) -> int | None:
        """The first run later than a moment (seconds since 1970); None when there is none within five years."""
        search = _Search(self, math.floor(after_s) + 1)
        last_year = search.wall.year + YEARS_SEARCHED
        while search.wall.year <= last_year:
            if search.month() and search.day() and search.hour() and search.minute() and search.second():
                return search.at_s
        return None

    def matches_day(self, wall: datetime) -> bool:
        by_date, by_weekday = wall.day in self.day, wall.isoweekday() % 7 in self.weekday
        if self.day.starred or self.weekday.starred:
            return by_date and by_weekday
        return by_date or by_weekday


class _Search:
    """A moment that moves forward, coarse fields first. Each step answers False when it ran into the next larger unit:
    then the larger fields must be looked at again. The first step that moves cuts everything finer to its start."""

    def __init__(self, schedule: Schedule, at_s: int) -> None:
        self._schedule = schedule
        self._moved = False
        self._go(at_s)

    def _go(self, at_s: int) -> None:
        self.at_s = at_s
        self.wall = zones.wall(at_s, self._schedule.where)

    def _go_wall(self, month: int, day: int, hour: int = 0) -> None:
        self._go(zones.moment(self.wall.year, month, day, hour, self._schedule.where))

    def _first_move(self) -> bool:
        first, self._moved = not self._moved, True
        return first

    def month(self) -> bool:
        while self.wall.month not in self._schedule.month:
            if self._first_move():
                self._go_wall(self.wall.month, 1)
            self._go_wall(self.wall.month + 1, self.wall.day, self.wall.hour)
            if self.wall.month == 1:
                return False
        return True

    def day(self) -> bool:
        while not self._schedule.matches_day(self.wall):
            if self._first_move():
                self._go_wall(self.wall.month, self.wall.day)
            self._go_wall(self.wall.month, self.wall.day + 1, self.wall.hour)
            if self.wall.hour != 0:
                # Midnight does not exist on this day, or exists twice.
                hours = 24 - self.wall.hour if self.wall.hour > 12 else -self.wall.hour
                self._go(self.at_s + hours * 3_600)
            if self.wall.day == 1:
                return False
        return True

    def hour(self) -> bool:
        while self.wall.hour not in self._schedule.hour:
            if self._first_move():
                self._go_wall(self.wall.month, self.wall.day, self.wall.hour)
            self._go(self.at_s + 3_600)
            if self.wall.hour == 0:
                return False
        return True

    def minute(self) -> bool:
        while self.wall.minute not in self._schedule.minute:
            if self._first_move():
                self._go(self.at_s - self.at_s % 60)
            self._go(self.at_s + 60)
            if self.wall.minute == 0:
                return False
        return True

    def second(self) -> bool:
        if self.wall.second == 0:
            return True
        self._moved = True
        self._go(self.at_s + 60 - self.wall.second)
        return False


@lru_cache(maxsize=4096)
def parse(text: str, time_zone: str = "") -> Schedule | Every:
    """The schedule of a line in a zone (a leading `TZ=` or `CRON_TZ=` in the line wins); ValueError in the words of the
    library when the line or the zone is none."""
    if not text:
        raise ValueError("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        given, _, text = text.partition(" ")
        text, name = text.strip(), given.partition("=")[2]
        try:
            where = zones.zone(name)
        except ValueError as error:
            raise ValueError(f"provided bad location {name}: {error}") from None
        return _parse(text, where)
    return _parse(text, zones.zone(time_zone))


def _parse(text: str, where: tzinfo) -> Schedule | Every:
    if text.startswith(_EVERY):
        return _every(text)
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    words = text.split()
    if len(words) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(words)}: [{' '.join(words)}]")
    minute, hour, day, month, weekday = words
    return Schedule(
        _field(minute, 0, 59),
        _field(hour, 0, 23),
        _field(day, 1, 31),
        _field(month, 1, 12, _MONTHS),
        _field(weekday, 0, 6, _DAYS),
        where,
    )


def _every(text: str) -> Every:
    try:
        interval_s = parse_duration_s(text.removeprefix(_EVERY))
    except ValueError:
        word = text.removeprefix(_EVERY)
        raise ValueError(f'failed to parse duration {text}: time: invalid duration "{word}"') from None
    return Every(max(math.floor(interval_s), 1))


def _field(text: str, low: int, high: int, names: dict[str, int] | None = None) -> Field:
    """A comma-separated list of ranges; empty entries say nothing."""
    values: frozenset[int] = frozenset()
    starred = False
    for part in filter(None, text.split(",")):
        found, star = _range(part, low, high, names or {})
        values, starred = values | found, starred or star
    return Field(values, starred)


def _range(text: str, low: int, high: int, names: dict[str, int]) -> tuple[frozenset[int], bool]:
    """`*`, `N`, `N-M`, each with an optional `/step`; `N/step` runs to the end of the field."""
    body, *steps = text.split("/")
    ends = body.split("-")
    starred = ends[0] in ("*", "?")
    if starred:
        start, end = low, high
    elif len(ends) > 2:
        raise ValueError(f"too many hyphens: {text}")
    else:
        start, end = _number(ends[0], names), _number(ends[-1], names)
    step = 1
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {text}")
    if steps:
        step = _number(steps[0], {})
        end = high if len(ends) == 1 else end
        starred = starred and step <= 1
    _check(text, start, end, step, low, high)
    return frozenset(range(start, end + 1, step)), starred


def _check(text: str, start: int, end: int, step: int, low: int, high: int) -> None:
    if start < low:
        raise ValueError(f"beginning of range ({start}) below minimum ({low}): {text}")
    if end > high:
        raise ValueError(f"end of range ({end}) above maximum ({high}): {text}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {text}")


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    # Far above every field: the range check says so, without numbers of a thousand digits.
    number = int(digits) if len(digits) < 19 else 10**18
    if text[0] == "-" and number:
        raise ValueError(f"negative number (-{number}) not allowed: {text}")
    return number
