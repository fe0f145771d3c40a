"""Go's time.Time and time.Duration as templates see them: printing and the methods people call on them.

Times are int nanoseconds since 1970 in UTC; the calendar comes from `base.clock.datetime_of`, no clock is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from pilothouse.base.clock import datetime_of
from pilothouse.engines.alerting.gotemplate.values import Named

_S = 1_000_000_000
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


@dataclass(frozen=True, slots=True, order=True)
class GoDuration(Named):
    """Nanoseconds, printed as Go does: 1h2m3.5s, 1.5ms, 0s."""

    ns: int
    type_name = "time.Duration"

    def is_zero_number(self) -> bool:
        return self.ns == 0

    def __str__(self) -> str:
        if self.ns == 0:
            return "0s"
        sign, rest = ("-" if self.ns < 0 else ""), abs(self.ns)
        if rest < _S:
            unit, size = next((u, s) for u, s in (("ms", 10**6), ("µs", 10**3), ("ns", 1)) if rest >= s)
            return sign + _decimal(rest, size) + unit
        minutes, below = divmod(rest, 60 * _S)
        text = _decimal(below, _S) + "s"
        if minutes:
            text = f"{minutes % 60}m" + text
        if minutes >= 60:
            text = f"{minutes // 60}h" + text
        return sign + text

    def method(self, name: str) -> object:
        """The bound Go method of this name as a no-argument result, or None when there is none."""
        match name:
            case "String":
                return str(self)
            case "Hours":
                return self.ns / (3600 * _S)
            case "Minutes":
                return self.ns / (60 * _S)
            case "Seconds":
                return self.ns / _S
            case "Milliseconds":
                return _cut(self.ns, 10**6)
            case "Microseconds":
                return _cut(self.ns, 10**3)
            case "Nanoseconds":
                return self.ns
            case "Abs":
                return GoDuration(abs(self.ns))
        return None


@dataclass(frozen=True, slots=True, order=True)
class GoTime(Named):
    """A moment in UTC."""

    ns: int
    type_name = "time.Time"

    def _parts(self) -> tuple[datetime, int]:
        seconds, rest = divmod(self.ns, _S)
        return datetime_of(seconds), rest

    def __str__(self) -> str:
        moment, rest = self._parts()
        fraction = f".{rest:09d}".rstrip("0") if rest else ""
        return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"

    def method(self, name: str) -> object:
        """The result of the no-argument Go method of this name, or None when there is none."""
        moment, rest = self._parts()
        simple: dict[str, object] = {
            "Year": moment.year,
            "Month": GoMonth(moment.month),
            "Day": moment.day,
            "Hour": moment.hour,
            "Minute": moment.minute,
            "Second": moment.second,
            "Nanosecond": rest,
            "Weekday": GoWeekday(moment.isoweekday() % 7),
            "YearDay": moment.timetuple().tm_yday,
            "Unix": self.ns // _S,
            "UnixMilli": self.ns // 10**6,
            "UnixMicro": self.ns // 10**3,
            "UnixNano": self.ns,
            "UTC": self,
            "Local": self,
            "String": str(self),
        }
        return simple.get(name)

    def format(self, layout: str) -> str:
        """Go's Format: the layout is the reference time 2006-01-02 15:04:05."""
        moment, rest = self._parts()
        return _LAYOUT.sub(lambda m: _piece(m[0], moment, rest), layout)


class _Calendar(Named, int):
    names: tuple[str, ...] = ()
    first = 0

    def __str__(self) -> str:
        return self.names[int(self) - self.first]


class GoMonth(_Calendar):
    names, first, type_name = _MONTHS, 1, "time.Month"


class GoWeekday(_Calendar):
    names, first, type_name = _DAYS, 0, "time.Weekday"


_LAYOUT = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|__2|002|01|02|03|04|05|06|15|_2|PM|pm|-07:00:00|-07:00|-0700|-07|Z07:00|Z0700|Z07"
    r"|[.,]0+(?![0-9])|[.,]9+(?![0-9])|1|2|3|4|5"
)


def _piece(token: str, moment: datetime, rest: int) -> str:
    if token[0] in ".,":
        digits = f"{rest:09d}"[: len(token) - 1]
        if token[1] == "9":
            digits = digits.rstrip("0")
        return token[0] + digits if digits else ""
    hour = moment.hour % 12 or 12
    table = {
        "January": _MONTHS[moment.month - 1],
        "Jan": _MONTHS[moment.month - 1][:3],
        "Monday": _DAYS[moment.isoweekday() % 7],
        "Mon": _DAYS[moment.isoweekday() % 7][:3],
        "MST": "UTC",
        "2006": f"{moment.year:04d}",
        "06": f"{moment.year % 100:02d}",
        "01": f"{moment.month:02d}",
        "1": str(moment.month),
        "02": f"{moment.day:02d}",
        "_2": f"{moment.day:2d}",
        "2": str(moment.day),
        "002": f"{moment.timetuple().tm_yday:03d}",
        "__2": f"{moment.timetuple().tm_yday:3d}",
        "15": f"{moment.hour:02d}",
        "03": f"{hour:02d}",
        "3": str(hour),
        "04": f"{moment.minute:02d}",
        "4": str(moment.minute),
        "05": f"{moment.second:02d}",
        "5": str(moment.second),
        "PM": "AM" if moment.hour < 12 else "PM",
        "pm": "am" if moment.hour < 12 else "pm",
        "-07:00:00": "+00:00:00",
        "-07:00": "+00:00",
        "-0700": "+0000",
        "-07": "+00",
    }
    return table.get(token, "Z")


def _decimal(value: int, size: int) -> str:
    whole, part = divmod(value, size)
    return f"{whole}.{part:0{len(str(size)) - 1}d}".rstrip("0") if part else str(whole)


def _cut(ns: int, size: int) -> int:
    return ns // size if ns >= 0 else -(-ns // size)
