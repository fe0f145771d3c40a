"""What a plan answers: Scalar, String, Vector, Matrix, RangeVector — plain data that callers keep, print or send.

Labels come without dropped names. Values of a Matrix are [series, step] with NaN where a series has no sample;
`present` tells a missing sample from a NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pilothouse.engines.promql.grid import Bools, Floats, Ints, Objects
from pilothouse.engines.tsdb.labels import Labels


@dataclass(slots=True)
class Result:
    """Common to all answers: the warnings and infos that arose."""

    warnings: list[str] = field(default_factory=list, kw_only=True)
    infos: list[str] = field(default_factory=list, kw_only=True)


@dataclass(slots=True)
class Scalar(Result):
    """One number at a time (ms)."""

    time_ms: int
    value: float


@dataclass(slots=True)
class String(Result):
    """A string literal."""

    time_ms: int
    value: str


@dataclass(slots=True)
class Vector(Result):
    """Samples at one time: labels[i] has values[i]; histograms[i] is a native histogram instead, or None."""

    time_ms: int
    labels: list[Labels]
    values: Floats
    histograms: list[Any] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[tuple[Labels, float]]:
        return zip(self.labels, self.values.tolist())

    def to_dict(self) -> dict[Labels, float]:
        """{labels: value}."""
        return dict(self)


@dataclass(slots=True)
class Matrix(Result):
    """Series over steps: values[i, s] at times_ms[s], sorted by labels."""

    times_ms: Ints
    labels: list[Labels]
    values: Floats
    present: Bools
    histograms: Objects | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def series(self, index: int) -> list[tuple[int, float]]:
        """(time in ms, value) of one series where it has a sample."""
        here = self.present[index]
        return list(zip(self.times_ms[here].tolist(), self.values[index][here].tolist()))

    def at(self, step: int) -> Vector:
        """The samples of one step."""
        rows = np.flatnonzero(self.present[:, step]).tolist()
        histograms = None if self.histograms is None else [self.histograms[row, step] for row in rows]
        values = self.values[rows, step]
        return Vector(int(self.times_ms[step]), [self.labels[row] for row in rows], values, histograms)


@dataclass(slots=True)
class RangeVector(Result):
    """The answer to an instant query for `name[5m]`: each series with its own samples (time ms, value, histogram or
    None).
    """

    time_ms: int
    labels: list[Labels]
    samples: list[list[tuple[int, float, Any]]]

    def __len__(self) -> int:
        return len(self.labels)


Answer = Scalar | String | Vector | Matrix | RangeVector
