"""The load given on the command line: `50rps`, `diurnal:20rps-80rps`, or a csv of `time,rps`. Called by `inputs`."""

from __future__ import annotations

import re

from pilothouse.base.errors import Finding, Place
from pilothouse.kinds.pilothouse.scenario import curve
from pilothouse.kinds.pilothouse.scenario.spec import Load

_RATE = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*(rps|req/s|/s|rpm|req/m|/m)?")
_DIURNAL = re.compile(r"diurnal:(.+?)-(.+)")


def parse_load(text: str) -> Load | Finding:
    """The load, or PH311 with what can be written."""
    diurnal = _DIURNAL.fullmatch(text)
    rates = [_rps(part) for part in (diurnal.groups() if diurnal else (text,))]
    if None not in rates:
        low, high = rates[0] or 0.0, rates[-1] or 0.0
        if diurnal is None:
            return Load(base_rps=low)
        if not 0 < low <= high:
            return _wrong(text, "goes from the lower rate at night to the higher one at the peak")
        return Load(base_rps=low, shape="diurnal", ratio=high / low)
    if diurnal is not None or "." not in text:
        return _wrong(text, "is no load")
    return _from_csv(text)


def _rps(text: str) -> float | None:
    match = _RATE.fullmatch(text.strip())
    if match is None:
        return None
    rate = float(match[1]) / (60.0 if (match[2] or "").endswith("m") else 1.0)
    return rate if rate <= 1e7 else None


def _from_csv(path: str) -> Load | Finding:
    try:
        with open(path, encoding="utf-8-sig") as file:
            points, wrong = curve.read_csv(file.read())
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        return _wrong(path, f"is no load, and as a file it cannot be read ({reason})")
    if wrong:
        line, message = wrong[0]
        return Finding("PH409", message, Place(path, line), "columns: time,rps (time as seconds or 1h30m)")
    return Load(csv=path, points=points)


def _wrong(text: str, message: str) -> Finding:
    return Finding(
        "PH311", f"--load {text!r} {message}", Place(), "write 50rps, diurnal:20rps-80rps, or a file load.csv"
    )
