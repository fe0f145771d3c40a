"""Packed rows: a full chunk at rest, each column in the narrowest form that gives its values back bit by bit.

Counters and most gauges are whole numbers that move little within a chunk, so two bytes a sample above a base are
enough for them; columns with fractions, gaps or markers stay as they are. Made by `frame` when a chunk is full, read
by `Chunk.read`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pilothouse.engines.tsdb.samples import Bools, Floats, Ints

_EXACT = 2.0**53
"""Whole numbers up to here are exact as float64, sums of base and difference included."""

_FORMS: tuple[tuple[type[Any], float], ...] = ((np.uint16, 2.0**16), (np.uint32, 2.0**32))


@dataclass(frozen=True, slots=True)
class Form:
    """Columns of one width. cells [row, column of this form]; base: what to add to each, None for plain float64."""

    cells: npt.NDArray[Any]
    base: Floats | None

    def read(self, rows: slice, columns: npt.NDArray[Any]) -> Floats:
        found: npt.NDArray[Any] = self.cells[rows, columns]
        return found if self.base is None else found + self.base[columns]


@dataclass(frozen=True, slots=True)
class Packed:
    """forms, and for each slot of the chunk which form holds it (kind) and where in it (place)."""

    forms: tuple[Form, ...]
    kind: npt.NDArray[np.int8]
    place: npt.NDArray[np.int32]

    def read(self, rows: slice, columns: slice | Ints) -> Floats:
        """Rows of the slots as float64 [row, column]."""
        kinds, places = self.kind[columns], self.place[columns]
        first = int(kinds[0]) if len(kinds) else 0
        if (kinds == first).all():
            return self.forms[first].read(rows, places)
        height = len(range(*rows.indices(self.forms[0].cells.shape[0])))
        found = np.empty((height, len(kinds)), dtype=np.float64)
        for number, form in enumerate(self.forms):
            mine = kinds == number
            if mine.any():
                found[:, mine] = form.read(rows, places[mine])
        return found


def pack(values: Floats) -> Packed:
    """Pack rows [row, slot]; the caller forgets the original."""
    with np.errstate(invalid="ignore"):
        kind, lowest = _kinds(values)
    place = np.zeros(values.shape[1], dtype=np.int64)
    forms: list[Form] = []
    for number in range(len(_FORMS) + 1):
        mine = np.flatnonzero(kind == number)
        place[mine] = np.arange(len(mine))
        if number == len(_FORMS):
            forms.append(Form(np.ascontiguousarray(values[:, mine]), None))
        else:
            cells = (values[:, mine] - lowest[mine]).astype(_FORMS[number][0])
            forms.append(Form(cells, lowest[mine].copy()))
    return Packed(tuple(forms), kind, place.astype(np.int32))


def _kinds(values: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """(number of the narrowest form per column, lowest value per column)."""
    lowest, highest = values.min(axis=0), values.max(axis=0)
    whole: Bools = np.asarray((values == np.floor(values)).all(axis=0))
    # A negative zero would come back positive, so it counts as a fraction.
    signed: Bools = np.asarray((np.signbit(values) & (values == 0)).any(axis=0))
    whole &= ~signed & (np.abs(lowest) < _EXACT) & (np.abs(highest) < _EXACT)
    spans = np.where(whole, highest - lowest, np.inf)
    kind = np.full(values.shape[1], len(_FORMS), dtype=np.int8)
    for number in range(len(_FORMS) - 1, -1, -1):
        kind[spans < _FORMS[number][1]] = number
    return kind, lowest
