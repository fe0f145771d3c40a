"""Intervals against textbook values and against their own promise (coverage)."""

from __future__ import annotations

import numpy as np
import pytest

from pilothouse.engines.statistics.intervals import paired_amounts, paired_shares, wilson


@pytest.mark.parametrize(
    ("successes", "runs", "low", "high"),
    [
        (0, 50, 0.0, 0.0713),
        (50, 50, 0.9287, 1.0),
        (480, 500, 0.939, 0.974),
        (29, 500, 0.041, 0.082),
        (1, 1, 0.2065, 1.0),
    ],
)
def test_wilson_gives_the_published_bounds(successes: int, runs: int, low: float, high: float) -> None:
    interval = wilson(successes, runs)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=6e-4)
    assert successes / runs in interval


def test_wilson_without_runs_says_nothing() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="3 successes in 2 runs"):
        wilson(3, 2)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.95])
def test_wilson_covers_the_truth_about_95_times_in_100(share: float) -> None:
    draws = np.random.default_rng(3).binomial(200, share, 2000)
    assert np.mean([share in wilson(int(k), 200) for k in draws]) == pytest.approx(0.95, abs=0.025)


def test_paired_shares_see_what_separate_intervals_hide() -> None:
    rng = np.random.default_rng(1)
    a = rng.random(200) < 0.5
    b = a | (rng.random(200) < 0.1)
    paired = paired_shares(a.tolist(), b.tolist())
    assert paired.only_a == 0
    assert paired.difference.low > 0
    assert paired.p_value < 0.01
    assert wilson(int(a.sum()), 200).high > wilson(int(b.sum()), 200).low


def test_equal_results_differ_by_nothing() -> None:
    paired = paired_shares([True, False], [True, False])
    assert (paired.difference.estimate, paired.p_value) == (0.0, 1.0)
    assert 0.0 in paired.difference


def test_mcnemar_is_exact() -> None:
    # 1 against 9 discordant pairs: 2 * (1 + 10) / 1024
    a, b = [True] * 1 + [False] * 9, [False] * 1 + [True] * 9
    assert paired_shares(a, b).p_value == pytest.approx(22 / 1024)


def test_paired_amounts_find_a_shift_smaller_than_the_spread() -> None:
    rng = np.random.default_rng(2)
    luck = rng.normal(0, 10, 200)
    shift = paired_amounts(luck.tolist(), (luck + rng.normal(0.5, 0.5, 200)).tolist(), np.random.default_rng(4))
    assert shift.low > 0.3
    assert 0.5 in shift


def test_pairs_need_the_same_seeds() -> None:
    with pytest.raises(ValueError, match="same seeds"):
        paired_shares([True], [])
