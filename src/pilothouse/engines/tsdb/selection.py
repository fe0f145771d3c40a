"""Selections: the series that some matchers found, arranged so that a query can read them frame by frame.

Owns `Selection` (cached by the database until the series set changes), `FramePart` (the selected columns of one
frame) and `OddSeries` (loose series, and those that live in more than one place). Read by the query engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pilothouse.engines.tsdb.chunks import Chunk, Layout
from pilothouse.engines.tsdb.frame import Frame
from pilothouse.engines.tsdb.labels import Labels
from pilothouse.engines.tsdb.loose import LooseSeries, Sample
from pilothouse.engines.tsdb.samples import ABSENT, Bools, Floats, Ints, is_absent

Columns = slice | Ints


@dataclass(eq=False, slots=True)
class FramePart:
    """Selected columns of one frame. `positions` says where they stand in the selection."""

    frame: Frame
    numbers: Ints
    positions: Columns
    _slots: dict[int, tuple[Layout, Columns, Bools | None]] = field(default_factory=dict)
    _picked: dict[int, tuple[Chunk, int, tuple[Bools | None, Bools | None]]] = field(default_factory=dict)

    @property
    def width(self) -> int:
        return len(self.numbers)

    def row_span(self, after_ms: int, upto_ms: int) -> tuple[int, int]:
        """Rows [first, last) with after < time <= upto."""
        first, last = np.searchsorted(self.frame.times, (after_ms, upto_ms), side="right")
        return int(first), int(last)

    def block(self, first: int, last: int) -> Floats:
        """Rows [first, last) of the selected columns; a view of the chunk when no copy is needed."""
        pieces = [
            self._take(chunk, slice(max(first - chunk.start, 0), min(last - chunk.start, chunk.rows)))
            for chunk in self._chunks(first, last)
        ]
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else np.zeros((0, self.width), dtype=np.float64)

    def row(self, row: int) -> Floats:
        """One row [1, width]."""
        chunk = self._chunk_of(row)
        return self._take(chunk, slice(row - chunk.start, row - chunk.start + 1))

    def irregular(self, first: int, last: int) -> Bools | None:
        """Columns that may hold anything but plain numbers in these rows; None when none does."""
        return self._flags(first, last, 0)

    def falls(self, first: int, last: int) -> Bools | None:
        """Columns whose value may have fallen in these rows; None when none did."""
        return self._flags(first, last, 1)

    def _flags(self, first: int, last: int, which: int) -> Bools | None:
        found: Bools | None = None
        for chunk in self._chunks(first, last):
            flags = self._chunk_flags(chunk)[which]
            if flags is not None:
                found = flags if found is None else found | flags
        return found

    def _chunk_flags(self, chunk: Chunk) -> tuple[Bools | None, Bools | None]:
        """(irregular, falls) of the selected columns in a chunk, None for "none of them"."""
        if chunk.digested != chunk.rows:
            place = self.frame.chunks.index(chunk)
            chunk.digest(self.frame.chunks[place - 1] if place else None)
        known = self._picked.get(id(chunk))
        if known is not None and known[0] is chunk and known[1] == chunk.marks:
            return known[2]
        columns, missing = self._columns(chunk)
        irregular, falls = chunk.irregular[columns], chunk.falls[columns]
        if missing is not None:
            irregular = irregular | missing
        flags = (irregular.copy() if irregular.any() else None, falls.copy() if falls.any() else None)
        if len(self._picked) > len(self.frame.chunks) + 8:
            self._picked.clear()
        self._picked[id(chunk)] = (chunk, chunk.marks, flags)
        return flags

    def _chunks(self, first: int, last: int) -> list[Chunk]:
        chunks = self.frame.chunks
        if chunks and first >= chunks[-1].start:
            return chunks[-1:] if last > first else []
        return [chunk for chunk in chunks if chunk.start < last and chunk.start + chunk.rows > first]

    def _chunk_of(self, row: int) -> Chunk:
        for chunk in reversed(self.frame.chunks):
            if chunk.start <= row:
                return chunk
        raise IndexError(row)

    def _take(self, chunk: Chunk, rows: slice) -> Floats:
        columns, missing = self._columns(chunk)
        taken = chunk.read(rows, columns)
        if missing is not None:
            taken = taken.copy()
            taken[:, missing] = ABSENT
        return taken

    def _columns(self, chunk: Chunk) -> tuple[Columns, Bools | None]:
        known = self._slots.get(id(chunk.layout))
        if known is not None and known[0] is chunk.layout:
            return known[1], known[2]
        slots = chunk.layout.slots_of(self.numbers)
        missing = slots < 0
        columns = as_columns(np.where(missing, 0, slots))
        found = (chunk.layout, columns, missing if missing.any() else None)
        # The layout itself is kept in the entry, so its id cannot be handed to another one while the entry lives.
        self._slots[id(chunk.layout)] = found
        return found[1], found[2]


def as_columns(slots: npt.NDArray[np.int64]) -> Columns:
    """A slice when the numbers are consecutive (reads need no copy then), else the numbers."""
    if len(slots) and int(slots[-1]) - int(slots[0]) == len(slots) - 1 and bool((np.diff(slots) == 1).all()):
        return slice(int(slots[0]), int(slots[-1]) + 1)
    return slots


@dataclass(eq=False, slots=True)
class OddSeries:
    """A series read sample by sample: loose, or with samples in several places."""

    position: int
    number: int
    loose: LooseSeries | None
    frames: list[Frame]

    @property
    def plain(self) -> bool:
        return self.loose is None or self.loose.plain

    def samples(self, after_ms: int, upto_ms: int) -> list[Sample]:
        """All samples with after < time <= upto in time order; of two at one time the first frame's stands."""
        found = self.loose.samples(after_ms, upto_ms) if self.loose is not None else []
        for frame in self.frames:
            found.extend(_frame_samples(frame, self.number, after_ms, upto_ms))
        if len(self.frames) + (self.loose is not None) > 1:
            found.sort(key=lambda sample: sample[0])
            found = [s for i, s in enumerate(found) if i == 0 or found[i - 1][0] != s[0]]
        return found


def _frame_samples(frame: Frame, number: int, after_ms: int, upto_ms: int) -> list[Sample]:
    part = FramePart(frame, np.array([number], dtype=np.int64), slice(0, 1))
    first, last = part.row_span(after_ms, upto_ms)
    column = np.ascontiguousarray(part.block(first, last)[:, 0])
    here = ~is_absent(column)
    return [(t, v, None, 0) for t, v in zip(frame.times[first:last][here].tolist(), column[here].tolist())]


@dataclass(eq=False, slots=True)
class Selection:
    """What some matchers found: series numbers ascending, their labels, and where their samples are."""

    numbers: Ints
    labels: Sequence[Labels]
    parts: list[FramePart]
    odd: list[OddSeries]

    @property
    def size(self) -> int:
        return len(self.numbers)

    @property
    def plain(self) -> bool:
        """Whether all series hold floats only (asked at each evaluation: a histogram may have come since)."""
        return all(series.plain for series in self.odd)
