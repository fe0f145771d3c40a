"""Windows: the samples that range functions see, for all steps and series at once.

A window is (end - range, end] per step. Two shapes of samples: `DensePart`, columns of one frame with a plain
number in every row (window bounds are row numbers, shared by all columns), and `RaggedPart`, samples of each series
one after another. `Windows` puts them together: functions ask it for the first, last or k-th sample of every window
and never see the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pilothouse.engines.promql.grid import Bools, Floats, Ints
from pilothouse.engines.tsdb.loose import Sample
from pilothouse.engines.tsdb.samples import is_absent, is_stale
from pilothouse.engines.tsdb.selection import Columns as Positions
from pilothouse.engines.tsdb.selection import FramePart, OddSeries, Selection


@dataclass(slots=True)
class DensePart:
    """Columns with a number in each row of [base, base+rows). lo, hi: row bounds per step, relative to base."""

    positions: Positions
    width: int
    times: Ints
    lo: Ints
    hi: Ints
    source: FramePart | None
    base: int
    columns: Ints | None
    falls: Bools | None
    _block: Floats | None = None

    @property
    def block(self) -> Floats:
        if self._block is None:
            assert self.source is not None
            self._block = self.source.block(self.base, self.base + len(self.times))
        return self._block

    def _row(self, rows: Ints) -> Floats:
        if self._block is None and self.source is not None and 4 * len(rows) <= max(len(self.times), 4):
            # Few rows of a long stretch: read just those.
            single = [self.source.row(self.base + row) for row in rows.tolist()]
            return single[0] if len(single) == 1 else np.concatenate(single)
        return self.block[rows]

    def repeated(self, steps: int) -> DensePart:
        """The one window of this part at every step."""
        lo, hi = np.repeat(self.lo, steps), np.repeat(self.hi, steps)
        return replace(self, lo=lo, hi=hi, _block=self.block)

    def counts(self) -> Ints:
        return (self.hi - self.lo)[:, None]

    def first_times(self) -> Ints:
        return self.times[np.minimum(self.lo, len(self.times) - 1)][:, None]

    def last_times(self) -> Ints:
        return self.times[np.maximum(self.hi - 1, 0)][:, None]

    def first_values(self) -> Floats:
        return self._row(np.minimum(self.lo, len(self.times) - 1))

    def last_values(self) -> Floats:
        return self._row(np.maximum(self.hi - 1, 0))

    def values_at(self, k: int) -> Floats:
        return self.block[np.minimum(self.lo + k, len(self.times) - 1)]

    def times_at(self, k: int) -> Ints:
        return self.times[np.minimum(self.lo + k, len(self.times) - 1)][:, None]

    def values_from_end(self, k: int) -> Floats:
        return self._row(np.maximum(self.hi - 1 - k, 0))

    def times_from_end(self, k: int) -> Ints:
        return self.times[np.maximum(self.hi - 1 - k, 0)][:, None]


@dataclass(slots=True)
class RaggedPart:
    """Samples of `width` series one after another. lo, hi: [step, series] bounds into `times` and `values`."""

    positions: Positions
    width: int
    times: Ints
    values: Floats
    lo: Ints
    hi: Ints
    falls: Bools | None = None

    def repeated(self, steps: int) -> RaggedPart:
        """The one window of this part at every step."""
        return replace(self, lo=np.repeat(self.lo, steps, axis=0), hi=np.repeat(self.hi, steps, axis=0))

    def _at(self, index: Ints) -> Ints:
        return np.clip(index, 0, len(self.times) - 1)

    def counts(self) -> Ints:
        return self.hi - self.lo

    def first_times(self) -> Ints:
        return self.times[self._at(self.lo)]

    def last_times(self) -> Ints:
        return self.times[self._at(self.hi - 1)]

    def first_values(self) -> Floats:
        return self.values[self._at(self.lo)]

    def last_values(self) -> Floats:
        return self.values[self._at(self.hi - 1)]

    def values_at(self, k: int) -> Floats:
        return self.values[self._at(self.lo + k)]

    def times_at(self, k: int) -> Ints:
        return self.times[self._at(self.lo + k)]

    def values_from_end(self, k: int) -> Floats:
        return self.values[self._at(self.hi - 1 - k)]

    def times_from_end(self, k: int) -> Ints:
        return self.times[self._at(self.hi - 1 - k)]


Part = DensePart | RaggedPart


@dataclass(slots=True)
class SpecialSeries:
    """A series with histograms or start timestamps: its samples, staleness markers taken out, evaluated one by one."""

    position: int
    samples: list[Sample]


@dataclass(slots=True)
class Windows:
    """All windows of a range selector. starts, ends: int64 ms per step; width: number of series."""

    width: int
    starts: Ints
    ends: Ints
    parts: list[Part]
    special: list[SpecialSeries] = field(default_factory=list)
    _counts: Ints | None = None

    @property
    def steps(self) -> int:
        return len(self.ends)

    def gather(self, ask: Callable[[Any], npt.NDArray[Any]], kind: type[Any]) -> npt.NDArray[Any]:
        """The answer of every part at its positions: [step, series], or [step, 1] when the one part says so for all."""
        if len(self.parts) == 1 and self.parts[0].width == self.width:
            return ask(self.parts[0])
        out = np.zeros((self.steps, self.width), dtype=kind)
        for part in self.parts:
            out[:, part.positions] = ask(part)
        return out

    @property
    def counts(self) -> Ints:
        """Samples per window."""
        if self._counts is None:
            self._counts = self.gather(lambda part: part.counts(), np.int64)
        return self._counts

    @property
    def longest(self) -> int:
        return int(self.counts.max()) if self.counts.size else 0

    def first_times(self) -> Ints:
        return self.gather(lambda part: part.first_times(), np.int64)

    def last_times(self) -> Ints:
        return self.gather(lambda part: part.last_times(), np.int64)

    def first_values(self) -> Floats:
        return self.gather(lambda part: part.first_values(), np.float64)

    def last_values(self) -> Floats:
        return self.gather(lambda part: part.last_values(), np.float64)

    def values_at(self, k: int) -> Floats:
        """The k-th sample from the start; without meaning where the window is shorter."""
        return self.gather(lambda part: part.values_at(k), np.float64)

    def times_at(self, k: int) -> Ints:
        return self.gather(lambda part: part.times_at(k), np.int64)

    def values_from_end(self, k: int) -> Floats:
        return self.gather(lambda part: part.values_from_end(k), np.float64)

    def times_from_end(self, k: int) -> Ints:
        return self.gather(lambda part: part.times_from_end(k), np.int64)

    def with_special_floats(self) -> Windows:
        """The special series as plain ones: their floats, histograms left out."""
        parts = list(self.parts)
        for series in self.special:
            floats = [sample for sample in series.samples if sample[2] is None]
            if not floats:
                continue
            times = np.array([sample[0] for sample in floats], dtype=np.int64)
            values = np.array([sample[1] for sample in floats], dtype=np.float64)
            lo, hi = (times.searchsorted(ends, side="right")[:, None] for ends in (self.starts, self.ends))
            parts.append(RaggedPart(np.array([series.position], dtype=np.int64), 1, times, values, lo, hi))
        return Windows(self.width, self.starts, self.ends, parts)

    def samples_of_step(self, step: int) -> dict[int, list[tuple[int, float, Any]]]:
        """(time ms, value, histogram or None) of each series that has any in one step's window, by position."""
        found: dict[int, list[tuple[int, float, Any]]] = {}
        for part in self.parts:
            places = np.arange(self.width)[part.positions].tolist()
            counts = np.broadcast_to(part.counts()[step], (part.width,)).tolist()
            for k in range(max(counts, default=0)):
                values = part.values_at(k)[step].tolist()
                moments = np.broadcast_to(part.times_at(k)[step], (part.width,)).tolist()
                for column, place in enumerate(places):
                    if k < counts[column]:
                        found.setdefault(place, []).append((moments[column], values[column], None))
        for series in self.special:
            inside = [s[:3] for s in series.samples if self.starts[step] < s[0] <= self.ends[step]]
            if inside:
                found[series.position] = inside
        return found

    def full(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Broadcast a per-step answer to every series."""
        shape = (self.steps, self.width)
        return array if array.shape == shape else np.broadcast_to(array, shape)


def windows_of(selection: Selection, starts: Ints, ends: Ints) -> Windows:
    """The windows (start, end] of every selected series; starts and ends rise with the steps."""
    parts: list[Part] = []
    for frame_part in selection.parts:
        parts.extend(_frame_parts(frame_part, starts, ends))
    special: list[SpecialSeries] = []
    if selection.odd:
        loose, special = _odd_parts(selection.odd, starts, ends)
        parts.extend(loose)
    return Windows(selection.size, starts, ends, parts, special)


def _frame_parts(part: FramePart, starts: Ints, ends: Ints) -> list[Part]:
    times = part.frame.times
    lo, hi = times.searchsorted(starts, side="right"), times.searchsorted(ends, side="right")
    first, last = int(lo[0]), int(hi[-1])
    if first >= last:
        return []
    lo, hi, span = lo - first, hi - first, times[first:last]
    irregular = part.irregular(first, last)
    if irregular is None:
        return [
            DensePart(part.positions, part.width, span, lo, hi, part, first, None, part.falls(first, last)),
        ]
    return split_block(part.block(first, last), span, lo, hi, part.positions, irregular, part.falls(first, last))


def split_block(
    block: Floats, times: Ints, lo: Ints, hi: Ints, positions: Positions, suspect: Bools, falls: Bools | None
) -> list[Part]:
    """Dense and ragged parts of a block [rows, series] whose suspect columns may hold gaps, markers or NaN."""
    checked = np.flatnonzero(suspect)
    cells = np.ascontiguousarray(block[:, checked])
    gone = is_absent(cells) | is_stale(cells)
    holed = gone.any(axis=0)
    parts: list[Part] = []
    dense = np.ones(block.shape[1], dtype=np.bool_)
    dense[checked[holed]] = False
    if dense.any():
        keep = np.flatnonzero(dense)
        whole = len(keep) == block.shape[1]
        kept = block if whole else np.ascontiguousarray(block[:, keep])
        place = positions if whole else _pick(positions, keep)
        # A value next to NaN hides whether it fell, so columns that were checked count as falling.
        fallen = suspect.copy() if falls is None else falls | suspect
        parts.append(DensePart(place, len(keep), times, lo, hi, None, 0, None, fallen[keep], kept))
    holed &= ~gone.all(axis=0)
    if holed.any():
        here = ~gone[:, holed]
        parts.append(ragged(cells[:, holed], here, times, lo, hi, _pick(positions, checked[holed])))
    return parts


def ragged(cells: Floats, here: Bools, times: Ints, lo: Ints, hi: Ints, positions: Positions) -> RaggedPart:
    """The cells of `cells` that are `here`, series by series; windows follow from counting rows."""
    rows, width = cells.shape
    before = np.zeros((rows + 1, width), dtype=np.int64)
    np.cumsum(here, axis=0, out=before[1:])
    offsets = np.zeros(width, dtype=np.int64)
    np.cumsum(before[-1, :-1], out=offsets[1:])
    turned = here.T
    flat_times = np.broadcast_to(times, (width, rows))[turned]
    return RaggedPart(positions, width, flat_times, cells.T[turned], offsets + before[lo], offsets + before[hi])


def _pick(positions: Positions, keep: Ints) -> Ints:
    if isinstance(positions, slice):
        return keep + int(positions.start or 0)
    return positions[keep]


def _odd_parts(odd: list[OddSeries], starts: Ints, ends: Ints) -> tuple[list[Part], list[SpecialSeries]]:
    after, upto = int(starts[0]), int(ends[-1])
    special: list[SpecialSeries] = []
    places: list[int] = []
    all_times: list[Ints] = []
    all_values: list[Floats] = []
    lows: list[Ints] = []
    highs: list[Ints] = []
    offset = 0
    for series in odd:
        if not series.plain:
            special.append(SpecialSeries(series.position, without_markers(series.samples(after, upto))))
            continue
        times, values = plain_samples(series, after, upto)
        if len(times) == 0:
            continue
        places.append(series.position)
        all_times.append(times)
        all_values.append(values)
        lows.append(times.searchsorted(starts, side="right") + offset)
        highs.append(times.searchsorted(ends, side="right") + offset)
        offset += len(times)
    if not places:
        return [], special
    flat_times, flat_values = np.concatenate(all_times), np.concatenate(all_values)
    lo, hi = np.stack(lows, axis=1), np.stack(highs, axis=1)
    where = np.array(places, dtype=np.int64)
    return [RaggedPart(where, len(places), flat_times, flat_values, lo, hi)], special


def plain_samples(series: OddSeries, after_ms: int, upto_ms: int, *, markers: bool = False) -> tuple[Ints, Floats]:
    """Times and floats of a plain series with after < time <= upto; staleness markers only when asked for."""
    if series.loose is not None and not series.frames:
        first, last = series.loose.span(after_ms, upto_ms)
        times = np.array(series.loose.times[first:last], dtype=np.int64)
        values = np.array(series.loose.values[first:last], dtype=np.float64)
    else:
        samples = series.samples(after_ms, upto_ms)
        times = np.array([sample[0] for sample in samples], dtype=np.int64)
        values = np.array([sample[1] for sample in samples], dtype=np.float64)
    if markers:
        return times, values
    stale = is_stale(values)
    return (times[~stale], values[~stale]) if stale.any() else (times, values)


def without_markers(samples: list[Sample]) -> list[Sample]:
    """The samples that are no staleness markers."""
    markers = is_stale(np.array([sample[1] for sample in samples], dtype=np.float64)).tolist()
    return [sample for sample, marker in zip(samples, markers) if sample[2] is not None or not marker]
