"""The *_over_time family, changes, resets, deriv and their kin over plain floats.

Each function walks the windows sample by sample, all steps and series at once, so that an instant and a range
evaluation do the same arithmetic in the same order. Semantics follow promql/functions.go of Prometheus 3.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pilothouse.engines.promql import kahan
from pilothouse.engines.promql.grid import Bools, Floats, Ints
from pilothouse.engines.promql.rates import Kernel
from pilothouse.engines.promql.windows import Windows


def _present(windows: Windows, least: int = 1) -> Bools | None:
    here = windows.counts >= least
    return None if here.all() else windows.full(here)


def _zeros(windows: Windows) -> Floats:
    return np.zeros((windows.steps, windows.width), dtype=np.float64)


def _samples(windows: Windows) -> Iterator[tuple[int, Floats, Bools | None]]:
    """(k, k-th sample of every window, where the window has one — None for everywhere)."""
    counts = windows.counts
    shortest = int(counts.min()) if counts.size else 0
    for k in range(windows.longest):
        yield k, windows.values_at(k), None if k < shortest else counts > k


def count(windows: Windows) -> Kernel:
    return windows.full(windows.counts).astype(np.float64), _present(windows)


def last(windows: Windows) -> Kernel:
    return (windows.last_values() if windows.parts else _zeros(windows)), _present(windows)


def first(windows: Windows) -> Kernel:
    return (windows.first_values() if windows.parts else _zeros(windows)), _present(windows)


def present(windows: Windows) -> Kernel:
    return np.ones((windows.steps, windows.width), dtype=np.float64), _present(windows)


def sums(windows: Windows) -> Kernel:
    """A plain sum where no term is negative (nothing can cancel), a compensated one elsewhere."""
    total, plain = _plain_sums(windows)
    if not plain.all():
        total = np.where(plain, total, _compensated_sums(windows))
    return total, _present(windows)


def _plain_sums(windows: Windows) -> tuple[Floats, Bools]:
    """(sums in window order, where they are as good as compensated ones and finite)."""
    total, lowest = _zeros(windows), _zeros(windows)
    for _, values, here in _samples(windows):
        term = values if here is None else np.where(here, values, 0.0)
        total += term
        np.minimum(lowest, term, out=lowest)
    return total, (lowest >= 0) & (total < np.inf)


def _compensated_sums(windows: Windows) -> Floats:
    total, error = _zeros(windows), _zeros(windows)
    for _, values, here in _samples(windows):
        total, error = kahan.add(total, error, values if here is None else np.where(here, values, 0.0))
    return kahan.close(total, error)


def average(windows: Windows) -> Kernel:
    """The mean from a plain sum where that is exact enough, else as upstream has it."""
    total, plain = _plain_sums(windows)
    found = total / np.maximum(windows.counts, 1)
    if not plain.all():
        found = np.where(plain, found, _careful_average(windows))
    return found, _present(windows)


def _careful_average(windows: Windows) -> Floats:
    """The mean by a compensated sum; where that would overflow, by a running mean from there on (functions.go, avg)."""
    total, error = _zeros(windows), _zeros(windows)
    mean = _zeros(windows)
    running = np.zeros(total.shape, dtype=np.bool_)
    for k, values, here in _samples(windows):
        now = np.ones(total.shape, dtype=np.bool_) if here is None else np.broadcast_to(here, total.shape)
        if k == 0:
            total = np.where(now, values, 0.0)
            continue
        count_now = float(k + 1)
        new_total, new_error = kahan.add(total, error, values)
        overflows = np.isinf(new_total) & now & ~running
        if overflows.any():
            mean = np.where(overflows, total / (count_now - 1), mean)
            error = np.where(overflows, error / (count_now - 1), error)
            running = running | overflows
        if running.any():
            share = (count_now - 1) / count_now
            new_mean, mean_error = kahan.add(share * mean, share * error, values / count_now)
            stepping = running & now
            mean = np.where(stepping, new_mean, mean)
            error = np.where(stepping, mean_error, error)
        adding = now & ~running
        total = np.where(adding, new_total, total)
        error = np.where(adding, new_error, error)
    counts = np.maximum(windows.counts, 1)
    direct = np.where(np.isinf(total), total, total / counts + error / counts)
    return np.where(running, mean + error, direct)


def extreme(windows: Windows, *, largest: bool) -> Kernel:
    """min or max; NaN gives way to any number."""
    found = windows.first_values() if windows.parts else _zeros(windows)
    better = np.fmax if largest else np.fmin
    for k, values, here in _samples(windows):
        if k:
            found = better(found, values) if here is None else np.where(here, better(found, values), found)
    return found, _present(windows)


def extreme_time(windows: Windows, *, largest: bool) -> Kernel:
    """When (in seconds) the last smallest or largest sample was."""
    best, when = _zeros(windows), _zeros(windows)
    for k, values, here in _samples(windows):
        times = windows.times_at(k) / 1000.0
        if k == 0:
            best, when = windows.full(values), windows.full(times)
            continue
        better = (values >= best) if largest else (values <= best)
        better = better | np.isnan(best)
        if here is not None:
            better = better & here
        best, when = np.where(better, values, best), np.where(better, times, when)
    return when, _present(windows)


def first_time(windows: Windows) -> Kernel:
    times = windows.first_times() if windows.parts else _zeros(windows)
    return windows.full(times / 1000.0), _present(windows)


def last_time(windows: Windows) -> Kernel:
    times = windows.last_times() if windows.parts else _zeros(windows)
    return windows.full(times / 1000.0), _present(windows)


def variance(windows: Windows) -> Kernel:
    """Population variance by Welford's method with compensation, as upstream computes it."""
    mean, mean_error = _zeros(windows), _zeros(windows)
    square, square_error = _zeros(windows), _zeros(windows)
    for k, values, here in _samples(windows):
        delta = values - (mean + mean_error)
        new_mean, new_mean_error = kahan.add(mean, mean_error, delta / (k + 1))
        new_square, new_square_error = kahan.add(square, square_error, delta * (values - (new_mean + new_mean_error)))
        if here is not None:
            new_mean, new_mean_error = np.where(here, new_mean, mean), np.where(here, new_mean_error, mean_error)
            new_square = np.where(here, new_square, square)
            new_square_error = np.where(here, new_square_error, square_error)
        mean, mean_error, square, square_error = new_mean, new_mean_error, new_square, new_square_error
    return (square + square_error) / np.maximum(windows.counts, 1), _present(windows)


