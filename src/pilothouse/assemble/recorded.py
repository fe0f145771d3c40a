"""Recorded series, wherever they come from, on their way into a database: columns of times and values per label set.

`recorded_files` and `recorded_url` fill a `Recorded`; `fill` puts it into a database, series that share their times
into one frame. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from pilothouse.engines.tsdb import METRIC_NAME, Database, Labels, label_value

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Recorded:
    """Samples as they are read, in any order; a sample given twice is kept once (the later one wins)."""

    def __init__(self) -> None:
        self._parts: dict[Labels, list[tuple[Ints, Floats]]] = {}
        self.without_time = 0
        """Samples that were left out because they carry no time."""

    def add(self, labels: Labels, times_ms: Sequence[int] | Ints, values: Sequence[float] | Floats) -> None:
        """Samples of one series, times in Unix ms."""
        part = (np.asarray(times_ms, dtype=np.int64), np.asarray(values, dtype=np.float64))
        self._parts.setdefault(labels, []).append(part)

    def take(self, other: Recorded, shift_ms: int) -> None:
        """All of another recording, moved in time."""
        for labels, parts in other._parts.items():
            for times, values in parts:
                self.add(labels, times + shift_ms, values)

    @property
    def series(self) -> int:
        return len(self._parts)

    @property
    def samples(self) -> int:
        return sum(len(times) for parts in self._parts.values() for times, _values in parts)

    @property
    def names(self) -> frozenset[str]:
        """The metric names there are."""
        return frozenset(label_value(labels, METRIC_NAME) for labels in self._parts)

    def span_ms(self) -> tuple[int, int] | None:
        """(first, last) time of any sample; None when there is none."""
        edges = [(int(t.min()), int(t.max())) for parts in self._parts.values() for t, _v in parts if len(t)]
        return (min(a for a, _b in edges), max(b for _a, b in edges)) if edges else None

    def widest_step_ms(self) -> int:
        """The usual distance of samples (median) in the most widely spaced series; 0 when no series has two."""
        columns = [_column(parts)[0] for parts in self._parts.values()]
        return max((int(np.median(np.diff(times))) for times in columns if len(times) > 1), default=0)

    def fill(self, database: Database, without: Collection[str] = ()) -> None:
        """Stores everything but the metrics named in `without`: what the rules under test record themselves."""
        frames: dict[bytes, tuple[Ints, list[Labels], list[Floats]]] = {}
        for labels, parts in self._parts.items():
            if label_value(labels, METRIC_NAME) in without:
                continue
            times, values = _column(parts)
            _times, same, columns = frames.setdefault(times.tobytes(), (times, [], []))
            same.append(labels)
            columns.append(values)
        for times, same, columns in frames.values():
            frame = database.frame("recorded")
            for labels in same:
                frame.add(labels)
            frame.extend(times, np.stack(columns, axis=1))


def _column(parts: list[tuple[Ints, Floats]]) -> tuple[Ints, Floats]:
    """One series in order of time, each time once."""
    times = np.concatenate([t for t, _v in parts]) if len(parts) > 1 else parts[0][0]
    values = np.concatenate([v for _t, v in parts]) if len(parts) > 1 else parts[0][1]
    if len(times) > 1 and not (times[1:] > times[:-1]).all():
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
        last = np.append(times[1:] != times[:-1], True)
        times, values = times[last], values[last]
    return times, values
