"""Selectors: instant vectors, range windows and subqueries.

An instant selector takes the newest sample in (t - lookback, t], a staleness marker counting as none; a range
selector hands `Windows` to a function; a subquery evaluates its inner expression on its own grid of times, which is
aligned to the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pilothouse.engines.promql import ast
from pilothouse.engines.promql.extended_range import smoothed_value
from pilothouse.engines.promql.grid import Bools, Columns, Floats, Grid, Ints, Memo, Objects, any_step, holding
from pilothouse.engines.promql.histogram import NOT_RESET, RESET, UNKNOWN, FloatHistogram
from pilothouse.engines.promql.histogram_rate import Note
from pilothouse.engines.promql.run import Node, Run
from pilothouse.engines.promql.windows import (
    DensePart,
    Part,
    SpecialSeries,
    Windows,
    plain_samples,
    ragged,
    windows_of,
)
from pilothouse.engines.tsdb.labels import METRIC_NAME, label_value
from pilothouse.engines.tsdb.loose import Sample
from pilothouse.engines.tsdb.matchers import Matcher
from pilothouse.engines.tsdb.samples import is_absent, is_stale, is_stale_value
from pilothouse.engines.tsdb.selection import FramePart, OddSeries, Selection


def shifted(run: Run, shift: ast.Shift, times: Ints) -> Ints:
    """The times a selector looks at: `@` pins them all to one (length 1 then), `offset` moves them back."""
    if shift.at_ms is not None:
        times = np.array([shift.at_ms], dtype=np.int64)
    elif shift.at_edge:
        times = np.array([run.start_ms if shift.at_edge == "start" else run.end_ms], dtype=np.int64)
    if not shift.has_offset:
        return times
    return times - run.length_ms(shift.offset_s, shift.offset_expr, signed=True)


@dataclass(slots=True)
class Selected:
    """A selector's matchers with the columns of the last selection."""

    matchers: tuple[Matcher, ...]
    memo: Memo[Columns] = field(default_factory=Memo)

    def select(self, run: Run) -> tuple[Selection, Columns]:
        selection = run.database.select(self.matchers)
        columns = self.memo.get(selection)
        if columns is None:
            columns = self.memo.put(Columns(selection.labels), selection)
        return selection, columns


class InstantSelector:
    """`name{…}` with its modifiers: the newest sample at each step."""

    def __init__(self, expr: ast.VectorSelector) -> None:
        self.expr = expr
        self.selected = Selected(tuple(expr.matchers))

    def evaluate(self, run: Run, times: Ints) -> Grid:
        if self.expr.smoothed:
            return self._smoothed(run, times)
        return self.read(run, times, want_times=False)[0]

    def _smoothed(self, run: Run, times: Ints) -> Grid:
        selection, columns = self.selected.select(run)
        ends = shifted(run, self.expr.shift, times)
        shape = (len(ends), len(columns))
        values, present = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
        histograms: Objects = np.full(shape, None, dtype=object)
        reach = run.lookback_ms
        for position, samples in samples_around(selection, ends, reach, reach).items():
            note = Note(run.annotations, label_value(columns.labels[position], METRIC_NAME), self.expr.span[0])
            for step, end in enumerate(ends.tolist()):
                inside = [sample for sample in samples if end - reach < sample[0] <= end + reach]
                found = smoothed_value(inside, end, note)
                if found is not None:
                    present[step, position] = True
                    values[step, position], histograms[step, position] = found
        some = bool(holding(histograms).any())
        return spread(Grid(columns, values, present, histograms if some else None), len(times))

    def read(self, run: Run, times: Ints, *, want_times: bool) -> tuple[Grid, Ints | None]:
        """The grid and, when wanted, the time (ms) of the sample behind each cell."""
        selection, columns = self.selected.select(run)
        ends = shifted(run, self.expr.shift, times)
        reading = _Reading(len(ends), selection.size, want_times)
        for part in selection.parts:
            reading.frame(part, ends, run.lookback_ms)
        for series in selection.odd:
            reading.odd(series, ends, run.lookback_ms)
        grid = Grid(columns, reading.values, reading.presence(), reading.histograms)
        return spread(grid, len(times)), _spread_rows(reading.times, len(times))


def spread(grid: Grid, steps: int) -> Grid:
    """A grid of one step repeated for all steps."""
    if grid.steps == steps:
        return grid
    shape = (steps, grid.values.shape[1])
    present = None if grid.present is None else np.broadcast_to(grid.present, shape)
    histograms = None if grid.histograms is None else np.broadcast_to(grid.histograms, shape)
    return Grid(grid.columns, np.broadcast_to(grid.values, shape), present, histograms)


def _spread_rows(rows: Ints | None, steps: int) -> Ints | None:
    if rows is None or rows.shape[0] == steps:
        return rows
    return np.broadcast_to(rows, (steps, rows.shape[1]))