def deviation(windows: Windows) -> Kernel:
    values, here = variance(windows)
    return np.sqrt(values), here


def changes(windows: Windows) -> Kernel:
    """How often the value differed from the one before; NaN after NaN is no change."""
    total = _zeros(windows)
    before: Floats | None = None
    for _, values, here in _samples(windows):
        if before is not None:
            differs = (values != before) & ~(np.isnan(values) & np.isnan(before))
            total += differs if here is None else differs & here
        before = values
    return total, _present(windows)


def resets(windows: Windows) -> Kernel:
    """How often the value fell."""
    total = _zeros(windows)
    before: Floats | None = None
    for _, values, here in _samples(windows):
        if before is not None:
            fell = values < before
            total += fell if here is None else fell & here
        before = values
    return total, _present(windows)


def stack(windows: Windows) -> tuple[Floats, Ints]:
    """(samples [k, step, series] with NaN behind each window's end, counts [step, series])."""
    counts = windows.full(windows.counts)
    shape = (windows.longest, windows.steps, windows.width)
    samples = np.full(shape, np.nan, dtype=np.float64)
    for k, values, here in _samples(windows):
        samples[k] = values if here is None else np.where(here, values, np.nan)
    return samples, counts


def quantile(windows: Windows, q: Floats) -> Kernel:
    """The q-quantile with linear interpolation; NaN samples count as smallest."""
    samples, counts = stack(windows)
    return quantile_of(samples, counts, q[:, None]), _present(windows)


