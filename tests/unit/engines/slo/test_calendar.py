"""Calendar windows: months of different lengths, quarters, days with 23 hours, moments before the first start."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.engines.slo.calendar import bounds_ms
from pilothouse.engines.slo.model import Calendar


def _ms(text: str, zone: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("calendar", "at", "begin", "end"),
    [
        (Calendar("2026-01-01 00:00:00", "UTC", 1, "M"), "2026-02-28T23:59", "2026-02-01T00:00", "2026-03-01T00:00"),
        (Calendar("2026-01-31 00:00:00", "UTC", 1, "M"), "2026-02-28T12:00", "2026-02-28T00:00", "2026-03-31T00:00"),
        (Calendar("2026-01-01 00:00:00", "UTC", 1, "Q"), "2026-05-05T00:00", "2026-04-01T00:00", "2026-07-01T00:00"),
        (Calendar("2024-02-29 00:00:00", "UTC", 1, "Y"), "2025-06-01T00:00", "2025-02-28T00:00", "2026-02-28T00:00"),
        (Calendar("2026-01-05 09:00:00", "UTC", 1, "w"), "2026-01-12T08:59", "2026-01-05T09:00", "2026-01-12T09:00"),
        (Calendar("2026-01-01 00:00:00", "UTC", 1, "M"), "2025-11-11T00:00", "2025-11-01T00:00", "2025-12-01T00:00"),
        (
            Calendar("2026-01-01 00:00:00", "Europe/Berlin", 1, "d"),
            "2026-03-29T12:00",
            "2026-03-29T00:00",
            "2026-03-30T00:00",
        ),
    ],
)
def test_bounds(calendar: Calendar, at: str, begin: str, end: str) -> None:
    zone = calendar.zone
    assert bounds_ms(calendar, _ms(at, zone)) == (_ms(begin, zone), _ms(end, zone))


def test_a_day_of_the_clock_change_has_23_hours() -> None:
    calendar = Calendar("2026-01-01 00:00:00", "Europe/Berlin", 1, "d")
    begin, end = bounds_ms(calendar, _ms("2026-03-29T12:00", "Europe/Berlin"))
    assert end - begin == 23 * 3600 * 1000


@given(
    st.sampled_from("mhdwMQY"),
    st.integers(min_value=1, max_value=5),
    st.integers(min_value=0, max_value=3_000_000_000),
    st.sampled_from(["UTC", "Asia/Seoul", "America/New_York"]),
)
def test_every_moment_is_in_its_window_and_windows_meet(unit: str, count: int, at_s: int, zone: str) -> None:
    calendar = Calendar("2026-01-31 02:30:00", zone, count, unit)
    begin, end = bounds_ms(calendar, at_s * 1000)
    assert begin <= at_s * 1000 < end
    assert bounds_ms(calendar, end)[0] == end
    assert bounds_ms(calendar, begin) == (begin, end)