class _Reading:
    """Newest samples being put together from frames and odd series."""

    def __init__(self, steps: int, width: int, want_times: bool) -> None:
        self.steps, self.width = steps, width
        self._values: Floats | None = None
        self._present: Bools | None = None
        self._whole = False
        """Set when one frame answered for every series: presence is then None unless a step had nothing fresh."""
        self.histograms: Objects | None = None
        self.times: Ints | None = np.zeros((steps, width), dtype=np.int64) if want_times else None

    @property
    def values(self) -> Floats:
        if self._values is None:
            self._values = np.zeros((self.steps, self.width), dtype=np.float64)
        return self._values

    def presence(self) -> Bools | None:
        if self._whole:
            return self._present
        present = self._mark()
        return None if present.all() else present

    def _mark(self) -> Bools:
        if self._present is None:
            self._present = np.zeros((self.steps, self.width), dtype=np.bool_)
        return self._present

    def frame(self, part: FramePart, ends: Ints, lookback_ms: int) -> None:
        times = part.frame.times
        rows = times.searchsorted(ends, side="right") - 1
        first, last = int(times.searchsorted(ends[0] - lookback_ms, side="right")), int(rows[-1]) + 1
        if first >= last:
            return
        fresh = (rows >= 0) & (times[np.maximum(rows, 0)] > ends - lookback_ms)
        irregular = part.irregular(first, last)
        if irregular is None:
            self._dense(part, rows, first, last, fresh, times)
            return
        found, held = _newest(part, rows - first, first, last, ends - lookback_ms)
        self.values[:, part.positions] = found
        self._mark()[:, part.positions] = held >= 0
        if self.times is not None:
            self.times[:, part.positions] = times[np.maximum(held, 0) + first]

    def _dense(self, part: FramePart, rows: Ints, first: int, last: int, fresh: Bools, times: Ints) -> None:
        if len(rows) == 1:
            found = part.row(int(rows[0]))
        else:
            found = part.block(first, last)[np.maximum(rows - first, 0)]
        if part.width == self.width:
            self._values, self._whole = found, True
            if not fresh.all():
                self._present = np.broadcast_to(fresh[:, None], found.shape)
        else:
            self.values[:, part.positions] = found
            self._mark()[:, part.positions] = fresh[:, None]
        if self.times is not None:
            self.times[:, part.positions] = times[np.maximum(rows, 0)][:, None]

    def odd(self, series: OddSeries, ends: Ints, lookback_ms: int) -> None:
        after, upto = int(ends[0]) - lookback_ms, int(ends[-1])
        if not series.plain:
            self._special(series, ends, lookback_ms, after, upto)
            return
        times, values = plain_samples(series, after, upto, markers=True)
        present = self._mark()
        if len(times) == 0:
            _ = self.values
            return
        rows = times.searchsorted(ends, side="right") - 1
        safe = np.maximum(rows, 0)
        found = values[safe]
        self.values[:, series.position] = found
        present[:, series.position] = (rows >= 0) & (times[safe] > ends - lookback_ms) & ~is_stale(found)
        if self.times is not None:
            self.times[:, series.position] = times[safe]

    def _special(self, series: OddSeries, ends: Ints, lookback_ms: int, after: int, upto: int) -> None:
        samples = series.samples(after, upto)
        moments = np.array([sample[0] for sample in samples], dtype=np.int64)
        present = self._mark()
        if self.histograms is None:
            self.histograms = np.full((self.steps, self.width), None, dtype=object)
        rows = moments.searchsorted(ends, side="right") - 1
        for step, row in enumerate(rows.tolist()):
            if row < 0 or moments[row] <= ends[step] - lookback_ms:
                continue
            moment, value, histogram, _ = samples[row]
            if histogram is None and is_stale_value(value):
                continue
            present[step, series.position] = True
            self.values[step, series.position] = value
            self.histograms[step, series.position] = histogram
            if self.times is not None:
                self.times[step, series.position] = moment


def _newest(part: FramePart, rows: Ints, first: int, last: int, after: Ints) -> tuple[Floats, Ints]:
    """(values, row numbers from `first` or -1 where there is none) of the newest cells that hold a sample."""
    block = np.ascontiguousarray(part.block(first, last))
    numbers = np.arange(last - first, dtype=np.int64)[:, None]
    held = np.where(is_absent(block), -1, numbers)
    np.maximum.accumulate(held, axis=0, out=held)
    newest = held[np.maximum(rows, 0)]
    newest[rows < 0] = -1
    times = part.frame.times[first:last]
    safe = np.maximum(newest, 0)
    found = block[safe, np.arange(block.shape[1])]
    good = (newest >= 0) & (times[safe] > after[:, None]) & ~is_stale(found)
    return found, np.where(good, newest, -1)


