"""Grids: what an expression evaluates to, all steps and series at once.

Owns `Columns` (the series of a grid and whether their name is to be dropped), `Grid` (values by step and series) and
`Memo`, which keeps what was worked out from labels for as long as the same columns come in. That memo is why a
cached rule costs arithmetic only: a selection hands out the same `Columns` object until the set of series changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from pilothouse.engines.promql.errors import EvalError
from pilothouse.engines.tsdb.labels import METRIC_NAME, Labels

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]

METADATA = frozenset((METRIC_NAME, "__type__", "__unit__"))
"""What "dropping the name" takes away (schema.IsMetadataLabel upstream)."""

SAME_LABELSET = "vector cannot contain metrics with the same labelset"


class Columns:
    """The series of a grid. `drop` says per series whether the metric name goes at the end (delayed name removal)."""

    __slots__ = ("_dropped", "_final", "drop", "labels")

    def __init__(self, labels: Sequence[Labels], drop: Bools | None = None) -> None:
        self.labels = labels
        self.drop = np.zeros(len(labels), dtype=np.bool_) if drop is None else drop
        self._dropped: Columns | None = None
        self._final: tuple[list[Labels], Ints | None] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def dropping_names(self) -> Columns:
        """The same series with every name marked for removal."""
        if self._dropped is None:
            if self.drop.all():
                self._dropped = self
            else:
                self._dropped = Columns(self.labels, np.ones(len(self.labels), dtype=np.bool_))
        return self._dropped

    def final(self) -> tuple[list[Labels], Ints | None]:
        """(labels with marked names removed, where each column goes when some labels became equal — else None)."""
        if self._final is None:
            shown = [drop_metadata(labels) if gone else labels for labels, gone in zip(self.labels, self.drop.tolist())]
            self._final = _unique(shown)
        return self._final


def _unique(shown: list[Labels]) -> tuple[list[Labels], Ints | None]:
    places: dict[Labels, int] = {}
    target = [places.setdefault(labels, len(places)) for labels in shown]
    if len(places) == len(shown):
        return shown, None
    return list(places), np.array(target, dtype=np.int64)


def drop_metadata(labels: Labels) -> Labels:
    """Labels less name, type and unit."""
    return tuple([pair for pair in labels if pair[0] not in METADATA])


NO_COLUMNS = Columns([])
UNLABELLED = Columns([()])


@dataclass(slots=True)
class Grid:
    """values[step, series]; present is None when every cell holds a sample; histograms holds one or None per cell.

    Where a histogram is, the value beneath means nothing. Arrays are never written to after they were handed on.
    """

    columns: Columns
    values: Floats
    present: Bools | None = None
    histograms: Objects | None = None

    @property
    def steps(self) -> int:
        return int(self.values.shape[0])

    def presence(self) -> Bools:
        """Presence as an array."""
        return np.ones(self.values.shape, dtype=np.bool_) if self.present is None else self.present

    def float_presence(self) -> Bools | None:
        """Where floats are; None when all cells hold one."""
        if self.histograms is None:
            return self.present
        return self.presence() & ~self.histogram_mask()

    def histogram_mask(self) -> Bools:
        if self.histograms is None:
            return np.zeros(self.values.shape, dtype=np.bool_)
        return holding(self.histograms) & self.presence()

    def with_columns(self, columns: Columns) -> Grid:
        return Grid(columns, self.values, self.present, self.histograms)


@dataclass(slots=True)
class Text:
    """A string result."""

    value: str


Value = Grid | Floats | Text
"""A vector, a scalar (one float per step) or a string."""


def holding(cells: Objects) -> Bools:
    """Where an object array holds something but None."""
    nothing: Any = None
    found: Bools = np.not_equal(cells, nothing).astype(np.bool_)
    return found


def hits(present: Bools, target: Ints, width: int) -> Ints:
    """How many present columns go to each target, per step."""
    counts = np.zeros((present.shape[0], width), dtype=np.int64)
    where: Any = (slice(None), target)
    np.add.at(counts, where, present)
    return counts


def any_column(flags: Bools) -> Bools:
    """Per step: is any column set?"""
    found: Bools = np.asarray(flags.any(axis=1))
    return found


def any_step(flags: Bools) -> Bools:
    """Per column: is any step set?"""
    found: Bools = np.asarray(flags.any(axis=0))
    return found


def empty_grid(steps: int) -> Grid:
    return Grid(NO_COLUMNS, np.zeros((steps, 0), dtype=np.float64))


def merge_columns(labels: Sequence[Labels], target: Ints, grid: Grid, drop: Bools | None = None) -> Grid:
    """Columns that share a target become one; EvalError when two of them hold a sample at one step."""
    width, present = len(labels), grid.presence()
    counts = hits(present, target, width)
    if (counts > 1).any():
        raise EvalError(SAME_LABELSET)
    values = np.zeros((grid.steps, width), dtype=np.float64)
    histograms = None if grid.histograms is None else np.full((grid.steps, width), None, dtype=object)
    steps, series = np.nonzero(present)
    values[steps, target[series]] = grid.values[steps, series]
    if histograms is not None and grid.histograms is not None:
        histograms[steps, target[series]] = grid.histograms[steps, series]
    return Grid(Columns(labels, drop), values, counts > 0, histograms)


K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[V]):
    """Remembers one value for one combination of objects, compared by identity."""

    __slots__ = ("_keys", "_value")

    def __init__(self) -> None:
        self._keys: tuple[Any, ...] = ()
        self._value: V | None = None

    def get(self, *keys: Any) -> V | None:
        mine = self._keys
        if len(mine) == len(keys) and all(a is b for a, b in zip(mine, keys)):
            return self._value
        return None

    def put(self, value: V, *keys: Any) -> V:
        # The keys are held, so their identity cannot be taken over by other objects.
        self._keys, self._value = keys, value
        return value