def quantile_of(samples: Floats, counts: Ints, q: Floats) -> Floats:
    """Quantile along the first axis of [k, …]; cells behind `counts` are NaN. q broadcasts to the rest."""
    if samples.shape[0] == 0:
        return np.full(samples.shape[1:], np.nan)
    # NaN samples are smaller than anything: they become -inf for sorting and are put back after it.
    nans = np.isnan(samples)
    beyond = np.arange(samples.shape[0])[(slice(None),) + (None,) * (samples.ndim - 1)] >= counts
    real_nans = (nans & ~beyond).sum(axis=0)
    ordered = np.sort(np.where(nans & ~beyond, -np.inf, np.where(beyond, np.inf, samples)), axis=0)
    top = np.maximum(counts - 1, 0)
    rank = np.broadcast_to(q, counts.shape) * top
    safe = np.where(np.isnan(rank), 0.0, np.clip(rank, 0.0, top))
    lower = np.floor(safe).astype(np.int64)
    upper = np.minimum(lower + 1, top)
    weight = safe - np.floor(safe)
    low = np.where(lower < real_nans, np.nan, np.take_along_axis(ordered, lower[None], axis=0)[0])
    high = np.where(upper < real_nans, np.nan, np.take_along_axis(ordered, upper[None], axis=0)[0])
    found = low * (1 - weight) + high * weight
    found = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, found))
    return np.where(np.isnan(q) | (counts == 0), np.nan, found)


def median_deviation(windows: Windows) -> Kernel:
    """mad_over_time: the median of distances from the median; any NaN makes it NaN."""
    samples, counts = stack(windows)
    half = np.array(0.5)
    beyond = np.arange(samples.shape[0])[:, None, None] >= counts
    spoiled = (np.isnan(samples) & ~beyond).any(axis=0)
    median = quantile_of(samples, counts, half)
    found = quantile_of(np.abs(samples - median), counts, half)
    return np.where(spoiled, np.nan, found), _present(windows)


def regression(windows: Windows, intercept_at: Ints | None) -> tuple[Floats, Floats, Bools | None]:
    """(slope per second, intercept, presence) of least squares; times count from `intercept_at`, or from the first
    sample.
    """
    counts = windows.counts
    first_values = windows.first_values() if windows.parts else _zeros(windows)
    origin = windows.first_times() if intercept_at is None and windows.parts else None
    origin = intercept_at[:, None] if origin is None and intercept_at is not None else origin
    zero = _zeros(windows)
    constant = np.ones(zero.shape, dtype=np.bool_)
    pairs = dict.fromkeys(("x", "y", "xy", "xx"), (zero, zero))
    for k, values, here in _samples(windows):
        assert origin is not None
        x = windows.full((windows.times_at(k) - origin) / 1000.0)
        same = values == first_values
        constant = constant & (same if here is None else same | ~here)
        for name, term in (("x", x), ("y", values), ("xy", x * values), ("xx", x * x)):
            masked = term if here is None else np.where(here, term, 0.0)
            pairs[name] = kahan.add(*pairs[name], masked)
    total = {name: total + error for name, (total, error) in pairs.items()}
    n = np.maximum(counts, 1)
    covariance = total["xy"] - total["x"] * total["y"] / n
    spread = total["xx"] - total["x"] * total["x"] / n
    slope = covariance / spread
    intercept = total["y"] / n - slope * total["x"] / n
    # A constant series has slope 0 exactly, infinite values have none.
    infinite = np.isinf(first_values)
    slope = np.where(constant, np.where(infinite, np.nan, 0.0), slope)
    intercept = np.where(constant, np.where(infinite, np.nan, first_values), intercept)
    return slope, intercept, _present(windows, 2)


def derivative(windows: Windows) -> Kernel:
    slope, _, here = regression(windows, None)
    return slope, here


def predict(windows: Windows, evaluated_at: Ints, seconds: Floats) -> Kernel:
    slope, intercept, here = regression(windows, evaluated_at)
    return slope * seconds[:, None] + intercept, here


def smooth(windows: Windows, smoothing: Floats, trend: Floats) -> Kernel:
    """double_exponential_smoothing (Holt's linear method)."""
    sf, tf = smoothing[:, None], trend[:, None]
    level = windows.first_values() if windows.parts else _zeros(windows)
    previous = _zeros(windows)
    slope = (windows.values_at(1) - level) if windows.longest > 1 else _zeros(windows)
    for k, values, here in _samples(windows):
        if k == 0:
            continue
        new_slope = slope if k == 1 else tf * (level - previous) + (1 - tf) * slope
        new_level = sf * values + (1 - sf) * (level + new_slope)
        if here is None:
            previous, level, slope = level, new_level, new_slope
        else:
            previous = np.where(here, level, previous)
            level, slope = np.where(here, new_level, level), np.where(here, new_slope, slope)
    return level, _present(windows, 2)
