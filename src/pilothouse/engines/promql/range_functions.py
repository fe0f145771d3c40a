"""Functions over range vectors: one node that makes windows, hands plain series to a kernel and odd ones to the
sample walker.

Kernels are in `rates` and `over_time` (all steps and series at once). Series that hold native histograms or start
timestamps, and `anchored`/`smoothed` selectors, are evaluated window by window in `sample_walk`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

import numpy as np

from pilothouse.engines.promql import ast, over_time, rates
from pilothouse.engines.promql.errors import EvalError
from pilothouse.engines.promql.extended_range import extended_window
from pilothouse.engines.promql.functions import absent_labels, scalar_of
from pilothouse.engines.promql.go_format import general
from pilothouse.engines.promql.grid import (
    Bools,
    Columns,
    Floats,
    Grid,
    Ints,
    Memo,
    Objects,
    any_column,
    any_step,
    holding,
)
from pilothouse.engines.promql.histogram_rate import Note
from pilothouse.engines.promql.rates import Kernel
from pilothouse.engines.promql.run import Node, Run
from pilothouse.engines.promql.sample_walk import WALKED, Found, Walk
from pilothouse.engines.promql.selectors import RangeSelector, SubqueryRange, spread
from pilothouse.engines.promql.windows import Windows
from pilothouse.engines.tsdb.labels import METRIC_NAME, label_value

SIMPLE: dict[str, Callable[[Windows], Kernel]] = {
    "avg_over_time": over_time.average,
    "changes": over_time.changes,
    "count_over_time": over_time.count,
    "deriv": over_time.derivative,
    "first_over_time": over_time.first,
    "last_over_time": over_time.last,
    "mad_over_time": over_time.median_deviation,
    "max_over_time": lambda windows: over_time.extreme(windows, largest=True),
    "min_over_time": lambda windows: over_time.extreme(windows, largest=False),
    "present_over_time": over_time.present,
    "resets": over_time.resets,
    "stddev_over_time": over_time.deviation,
    "stdvar_over_time": over_time.variance,
    "sum_over_time": over_time.sums,
    "ts_of_first_over_time": over_time.first_time,
    "ts_of_last_over_time": over_time.last_time,
    "ts_of_max_over_time": lambda windows: over_time.extreme_time(windows, largest=True),
    "ts_of_min_over_time": lambda windows: over_time.extreme_time(windows, largest=False),
    "irate": lambda windows: rates.instant(windows, counter=True),
    "idelta": lambda windows: rates.instant(windows, counter=False),
}
_EXTRAPOLATED = {"rate": (True, True), "increase": (True, False), "delta": (False, False)}
_KEEP_NAME = frozenset(("last_over_time", "first_over_time"))
_COUNTER_SUFFIXES = ("_total", "_sum", "_count", "_bucket")
ANCHORED_SAFE = ("changes", "delta", "increase", "rate", "resets")
SMOOTHED_SAFE = ("delta", "increase", "rate")

Source = RangeSelector | SubqueryRange


class RangeCall:
    """A function of one range vector and perhaps scalars."""

    def __init__(self, expr: ast.Call, source: Source, source_expr: ast.Expr, scalars: list[Node]) -> None:
        self.expr, self.source, self.source_expr, self.scalars = expr, source, source_expr, scalars
        self.name = expr.name
        self._suspects: Memo[list[tuple[int, str]]] = Memo()
        self._absent = Columns([absent_labels(source_expr)])

    def evaluate(self, run: Run, times: Ints) -> Grid:
        self._check_modifiers()
        scalars = [scalar_of(node, run, times) for node in self.scalars]
        self._check_scalars(run, scalars)
        if self.source.extended:
            grid = self._extended(run, times)
        else:
            windows, columns = self.source.windows(run, times)
            if windows.width == 0:
                grid = Grid(columns, np.zeros((len(times), 0)))
            else:
                if scalars and windows.steps != len(times):
                    windows = _repeated(windows, len(times))
                grid = spread(self._computed(run, windows, columns, times, scalars), len(times))
        if self.name in ("rate", "increase"):
            self._note_odd_counters(run, grid)
        if self.name == "absent_over_time":
            return self._absence(grid, len(times))
        return grid

    def _computed(self, run: Run, windows: Windows, columns: Columns, times: Ints, scalars: list[Floats]) -> Grid:
        walked = self.name in WALKED
        if windows.special and not walked:
            windows = self._floats_only(run, windows, columns)
        values, present = self._kernel(run, windows, times, scalars)
        shape = (windows.steps, windows.width)
        if values.shape != shape:
            values = np.broadcast_to(values, shape)
        named = columns if self.name in _KEEP_NAME else columns.dropping_names()
        grid = Grid(named, values, present)
        if windows.special and walked:
            grid = self._with_walked(run, grid, windows, columns)
        return grid

    def _floats_only(self, run: Run, windows: Windows, columns: Columns) -> Windows:
        """The floats of series that hold histograms too, with an info where a window had both."""
        for series in windows.special:
            note = Note(
                run.annotations, label_value(columns.labels[series.position], METRIC_NAME), self.source_expr.span[0]
            )
            moments = [sample[0] for sample in series.samples]
            mixed = False
            for start, end in zip(windows.starts.tolist(), windows.ends.tolist()):
                inside = series.samples[bisect_right(moments, start) : bisect_right(moments, end)]
                floats = sum(sample[2] is None for sample in inside)
                mixed = mixed or 0 < floats < len(inside)
            if mixed:
                note.ignored()
        return windows.with_special_floats()

    def _with_walked(self, run: Run, grid: Grid, windows: Windows, columns: Columns) -> Grid:
        walk = Walk(self.expr, self.source_expr, self.source.range_ms(run), run)
        filling = _Filling(grid)
        starts, ends = windows.starts.tolist(), windows.ends.tolist()
        for series in windows.special:
            moments = [sample[0] for sample in series.samples]
            labels = columns.labels[series.position]
            for step, (start, end) in enumerate(zip(starts, ends)):
                filling.put(step, series.position, walk.window(series.samples, moments, labels, start, end))
        return filling.grid()

    def _kernel(self, run: Run, windows: Windows, times: Ints, scalars: list[Floats]) -> Kernel:
        name = self.name
        if name in _EXTRAPOLATED:
            counter, per_second = _EXTRAPOLATED[name]
            return rates.extrapolated(windows, self.source.range_ms(run), counter=counter, per_second=per_second)
        if name == "absent_over_time":
            return over_time.present(windows)
        if name == "quantile_over_time":
            return over_time.quantile(windows, scalars[0])
        if name == "predict_linear":
            return over_time.predict(windows, times, scalars[0])
        if name == "double_exponential_smoothing":
            return over_time.smooth(windows, scalars[0], scalars[1])
        return SIMPLE[name](windows)

    def _extended(self, run: Run, times: Ints) -> Grid:
        """anchored and smoothed ranges, window by window."""
        assert isinstance(self.source, RangeSelector)
        selector = self.source.expr.selector
        series, columns, ends = self.source.around(run, times)
        range_ms = self.source.range_ms(run)
        shape = (len(ends), len(columns))
        filling = _Filling(Grid(columns.dropping_names(), np.zeros(shape), np.zeros(shape, dtype=np.bool_)))
        reach = run.lookback_ms
        for position, samples in series.items():
            moments = [sample[0] for sample in samples]
            note = Note(run.annotations, label_value(columns.labels[position], METRIC_NAME), self.source_expr.span[0])
            for step, end in enumerate(ends.tolist()):
                start = end - range_ms
                first = bisect_right(moments, start - reach)
                last = bisect_right(moments, end + reach if selector.smoothed else end)
                found = extended_window(
                    self.name, samples[first:last], start, end, range_ms / 1000.0, note, smoothed=selector.smoothed
                )
                filling.put(step, position, found)
        return spread(filling.grid(), len(times))

    def _check_modifiers(self) -> None:
        if not isinstance(self.source_expr, ast.MatrixSelector):
            return
        selector = self.source_expr.selector
        for used, word, safe in (
            (selector.anchored, "anchored", ANCHORED_SAFE),
            (selector.smoothed, "smoothed", SMOOTHED_SAFE),
        ):
            if used and self.name not in safe:
                raise EvalError(f"{word} modifier can only be used with: {', '.join(safe)} - not with {self.name}")

    def _check_scalars(self, run: Run, scalars: list[Floats]) -> None:
        if self.name == "quantile_over_time":
            q = scalars[0]
            for value in dict.fromkeys(general(float(bad)) for bad in q[np.isnan(q) | (q < 0) | (q > 1)]):
                text = f"quantile value should be between 0 and 1, got {value}"
                run.annotations.warn(text, self.expr.args[0].span[0])
        if self.name == "double_exponential_smoothing":
            for values, word, short in ((scalars[0], "smoothing", "sf"), (scalars[1], "trend", "tf")):
                bad = values[(values <= 0) | (values >= 1)]
                if len(bad):
                    raise EvalError(f"invalid {word} factor. Expected: 0 < {short} < 1, got: {float(bad[0]):f}")

    def _note_odd_counters(self, run: Run, grid: Grid) -> None:
        """The info about a rate of something that is not named like a counter, for series that gave a float."""
        names = self._suspects.get(grid.columns)
        if names is None:
            found: dict[str, int] = {}
            for column, labels in enumerate(grid.columns.labels):
                name = label_value(labels, METRIC_NAME)
                if name and not name.endswith(_COUNTER_SUFFIXES):
                    found.setdefault(name, column)
            # Per name the first column only: the info appears once however many series there are.
            names = self._suspects.put([(column, name) for name, column in found.items()], grid.columns)
        if not names or not grid.values.shape[0]:
            return
        floats = grid.float_presence()
        for _, name in names:
            if floats is None or _any_named(grid.columns, floats, name):
                text = f'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "{name}"'
                run.annotations.info(text, self.source_expr.span[0])

    def _absence(self, grid: Grid, steps: int) -> Grid:
        empty = ~any_column(grid.presence()) if len(grid.columns) else np.ones(steps, dtype=np.bool_)
        return Grid(self._absent, np.ones((steps, 1)), empty[:, None])


def _any_named(columns: Columns, floats: Bools, name: str) -> bool:
    used = any_step(floats)
    return any(used[i] and label_value(labels, METRIC_NAME) == name for i, labels in enumerate(columns.labels))


def _repeated(windows: Windows, steps: int) -> Windows:
    """Windows pinned by `@`, repeated for functions whose scalar changes from step to step."""
    starts, ends = np.repeat(windows.starts, steps), np.repeat(windows.ends, steps)
    parts = [part.repeated(steps) for part in windows.parts]
    return Windows(windows.width, starts, ends, parts, windows.special)


class _Filling:
    """A grid being written to cell by cell."""

    def __init__(self, grid: Grid) -> None:
        self.columns = grid.columns
        self.values = np.array(grid.values, dtype=np.float64)
        self.present = np.array(grid.presence())
        self.histograms: Objects = np.full(self.values.shape, None, dtype=object)

    def put(self, step: int, position: int, found: Found) -> None:
        self.present[step, position] = found is not None
        if found is not None:
            self.values[step, position], self.histograms[step, position] = found

    def grid(self) -> Grid:
        some = bool(holding(self.histograms).any())
        return Grid(self.columns, self.values, self.present, self.histograms if some else None)
