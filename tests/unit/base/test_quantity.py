"""Quantities as the API server reads and prints them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.base import quantity


@pytest.mark.parametrize(
    ("text", "milli"),
    [
        ("500m", 500),
        ("2", 2000),
        ("0.1", 100),
        ("1e3", 1_000_000),
        ("1Ki", 1_024_000),
        ("1u", 1),
        ("-250m", -250),
        (".5", 500),
    ],
)
def test_milli_rounds_up_and_is_exact(text: str, milli: int) -> None:
    assert quantity.milli(text) == milli


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1536Mi", "1536Mi"),
        ("2000m", "2"),
        ("1e3", "1e3"),
        ("10000", "10k"),
        ("0.1Ki", "102400m"),
        ("512Mi", "512Mi"),
        ("0", "0"),
        ("1.5Gi", "1536Mi"),
        ("-1Gi", "-1Gi"),
        ("1m", "1m"),
        ("1500", "1500"),
        ("20000m", "20"),
        ("5000000m", "5k"),
    ],
)
def test_canonical_form_is_the_stored_one(text: str, stored: str) -> None:
    assert quantity.canonical(text) == stored


@pytest.mark.parametrize("text", ["", "abc", "1Q", "1 Gi", "--1", "1e", "0x10", "1..2", "."])
def test_what_is_no_quantity_is_refused_with_upstreams_words(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match the regular expression"):
        quantity.parse(text)


def test_absurd_sizes_are_capped_not_overflowing() -> None:
    assert quantity.whole("1e99") == 2**63 - 1
    assert quantity.whole("-1e99") == -(2**63 - 1)


@given(st.integers(min_value=-(10**12), max_value=10**12))
def test_formatting_a_milli_value_reads_back(value: int) -> None:
    assert quantity.milli(quantity.format_milli(value)) == value


@given(st.integers(min_value=0, max_value=10**9), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi", "e3", "e-3"]))
def test_the_canonical_form_has_the_same_value_and_is_stable(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    stored = quantity.canonical(text)
    assert quantity.parse(stored) == quantity.parse(text)
    assert quantity.canonical(stored) == stored
