"""The number forms of Prometheus' template functions (template/template.go, common/helpers/templates/time.go,
Prometheus 3).
"""

from __future__ import annotations

import math
import re
from typing import Any

from pilothouse.engines.alerting.gotemplate.errors import CallError
from pilothouse.engines.alerting.gotemplate.formatting import float_text
from pilothouse.engines.alerting.gotemplate.gotime import GoDuration, GoTime
from pilothouse.engines.alerting.gotemplate.values import type_name
from pilothouse.engines.alerting.rules import quoted

_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")
_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_GO_FLOAT = re.compile(
    r"[+-]?(?:inf(?:inity)?|nan|(?:[0-9](?:_?[0-9])*\.?(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)(?:e[+-]?[0-9]+)?)",
    re.I,
)
_GO_HEX = re.compile(r"[+-]?0x[0-9a-f]*\.?[0-9a-f]*p[+-]?[0-9]+", re.I)


def parse_float(text: str) -> float:
    """strconv.ParseFloat; CallError with its text."""
    if _GO_HEX.fullmatch(text):
        return float.fromhex(text)
    # Underscores are only allowed with a base prefix, which plain decimals do not have.
    if "_" in text or _GO_FLOAT.fullmatch(text) is None:
        raise CallError(f"strconv.ParseFloat: parsing {quoted(text)}: invalid syntax")
    value = float(text)
    if math.isinf(value) and "inf" not in text.lower():
        raise CallError(f"strconv.ParseFloat: parsing {quoted(text)}: value out of range")
    return value


def to_float(value: Any) -> float:
    """ConvertToFloat: numbers, numeric strings and durations; CallError otherwise."""
    if isinstance(value, bool):
        raise CallError("can't convert bool to float")
    if isinstance(value, float):
        return value
    if type(value) is str:
        return parse_float(value)
    if type(value) is int:
        return float(value)
    if isinstance(value, GoDuration):
        return value.ns / 1e9
    raise CallError(f"can't convert {type_name(value)} to float")


def _g4(value: float) -> str:
    return float_text(value, "g", 4)


def humanize(value: Any) -> str:
    """1234567 → "1.235M", 0.05 → "50m"."""
    v = to_float(value)
    if v == 0 or not math.isfinite(v):
        return _g4(v)
    prefix = ""
    if abs(v) >= 1:
        for p in _LARGE:
            if abs(v) < 1000:
                break
            prefix, v = p, v / 1000
    else:
        for p in _SMALL:
            if abs(v) >= 1:
                break
            prefix, v = p, v * 1000
    return _g4(v) + prefix


def humanize1024(value: Any) -> str:
    """2048 → "2ki"."""
    v = to_float(value)
    if abs(v) <= 1 or not math.isfinite(v):
        return _g4(v)
    prefix = ""
    for p in _BINARY:
        if abs(v) < 1024:
            break
        prefix, v = p, v / 1024
    return _g4(v) + prefix


def humanize_percentage(value: Any) -> str:
    """0.0512 → "5.12%"."""
    return _g4(to_float(value) * 100) + "%"


def humanize_duration(value: Any) -> str:
    """Seconds: 5400 → "1h 30m 0s", 0.05 → "50ms"."""
    v = to_float(value)
    if not math.isfinite(v):
        return _g4(v)
    if v == 0:
        return _g4(v) + "s"
    if abs(v) < 1:
        prefix = ""
        for p in _SMALL:
            if abs(v) >= 1:
                break
            prefix, v = p, v * 1000
        return f"{_g4(v)}{prefix}s"
    sign, v = ("-" if v < 0 else ""), abs(v)
    # What does not fit int64 becomes its lowest value on amd64, and Go's remainders keep the sign.
    whole, turned = (int(v), 1) if v < 2**63 else (2**63, -1)
    seconds, minutes = turned * (whole % 60), turned * (whole // 60 % 60)
    hours, days = turned * (whole // 3600 % 24), turned * (whole // 86400)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{_g4(v)}s"


def to_time(value: Any) -> GoTime:
    """Seconds since 1970 as a time, cut to milliseconds as Prometheus' model does."""
    v = to_float(value)
    if not math.isfinite(v):
        raise CallError("value is NaN or Inf")
    nanos = v * 1e9
    if nanos > 2**63 - 1 or nanos < -(2**63):
        raise CallError(f"{float_text(v)} cannot be represented as a nanoseconds timestamp since it overflows int64")
    whole = int(nanos)
    millis = whole // 10**6 if whole >= 0 else -(-whole // 10**6)
    return GoTime(millis * 10**6)


def humanize_timestamp(value: Any) -> str:
    v = to_float(value)
    return str(to_time(v)) if math.isfinite(v) else _g4(v)


def to_duration(value: Any) -> GoDuration:
    """Seconds as a Go duration; what does not fit int64 nanoseconds becomes its lowest value, as on amd64."""
    nanos = to_float(value) * 1e9
    if not math.isfinite(nanos) or not -(2**63) <= nanos < 2**63:
        return GoDuration(-(2**63))
    return GoDuration(int(nanos))
