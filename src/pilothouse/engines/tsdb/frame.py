"""A frame: series that are sampled together and so share one time column.

Owns rows, slots and their reuse. A target's page, a rule group's results or the rehearsal's pods are one frame
each. The database makes frames and registers their series; `selection` reads them.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pilothouse.engines.tsdb.chunks import Chunk, Layout
from pilothouse.engines.tsdb.labels import Labels
from pilothouse.engines.tsdb.limits import CHUNK_ROWS
from pilothouse.engines.tsdb.samples import ABSENT, ABSENT_BITS, STALE, Floats, Ints

if TYPE_CHECKING:
    from pilothouse.engines.tsdb.database import Database


class Outcome(enum.Enum):
    """What became of a write. Only STORED and REPEATED left the database as the writer wants it."""

    STORED = "stored"
    REPEATED = "repeated"
    """The same time and values again: accepted, nothing to do."""
    DUPLICATE_TIMESTAMP = "duplicate sample for timestamp"
    """The same time with another value: refused."""
    OUT_OF_ORDER = "out of order sample"
    """Older than what is there: refused."""


class Frame:
    """Columns of samples at shared times (int64 Unix ms, strictly rising)."""

    def __init__(self, database: Database, number: int, name: str) -> None:
        self.name = name
        self.number = number
        self._database = database
        self._times: Ints = np.zeros(16, dtype=np.int64)
        self._rows = 0
        self._width = 0
        self._layout = Layout.empty()
        self._layout_shared = False
        self._retiring: list[int] = []
        self._resting: list[int] = []
        self._free: list[int] = []
        self._idle: Ints | None = None
        self.chunks: list[Chunk] = []

    @property
    def width(self) -> int:
        """Columns of a row as `append` wants it, retired ones included until their slot is used again."""
        return self._width

    @property
    def rows(self) -> int:
        return self._rows

    @property
    def times(self) -> Ints:
        """Times of all kept rows (a view: valid until the next write)."""
        return self._times[: self._rows]

    def add(self, labels: Labels) -> int:
        """The column of a new series; a series that already has one here, live or ended a moment ago, keeps it."""
        number, known = self._database.register(labels, self.number)
        if known:
            slot = int(self._layout.slots_of(np.array([number], dtype=np.int64))[0])
            if slot >= 0:
                # A series that ended in this chunk and comes back goes on in its own slot.
                for ending in (self._retiring, self._resting):
                    if slot in ending:
                        ending.remove(slot)
                        self._idle = None
                return slot
        if self._free:
            slot, self._idle = self._free.pop(), None
        else:
            slot = self._width
        self._width = max(self._width, slot + 1)
        open_chunk = self.chunks[-1] if self.chunks and not self.chunks[-1].full else None
        full_holds_it = bool(self.chunks) and open_chunk is None and self.chunks[-1].layout is self._layout
        if self._layout_shared or full_holds_it:
            self._layout, self._layout_shared = self._layout.copy(), False
        self._layout.put(slot, number)
        if open_chunk is not None:
            # At once, so that a query before the next row finds the slot empty rather than missing.
            open_chunk.layout = self._layout
            open_chunk.make_room(0)
        return slot

    def retire(self, column: int) -> None:
        """End the column's series: the next row holds a staleness marker, later rows nothing.

        The slot is handed to another series once a new chunk has begun, so that one chunk never holds two series in
        a slot.
        """
        self._retiring.append(column)

    def append(self, time_ms: int, values: npt.ArrayLike) -> Outcome:
        """One row of `width` float64 values, ABSENT where a series has no sample; refuses older and repeated times."""
        row = np.asarray(values, dtype=np.float64)
        if row.shape != (self._width,):
            raise ValueError(f"frame {self.name!r} takes rows of {self._width} values, got {row.shape}")
        if self._rows and time_ms <= self._times[self._rows - 1]:
            return self._refusal(time_ms, row)
        chunk = self._open_chunk(1)
        stored = chunk.cells[chunk.rows]
        stored[: self._width] = row
        stored[self._width :].view(np.int64)[...] = ABSENT_BITS
        if self._resting or self._retiring or self._free:
            self._mark_ended(stored)
        chunk.rows += 1
        self._seal_if_full()
        self._push_times(np.array([time_ms], dtype=np.int64))
        return Outcome.STORED

    def extend(self, times_ms: npt.ArrayLike, block: npt.ArrayLike) -> Outcome:
        """Many rows at once: rising times [rows], values [rows, width]; all or nothing."""
        times, values = np.asarray(times_ms, dtype=np.int64), np.asarray(block, dtype=np.float64)
        if values.shape != (len(times), self._width):
            raise ValueError(f"frame {self.name!r} takes {len(times)} rows of {self._width} values, got {values.shape}")
        if len(times) == 0:
            return Outcome.STORED
        if (self._rows and times[0] <= self._times[self._rows - 1]) or (np.diff(times) <= 0).any():
            return Outcome.OUT_OF_ORDER
        done = 0
        while done < len(times):
            room = CHUNK_ROWS if not self.chunks or self.chunks[-1].full else CHUNK_ROWS - self.chunks[-1].rows
            count = 1 if self._retiring else min(room, len(times) - done)
            chunk = self._open_chunk(count)
            target = chunk.cells[chunk.rows : chunk.rows + count]
            target[:, : self._width] = values[done : done + count]
            target[:, self._width :].view(np.int64)[...] = ABSENT_BITS
            for stored in target if self._retiring or self._resting or self._free else ():
                self._mark_ended(stored)
            chunk.rows += count
            self._seal_if_full()
            self._push_times(times[done : done + count])
            done += count
        return Outcome.STORED

    def last_values(self) -> Floats:
        """The newest row (ABSENT where a column had nothing); empty before the first row."""
        if not self.chunks:
            return np.zeros(0, dtype=np.float64)
        chunk = self.chunks[-1]
        row: Floats = chunk.read(slice(chunk.rows - 1, chunk.rows), slice(0, self._width))[0].copy()
        return row

    def drop_before(self, time_ms: int) -> None:
        """Retention: forget whole chunks whose last row is older than the time."""
        dropped = 0
        while len(self.chunks) > 1 or (self.chunks and self.chunks[0].full):
            chunk = self.chunks[0]
            if self._times[chunk.start + chunk.rows - 1] >= time_ms:
                break
            dropped += chunk.rows
            self.chunks.pop(0)
            for kept in self.chunks:
                kept.start -= chunk.rows
            self._times = self._times[chunk.rows : self._rows].copy()
            self._rows -= chunk.rows
        if not self.chunks and dropped:
            self._start_layout()

    def series_numbers(self) -> set[int]:
        """Numbers of all series that still have rows or a live column here."""
        held: set[int] = set()
        for layout in {id(c.layout): c.layout for c in self.chunks}.values():
            held.update(layout.numbers[: layout.width].tolist())
        held.update(self._layout.numbers[: self._layout.width].tolist())
        held.discard(-1)
        return held

    def column_labels(self) -> list[Labels | None]:
        """Labels per column, None where the slot is free."""
        numbers = self._layout.numbers[: self._width].tolist()
        return [None if number < 0 else self._database.labels_of(number) for number in numbers]

    def _refusal(self, time_ms: int, row: Floats) -> Outcome:
        if time_ms < self._times[self._rows - 1]:
            return Outcome.OUT_OF_ORDER
        same = np.array_equal(self.last_values().view(np.int64), row.view(np.int64))
        return Outcome.REPEATED if same else Outcome.DUPLICATE_TIMESTAMP

    def _open_chunk(self, rows: int) -> Chunk:
        if not self.chunks or self.chunks[-1].full:
            self._start_layout()
            self.chunks.append(Chunk.reserve(self._rows, self._layout))
            self._layout_shared = len(self.chunks) > 1 and self.chunks[-2].layout is self._layout
        chunk = self.chunks[-1]
        chunk.make_room(rows)
        return chunk

    def _seal_if_full(self) -> None:
        if self.chunks[-1].full:
            self.chunks[-1].seal(self.chunks[-2] if len(self.chunks) > 1 else None)

    def _start_layout(self) -> None:
        """At a chunk border retired slots become free; the layout stays shared when nothing changed."""
        if not self._resting:
            return
        self._layout, self._layout_shared = self._layout.copy(), False
        for slot in self._resting:
            self._layout.put(slot, -1)
        self._free.extend(self._resting)
        self._resting.clear()

    def _mark_ended(self, stored: Floats) -> None:
        if self._free or self._resting:
            stored[self._unused()] = ABSENT
        for slot in self._retiring:
            stored[slot] = STALE
        if self._retiring:
            self._resting.extend(self._retiring)
            self._retiring.clear()
            self._idle = None

    def _unused(self) -> Ints:
        """The slots that hold no series now. Slots of a table of pods come and go by the thousand, but seldom."""
        if self._idle is None:
            self._idle = np.array([*self._free, *self._resting], dtype=np.int64)
        return self._idle

    def _push_times(self, times: Ints) -> None:
        need = self._rows + len(times)
        if need > len(self._times):
            grown = np.zeros(max(need, 2 * len(self._times)), dtype=np.int64)
            grown[: self._rows] = self._times[: self._rows]
            self._times = grown
        self._times[self._rows : need] = times
        self._rows = need
