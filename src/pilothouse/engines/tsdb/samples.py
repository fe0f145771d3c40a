"""The two NaNs with a meaning: STALE ends a series, ABSENT says that a frame's row holds nothing for a column.

Owns the bit patterns and the tests for them. STALE is Prometheus' own (model/value/value.go, 0x7ff0000000000002),
so that markers survive import and export; ABSENT is ours and never leaves the database. Arithmetic may lose a NaN's
payload: only values that were merely copied may be asked.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

STALE_BITS = 0x7FF0000000000002
ABSENT_BITS = 0x7FF80000000A85E7


def _from_bits(bits: int) -> float:
    value: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return value


STALE = _from_bits(STALE_BITS)
ABSENT = _from_bits(ABSENT_BITS)


def is_stale(values: Floats) -> Bools:
    """Element-wise: is this the staleness marker?"""
    found: Bools = values.view(np.int64) == STALE_BITS
    return found


def is_absent(values: Floats) -> Bools:
    """Element-wise: is there no sample here?"""
    found: Bools = values.view(np.int64) == ABSENT_BITS
    return found


def is_stale_value(value: float) -> bool:
    """Whether one float is the staleness marker."""
    packed: int = struct.unpack("<Q", struct.pack("<d", value))[0]
    return packed == STALE_BITS


def absent_block(shape: tuple[int, ...]) -> Floats:
    """A new array where every cell is ABSENT."""
    block: npt.NDArray[Any] = np.empty(shape, dtype=np.float64)
    block.view(np.int64)[...] = ABSENT_BITS
    return block
