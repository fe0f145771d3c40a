"""histogram_quantile and its kin: nodes over classic buckets and native histograms alike.

Where a vector holds both under one name and labels, neither is evaluated and a warning says so (resetHistograms
upstream).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np

from pilothouse.engines.promql import ast, classic_histogram, histogram_shape
from pilothouse.engines.promql.classic_histogram import Buckets, Forced
from pilothouse.engines.promql.functions import grid_of, scalar_of
from pilothouse.engines.promql.go_format import general
from pilothouse.engines.promql.grid import Columns, Floats, Grid, Ints, Memo, merge_columns
from pilothouse.engines.promql.histogram import FloatHistogram
from pilothouse.engines.promql.run import Node, Run
from pilothouse.engines.tsdb.labels import METRIC_NAME, Labels, label_value, with_label

_FORCED = (
    "input to histogram_quantile needed to be fixed for monotonicity"
    " (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
)


class BucketReader:
    """Finds the classic histograms among a vector's columns and warns about the ones it cannot use."""

    def __init__(self, expr: ast.Expr) -> None:
        self.expr = expr
        self._buckets: Memo[Buckets] = Memo()

    def read(self, run: Run, grid: Grid) -> Buckets:
        found = self._buckets.get(grid.columns)
        if found is None:
            found = self._buckets.put(classic_histogram.find_buckets(grid.columns), grid.columns)
        floats = grid.float_presence()
        for column, name, le in found.bad:
            if floats is None or floats[:, column].any():
                # Native histograms need no bucket label.
                text = f'bucket label "le" is missing or has a malformed value of "{le}"'
                text += f' for metric name "{name}"' if name else ""
                run.annotations.warn(text, self.expr.span[0])
        return found


def check_quantile(run: Run, q: Floats, expr: ast.Expr) -> None:
    """Warn about quantiles outside [0, 1]."""
    bad = q[np.isnan(q) | (q < 0) | (q > 1)]
    for shown in dict.fromkeys(general(float(value)) for value in bad):
        run.annotations.warn(f"quantile value should be between 0 and 1, got {shown}", expr.span[0])


class HistogramQuantile:
    """histogram_quantile(q, v)."""

    def __init__(self, expr: ast.Call, q: Node, inner: Node) -> None:
        self.expr, self.q, self.inner = expr, q, inner
        self.reader = BucketReader(expr.args[1])

    def evaluate(self, run: Run, times: Ints) -> Grid:
        q = scalar_of(self.q, run, times)
        check_quantile(run, q, self.expr.args[0])
        grid = grid_of(self.inner, run, times)
        return quantile_grid(run, times, grid, q, self.reader)


def quantile_grid(run: Run, times: Ints, grid: Grid, q: Floats, reader: BucketReader) -> Grid:
    """The quantile of every histogram in the vector."""
    if len(grid.columns) == 0:
        return Grid(Columns([]), np.zeros((len(times), 0)))
    buckets = reader.read(run, grid)
    classic, forced = classic_histogram.quantiles(buckets, grid, q)
    if forced:
        _note_forced(run, times, buckets, forced, reader.expr)
    if grid.histograms is None:
        return classic
    return with_native(run, grid, classic, reader.expr, lambda step, h: histogram_shape.quantile(float(q[step]), h))


def with_native(
    run: Run, grid: Grid, classic: Grid, expr: ast.Expr, ask: Callable[[int, FloatHistogram], tuple[float, str]]
) -> Grid:
    """The answers for classic histograms with those for native ones beside them."""
    assert grid.histograms is not None
    masked = grid.histogram_mask()
    used = np.flatnonzero(masked.any(axis=0))
    values = np.zeros((grid.steps, len(used)))
    here = masked[:, used].copy()
    old = classic.presence().copy()
    classics = {labels: column for column, labels in enumerate(classic.columns.labels)}
    for place, column in enumerate(used.tolist()):
        labels = grid.columns.labels[column]
        twin = classics.get(labels)
        name = label_value(labels, METRIC_NAME)
        for step in np.flatnonzero(here[:, place]).tolist():
            if twin is not None and old[step, twin]:
                text = "vector contains a mix of classic and native histograms"
                run.annotations.warn(text + (f' for metric name "{name}"' if name else ""), expr.span[0])
                old[step, twin] = here[step, place] = False
                continue
            values[step, place], note = ask(step, grid.histograms[step, column])
            if note:
                run.annotations.info(note + (f' for metric name "{name}"' if name else ""), expr.span[0])
    labels_of = [*classic.columns.labels, *(grid.columns.labels[column] for column in used.tolist())]
    everything = Grid(
        Columns(labels_of), np.concatenate([classic.values, values], axis=1), np.concatenate([old, here], axis=1)
    )
    places: dict[Labels, int] = {}
    target = np.array([places.setdefault(one, len(places)) for one in labels_of], dtype=np.int64)
    drop = np.ones(len(places), dtype=np.bool_)
    if len(places) == len(labels_of):
        return everything.with_columns(Columns(labels_of, drop))
    return merge_columns(list(places), target, everything, drop)


