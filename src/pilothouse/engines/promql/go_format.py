"""Floats as Go's fmt prints them with %v and %g; annotation texts need that to the letter."""

from __future__ import annotations

import math


def general(value: float) -> str:
    """Shortest digits that read back as the value; an exponent below 1e-4 and from 1e6 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    digits, exponent = _digits(value)
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if value != 0 and (exponent < -4 or exponent >= 6):
        mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    return f"{sign}{whole}" + (f".{digits[exponent + 1 :]}" if len(digits) > exponent + 1 else "")


def _digits(value: float) -> tuple[str, int]:
    """Significant digits and the power of ten of the first one."""
    mantissa, _, exponent = f"{abs(value):.17e}".partition("e")
    shortest = repr(abs(value)).lower()
    body, _, shift = shortest.partition("e")
    digits = body.replace(".", "").lstrip("0").rstrip("0") or "0"
    del mantissa, shift
    power = int(exponent)
    # 9.99…e22 may round up to a longer power in the 17-digit form; repr's own exponent then decides.
    if "e" in shortest:
        power = int(shortest.partition("e")[2]) + len(body.partition(".")[0]) - 1
    return digits, power
