"""Numbers as Go reads and prints them: what Prometheus accepts on a page and what it writes back.

Follows Go 1.22 `strconv.ParseFloat` / `FormatFloat` with precision -1 (the shortest text that reads back to the same
float). Python's `repr` finds the same digits; only their arrangement differs. Called by the exposition readers, the
writer and `wire.prometheus`.
"""

from __future__ import annotations

import math
import re

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE | re.ASCII)


def quote(text: str) -> str:
    """The text as Go's %q shows it, for error messages: control characters and quotes escaped."""
    out = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return '"' + "".join(c if c.isprintable() else _escape(c) for c in out) + '"'


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, carried by surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def parse_float(text: str) -> float:
    """The value of a sample on a page; ValueError with Prometheus' wording (no hex, no underscores, no overflow)."""
    if "_" in text or "p" in text or "P" in text:
        raise ValueError("unsupported character in float")
    if _DECIMAL.fullmatch(text):
        value = float(text)
        if math.isinf(value):
            raise ValueError(f"strconv.ParseFloat: parsing {quote(text)}: value out of range")
        return value
    if _INFINITE.fullmatch(text):
        return -math.inf if text[0] == "-" else math.inf
    if text.lower() == "nan":
        return math.nan
    raise ValueError(f"strconv.ParseFloat: parsing {quote(text)}: invalid syntax")


def _digits(value: float) -> tuple[str, str, int]:
    """Sign, the shortest significant digits without trailing zeros, and where the point stands (0.ddd × 10^point)."""
    text = repr(abs(value))
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or "0")
    if whole.strip("0") == "":
        point = int(exponent or "0") - (len(fraction) - len(fraction.lstrip("0")))
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    return sign, digits.rstrip("0") or "0", point


def _special(value: float) -> str | None:
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return None


def format_e(value: float) -> str:
    """FormatFloat(v, 'e', -1): `9.5e-01`."""
    special = _special(value)
    if special:
        return special
    sign, digits, point = _digits(value)
    exponent = 0 if value == 0 else point - 1
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def format_f(value: float) -> str:
    """FormatFloat(v, 'f', -1): never an exponent."""
    special = _special(value)
    if special:
        return special
    text = repr(value)
    if "e" not in text:
        return text.removesuffix(".0")
    sign, digits, point = _digits(value)
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return sign + digits + "0" * (point - len(digits))
    return f"{sign}{digits[:point]}.{digits[point:]}"


def format_g(value: float) -> str:
    """FormatFloat(v, 'g', -1): an exponent below 1e-4 and from 1e6 on: the form on text pages."""
    return _format_general(value, 6)


def format_v(value: float) -> str:
    """fmt's %v: as 'g', with the exponent starting at 1e21."""
    return _format_general(value, 21)


def _format_general(value: float, threshold: int) -> str:
    special = _special(value)
    if special:
        return special
    if value == 0:
        return "-0" if math.copysign(1.0, value) < 0 else "0"
    exponent = _digits(value)[2] - 1
    if exponent < -4 or exponent >= threshold:
        return format_e(value)
    return format_f(value)


def format_api(value: float) -> str:
    """The text inside the API's JSON: plain digits, an exponent only below 1e-6 and from 1e21 on."""
    size = abs(value)
    if size != 0 and (size < 1e-6 or size >= 1e21):
        return format_e(value)
    return format_f(value)


def format_openmetrics(value: float) -> str:
    """How `le` and `quantile` are written: `1.0`, `0.25`, `+Inf`, `1e+06` (`labels.FormatOpenMetricsFloat`)."""
    text = format_g(value)
    if "e" in text or "." in text or text[-1] not in "0123456789":
        return text
    return text + ".0"
