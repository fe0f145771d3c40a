"""Functions over range vectors: one node that makes windows, hands plain series to a kernel and odd ones to the
sample walker.

Kernels are in `rates` and `over_time` (all steps and series at once). Series that hold native histograms or start
timestamps, and `anchored`/`smoothed` selectors, are evaluated window by window in `sample_walk`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pilothouse.engines.promql import ast, over_time, rates
from pilothouse.engines.promql.errors import EvalError
from pilothouse.engines.promql.functions import absent_labels, scalar_of
from pilothouse.engines.promql.go_format import general
from pilothouse.engines.promql.grid import Bools, Columns, Floats, Grid, Ints, Memo, Objects
from pilothouse.engines.promql.rates import Kernel
from pilothouse.engines.promql.run import Node, Run
from pilothouse.engines.promql.sample_walk import Walk, walk_series
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
            grid = self._walked(run, times, scalars)
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
        with np.errstate(all="ignore"):
            values, present = self._kernel(run, windows, times, scalars)
        shape = (windows.steps, windows.width)
        if values.shape != shape:
            values = np.broadcast_to(values, shape)
        named = columns if self.name in _KEEP_NAME else columns.dropping_names()
        grid = Grid(named, values, present)
        if windows.special:
            walk = Walk(self.expr, self.source_expr, self.source.range_ms(run), run, times, scalars)
            grid = _with_walked(grid, windows, walk, columns)
        return grid

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

    def _walked(self, run: Run, times: Ints, scalars: list[Floats]) -> Grid:
        assert isinstance(self.source, RangeSelector)
        walk = Walk(self.expr, self.source_expr, self.source.range_ms(run), run, times, scalars)
        return walk.extended(self.source)

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
        empty = ~grid.presence().any(axis=1) if len(grid.columns) else np.ones(steps, dtype=np.bool_)
        return Grid(self._absent, np.ones((steps, 1)), empty[:, None])


def _any_named(columns: Columns, floats: Bools, name: str) -> bool:
    used = floats.any(axis=0)
    return any(used[i] and label_value(labels, METRIC_NAME) == name for i, labels in enumerate(columns.labels))


def _repeated(windows: Windows, steps: int) -> Windows:
    """Windows pinned by `@`, repeated for functions whose scalar changes from step to step."""
    starts, ends = np.repeat(windows.starts, steps), np.repeat(windows.ends, steps)
    parts = [part.repeated(steps) for part in windows.parts]
    return Windows(windows.width, starts, ends, parts, windows.special)


def _with_walked(grid: Grid, windows: Windows, walk: Walk, columns: Columns) -> Grid:
    values = grid.values.copy()
    present = grid.presence().copy()
    histograms: Objects = np.full(values.shape, None, dtype=object)
    for series in windows.special:
        present[:, series.position] = False
        labels = columns.labels[series.position]
        for step, value, histogram in walk_series(walk, series.samples, labels, windows.starts, windows.ends):
            present[step, series.position] = True
            values[step, series.position] = value
            histograms[step, series.position] = histogram
    return Grid(grid.columns, values, present, histograms)
