"""Chunks: the rows of a frame, in blocks that retention can drop whole.

Owns `Layout` (which series stands in which slot), `Chunk` (float64 rows with one slot a column) and its digest, which
remembers per slot whether anything but plain numbers was seen and whether a value ever fell. The digest is what
lets a rate over a quiet counter be `last - first`. Only `frame` and `selection` touch these.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pilothouse.engines.tsdb.limits import CHUNK_ROWS, FIRST_CHUNK_ROWS
from pilothouse.engines.tsdb.packing import Packed, pack
from pilothouse.engines.tsdb.samples import ABSENT_BITS, Bools, Floats, Ints, absent_block

_LARGE_BYTES = 1 << 20
"""Above this the system commits pages as they are touched, so a chunk may be reserved at full height at once."""


@dataclass(eq=False, slots=True)
class Layout:
    """Series number per slot, -1 where a slot is free. Chunks share one layout until a column comes or goes."""

    numbers: Ints
    width: int
    _order: Ints | None = None

    @classmethod
    def empty(cls) -> Layout:
        return cls(np.full(8, -1, dtype=np.int64), 0)

    def copy(self) -> Layout:
        return Layout(self.numbers.copy(), self.width)

    def put(self, slot: int, number: int) -> None:
        if slot >= len(self.numbers):
            grown = np.full(max(slot + 1, 2 * len(self.numbers)), -1, dtype=np.int64)
            grown[: len(self.numbers)] = self.numbers
            self.numbers = grown
        self.numbers[slot] = number
        self.width = max(self.width, slot + 1)
        self._order = None

    def slots_of(self, numbers: Ints) -> Ints:
        """Slot of each series number, -1 where this layout does not hold it."""
        held = self.numbers[: self.width]
        if len(held) == 0:
            return np.full(len(numbers), -1, dtype=np.int64)
        if self._order is None:
            self._order = np.argsort(held, kind="stable")
        place = np.searchsorted(held, numbers, sorter=self._order)
        slots: Ints = self._order[np.minimum(place, len(held) - 1)]
        return np.where(held[slots] == numbers, slots, -1)


@dataclass(eq=False, slots=True)
class Chunk:
    """Rows [start, start+rows) of a frame. `cells` is [row capacity, slot capacity] while the chunk is open, empty
    once it is packed.
    """

    start: int
    layout: Layout
    cells: Floats
    rows: int = 0
    irregular: Bools = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    falls: Bools = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    digested: int = 0
    packed: Packed | None = None
    marks: int = 0
    """Changes only when a flag of the digest changes, so readers may keep what they picked from it."""

    @classmethod
    def reserve(cls, start: int, layout: Layout) -> Chunk:
        slots = max(1, layout.width)
        rows = CHUNK_ROWS if CHUNK_ROWS * slots * 8 > _LARGE_BYTES else FIRST_CHUNK_ROWS
        return cls(start, layout, np.empty((rows, slots), dtype=np.float64))

    @property
    def full(self) -> bool:
        return self.rows >= CHUNK_ROWS

    @property
    def values(self) -> Floats:
        """All rows of all slots [row, slot]; unpacked anew at each call when the chunk is packed."""
        return self.read(slice(0, self.rows), slice(0, self.layout.width))

    def read(self, rows: slice, columns: slice | Ints) -> Floats:
        """Rows (within the chunk) of some slots; a view when the chunk is open and the slots are a slice."""
        if self.packed is not None:
            return self.packed.read(rows, columns)
        found: Floats = self.cells[rows, columns]
        return found

    def seal(self, before: Chunk | None) -> None:
        """Pack a full chunk: nothing is written to it any more."""
        self.digest(before)
        self.packed = pack(self.cells[: self.rows])
        self.cells = self.cells[:0].copy()

    def make_room(self, rows: int) -> None:
        """Grow so that `rows` more rows of the layout's width fit; rows written before hold ABSENT in new slots."""
        height, slots = self.cells.shape
        need_rows, need_slots = self.rows + rows, max(1, self.layout.width)
        if need_rows <= height and need_slots <= slots:
            return
        if need_slots > slots:
            slots = max(need_slots, slots + slots // 4)
        if need_rows > height:
            height = (
                CHUNK_ROWS if CHUNK_ROWS * slots * 8 > _LARGE_BYTES else min(CHUNK_ROWS, max(need_rows, 2 * height))
            )
        grown = np.empty((height, slots), dtype=np.float64)
        old = self.cells.shape[1]
        grown[: self.rows, :old] = self.cells[: self.rows]
        grown[: self.rows, old:].view(np.int64)[...] = ABSENT_BITS
        self.cells = grown

    def digest(self, before: Chunk | None) -> None:
        """Bring `irregular` and `falls` up to the last row; `before` is the chunk that precedes this one."""
        if self.packed is not None:
            return
        slots = self.cells.shape[1]
        if len(self.irregular) < slots:
            self.irregular = _grown(self.irregular, slots, self.digested > 0)
            self.falls = _grown(self.falls, slots, False)
            self.marks += 1
        first, last = self.digested, self.rows
        if first == last:
            return
        block = self.cells[first:last]
        irregular: Bools = np.asarray(np.isnan(block).any(axis=0))
        falls: Bools
        if first:
            falls = np.asarray((block < self.cells[first - 1 : last - 1]).any(axis=0))
        else:
            falls = np.asarray((block[1:] < block[:-1]).any(axis=0))
            if before is not None:
                seam = before.last_row_as(self.layout)
                falls[: len(seam)] |= block[0, : len(seam)] < seam
        if (irregular & ~self.irregular).any() or (falls & ~self.falls).any():
            self.irregular |= irregular
            self.falls |= falls
            self.marks += 1
        self.digested = last

    def last_row_as(self, layout: Layout) -> Floats:
        """This chunk's last row in the slots of another layout, ABSENT where a series was not here yet."""
        last = slice(self.rows - 1, self.rows)
        if layout is self.layout:
            mine: Floats = self.read(last, slice(0, layout.width))[0]
            return mine
        row = self.read(last, slice(0, self.layout.width))[0]
        slots = self.layout.slots_of(layout.numbers[: layout.width])
        found = absent_block((layout.width,))
        here = (slots >= 0) & (layout.numbers[: layout.width] >= 0)
        found[here] = row[slots[here]]
        return found


def _grown(flags: Bools, size: int, new: bool) -> Bools:
    grown = np.full(size, new, dtype=np.bool_)
    grown[: len(flags)] = flags
    return grown
