"""Range functions window by window, for what the columnar kernels do not cover: series with native histograms or
start timestamps, and ranges with `anchored` or `smoothed`.

Follows promql/functions.go of Prometheus 3 (extrapolatedRate, histogramRate, instantValue, extendedRate and their kin).
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from pilothouse.engines.promql import ast
from pilothouse.engines.promql.errors import Annotations
from pilothouse.engines.promql.histogram import FloatHistogram
from pilothouse.engines.promql.histogram_aggregate import add_up
from pilothouse.engines.promql.histogram_rate import HistogramPoint, Note, histogram_rate, instant_histogram
from pilothouse.engines.promql.run import Run
from pilothouse.engines.tsdb.labels import METRIC_NAME, Labels, label_value
from pilothouse.engines.tsdb.loose import Sample

Found = tuple[float, FloatHistogram | None] | None
"""The value of one window, nothing when there is none."""


@dataclass(slots=True)
class Window:
    """Samples of one series in (start, end], split by kind, with their start timestamps (0: unknown)."""

    samples: list[Sample]
    start: int
    end: int
    note: Note

    @property
    def floats(self) -> list[Sample]:
        return [sample for sample in self.samples if sample[2] is None]

    @property
    def histograms(self) -> list[HistogramPoint]:
        return [(t, h, st) for t, _, h, st in self.samples if h is not None]


class Walk:
    """One function call, asked series by series and window by window."""

    def __init__(self, expr: ast.Call, source: ast.Expr, range_ms: int, run: Run) -> None:
        self.name = expr.name
        self.range_s = range_ms / 1000.0
        self.run = run
        self.notes: Annotations = run.annotations
        self.place = source.span[0]

    def window(self, samples: list[Sample], times: list[int], labels: Labels, start: int, end: int) -> Found:
        """The function's value over the samples with start < time <= end."""
        first, last = bisect_right(times, start), bisect_right(times, end)
        if first == last:
            return None
        note = Note(self.notes, label_value(labels, METRIC_NAME), self.place)
        return _FUNCTIONS[self.name](self, Window(samples[first:last], start, end, note))

    def rate(self, window: Window) -> Found:
        return extrapolated(window, self.range_s, counter=True, per_second=True)

    def increase(self, window: Window) -> Found:
        return extrapolated(window, self.range_s, counter=True, per_second=False)

    def delta(self, window: Window) -> Found:
        return extrapolated(window, self.range_s, counter=False, per_second=False)

    def irate(self, window: Window) -> Found:
        return last_two(window, counter=True)

    def idelta(self, window: Window) -> Found:
        return last_two(window, counter=False)

    def count(self, window: Window) -> Found:
        return float(len(window.samples)), None

    def present(self, window: Window) -> Found:
        del window
        return 1.0, None

    def first(self, window: Window) -> Found:
        return window.samples[0][1], window.samples[0][2]

    def last(self, window: Window) -> Found:
        return window.samples[-1][1], window.samples[-1][2]

    def first_time(self, window: Window) -> Found:
        return window.samples[0][0] / 1000.0, None

    def last_time(self, window: Window) -> Found:
        return window.samples[-1][0] / 1000.0, None

    def resets(self, window: Window) -> Found:
        return float(count_resets(window.samples)), None

    def changes(self, window: Window) -> Found:
        return float(count_changes(window.samples)), None

    def total(self, window: Window) -> Found:
        return self._added(window, mean=False)

    def mean(self, window: Window) -> Found:
        return self._added(window, mean=True)

    def _added(self, window: Window, *, mean: bool) -> Found:
        floats, histograms = window.floats, window.histograms
        if floats and histograms:
            window.note.mixed_types()
            return None
        if histograms:
            names = [window.note.metric] * len(histograms)
            found = add_up(self.run, [h for _, h, _ in histograms], names, self.place, mean=mean)
            return None if found is None else (0.0, found)
        total = math.fsum(sample[1] for sample in floats)
        return (total / len(floats) if mean else total), None


_FUNCTIONS: dict[str, Callable[[Walk, Window], Found]] = {
    "rate": Walk.rate,
    "increase": Walk.increase,
    "delta": Walk.delta,
    "irate": Walk.irate,
    "idelta": Walk.idelta,
    "count_over_time": Walk.count,
    "present_over_time": Walk.present,
    "absent_over_time": Walk.present,
    "first_over_time": Walk.first,
    "last_over_time": Walk.last,
    "ts_of_first_over_time": Walk.first_time,
    "ts_of_last_over_time": Walk.last_time,
    "resets": Walk.resets,
    "changes": Walk.changes,
    "sum_over_time": Walk.total,
    "avg_over_time": Walk.mean,
}
WALKED = frozenset(_FUNCTIONS)
"""Functions that see histograms; all others take the floats of a window only."""


def starts_anew(before_start: int, before: int, start: int, now: int) -> bool:
    """Whether a start timestamp says that the counter began anew after the sample before (isStartTimestampReset)."""
    if start == 0 or start >= now or start < before:
        return False
    if start > before:
        return True
    # It points at the sample before: a delta series, or a cumulative one of unknown start.
    return before_start <= before and before_start not in (0, before)


