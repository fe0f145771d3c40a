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
    if windows.steps == 1 and len(windows.parts) == 1 and isinstance(windows.parts[0], DensePart):
        part = windows.parts[0]
        if part.width == windows.width:
            return _at_once(windows, part, range_ms, counter, per_second)
    counts = windows.counts
    fewest = int(counts.min()) if counts.size else 0
    enough = counts >= 2
    if fewest < 2 and not enough.any():
        return _nothing(windows)
    first, last = windows.first_values(), windows.last_values()
    result = last - first
    if counter:
        _add_resets(result, windows)
    first_times, last_times = windows.first_times(), windows.last_times()
    sampled = (last_times - first_times) / 1000.0
    average = sampled / ((counts if fewest >= 2 else np.maximum(counts, 2)) - 1)
    threshold, half = average * 1.1, average / 2
    to_start = (first_times - windows.starts[:, None]) / 1000.0
    to_end = (windows.ends[:, None] - last_times) / 1000.0
    to_start = np.where(to_start >= threshold, half, to_start)
    to_end = np.where(to_end >= threshold, half, to_end)
    if counter:
        to_zero = sampled * (first / result)
        # Where the counter did not rise, or began below zero, the zero point says nothing.
        to_start = np.where((result > 0) & (first >= 0) & (to_zero < to_start), to_zero, to_start)
    factor = (sampled + to_start + to_end) / sampled
    if per_second:
        factor = factor / (range_ms / 1000.0)
    return result * factor, None if fewest >= 2 else windows.full(enough)


def _at_once(windows: Windows, part: DensePart, range_ms: int, counter: bool, per_second: bool) -> Kernel:
    """One step over columns with common times: the same arithmetic, everything about time done once for all series."""
    lo, hi = int(part.lo[0]), int(part.hi[0])
    if hi - lo < 2:
        return _nothing(windows)
    first, last = part.first_values(), part.last_values()
    result = last - first
    if counter:
        _add_resets(result, windows)
    first_time, last_time = int(part.times[lo]), int(part.times[hi - 1])
    sampled = (last_time - first_time) / 1000.0
    average = sampled / (hi - lo - 1)
    to_start = (first_time - int(windows.starts[0])) / 1000.0
    to_end = (int(windows.ends[0]) - last_time) / 1000.0
    to_start = average / 2 if to_start >= average * 1.1 else to_start
    to_end = average / 2 if to_end >= average * 1.1 else to_end
    scale = range_ms / 1000.0
    if counter:
        to_zero = sampled * (first / result)
        nearer = (to_zero < to_start) & (result > 0) & (first >= 0)
        if nearer.any():
            factors = (sampled + np.where(nearer, to_zero, to_start) + to_end) / sampled
            return result * (factors / scale if per_second else factors), None
    factor = (sampled + to_start + to_end) / sampled
    return result * (factor / scale if per_second else factor), None


def _nothing(windows: Windows) -> Kernel:
    shape = (windows.steps, windows.width)
    return np.zeros(shape, dtype=np.float64), np.zeros(shape, dtype=np.bool_)


def _add_resets(result: Floats, windows: Windows) -> None:
    """Add to each difference what resets took away: sample by sample, in window order."""
    for part in windows.parts:
        columns = _fallen(part)
        if columns is None:
            continue
        total = result[:, part.positions]
        picked = np.flatnonzero(columns) if isinstance(part, DensePart) else np.arange(part.width)
        corrected = total[:, picked]
        counts = part.counts()
        counts = counts if counts.shape[1] == 1 else counts[:, picked]
        before = part.values_at(0)[:, picked]
        for k in range(1, int(counts.max()) if counts.size else 0):
            now = part.values_at(k)[:, picked]
            reset = (now < before) & (counts > k)
            if reset.any():
                corrected = corrected + np.where(reset, before, 0.0)
            before = now
        total[:, picked] = corrected
        result[:, part.positions] = total


def _fallen(part: Part) -> Bools | None:
    """Columns that may have fallen (for ragged parts only whether any may have); None when none did."""
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
