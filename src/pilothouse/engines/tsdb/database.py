"""The in-memory database: frames, loose series, the label index, retention and limits.

Owns series numbers and the selection cache. Signals and alerting write through it, the query engine reads
selections from it. It never reads a clock: times come with the samples, and retention is told what is too old.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from pilothouse.base.errors import LimitExceeded
from pilothouse.engines.tsdb.frame import Frame, Outcome
from pilothouse.engines.tsdb.index import LabelIndex
from pilothouse.engines.tsdb.labels import METRIC_NAME, Interner, Labels
from pilothouse.engines.tsdb.limits import Limits
from pilothouse.engines.tsdb.loose import LooseSeries
from pilothouse.engines.tsdb.matchers import EQUAL, Matcher
from pilothouse.engines.tsdb.selection import FramePart, OddSeries, Selection, as_columns

_LOOSE = -1
_SELECTIONS_KEPT = 4_096
"""Distinct selectors remembered; a rule set of a few thousand expressions fits, a stream of ad-hoc queries cannot
pile up.
"""


class Database:
    """Series by labels. Writes refuse what is out of order; reads go through `select`."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._index = LabelIndex()
        self._interner = Interner()
        self._numbers: dict[Labels, int] = {}
        self._labels: list[Labels | None] = []
        self._homes: array[int] = array("i")
        self._also: dict[int, list[int]] = {}
        self._frames: list[Frame | None] = []
        self._loose: dict[int, LooseSeries] = {}
        self._selections: dict[tuple[Matcher, ...], tuple[int, Selection]] = {}

    @property
    def generation(self) -> int:
        """Changes only when a series appears, moves or vanishes."""
        return self._index.generation

    @property
    def series_count(self) -> int:
        return len(self._numbers)

    def frame(self, name: str) -> Frame:
        """A new, empty frame; the name is for messages only."""
        frame = Frame(self, len(self._frames), name)
        self._frames.append(frame)
        return frame

    def append(
        self, labels: Labels, time_ms: int, value: float, *, histogram: Any = None, start_ms: int = 0
    ) -> Outcome:
        """One sample of a loose series, a native histogram instead of the value when given; typed refusals as rows
        have.

        `start_ms` is the sample's start timestamp (OpenMetrics _created), 0 when unknown.
        """
        number = self._numbers.get(labels)
        series = None if number is None else self._loose.get(number)
        if series is None:
            number, _ = self.register(labels, _LOOSE)
            series = self._loose[number] = LooseSeries(number)
        return series.append(time_ms, value, histogram, start_ms)

    def register(self, labels: Labels, home: int) -> tuple[int, bool]:
        """(number, was it known) of the series, placed in a frame (or among the loose); LimitExceeded names the
        limit.
        """
        number = self._numbers.get(labels)
        if number is None:
            self._check_limits(labels)
            labels = self._interner.intern(labels)
            number = len(self._labels)
            self._numbers[labels] = number
            self._labels.append(labels)
            self._homes.append(home)
            self._index.add(number, labels)
            return number, False
        if self._homes[number] != home:
            places = self._also.setdefault(number, [])
            if home not in places:
                places.append(home)
        self._index.touch(labels)
        return number, True

    def labels_of(self, number: int) -> Labels:
        labels = self._labels[number]
        assert labels is not None, f"series {number} is gone"
        return labels

    def generation_of(self, matchers: Sequence[Matcher]) -> int:
        """The generation that matters to these matchers: that of their metric name when they pin one."""
        return self._index.generation_of(_pinned_name(matchers))

    def select(self, matchers: tuple[Matcher, ...]) -> Selection:
        """The series that pass all matchers; the same object again until the series set changes."""
        generation = self.generation_of(matchers)
        known = self._selections.get(matchers)
        if known is not None and known[0] == generation:
            return known[1]
        selection = self._arrange(matchers)
        if len(self._selections) >= _SELECTIONS_KEPT:
            self._selections.clear()
        self._selections[matchers] = (generation, selection)
        return selection

    def label_names(self) -> list[str]:
        return self._index.label_names()

    def label_values(self, name: str) -> list[str]:
        return self._index.label_values(name)

    def cardinality(self) -> list[tuple[str, int]]:
        """(metric name, series), most series first."""
        return self._index.cardinality()

    def drop_before(self, time_ms: int) -> None:
        """Retention: forget samples older than the time by whole chunks, and series that have nothing left."""
        held: set[int] = set()
        for place, frame in enumerate(self._frames):
            if frame is None:
                continue
            frame.drop_before(time_ms)
            kept = frame.series_numbers()
            if not kept and not frame.rows and place < len(self._frames) - 1:
                self._frames[place] = None
            held |= kept
        for number in [n for n, series in self._loose.items() if not _keeps(series, time_ms)]:
            del self._loose[number]
        held.update(self._loose)
        gone = [labels for labels, number in self._numbers.items() if number not in held]
        if gone:
            self._forget(gone)

    def _forget(self, gone: list[Labels]) -> None:
        for labels in gone:
            number = self._numbers.pop(labels)
            self._labels[number] = None
            self._also.pop(number, None)
        self._index.rebuild(((n, labels) for labels, n in self._numbers.items()), gone)
        self._interner.keep_only(self._numbers)

    def _check_limits(self, labels: Labels) -> None:
        limits = self.limits
        if len(self._numbers) >= limits.series:
            raise LimitExceeded(
                f"limit series={limits.series} reached: no further series is stored (raise Limits.series)"
            )
        if len(labels) > limits.labels_per_series:
            raise LimitExceeded(
                f"limit labels_per_series={limits.labels_per_series}: a series has {len(labels)} labels"
                " (raise Limits.labels_per_series)"
            )
        for name, value in labels:
            if len(value) > limits.label_value_bytes:
                raise LimitExceeded(
                    f"limit label_value_bytes={limits.label_value_bytes}: label {name!r} has {len(value)} characters"
                    " (raise Limits.label_value_bytes)"
                )

    def _arrange(self, matchers: tuple[Matcher, ...]) -> Selection:
        numbers = self._index.select(matchers)
        labels = [self.labels_of(number) for number in numbers.tolist()]
        homes = np.array(self._homes, dtype=np.int64)[numbers] if len(numbers) else numbers
        odd_mask = homes == _LOOSE
        if self._also:
            odd_mask |= np.isin(numbers, np.fromiter(self._also, dtype=np.int64, count=len(self._also)))
        parts = []
        for home in np.unique(homes[~odd_mask]).tolist():
            frame = self._frames[home]
            assert frame is not None
            positions = np.flatnonzero((homes == home) & ~odd_mask)
            parts.append(FramePart(frame, numbers[positions], as_columns(positions)))
        odd = [self._odd(int(position), int(numbers[position])) for position in np.flatnonzero(odd_mask)]
        return Selection(numbers, labels, parts, odd)

    def _odd(self, position: int, number: int) -> OddSeries:
        homes = [self._homes[number], *self._also.get(number, ())]
        frames = [self._frames[home] for home in homes if home != _LOOSE]
        return OddSeries(position, number, self._loose.get(number), [frame for frame in frames if frame is not None])


def _keeps(series: LooseSeries, time_ms: int) -> bool:
    series.drop_before(time_ms)
    return len(series.times) > 0


def _pinned_name(matchers: Sequence[Matcher]) -> str | None:
    for matcher in matchers:
        if matcher.name == METRIC_NAME and matcher.op == EQUAL and matcher.value:
            return matcher.value
    return None