def start_overlaps(before_start: int, before: int, start: int) -> bool:
    """Whether a sample claims to have started before the one in front of it was taken."""
    return start != 0 and start < before and start != before_start


def extrapolated(window: Window, range_s: float, *, counter: bool, per_second: bool) -> Found:
    """rate, increase or delta of floats or histograms, start timestamps taken into account."""
    floats, histograms = window.floats, window.histograms
    if floats and histograms:
        window.note.mixed_types()
        return None
    value, histogram = 0.0, None
    points = [(t, st) for t, _, _, st in floats] or [(t, st) for t, _, st in histograms]
    known_starts = counter and any(st for _, st in points)
    if histograms:
        if len(histograms) > 1:
            histogram = histogram_rate(histograms, window.note, counter=counter, starts_anew=starts_anew)
            if histogram is None:
                return None
    else:
        value = _float_difference(floats, window.note, counter)
    if known_starts:
        _note_overlap(points, window.note)
    first_start = points[0][1] if known_starts else 0
    stretch = _stretch(window, points, first_start)
    if stretch is None:
        return None
    sampled, to_start, to_end, from_zero = stretch
    if from_zero:
        if floats:
            value += floats[0][1]
        else:
            first = histograms[0][1]
            histogram = first if histogram is None else window.note.add(histogram, first)
            if histogram is None:
                return None
    elif counter:
        to_start = min(to_start, _to_zero(sampled, to_start, floats, histograms, value, histogram))
    factor = (sampled + to_start + to_end) / sampled if sampled else 1.0
    if per_second:
        factor /= range_s
    return (value * factor, None) if histogram is None else (0.0, histogram.scaled(factor))


def _float_difference(floats: list[Sample], note: Note, counter: bool) -> float:
    del note
    value = floats[-1][1] - floats[0][1]
    if counter:
        for before, now in itertools.pairwise(floats):
            if now[1] < before[1] or starts_anew(before[3], before[0], now[3], now[0]):
                value += before[1]
    return value


def _note_overlap(points: list[tuple[int, int]], note: Note) -> None:
    for (before, before_start), (_, start) in itertools.pairwise(points):
        if start_overlaps(before_start, before, start):
            note.start_overlap()
            return


def _stretch(
    window: Window, points: list[tuple[int, int]], first_start: int
) -> tuple[float, float, float, bool] | None:
    """(seconds sampled, seconds to the window's start and end, did a start timestamp give the zero); None: too few."""
    first, last, gaps = points[0][0], points[-1][0], len(points) - 1
    sampled = (last - first) / 1000.0
    average = sampled / gaps if gaps else 0.0
    threshold = average * 1.1
    to_end = (window.end - last) / 1000.0
    to_end = average / 2 if to_end >= threshold else to_end
    if first_start and window.start < first_start < first:
        return (last - first_start) / 1000.0, 0.0, to_end, True
    if gaps == 0:
        return None
    to_start = (first - window.start) / 1000.0
    return sampled, average / 2 if to_start >= threshold else to_start, to_end, False


def _to_zero(
    sampled: float,
    otherwise: float,
    floats: list[Sample],
    histograms: list[HistogramPoint],
    value: float,
    histogram: FloatHistogram | None,
) -> float:
    """Seconds before the first sample at which the counter would have been zero."""
    if value > 0 and floats and floats[0][1] >= 0:
        return sampled * (floats[0][1] / value)
    if histogram is not None and histogram.count > 0 and histograms and histograms[0][1].count >= 0:
        return sampled * (histograms[0][1].count / histogram.count)
    return otherwise


def last_two(window: Window, *, counter: bool) -> Found:
    """irate or idelta."""
    if len(window.samples) < 2:
        return None
    before, now = window.samples[-2:]
    seconds = (now[0] - before[0]) / 1000.0
    if seconds == 0:
        return None
    anew = starts_anew(before[3], before[0], now[3], now[0])
    if (before[2] is None) != (now[2] is None):
        window.note.mixed_types()
        return None
    if now[2] is None:
        fell = counter and (now[1] < before[1] or anew)
        value = now[1] if fell else now[1] - before[1]
        return (value / seconds if counter else value), None
    found = instant_histogram(before[2], now[2], window.note, counter=counter, anew=anew)
    if found is None:
        return None
    return 0.0, found.divided(seconds) if counter else found


def count_resets(samples: list[Sample]) -> int:
    """Falls of the value, resets of histograms, and changes from one kind to the other."""
    total = 0
    for before, now in itertools.pairwise(samples):
        if (before[2] is None) != (now[2] is None) or starts_anew(before[3], before[0], now[3], now[0]):
            total += 1
        elif now[2] is None:
            total += now[1] < before[1]
        else:
            total += now[2].is_reset_from(before[2])
    return total


def count_changes(samples: list[Sample]) -> int:
    """How often a sample differs from the one before."""
    total = 0
    for before, now in itertools.pairwise(samples):
        if (before[2] is None) != (now[2] is None):
            total += 1
        elif now[2] is None:
            total += now[1] != before[1] and not (math.isnan(now[1]) and math.isnan(before[1]))
        else:
            total += now[2] != before[2]
    return total
