"""The input series of a rule test, fed into a database as their time comes.

Floats share one frame (they are sampled together); series with native histograms go in one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pilothouse.engines.alerting.histograms import histogram_text
from pilothouse.engines.alerting.rule_file import text_of
from pilothouse.engines.alerting.rules import Labels
from pilothouse.engines.alerting.series_notation import NotationError, Value, parse_series, parse_values
from pilothouse.engines.promql.histogram import FloatHistogram
from pilothouse.engines.tsdb import ABSENT, Database, Frame


@dataclass(slots=True)
class InputSeries:
    """block: float64[steps, series], ABSENT where a series has no sample; loose: the series that hold histograms."""

    interval_ms: int
    start_ms: int
    labels: list[Labels]
    block: Any
    loose: dict[Labels, list[Value]]
    _loaded: int = 0
    _frame: Frame | None = field(default=None)

    @classmethod
    def read(cls, entries: Sequence[Any], interval_ms: int, start_ms: int) -> InputSeries:
        """Parses all series (a later one of the same labels wins); NotationError when one cannot be read."""
        series: dict[Labels, list[Value]] = {}
        for entry in entries:
            if not isinstance(entry, Mapping):
                raise NotationError("an input series must be a mapping with 'series' and 'values'")
            labels, values = parse_series(text_of(entry.get("series")), text_of(entry.get("values")))
            series[labels] = values
        loose = {k: v for k, v in series.items() if any(isinstance(x, FloatHistogram) for x in v)}
        floats = {k: v for k, v in series.items() if k not in loose}
        steps = max((len(v) for v in series.values()), default=0)
        block = np.full((steps, len(floats)), ABSENT)
        for column, values in enumerate(floats.values()):
            block[: len(values), column] = [ABSENT if v is None else v for v in values]
        return cls(interval_ms, start_ms, list(floats), block, loose)

    def load_until(self, database: Database, time_ms: int) -> None:
        """Stores all samples up to and including the time (Unix ms)."""
        due = min(len(self.block), (time_ms - self.start_ms) // self.interval_ms + 1)
        if due <= self._loaded:
            return
        times = [self.start_ms + i * self.interval_ms for i in range(self._loaded, due)]
        if self.labels:
            if self._frame is None:
                self._frame = database.frame("input series")
                for labels in self.labels:
                    self._frame.add(labels)
            self._frame.extend(times, self.block[self._loaded : due])
        for labels, values in self.loose.items():
            for index in range(self._loaded, min(due, len(values))):
                _append(database, labels, self.start_ms + index * self.interval_ms, values[index])
        self._loaded = due

    @staticmethod
    def histogram_text(text: str) -> str:
        """The canonical form of a histogram literal in an expectation."""
        values = list(parse_values(text))
        if len(values) != 1 or not isinstance(values[0], FloatHistogram):
            raise NotationError(f"expected 1 histogram, got {len(values)} values")
        return histogram_text(values[0])


def _append(database: Database, labels: Labels, time_ms: int, value: Value) -> None:
    if value is None:
        return
    if isinstance(value, FloatHistogram):
        database.append(labels, time_ms, value.sum, histogram=value)
    else:
        database.append(labels, time_ms, value)
