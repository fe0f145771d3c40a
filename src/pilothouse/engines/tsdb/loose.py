"""Loose series: samples that come one by one, at their own times.

Owns the per-series buffers for floats, native histograms and start timestamps. `Database.append` writes,
`selection` reads.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import Any

from pilothouse.engines.tsdb.frame import Outcome
from pilothouse.engines.tsdb.samples import is_stale_value

Sample = tuple[int, float, Any, int]
"""(time in ms, value, native histogram or None, start timestamp in ms or 0)."""


class LooseSeries:
    """Rising times with a float or a histogram each. `histograms` and `starts` exist only once they are needed."""

    __slots__ = ("histograms", "number", "starts", "times", "values")

    def __init__(self, number: int) -> None:
        self.number = number
        self.times: array[int] = array("q")
        self.values: array[float] = array("d")
        self.histograms: list[Any] | None = None
        self.starts: array[int] | None = None

    @property
    def plain(self) -> bool:
        """Floats only, no start timestamps: the fast paths apply."""
        return self.histograms is None and self.starts is None

    def append(self, time_ms: int, value: float, histogram: Any, start_ms: int) -> Outcome:
        if self.times and time_ms <= self.times[-1]:
            return self._refusal(time_ms, value, histogram)
        if histogram is not None and self.histograms is None:
            self.histograms = [None] * len(self.times)
        if start_ms and self.starts is None:
            self.starts = array("q", [0]) * len(self.times)
        if self.histograms is not None:
            if histogram is not None:
                histogram = histogram.following(self.histograms[-1] if self.histograms else None)
            self.histograms.append(histogram)
        self.times.append(time_ms)
        self.values.append(value)
        if self.starts is not None:
            self.starts.append(start_ms)
        return Outcome.STORED

    def _refusal(self, time_ms: int, value: float, histogram: Any) -> Outcome:
        if time_ms < self.times[-1]:
            return Outcome.OUT_OF_ORDER
        old = self.values[-1]
        same = old == value or (old != old and value != value and is_stale_value(old) == is_stale_value(value))
        same_histogram = histogram is None if self.histograms is None else self.histograms[-1] == histogram
        return Outcome.REPEATED if same and same_histogram else Outcome.DUPLICATE_TIMESTAMP

    def span(self, after_ms: int, upto_ms: int) -> tuple[int, int]:
        """Index range of samples with after < time <= upto."""
        return bisect_right(self.times, after_ms), bisect_right(self.times, upto_ms)

    def samples(self, after_ms: int, upto_ms: int) -> list[Sample]:
        """The samples with after < time <= upto, staleness markers included."""
        first, last = self.span(after_ms, upto_ms)
        count = last - first
        histograms = [None] * count if self.histograms is None else self.histograms[first:last]
        starts = [0] * count if self.starts is None else self.starts[first:last].tolist()
        return list(zip(self.times[first:last].tolist(), self.values[first:last].tolist(), histograms, starts))

    def drop_before(self, time_ms: int) -> None:
        cut = bisect_left(self.times, time_ms)
        # Memory moves on a cut, so small ones wait.
        if cut < 64 and cut < len(self.times):
            return
        del self.times[:cut]
        del self.values[:cut]
        if self.histograms is not None:
            del self.histograms[:cut]
        if self.starts is not None:
            del self.starts[:cut]
