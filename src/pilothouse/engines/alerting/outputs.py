"""Writes a rule's results into the database: one frame per rule, staleness markers where a series is gone.

A column stays with its series, so an alert that comes and goes costs one. Columns that have been dormant for long are
retired together. One rule owns one `RuleOutput`; evaluation order decides who writes first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pilothouse.engines.tsdb import ABSENT, STALE, Database, Frame, Labels, Outcome, is_absent

DORMANT_COLUMNS = 256
"""Columns without a live series that are kept for their return; beyond it they are retired, or churn would widen
rows for ever.
"""


class RuleOutput:
    """The series that one rule writes. Not shared between databases."""

    __slots__ = ("_columns", "_database", "_frame", "_last_ms", "_live", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._database: Database | None = None
        self._frame: Frame | None = None
        self._columns: dict[Labels, int] = {}
        self._live: dict[Labels, int] = {}
        self._last_ms: int | None = None

    @property
    def live(self) -> list[Labels]:
        """Series of the last write."""
        return list(self._live)

    def write(self, database: Database, time_ms: int, samples: Sequence[tuple[Labels, float]]) -> str:
        """One row: the samples, and a staleness marker for each series that the last row had and this one has not.

        Returns "" or why the database refused, in Prometheus' words; a refused row changes nothing.
        """
        if not samples and not self._live:
            return ""
        frame = self._frame_of(database)
        if self._last_ms is not None and time_ms <= self._last_ms:
            refusal = Outcome.OUT_OF_ORDER if time_ms < self._last_ms else Outcome.DUPLICATE_TIMESTAMP
            return str(refusal.value)
        live: dict[Labels, int] = {}
        for labels, _value in samples:
            column = self._columns.get(labels)
            if column is None:
                column = self._columns[labels] = frame.add(labels)
            live[labels] = column
        row = np.full(frame.width, ABSENT)
        for column in self._live.values():
            row[column] = STALE
        for labels, value in samples:
            row[live[labels]] = value
        frame.append(time_ms, row)
        self._last_ms, self._live = time_ms, live
        if len(self._columns) > DORMANT_COLUMNS + 2 * len(live):
            self._retire_dormant(frame)
        return ""

    def write_block(
        self,
        database: Database,
        times_ms: npt.NDArray[np.int64],
        labels: Sequence[Labels],
        present: npt.NDArray[np.bool_],
        values: npt.NDArray[np.float64],
    ) -> str:
        """Many rows at once, as `write` would have written them one after another; returns what it would.

        present and values are [series, time]; no label set may occur twice. Rows without anything to say are left out.
        """
        filled = np.flatnonzero(present.any(axis=0))
        if not len(filled) and not self._live:
            return ""
        frame = self._frame_of(database)
        if self._last_ms is not None and int(times_ms[0]) <= self._last_ms:
            return str(Outcome.OUT_OF_ORDER.value)
        for one in labels:
            if one not in self._columns:
                self._columns[one] = frame.add(one)
        block = np.full((len(times_ms), frame.width), ABSENT)
        for one, column in self._live.items():
            if one not in labels:
                block[0, column] = STALE
        for row, one in enumerate(labels):
            here = present[row]
            cells = block[:, self._columns[one]]
            before = np.concatenate(([one in self._live], here[:-1]))
            cells[before & ~here] = STALE
            cells[here] = values[row, here]
        said = ~is_absent(block).all(axis=1)
        frame.extend(times_ms[said], block[said])
        self._last_ms = int(times_ms[said][-1])
        self._live = {one: self._columns[one] for row, one in enumerate(labels) if present[row, -1]}
        return ""

    def end(self, database: Database, time_ms: int) -> None:
        """The rule is gone: every live series gets its staleness marker."""
        self.write(database, time_ms, ())

    def _frame_of(self, database: Database) -> Frame:
        if self._frame is None or self._database is not database:
            self._database, self._frame = database, database.frame(self._name)
            self._columns, self._live, self._last_ms = {}, {}, None
        return self._frame

    def _retire_dormant(self, frame: Frame) -> None:
        for labels, column in [item for item in self._columns.items() if item[0] not in self._live]:
            frame.retire(column)
            del self._columns[labels]
