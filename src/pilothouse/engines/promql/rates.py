"""rate, increase, delta, irate and idelta over plain floats.

The rule is `extrapolatedRate` of promql/functions.go (Prometheus 3): the slope between the first and last sample,
carried to the window's borders when samples come close to them, counters never below zero. Windows whose values
never fall need the first and the last sample only.
"""

from __future__ import annotations

import numpy as np

from pilothouse.engines.promql.grid import Bools, Floats
from pilothouse.engines.promql.windows import DensePart, Part, Windows

Kernel = tuple[Floats, Bools | None]
"""(values [step, series], presence or None for everywhere)."""


def extrapolated(windows: Windows, range_ms: int, *, counter: bool, per_second: bool) -> Kernel:
    """rate (counter, per second), increase (counter) or delta."""
    counts = windows.counts
    enough = counts >= 2
    if not enough.any():
        return _nothing(windows)
    first, last = windows.first_values(), windows.last_values()
    result = last - first
    if counter:
        correction = _resets(windows)
        if correction is not None:
            result = _add_in_order(result, correction)
    first_times, last_times = windows.first_times(), windows.last_times()
    sampled = (last_times - first_times) / 1000.0
    if enough.all():
        average = sampled / (counts - 1)
    else:
        average = sampled / np.maximum(counts - 1, 1)
    to_start = (first_times - windows.starts[:, None]) / 1000.0
    to_end = (windows.ends[:, None] - last_times) / 1000.0
    threshold = average * 1.1
    to_start = np.where(to_start >= threshold, average / 2, to_start)
    to_end = np.where(to_end >= threshold, average / 2, to_end)
    if counter:
        to_zero = sampled * (first / result)
        # Where the counter did not rise, or began below zero, the zero point says nothing.
        to_start = np.where((result > 0) & (first >= 0) & (to_zero < to_start), to_zero, to_start)
    factor = (sampled + to_start + to_end) / sampled
    if per_second:
        factor = factor / (range_ms / 1000.0)
    return result * factor, None if enough.all() else windows.full(enough)


def _nothing(windows: Windows) -> Kernel:
    shape = (windows.steps, windows.width)
    return np.zeros(shape, dtype=np.float64), np.zeros(shape, dtype=np.bool_)


def _add_in_order(result: Floats, terms: list[Floats]) -> Floats:
    for term in terms:
        result = result + term
    return result


def _resets(windows: Windows) -> list[Floats] | None:
    """What each reset adds back, sample by sample, in window order; None when no value fell anywhere.

    Kept as separate terms because upstream adds them to the difference one by one, and sums of floats depend on the
    order.
    """
    fallen = [(part, _fallen(part)) for part in windows.parts]
    if all(columns is None for _, columns in fallen):
        return None
    longest = windows.longest
    terms = []
    for k in range(1, longest):
        term = np.zeros((windows.steps, windows.width), dtype=np.float64)
        seen = False
        for part, columns in fallen:
            if columns is None:
                continue
            before, now = part.values_at(k - 1), part.values_at(k)
            reset = (now < before) & (part.counts() > k)
            if reset.any():
                seen = True
                term[:, part.positions] = np.where(reset, before, 0.0)
        if seen:
            terms.append(term)
    return terms


def _fallen(part: Part) -> Bools | None:
    if isinstance(part, DensePart):
        return part.falls
    falls = part.values[1:] < part.values[:-1]
    return falls if falls.any() else None


def instant(windows: Windows, *, counter: bool) -> Kernel:
    """irate (counter, per second) or idelta: the last two samples."""
    counts = windows.counts
    enough = counts >= 2
    if not enough.any():
        return _nothing(windows)
    last, before = windows.last_values(), windows.values_from_end(1)
    if not counter:
        return last - before, None if enough.all() else windows.full(enough)
    rise = np.where(last < before, last, last - before)
    seconds = (windows.last_times() - windows.times_from_end(1)) / 1000.0
    enough = enough & (seconds > 0)
    return rise / seconds, None if enough.all() else windows.full(enough)
