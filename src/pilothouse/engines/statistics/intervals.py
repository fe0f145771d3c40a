"""Intervals for a share of runs (Wilson 1927) and for differences between paired runs (McNemar 1947; bootstrap)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval; ratios in 0..1, amounts in their own unit."""

    estimate: float
    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


def wilson(successes: int, runs: int, z: float = Z_95) -> Interval:
    """The share of successes; honest also for 0 of 50 or 50 of 50. No runs at all: anything from 0 to 1."""
    if runs <= 0:
        return Interval(math.nan, 0.0, 1.0)
    if not 0 <= successes <= runs:
        raise ValueError(f"{successes} successes in {runs} runs")
    share, z2 = successes / runs, z * z
    centre = (share + z2 / (2 * runs)) / (1 + z2 / runs)
    half = z * math.sqrt(share * (1 - share) / runs + z2 / (4 * runs * runs)) / (1 + z2 / runs)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == runs else min(1.0, centre + half)
    return Interval(share, low, high)


@dataclass(frozen=True, slots=True)
class PairedShares:
    """Two variants on the same seeds, yes or no each. difference: share of B minus share of A.

    only_a, only_b: seeds where just one said yes; p_value: two-sided exact McNemar test (1 when nothing differs).
    """

    difference: Interval
    only_a: int
    only_b: int
    p_value: float


def paired_shares(a: Sequence[bool], b: Sequence[bool], z: float = Z_95) -> PairedShares:
    """Compare yes/no results seed by seed; ValueError when the lengths differ or there are none."""
    runs = _same_length(len(a), len(b))
    only_a = sum(1 for x, y in zip(a, b) if x and not y)
    only_b = sum(1 for x, y in zip(a, b) if y and not x)
    # Agresti and Min (2005): half a pair added to each cell keeps the interval honest when few pairs differ.
    n, up, down = runs + 2, only_b + 0.5, only_a + 0.5
    centre = (up - down) / n
    half = z * math.sqrt(max(up + down - (up - down) ** 2 / n, 0.0)) / n
    interval = Interval((only_b - only_a) / runs, max(-1.0, centre - half), min(1.0, centre + half))
    return PairedShares(interval, only_a, only_b, _mcnemar(only_a, only_b))


def paired_amounts(
    a: Sequence[float], b: Sequence[float], rng: np.random.Generator, *, resamples: int = 2000
) -> Interval:
    """The mean of b - a over the same seeds, with a percentile bootstrap interval drawn from `rng`."""
    runs = _same_length(len(a), len(b))
    differences = np.asarray(b, dtype=float) - np.asarray(a, dtype=float)
    picks = rng.integers(0, runs, (resamples, runs))
    low, high = np.quantile(differences[picks].mean(axis=1), [0.025, 0.975])
    return Interval(float(differences.mean()), float(low), float(high))


def _same_length(a: int, b: int) -> int:
    if a != b or a == 0:
        raise ValueError(f"paired comparison needs the same seeds on both sides, got {a} and {b} runs")
    return a


def _mcnemar(only_a: int, only_b: int) -> float:
    total, smaller = only_a + only_b, min(only_a, only_b)
    if total == 0:
        return 1.0
    tail = sum(math.comb(total, k) for k in range(smaller + 1))
    return min(1.0, math.ldexp(tail, 1 - total))
