"""Alert windows: the known periods, scaling to others, Sloth's AlertWindows documents."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.engines.slo.windows import DAY_S, HOUR_S, SHORTEST_WINDOW_S, read_alert_windows, windows_for


def _rates(period_s: int) -> list[float]:
    return [round(tier.burn_rate(period_s), 6) for tier in windows_for(period_s).tiers]


def test_a_month_has_the_workbooks_rates() -> None:
    assert _rates(30 * DAY_S) == [14.4, 6, 3, 1]


def test_28_days_keep_the_windows_and_lower_the_rates() -> None:
    assert _rates(28 * DAY_S) == [13.44, 5.6, 2.8, 0.933333]
    assert windows_for(28 * DAY_S).lengths_s == windows_for(30 * DAY_S).lengths_s


def test_other_periods_keep_the_rates_and_scale_the_windows() -> None:
    assert _rates(90 * DAY_S) == [14.4, 6, 3, 1]
    assert windows_for(90 * DAY_S).page_quick.long_s == 3 * HOUR_S
    assert windows_for(90 * DAY_S).page_quick.short_s == 15 * 60


def test_a_calendar_month_keeps_the_windows() -> None:
    assert windows_for(31 * DAY_S).lengths_s == windows_for(30 * DAY_S).lengths_s


@given(st.integers(min_value=3600, max_value=400 * DAY_S))
def test_any_period_has_usable_windows(period_s: int) -> None:
    windows = windows_for(period_s)
    for tier in windows.tiers:
        assert SHORTEST_WINDOW_S <= tier.short_s < tier.long_s
        assert tier.burn_rate(period_s) > 0
        # The rate is the share of the budget per share of the period, whatever was rounded.
        assert tier.burn_rate(period_s) == pytest.approx(tier.budget_percent / 100 * period_s / tier.long_s)


def _document(**changes: Any) -> dict[str, Any]:
    window = {"errorBudgetPercent": 2, "shortWindow": "5m", "longWindow": "1h"}
    pair = {"quick": dict(window), "slow": dict(window)}
    spec = {"sloPeriod": "7d", "page": pair, "ticket": pair, **changes}
    return {"apiVersion": "sloth.slok.dev/v1", "kind": "AlertWindows", "spec": spec}


def test_alert_windows_of_sloth_are_read() -> None:
    windows = read_alert_windows(_document())
    assert windows.period_s == 7 * DAY_S
    assert windows_for(7 * DAY_S, (windows,)) is windows


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "AlertWindows"),
        (_document(sloPeriod="x"), "spec.sloPeriod"),
        (_document(page=None), "spec.page"),
        (_document(page={"quick": {"errorBudgetPercent": 0}}), "spec.page.quick.errorBudgetPercent"),
        (_document(page={"quick": {"errorBudgetPercent": 1, "shortWindow": "0s"}}), "spec.page.quick.shortWindow"),
    ],
)
def test_a_broken_document_names_its_field(document: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        read_alert_windows(document)