class RangeSelector:
    """`name{…}[5m]`: windows of samples."""

    def __init__(self, expr: ast.MatrixSelector) -> None:
        self.expr = expr
        self.selected = Selected(tuple(expr.selector.matchers))

    @property
    def extended(self) -> bool:
        return self.expr.selector.anchored or self.expr.selector.smoothed

    def range_ms(self, run: Run) -> int:
        return run.length_ms(self.expr.range_s, self.expr.range_expr)

    def windows(self, run: Run, times: Ints) -> tuple[Windows, Columns]:
        """Windows per step (a single one when `@` pins them)."""
        selection, columns = self.selected.select(run)
        ends = shifted(run, self.expr.selector.shift, times)
        return windows_of(selection, ends - self.range_ms(run), ends), columns

    def around(self, run: Run, times: Ints) -> tuple[dict[int, list[Sample]], Columns, Ints]:
        """All samples from a lookback before the first window to one behind the last, by series; and the window
        ends.
        """
        selection, columns = self.selected.select(run)
        ends = shifted(run, self.expr.selector.shift, times)
        return samples_around(selection, ends, self.range_ms(run) + run.lookback_ms, run.lookback_ms), columns, ends


def samples_around(selection: Selection, ends: Ints, before_ms: int, after_ms: int) -> dict[int, list[Sample]]:
    """Samples (no markers) of each series from the first end - before to the last end + after."""
    one = np.array([int(ends[0]) - before_ms]), np.array([int(ends[-1]) + after_ms])
    found = windows_of(selection, *one).samples_of_step(0)
    return {position: [(t, v, h, 0) for t, v, h in samples] for position, samples in found.items()}


class SubqueryRange:
    """`expr[1h:1m]`: windows over the results of an inner expression."""

    extended = False

    def __init__(self, expr: ast.Subquery, inner: Node) -> None:
        self.expr = expr
        self.inner = inner

    def range_ms(self, run: Run) -> int:
        return run.length_ms(self.expr.range_s, self.expr.range_expr)

    def windows(self, run: Run, times: Ints) -> tuple[Windows, Columns]:
        ends = shifted(run, self.expr.shift, times)
        starts = ends - self.range_ms(run)
        step = run.length_ms(self.expr.step_s, self.expr.step_expr) or run.default_step_ms
        moments = aligned(int(starts[0]), int(ends[-1]), step)
        if len(moments) == 0:
            return Windows(0, starts, ends, []), Columns([])
        grid = self.inner.evaluate(run, moments)
        assert isinstance(grid, Grid)
        lo, hi = moments.searchsorted(starts, side="right"), moments.searchsorted(ends, side="right")
        return Windows(len(grid.columns), starts, ends, *_grid_parts(grid, moments, lo, hi)), grid.columns


def aligned(after_ms: int, upto_ms: int, step_ms: int) -> Ints:
    """Multiples of the step in (after, upto]."""
    first = (after_ms // step_ms + 1) * step_ms
    return np.arange(first, upto_ms + 1, step_ms, dtype=np.int64)


def _grid_parts(grid: Grid, moments: Ints, lo: Ints, hi: Ints) -> tuple[list[Part], list[SpecialSeries]]:
    special: list[SpecialSeries] = []
    odd = np.zeros(len(grid.columns), dtype=np.bool_)
    if grid.histograms is not None:
        odd = any_step(grid.histogram_mask())
        special = [_special(grid, moments, int(column)) for column in np.flatnonzero(odd)]
    present = grid.presence()
    parts: list[Part] = []
    dense = np.flatnonzero(present.all(axis=0) & ~odd)
    if len(dense):
        whole = len(dense) == len(grid.columns)
        block = grid.values if whole else grid.values[:, dense]
        positions = slice(0, len(dense)) if whole else dense
        falls = np.ones(len(dense), dtype=np.bool_)
        parts.append(DensePart(positions, len(dense), moments, lo, hi, None, 0, None, falls, block))
    holed = np.flatnonzero(~present.all(axis=0) & present.any(axis=0) & ~odd)
    if len(holed):
        parts.append(ragged(grid.values[:, holed], present[:, holed], moments, lo, hi, holed))
    return parts, special


def _special(grid: Grid, moments: Ints, column: int) -> SpecialSeries:
    assert grid.histograms is not None
    present = grid.presence()[:, column]
    samples = [
        (int(moments[row]), float(grid.values[row, column]), _unhinted(grid.histograms[row, column]), 0)
        for row in np.flatnonzero(present).tolist()
    ]
    return SpecialSeries(column, samples)


def _unhinted(histogram: FloatHistogram | None) -> FloatHistogram | None:
    """Reset hints say nothing about samples of a subquery, which may leave some out or repeat them."""
    if histogram is None or histogram.hint not in (RESET, NOT_RESET):
        return histogram
    return histogram.with_hint(UNKNOWN)
