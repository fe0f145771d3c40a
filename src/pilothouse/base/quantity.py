"""Kubernetes quantities (`500m`, `1.5Gi`, `1e3`) as exact numbers, after apimachinery 1.36 `resource.Quantity`.

Values are `Fraction`s rounded up to nano units as upstream does; `milli` and `whole` give what controllers
compute with.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_DECIMAL_EXPONENT = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_PATTERN = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)(?:(Ki|Mi|Gi|Ti|Pi|Ei)|([numkMGTPE])|[eE]([+-]?\d{1,3}))?")
_USUAL = re.compile(r"([1-9]\d{0,14})(m?)")
"""What measured values look like: they are many and all different, so they do not take the long way."""
_MAX = Fraction(2**63 - 1)


@lru_cache(maxsize=65_536)
def parse(text: str) -> Fraction:
    """The exact value; ValueError (Kubernetes' own wording) when it is no quantity. Beyond int64 it is capped."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    sign, digits, binary, decimal, exponent = match.groups()
    value = Fraction(digits)
    if binary:
        value *= _BINARY[binary]
    elif decimal:
        value *= Fraction(10) ** _DECIMAL_EXPONENT[decimal]
    elif exponent:
        value *= Fraction(10) ** int(exponent)
    nano = value * 10**9
    if nano.denominator != 1:
        value = Fraction(-(-nano.numerator // nano.denominator), 10**9)
    value = min(value, _MAX)
    return -value if sign == "-" else value


def milli(text: str | int | float | None) -> int:
    """Thousandths, rounded up (`Quantity.MilliValue`); None is 0."""
    if text is None:
        return 0
    value = parse(str(text)) * 1000
    return -(-value.numerator // value.denominator)


def whole(text: str | int | float | None) -> int:
    """Whole units, rounded up (`Quantity.Value`); None is 0. For memory: bytes."""
    if text is None:
        return 0
    value = parse(str(text))
    return -(-value.numerator // value.denominator)


def format_milli(value_milli: int) -> str:
    """The canonical decimal form of a milli value: 1500 → "1500m", 2000 → "2", 0 → "0"."""
    return f"{value_milli}m" if value_milli % 1000 else format_decimal(value_milli // 1000)


def format_decimal(value: int) -> str:
    """The canonical decimal form: 1000 → "1k", 1500 → "1500"."""
    if value == 0:
        return "0"
    for suffix, exponent in (("E", 18), ("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3)):
        if value % 10**exponent == 0:
            return f"{value // 10**exponent}{suffix}"
    return str(value)


def format_binary(value: int) -> str:
    """The canonical binary form: 1073741824 → "1Gi", 1000 → "1000"."""
    if value == 0:
        return "0"
    for suffix, size in reversed(_BINARY.items()):
        if value % size == 0:
            return f"{value // size}{suffix}"
    return str(value)


@lru_cache(maxsize=65_536)
def canonical(text: str) -> str:
    """The form the API server stores: `0.5` → `500m`, `1024Mi` → `1Gi`, `1e3` stays an exponent (`1e3`)."""
    usual = _USUAL.fullmatch(text)
    if usual is not None:
        amount, unit = int(usual[1]), usual[2]
        return format_milli(amount) if unit == "m" else format_decimal(amount)
    match = _PATTERN.fullmatch(text)
    value = parse(text)
    if match is None or value == 0:
        return "0"
    _sign, _digits, binary, _decimal, exponent = match.groups()
    if binary and value.denominator == 1 and abs(value) >= 1024:
        return format_binary(int(value)) if value > 0 else "-" + format_binary(int(-value))
    return _decimal_form(value, exponent=exponent is not None)


def _decimal_form(value: Fraction, *, exponent: bool) -> str:
    sign, value = ("-" if value < 0 else ""), abs(value)
    for suffix, power in sorted(_DECIMAL_EXPONENT.items(), key=lambda item: -item[1]):
        scaled = value / Fraction(10) ** power
        if scaled.denominator == 1:
            if exponent:
                return f"{sign}{scaled.numerator}" + (f"e{power}" if power else "")
            return f"{sign}{scaled.numerator}{suffix}"
    return f"{sign}{value}"
