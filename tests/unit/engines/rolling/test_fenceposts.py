from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.engines.rolling.fenceposts import fenceposts, scaled

AMOUNTS = st.one_of(st.integers(0, 50), st.integers(0, 100).map(lambda n: f"{n}%"))


@pytest.mark.parametrize(
    ("surge", "unavailable", "desired", "expected"),
    [
        ("25%", "25%", 10, (3, 2)),
        ("25%", "25%", 3, (1, 0)),
        (1, 0, 3, (1, 0)),
        ("0%", "10%", 3, (0, 1)),
        (0, "1%", 3, (0, 1)),
        ("100%", "100%", 7, (7, 7)),
        (None, None, 4, (0, 1)),
        ("25%", "25%", 0, (0, 1)),
    ],
)
def test_surge_rounds_up_and_unavailable_down(
    surge: int | str | None, unavailable: int | str | None, desired: int, expected: tuple[int, int]
) -> None:
    assert fenceposts(surge, unavailable, desired) == expected


@given(AMOUNTS, AMOUNTS, st.integers(0, 1000))
def test_a_rollout_can_always_move(surge: int | str, unavailable: int | str, desired: int) -> None:
    assert sum(fenceposts(surge, unavailable, desired)) > 0


def test_text_that_is_no_percentage_is_refused() -> None:
    with pytest.raises(ValueError, match="neither a number nor a percentage"):
        scaled("25", 10, round_up=True)
