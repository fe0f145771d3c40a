"""Burn-rate arithmetic from first principles: budgets as time, detection, reset, exhaustion. Pure numbers.

The model: traffic is uniform, so that a ratio of events is a ratio of time; windows slide continuously over full
history; an alert holds while the mean error ratio is strictly above its threshold over the long and the short window.
"""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from fractions import Fraction

MONTH_S = Fraction(365, 12) * 86400
"""A month on average, 30.4167 days: the one of the tables of nines."""


def budget_of(percent: Fraction) -> Fraction:
    """The share that may fail, 0..1, of an objective in percent."""
    return 1 - percent / 100


def parse_percent(text: str) -> Fraction:
    """`99.9%`, `99.9` or, below 1, the ratio `0.999`, exactly. ValueError when it is no objective."""
    body = text.strip().removesuffix("%").strip()
    try:
        number = Decimal(body)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a percentage such as 99.9%") from None
    if not number.is_finite() or number < 0 or number > 100:
        raise ValueError(f"{text!r} is not between 0 % and 100 %")
    if len(body) > 40:
        raise ValueError(f"{text!r} has more digits than an objective can have")
    value = Fraction(number)
    return value * 100 if "%" not in text and value < 1 else value


def allowed_s(percent: Fraction, period_s: Fraction | int) -> Fraction:
    """Seconds of complete outage that an objective in percent allows in a period."""
    return budget_of(percent) * period_s


def format_exact(seconds: Fraction) -> str:
    """`43m12s`, `7h18m`, `3d1h`: whole seconds, cut off, zero parts left out."""
    rest, parts = int(seconds), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if rest >= size:
            parts.append(f"{rest // size}{unit}")
            rest %= size
    return "".join(parts) or "0s"


def burn_rate(error_ratio: float, budget_ratio: float) -> float:
    """How many times faster than allowed the budget goes; infinite when there is none and something failed."""
    if budget_ratio <= 0:
        return math.inf if error_ratio > 0 else 0.0
    return error_ratio / budget_ratio


def detection_s(error_ratio: float, threshold: float, long_s: float, short_s: float) -> float | None:
    """Seconds from the begin of steady errors until both windows are above the threshold; None: never."""
    if error_ratio <= threshold:
        return None
    return max(long_s, short_s) * threshold / error_ratio


def reset_s(error_ratio: float, threshold: float, *windows_s: float) -> float | None:
    """Seconds from the end of errors (that filled all windows) until one window is not above any more."""
    if error_ratio <= threshold:
        return None
    return min(windows_s) * (1 - threshold / error_ratio)


def spent_ratio(error_ratio: float, duration_s: float, budget_ratio: float, period_s: float) -> float:
    """Share of the period's budget that a stretch with this error ratio uses up; above 1: more than all of it."""
    return burn_rate(error_ratio, budget_ratio) * duration_s / period_s


def exhausted_in_s(left_ratio: float, rate: float, period_s: float) -> float | None:
    """Seconds until nothing is left at a steady burn rate; 0 when nothing is left, None when it never ends."""
    if left_ratio <= 0:
        return 0.0
    if rate <= 0:
        return None
    return left_ratio * period_s / rate
