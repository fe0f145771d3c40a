"""Differences of native histograms over a window, and the notes that go with them (histogramRate of
promql/functions.go).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from pilothouse.engines.promql.errors import Annotations
from pilothouse.engines.promql.histogram import GAUGE, FloatHistogram, IncompatibleSchema

HistogramPoint = tuple[int, FloatHistogram, int]
"""(time ms, histogram, start timestamp ms or 0)."""


@dataclass(slots=True)
class Note:
    """Writes the annotations of one series: its metric name and the place of the range selector."""

    notes: Annotations
    metric: str
    place: int

    def mixed_types(self) -> None:
        text = f'encountered a mix of histograms and floats for metric name "{self.metric}"'
        self.notes.warn(text, self.place)

    def mixed_schemas(self) -> None:
        text = "vector contains a mix of histograms with exponential and custom buckets schemas for metric name"
        self.notes.warn(f'{text} "{self.metric}"', self.place)

    def not_counter(self) -> None:
        self.notes.warn(f'this native histogram metric is not a counter: "{self.metric}"', self.place)

    def not_gauge(self) -> None:
        self.notes.warn(f'this native histogram metric is not a gauge: "{self.metric}"', self.place)

    def start_overlap(self) -> None:
        text = f'sample has start time that overlaps with previous sample timestamp for metric "{self.metric}"'
        self.notes.warn(text, self.place)

    def ignored(self) -> None:
        text = "ignored histograms in a range containing both floats and histograms for metric name"
        self.notes.info(f'{text} "{self.metric}"', self.place)

    def add(self, left: FloatHistogram, right: FloatHistogram) -> FloatHistogram | None:
        """The sum, with a note when bounds were reconciled; None (and a note) when the two do not fit."""
        return self._combine(left, right, "addition")

    def subtract(self, left: FloatHistogram, right: FloatHistogram) -> FloatHistogram | None:
        return self._combine(left, right, "subtraction")

    def _combine(self, left: FloatHistogram, right: FloatHistogram, word: str) -> FloatHistogram | None:
        try:
            found, _, reconciled = left.plus(right) if word == "addition" else left.minus(right)
        except IncompatibleSchema:
            self.mixed_schemas()
            return None
        if reconciled:
            self.notes.info(f"mismatched custom buckets were reconciled during {word}", self.place)
        return found


def histogram_rate(
    points: list[HistogramPoint], note: Note, *, counter: bool, starts_anew: Callable[[int, int, int, int], bool]
) -> FloatHistogram | None:
    """Last minus first of at least two histograms, what resets took away added back; None when they do not fit."""
    first, last = points[0][1], points[-1][1]
    if counter and GAUGE in (first.hint, last.hint):
        note.not_counter()
    if counter:
        (before, _, before_start), (now, second, start) = points[0], points[1]
        if starts_anew(before_start, before, start, now) or second.is_reset_from(first):
            # What was before the reset does not matter, not even its layout.
            first = FloatHistogram(schema=second.schema, bounds=second.bounds)
    if last.custom != first.custom:
        note.mixed_schemas()
        return None
    schema = min(last.schema, first.schema)
    for _, histogram, _ in points[1:-1] if counter else ():
        if histogram.hint == GAUGE:
            note.not_counter()
        schema = min(schema, histogram.schema)
        if histogram.custom != first.custom:
            note.mixed_schemas()
            return None
    found = note.subtract(last.at_schema(schema), first)
    if found is None:
        return None
    if counter:
        previous = first
        for (before, _, before_start), (now, histogram, start) in itertools.pairwise(points):
            if starts_anew(before_start, before, start, now) or histogram.is_reset_from(previous):
                found = note.add(found, previous)
                if found is None:
                    return None
            previous = histogram
    elif points[0][1].hint != GAUGE or last.hint != GAUGE:
        note.not_gauge()
    return found.with_hint(GAUGE).compacted()


def instant_histogram(
    before: FloatHistogram, now: FloatHistogram, note: Note, *, counter: bool, anew: bool
) -> FloatHistogram | None:
    """The difference of two histograms for irate and idelta; after a reset the newer one as it is."""
    if counter and GAUGE in (before.hint, now.hint):
        note.not_counter()
    if not counter and (before.hint != GAUGE or now.hint != GAUGE):
        note.not_gauge()
    found: FloatHistogram | None = now
    if not counter or (not anew and not now.is_reset_from(before)):
        found = note.subtract(now, before)
    return None if found is None else found.with_hint(GAUGE).compacted()
