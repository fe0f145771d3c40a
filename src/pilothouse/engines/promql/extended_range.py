"""`anchored` and `smoothed` ranges: values at the window's very borders instead of extrapolation (extendedRate
upstream).

anchored takes the newest sample at or before each border, smoothed interpolates between the samples around it. Both
look a lookback further than the range. Also reads `name smoothed` as an instant vector.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from pilothouse.engines.promql.histogram import GAUGE, UNKNOWN, FloatHistogram
from pilothouse.engines.promql.histogram_rate import HistogramPoint, Note
from pilothouse.engines.promql.sample_walk import Found, count_changes, count_resets
from pilothouse.engines.tsdb.loose import Sample

Point = tuple[int, float]
_KINDS = {"rate": (True, True), "increase": (True, False), "delta": (False, False)}


def extended_window(
    name: str, samples: list[Sample], start: int, end: int, range_s: float, note: Note, *, smoothed: bool
) -> Found:
    """The function over samples that reach a lookback beyond the window (start, end]."""
    if not samples:
        return None
    if name in ("resets", "changes"):
        kept = _from_anchor(samples, start)
        if kept is None:
            return None
        return float((count_resets if name == "resets" else count_changes)(kept)), None
    floats: list[Point] = [(t, v) for t, v, h, _ in samples if h is None]
    histograms: list[HistogramPoint] = [(t, h, st) for t, _, h, st in samples if h is not None]
    counter, per_second = _KINDS[name]
    if floats and histograms:
        note.mixed_types()
        return None
    if floats:
        value = _float_rate(floats, start, end, smoothed, counter)
        return None if value is None else (value / range_s if per_second else value, None)
    found = _histogram_rate(histograms, start, end, smoothed, counter, note)
    if found is None:
        return None
    found = found.divided(range_s) if per_second else found
    return 0.0, found.with_hint(GAUGE).compacted()


def _from_anchor(samples: list[Sample], start: int) -> list[Sample] | None:
    """The samples after the start with the newest one at or before it; None when nothing lies after the start."""
    times = [sample[0] for sample in samples]
    first = bisect_right(times, start)
    return None if first == len(samples) else samples[max(first - 1, 0) :]


def _borders(times: Sequence[int], start: int, end: int, smoothed: bool) -> tuple[int, int] | None:
    """Index of the samples that stand for the two borders; None when the window says nothing."""
    top = len(times) - 1
    first = max(0, bisect_right(times, start, 0, top) - 1)
    last = bisect_left(times, end, 0, top) if smoothed else top
    if times[last] <= start or (smoothed and times[first] > end):
        return None
    return first, last


def _float_rate(points: list[Point], start: int, end: int, smoothed: bool, counter: bool) -> float | None:
    found = _borders([t for t, _ in points], start, end, smoothed)
    if found is None:
        return None
    first, last = found
    left, right = points[first][1], points[last][1]
    if smoothed and points[first][0] < start:
        left = interpolated(points[first], points[first + 1], start, counter)
    if smoothed and last > 0 and points[last][0] > end:
        right = interpolated(points[last - 1], points[last], end, counter)
    value = right - left
    if counter:
        first += points[first][0] <= start
        last -= points[last][0] >= end
        before = left
        for _, now in [*points[first : last + 1], (end, right)]:
            if now < before:
                value += before
            before = now
    return value


def interpolated(before: Point, after: Point, at: int, counter: bool) -> float:
    """The value between two samples; a counter that fell between them began at zero."""
    low, high = before[1], after[1]
    if counter and high < low:
        low = 0.0
    return low + (high - low) * (at - before[0]) / (after[0] - before[0])


def _histogram_rate(
    points: list[HistogramPoint], start: int, end: int, smoothed: bool, counter: bool, note: Note
) -> FloatHistogram | None:
    found = _borders([t for t, _, _ in points], start, end, smoothed)
    if found is None:
        return None
    first, last = found
    for _, histogram, _ in points[first : last + 1]:
        if histogram.custom != points[first][1].custom:
            note.mixed_schemas()
            return None
        if counter and histogram.hint == GAUGE:
            note.not_counter()
    left: FloatHistogram | None = points[first][1]
    right: FloatHistogram | None = points[last][1]
    if smoothed and points[first][0] < start:
        left = interpolated_histogram(points[first], points[first + 1], start, counter, note)
    if smoothed and last > 0 and points[last][0] > end:
        right = interpolated_histogram(points[last - 1], points[last], end, counter, note)
    if left is None or right is None:
        return None
    if not counter and (left.hint != GAUGE or right.hint != GAUGE):
        note.not_gauge()
    difference = note.subtract(right, left)
    if difference is None or not counter:
        return difference
    return _corrected(difference, points, first, last, (left, right), start if smoothed else None, note)


def _corrected(
    difference: FloatHistogram,
    points: list[HistogramPoint],
    first: int,
    last: int,
    borders: tuple[FloatHistogram, FloatHistogram],
    start: int | None,
    note: Note,
) -> FloatHistogram | None:
    """What resets between the borders took away, added back (correctForCounterResetsHistogram)."""
    before, right = borders
    inner = first + 1
    if start is not None and points[first][0] < start and points[inner][1].is_reset_from(points[first][1]):
        # The interpolated left border already accounts for this reset.
        before = points[inner][1]
        inner += 1
    if inner > last:
        return difference
    found: FloatHistogram | None = difference
    for now in [*(h for _, h, _ in points[inner:last]), right]:
        if now.is_reset_from(before):
            assert found is not None
            found = note.add(found, before)
            if found is None:
                return None
        before = now
    return found


def interpolated_histogram(
    before: HistogramPoint, after: HistogramPoint, at: int, counter: bool, note: Note
) -> FloatHistogram | None:
    """The histogram between two samples; after a reset the later one counts from zero."""
    if at == before[0]:
        return before[1]
    if at == after[0]:
        return after[1]
    share = (at - before[0]) / (after[0] - before[0])
    if counter and after[1].is_reset_from(before[1]):
        return after[1].scaled(share)
    difference = note.subtract(after[1], before[1])
    return None if difference is None else note.add(difference.scaled(share), before[1])


def smoothed_value(samples: list[Sample], at: int, note: Note) -> Found:
    """The value at one time: the sample itself, between the two around it, or the last one known."""
    if not samples:
        return None
    kinds = {sample[2] is None for sample in samples}
    if len(kinds) > 1:
        note.mixed_types()
        return None
    place = bisect_left([sample[0] for sample in samples], at)
    if place < len(samples) and samples[place][0] == at:
        return samples[place][1], samples[place][2]
    if place == 0:
        return None
    before = samples[place - 1]
    if place == len(samples):
        return before[1], None if before[2] is None else before[2].with_hint(UNKNOWN)
    after = samples[place]
    if before[2] is None:
        return interpolated((before[0], before[1]), (after[0], after[1]), at, False), None
    if before[2].custom != after[2].custom:
        note.mixed_schemas()
        return None
    counter = before[2].hint != GAUGE or after[2].hint != GAUGE
    found = interpolated_histogram((before[0], before[2], 0), (after[0], after[2], 0), at, counter, note)
    return None if found is None else (0.0, found)
