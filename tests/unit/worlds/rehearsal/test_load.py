"""Load curves: day shapes, traces, events."""

from __future__ import annotations

import pytest

from pilothouse.worlds.rehearsal.load import LoadChange, LoadTable, parse_trace
from pilothouse.worlds.rehearsal.spec import LoadSpec, SpecError


def table(spec: LoadSpec, epoch_s: float = 0.0) -> LoadTable:
    made = LoadTable(epoch_s)
    made.add(spec)
    return made


def rate(load: LoadTable, at_s: float) -> float:
    return float(load.rates(at_s)[0])


def test_a_diurnal_day_peaks_when_it_says() -> None:
    load = table(LoadSpec(base="50rps", shape="diurnal", peak_at="14:00", ratio=2.5))
    assert rate(load, 14 * 3600) == pytest.approx(50 * 10 / 7)
    assert rate(load, 2 * 3600) == pytest.approx(50 * 4 / 7)
    assert rate(load, 86400 + 8 * 3600) == pytest.approx(50)


@pytest.mark.parametrize(
    ("at_s", "expected"), [(99, 10), (100, 10), (110, 55), (120, 100), (170, 100), (190, 55), (200, 10), (500, 10)]
)
def test_a_change_ramps_up_and_down(at_s: float, expected: float) -> None:
    load = table(LoadSpec(base="10rps"))
    load.change(LoadChange(0, 100.0, times=10.0, for_s=100.0, ramp_s=20.0))
    assert rate(load, at_s) == pytest.approx(expected)


def test_a_step_to_an_absolute_rate_stays() -> None:
    load = table(LoadSpec(base="10rps"))
    load.change(LoadChange(0, 100.0, rps=70.0))
    assert [rate(load, t) for t in (99, 100, 1e6)] == [10, 70, 70]
    assert load.next_edge(50) == 100


def test_a_trace_is_followed_from_the_start() -> None:
    load = table(LoadSpec(csv="time,rps\n0,10\n1m,70rps\n\n120,40\n"), epoch_s=1000.0)
    assert [rate(load, 1000 + t) for t in (0, 30, 60, 90, 9999)] == [10, 40, 70, 55, 40]


def test_points_do_the_same() -> None:
    assert rate(table(LoadSpec(points=((0.0, 5.0), (10.0, 15.0)))), 5) == 10


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("0,10\n", "friday.csv:1"),
        ("time,rps\n0,10\n0,20\n", "friday.csv:3: times must rise"),
        ("time,rps\nsoon,10\n", "friday.csv:2"),
        ("time,rps\n0,lots\n", "friday.csv:2"),
        ("time,rps\n0\n", "friday.csv:2: needs a time and a rate"),
        ("time,rps\n", "friday.csv: has no rows"),
    ],
)
def test_a_broken_trace_names_its_line(text: str, where: str) -> None:
    with pytest.raises(SpecError, match=where):
        parse_trace(text, "traces/friday.csv")