def _note_forced(run: Run, times: Ints, buckets: Buckets, forced: list[tuple[Ints, Forced]], expr: ast.Expr) -> None:
    """One info per metric name about counts that had to be made monotonic."""
    cells: dict[str, list[tuple[int, float, float, float]]] = {}
    for outputs, note in forced:
        for step, histogram in zip(*(index.tolist() for index in np.nonzero(note.cells))):
            name = label_value(buckets.columns.labels[int(outputs[histogram])], METRIC_NAME)
            cell = (step, note.lowest[step, histogram], note.highest[step, histogram], note.largest[step, histogram])
            cells.setdefault(name, []).append(cell)
    for name, found in cells.items():
        first, last = (_rfc3339(int(times[pick(c[0] for c in found)])) for pick in (min, max))
        text = _FORCED + (f' for metric name "{name}"' if name else "")
        text += f", from buckets {general(min(c[1] for c in found))} to {general(max(c[2] for c in found))}"
        text += f", with a max diff of {max(c[3] for c in found):.2g}, over {len(found)} samples from {first} to {last}"
        run.annotations.info(text, expr.span[0])


def _rfc3339(time_ms: int) -> str:
    moment = dt.datetime.fromtimestamp(time_ms // 1000, tz=dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class HistogramQuantiles:
    """histogram_quantiles(v, label, q…): several quantiles at once, told apart by a label."""

    def __init__(self, expr: ast.Call, inner: Node, label: str, qs: list[Node]) -> None:
        self.expr, self.inner, self.label, self.qs = expr, inner, label, qs
        self.reader = BucketReader(expr.args[0])

    def evaluate(self, run: Run, times: Ints) -> Grid:
        grid = grid_of(self.inner, run, times)
        found: list[Grid] = []
        for node, expr in zip(self.qs, self.expr.args[2:]):
            q = scalar_of(node, run, times)
            check_quantile(run, q, expr)
            found.extend(self._labelled(quantile_grid(run, times, grid, q, self.reader), q))
        labels: list[Labels] = [one for part in found for one in part.columns.labels]
        values = np.concatenate([part.values for part in found], axis=1)
        present = np.concatenate([part.presence() for part in found], axis=1)
        places: dict[Labels, int] = {}
        target = np.array([places.setdefault(one, len(places)) for one in labels], dtype=np.int64)
        drop = np.ones(len(places), dtype=np.bool_)
        return merge_columns(list(places), target, Grid(Columns(labels), values, present), drop)

    def _labelled(self, grid: Grid, q: Floats) -> list[Grid]:
        """The grid with the quantile's label, once per distinct quantile among the steps."""
        found = []
        for value in dict.fromkeys(_open_metrics(float(one)) for one in q):
            steps = np.array([_open_metrics(float(one)) == value for one in q])
            columns = Columns([with_label(labels, self.label, value) for labels in grid.columns.labels])
            found.append(Grid(columns, grid.values, grid.presence() & steps[:, None]))
        return found


def _open_metrics(value: float) -> str:
    """A float as OpenMetrics writes label values: 1.0, 0.25, +Inf."""
    text = general(value)
    return text if any(c in text for c in ".eN") or "Inf" in text else f"{text}.0"


class HistogramFraction:
    """histogram_fraction(lower, upper, v)."""

    def __init__(self, expr: ast.Call, lower: Node, upper: Node, inner: Node) -> None:
        self.expr, self.lower, self.upper, self.inner = expr, lower, upper, inner
        self.reader = BucketReader(expr.args[2])

    def evaluate(self, run: Run, times: Ints) -> Grid:
        lower, upper = scalar_of(self.lower, run, times), scalar_of(self.upper, run, times)
        grid = grid_of(self.inner, run, times)
        if len(grid.columns) == 0:
            return grid
        classic = classic_histogram.fractions(self.reader.read(run, grid), grid, lower, upper)
        if grid.histograms is None:
            return classic

        def ask(step: int, histogram: FloatHistogram) -> tuple[float, str]:
            return histogram_shape.fraction(float(lower[step]), float(upper[step]), histogram)

        return with_native(run, grid, classic, self.reader.expr, ask)


_READINGS: dict[str, Callable[[FloatHistogram], float]] = {
    "histogram_count": lambda histogram: histogram.count,
    "histogram_sum": lambda histogram: histogram.sum,
    "histogram_avg": lambda histogram: histogram.sum / histogram.count if histogram.count else float("nan"),
    "histogram_stdvar": histogram_shape.variance,
    "histogram_stddev": lambda histogram: float(np.sqrt(histogram_shape.variance(histogram))),
}


class HistogramReading:
    """histogram_count, _sum, _avg, _stddev and _stdvar: one number of each native histogram; floats are passed over."""

    def __init__(self, name: str, inner: Node) -> None:
        self.read, self.inner = _READINGS[name], inner

    def evaluate(self, run: Run, times: Ints) -> Grid:
        grid = grid_of(self.inner, run, times)
        masked = grid.histogram_mask()
        values = np.zeros(grid.values.shape)
        for cell in zip(*(index.tolist() for index in np.nonzero(masked))):
            assert grid.histograms is not None
            values[cell] = self.read(grid.histograms[cell])
        return Grid(grid.columns.dropping_names(), values, masked)
