"""Compensated sums (Neumaier's variant, as util/kahansum of Prometheus has it), element-wise over arrays."""

from __future__ import annotations

import numpy as np

from pilothouse.engines.promql.grid import Floats


def add(total: Floats, error: Floats, value: Floats) -> tuple[Floats, Floats]:
    """(total, error) after adding the value; the sum is total + error unless total is infinite."""
    found = total + value
    lost = np.where(np.abs(total) >= np.abs(value), (total - found) + value, (value - found) + total)
    return found, np.where(np.isinf(found), 0.0, error + lost)


def close(total: Floats, error: Floats) -> Floats:
    """The compensated sum."""
    return np.where(np.isinf(total), total, total + error)


def group_sums(values: Floats, starts: np.ndarray[tuple[int], np.dtype[np.int64]], width: int) -> Floats:
    """Sum of each run of columns [starts[i], starts[i+1]); values [step, series] are sorted by group.

    A plain sum, and compensated only in the cells where terms cancel: elsewhere the two differ in the last digit at
    most.
    """
    sums = np.add.reduceat(values, starts, axis=1)
    if width == 1 or values.size == 0:
        return sums
    if values.min() >= 0:
        return sums
    sizes = np.add.reduceat(np.abs(values), starts, axis=1)
    doubtful = (sizes > 2 * np.abs(sums)) & np.isfinite(sizes)
    if not doubtful.any():
        return sums
    return _compensate(values, starts, sums, doubtful)


def _compensate(
    values: Floats, starts: np.ndarray[tuple[int], np.dtype[np.int64]], sums: Floats, doubtful: object
) -> Floats:
    ends = np.append(starts[1:], values.shape[1])
    for group in np.flatnonzero(np.asarray(doubtful).any(axis=0)).tolist():
        rows = np.flatnonzero(np.asarray(doubtful)[:, group])
        total = np.zeros(len(rows), dtype=np.float64)
        error = np.zeros(len(rows), dtype=np.float64)
        for column in range(int(starts[group]), int(ends[group])):
            total, error = add(total, error, values[rows, column])
        sums[rows, group] = close(total, error)
    return sums
