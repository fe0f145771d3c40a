"""Compensated sums and means of native histograms: the total with the rounding errors kept beside it (KahanAdd
upstream).
"""

from __future__ import annotations

import math
from dataclasses import replace

from pilothouse.engines.promql.histogram import Buckets, FloatHistogram, IncompatibleSchema, align, joint_hint


class HistogramSum:
    """Adds histograms one by one. A mean changes to running calculation when the sum would overflow."""

    def __init__(self, first: FloatHistogram) -> None:
        self._total = first
        self._error = _empty_like(first)
        self._count = 1
        self._running = False

    def add(self, other: FloatHistogram) -> bool:
        """Add one more; tells whether custom bounds were reconciled. IncompatibleSchema leaves the sum as it was."""
        self._count += 1
        self._total, self._error, reconciled = _add(self._total, self._error, other)
        return reconciled

    def add_to_mean(self, other: FloatHistogram) -> bool:
        """As `add`, for a mean."""
        self._count += 1
        n = float(self._count)
        if not self._running:
            total, error, reconciled = _add(self._total, self._error, other)
            if not total.overflows():
                self._total, self._error = total, error
                return reconciled
            self._running = True
            self._total, self._error = self._total.divided(n - 1), self._error.divided(n - 1)
        share = (n - 1) / n
        self._total, self._error, reconciled = _add(
            self._total.scaled(share), self._error.scaled(share), other.divided(n)
        )
        return reconciled

    def sum(self) -> FloatHistogram:
        return _closed(self._total, self._error)

    def mean(self) -> FloatHistogram:
        if self._running:
            return _closed(self._total, self._error)
        n = float(self._count)
        return _closed(self._total.divided(n), self._error.divided(n))


def _empty_like(histogram: FloatHistogram) -> FloatHistogram:
    return replace(histogram, count=0.0, sum=0.0, zero_count=0.0, positive={}, negative={})


def _inc(total: float, error: float, value: float) -> tuple[float, float]:
    found = total + value
    if math.isinf(found):
        return found, 0.0
    if abs(total) >= abs(value):
        return found, error + ((total - found) + value)
    return found, error + ((value - found) + total)


def _add(
    total: FloatHistogram, error: FloatHistogram, other: FloatHistogram
) -> tuple[FloatHistogram, FloatHistogram, bool]:
    if total.custom != other.custom:
        raise IncompatibleSchema
    hint, _ = joint_hint(total.hint, other.hint)
    aligned, theirs, reconciled = align(total, other)
    # The errors follow the total's layout; what lies in its widened zero bucket moves with it.
    kept, _, _ = align(replace(error, zero_threshold=total.zero_threshold), other)
    kept = kept.with_threshold(aligned.zero_threshold).at_schema(aligned.schema)
    count, count_error = _inc(aligned.count, kept.count, theirs.count)
    summed, sum_error = _inc(aligned.sum, kept.sum, theirs.sum)
    zero, zero_error = _inc(aligned.zero_count, kept.zero_count, theirs.zero_count)
    positive, positive_error = _inc_buckets(aligned.positive, kept.positive, theirs.positive)
    negative, negative_error = _inc_buckets(aligned.negative, kept.negative, theirs.negative)
    found = replace(aligned, count=count, sum=summed, zero_count=zero, positive=positive, negative=negative, hint=hint)
    left = replace(
        kept,
        count=count_error,
        sum=sum_error,
        zero_count=zero_error,
        positive=positive_error,
        negative=negative_error,
    )
    return found, left, reconciled


def _inc_buckets(total: Buckets, error: Buckets, values: Buckets) -> tuple[Buckets, Buckets]:
    sums, errors = dict(total), dict(error)
    for index, value in values.items():
        sums[index], errors[index] = _inc(sums.get(index, 0.0), errors.get(index, 0.0), value)
    return sums, errors


def _closed(total: FloatHistogram, error: FloatHistogram) -> FloatHistogram:
    def close(value: float, lost: float) -> float:
        return value if math.isinf(value) else value + lost

    return replace(
        total,
        count=close(total.count, error.count),
        sum=close(total.sum, error.sum),
        zero_count=close(total.zero_count, error.zero_count),
        positive={i: close(v, error.positive.get(i, 0.0)) for i, v in total.positive.items()},
        negative={i: close(v, error.negative.get(i, 0.0)) for i, v in total.negative.items()},
    )
