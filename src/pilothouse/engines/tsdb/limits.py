"""The database's limits: each has a name and a reason, and each refusal says which one it was."""

from __future__ import annotations

from dataclasses import dataclass

CHUNK_ROWS = 120
"""Rows of a frame per chunk: retention drops whole chunks, so this is its grain (30 minutes at 15 s), and a full
chunk is packed.
"""

FIRST_CHUNK_ROWS = 16
"""A new frame starts small and doubles, so that ten thousand short-lived frames stay cheap."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one database accepts; a write beyond raises `LimitExceeded` and changes nothing.

    series: distinct label sets alive at once. 5,000,000 is about 2 GB of index, what one process should hold.
    labels_per_series: Prometheus' own guard against runaway label sets is 30 by common advice; 128 leaves room.
    label_value_bytes: a longer value is almost always a mistake (a stack trace, a URL with its query).
    """

    series: int = 5_000_000
    labels_per_series: int = 128
    label_value_bytes: int = 65_536
