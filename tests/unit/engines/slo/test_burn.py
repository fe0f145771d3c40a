"""Burn-rate arithmetic: the guide's table of nines, and the first principles by a sum over seconds."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from pilothouse.engines.slo import burn


@pytest.mark.parametrize(
    ("objective", "period_s", "text"),
    [
        ("99.9%", 30 * 86400, "43m12s"),
        ("99%", burn.MONTH_S, "7h18m"),
        ("99.9%", burn.MONTH_S, "43m48s"),
        ("99.99%", burn.MONTH_S, "4m22s"),
        ("99.999%", burn.MONTH_S, "26s"),
        ("100%", burn.MONTH_S, "0s"),
        ("0%", 86400, "1d"),
    ],
)
def test_allowed_outage(objective: str, period_s: Fraction | int, text: str) -> None:
    assert burn.format_exact(burn.allowed_s(burn.parse_percent(objective), period_s)) == text


@pytest.mark.parametrize(("text", "percent"), [("99.9%", "99.9"), (" 99.9 ", "99.9"), ("0.999", "99.9"), ("1", "1")])
def test_an_objective_is_a_percentage_or_below_one_a_ratio(text: str, percent: str) -> None:
    assert burn.parse_percent(text) == Fraction(percent)


@pytest.mark.parametrize("text", ["", "x", "101%", "-1", "nan", "inf", "99,9", "9" * 50])
def test_what_is_no_objective_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        burn.parse_percent(text)


def _first_second_above(error_ratio: float, threshold: float, long_s: int, short_s: int) -> int:
    """The obvious way: slide both windows second by second."""
    for now in range(1, long_s + 1):
        means = [error_ratio * min(now, window) / window for window in (long_s, short_s)]
        if all(mean > threshold + 1e-15 for mean in means):
            return now
    raise AssertionError("never")


@pytest.mark.parametrize("error_ratio", [1.0, 0.5, 0.1, 0.02])
def test_detection_is_when_both_windows_pass_the_threshold(error_ratio: float) -> None:
    exact = burn.detection_s(error_ratio, 0.0144, 3600, 300)
    assert exact is not None
    assert exact <= _first_second_above(error_ratio, 0.0144, 3600, 300) <= exact + 1 + 1e-6


def test_errors_at_the_threshold_never_alert() -> None:
    assert burn.detection_s(0.0144, 0.0144, 3600, 300) is None
    assert burn.reset_s(0.0144, 0.0144, 3600, 300) is None


def test_the_short_window_ends_the_alert() -> None:
    assert burn.reset_s(1.0, 0.0144, 3600, 300) == pytest.approx(300 * (1 - 0.0144))
    assert burn.reset_s(1.0, 0.0144, 3600) == pytest.approx(3600 * (1 - 0.0144))


def test_without_a_budget_any_error_burns_infinitely_fast() -> None:
    assert burn.burn_rate(0.001, 0.0) == math.inf
    assert burn.burn_rate(0.0, 0.0) == 0.0


def test_exhaustion() -> None:
    assert burn.exhausted_in_s(1.0, 14.4, 30 * 86400) == pytest.approx(50 * 3600)
    assert burn.exhausted_in_s(0.0, 14.4, 30 * 86400) == 0.0
    assert burn.exhausted_in_s(0.5, 0.0, 30 * 86400) is None
