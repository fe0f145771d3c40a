"""Aggregations over grids that hold native histograms (`aggregation` of promql/engine.go).

sum and avg add histograms; a group that mixes them with floats gives nothing and a warning. count and group take any
sample. The others pass over histograms with an info.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pilothouse.engines.promql import ast
from pilothouse.engines.promql.grid import Floats, Grid, Objects
from pilothouse.engines.promql.histogram import NOT_RESET, RESET, FloatHistogram, IncompatibleSchema
from pilothouse.engines.promql.histogram_sum import HistogramSum
from pilothouse.engines.promql.run import Run
from pilothouse.engines.tsdb.labels import METRIC_NAME, label_value

Reduce = Callable[[Grid, Any, Floats | None], Grid]


def aggregate_histograms(
    expr: ast.Aggregate, run: Run, grid: Grid, groups: Any, param: Floats | None, reduce: Reduce
) -> Grid:
    """The aggregation; `reduce` does plain floats."""
    masked = grid.histogram_mask()
    if not masked.any():
        return reduce(Grid(grid.columns, grid.values, grid.present), groups, param)
    if expr.op in ("count", "group"):
        return reduce(Grid(grid.columns, grid.values, grid.presence()), groups, param)
    floats = Grid(grid.columns, grid.values, grid.presence() & ~masked)
    found = reduce(floats, groups, param)
    if expr.op not in ("sum", "avg"):
        run.annotations.info(f"ignored histogram in {expr.op} aggregation", expr.expr.span[0])
        return found
    return _with_histograms(expr, run, grid, groups, found)


def _with_histograms(expr: ast.Aggregate, run: Run, grid: Grid, groups: Any, floats: Grid) -> Grid:
    assert grid.histograms is not None
    start = expr.expr.span[0]
    present = floats.presence().copy()
    histograms: Objects = np.full(present.shape, None, dtype=object)
    members: dict[tuple[int, int], list[int]] = {}
    for step, column in zip(*(index.tolist() for index in np.nonzero(grid.histogram_mask()))):
        members.setdefault((step, int(groups.of_series[column])), []).append(column)
    for (step, group), columns in members.items():
        if present[step, group]:
            run.annotations.warn("encountered a mix of histograms and floats for aggregation", start)
            present[step, group] = False
            continue
        cells = [grid.histograms[step, column] for column in columns]
        names = [label_value(grid.columns.labels[column], METRIC_NAME) for column in columns]
        found = add_up(run, cells, names, start, mean=expr.op == "avg")
        if found is not None:
            present[step, group] = True
            histograms[step, group] = found
    return Grid(floats.columns, floats.values, present, histograms)


def add_up(run: Run, cells: list[FloatHistogram], names: list[str], start: int, *, mean: bool) -> FloatHistogram | None:
    """Sum or mean of histograms, with the warnings that go with it; None when they do not fit together."""
    total = HistogramSum(cells[0])
    found: FloatHistogram | None = None
    for histogram, name in zip(cells[1:], names[1:]):
        try:
            reconciled = total.add_to_mean(histogram) if mean else total.add(histogram)
        except IncompatibleSchema:
            text = "vector contains a mix of histograms with exponential and custom buckets schemas for metric name"
            run.annotations.warn(f'{text} "{name}"', start)
            break
        if reconciled:
            run.annotations.info("mismatched custom buckets were reconciled during aggregation", start)
    else:
        found = (total.mean() if mean else total.sum()).compacted()
    hints = {cell.hint for cell in cells}
    if RESET in hints and NOT_RESET in hints:
        run.annotations.warn("conflicting counter resets during histogram aggregation", start)
    return found
