"""Aggregations: sum, avg, min, max, count, group, stddev, stdvar, quantile, and the ones that pick series or count
values.

Groups are worked out from labels once per set of columns and kept. Series are then put in group order, so that a
group is one run of columns and every reduction is one pass over the block. Follows `aggregation` and `aggregationK`
of promql/engine.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pilothouse.engines.promql import ast, kahan
from pilothouse.engines.promql.errors import EvalError
from pilothouse.engines.promql.go_format import general
from pilothouse.engines.promql.grid import Bools, Columns, Floats, Grid, Ints, Memo, empty_grid
from pilothouse.engines.promql.histogram_aggregate import aggregate_histograms
from pilothouse.engines.promql.over_time import quantile_of
from pilothouse.engines.promql.picking import count_values, limit_ratio, limitk, topk
from pilothouse.engines.promql.run import Node, Run
from pilothouse.engines.tsdb.labels import METRIC_NAME, Labels, is_label_name, quote


@dataclass(slots=True)
class Groups:
    """Which group each series belongs to. order: series sorted by group, stable; starts: where each group begins in
    it.
    """

    columns: Columns
    of_series: Ints
    order: Ints
    starts: Ints
    sizes: Ints
    sorted_already: bool

    @property
    def count(self) -> int:
        return len(self.columns)

    def arrange(self, values: Floats) -> Floats:
        return values if self.sorted_already else values[:, self.order]

    def arrange_flags(self, flags: Bools) -> Bools:
        return flags if self.sorted_already else flags[:, self.order]


def group_key(labels: Labels, grouping: frozenset[str], without: bool) -> Labels:
    """The labels a group keeps."""
    if without:
        return tuple([pair for pair in labels if pair[0] not in grouping and pair[0] != METRIC_NAME])
    return tuple([pair for pair in labels if pair[0] in grouping])


def make_groups(columns: Columns, grouping: Sequence[str], without: bool) -> Groups:
    wanted = frozenset(grouping)
    places: dict[Labels, int] = {}
    if not without and not wanted:
        of_series = np.zeros(len(columns), dtype=np.int64)
        places[()] = 0
    else:
        keys = [group_key(labels, wanted, without) for labels in columns.labels]
        of_series = np.array([places.setdefault(key, len(places)) for key in keys], dtype=np.int64)
    order = np.argsort(of_series, kind="stable")
    starts = np.searchsorted(of_series[order], np.arange(len(places)))
    drop = np.zeros(len(places), dtype=np.bool_)
    np.logical_or.at(drop, of_series, columns.drop)
    ordered = bool((order == np.arange(len(order))).all())
    sizes = np.bincount(of_series, minlength=len(places))[None, :]
    return Groups(Columns(list(places), drop), of_series, order, starts, sizes, ordered)


class Aggregation:
    """One aggregation expression."""

    def __init__(self, expr: ast.Aggregate, inner: Node, param: Node | str | None) -> None:
        self.expr = expr
        self.inner = inner
        self.param = param
        self._groups: Memo[Groups] = Memo()

    def evaluate(self, run: Run, times: Ints) -> Grid:
        grid = self.inner.evaluate(run, times)
        assert isinstance(grid, Grid)
        param = None
        if self.param is not None and not isinstance(self.param, str):
            found = self.param.evaluate(run, times)
            assert isinstance(found, np.ndarray)
            param = found
            self._check(run, param)
        if len(grid.columns) == 0:
            return empty_grid(len(times))
        if self.expr.op == "count_values":
            assert isinstance(self.param, str)
            if not is_label_name(self.param):
                raise EvalError(f"invalid label name {quote(self.param)}")
            return count_values(grid, self.param, self.expr.grouping, self.expr.without)
        groups = self._groups.get(grid.columns)
        if groups is None:
            made = make_groups(grid.columns, self.expr.grouping, self.expr.without)
            groups = self._groups.put(made, grid.columns)
        if param is not None and self.expr.op != "quantile":
            return self._pick(run, grid, groups, param)
        if grid.histograms is not None:
            return aggregate_histograms(self.expr, run, grid, groups, param, self.reduce)
        return self.reduce(grid, groups, param)

    def _check(self, run: Run, param: Floats) -> None:
        op = self.expr.op
        if op in ("topk", "bottomk", "limitk"):
            if np.isnan(param).any():
                raise EvalError("Parameter value is NaN")
            for bound, word in ((2.0**63, "overflows"), (-(2.0**63), "underflows")):
                over = param[param >= bound] if bound > 0 else param[param <= bound]
                if len(over):
                    raise EvalError(f"Scalar value {general(float(over[0]))} {word} int64")
        if op == "limit_ratio":
            if np.isnan(param).any():
                raise EvalError("Ratio value is NaN")
            self._check_ratio(run, param)
        if op == "quantile":
            bad = param[np.isnan(param) | (param < 0) | (param > 1)]
            assert self.expr.param is not None
            for value in dict.fromkeys(general(float(value)) for value in bad):
                text = f"quantile value should be between 0 and 1, got {value}"
                run.annotations.warn(text, self.expr.param.span[0])

    def _check_ratio(self, run: Run, param: Floats) -> None:
        assert self.expr.param is not None
        for value in dict.fromkeys(param[(param < -1) | (param > 1)].tolist()):
            capped = "1" if value > 0 else "-1"
            text = f"ratio value should be between -1 and 1, got {general(value)}, capping to {capped}"
            run.annotations.warn(text, self.expr.param.span[0])

    def _pick(self, run: Run, grid: Grid, groups: Groups, param: Floats) -> Grid:
        op = self.expr.op
        if op in ("topk", "bottomk"):
            if grid.histogram_mask().any():
                run.annotations.info(f"ignored histogram in {op} aggregation", self.expr.span[0])
            return topk(grid, groups.of_series, groups.count, param, largest=op == "topk")
        if op == "limitk":
            return limitk(grid, groups.of_series, groups.count, param)
        return limit_ratio(grid, param)

    def reduce(self, grid: Grid, groups: Groups, param: Floats | None) -> Grid:
        """The aggregation over plain floats."""
        values = groups.arrange(grid.values)
        present = None if grid.present is None else groups.arrange_flags(grid.present)
        counts = _counts(groups, present)
        found = _reduce(self.expr.op, values, present, groups, counts, param)
        if found.shape[0] != grid.steps:
            found = np.broadcast_to(found, (grid.steps, groups.count))
        here = None if present is None else counts > 0
        if here is not None and here.all():
            here = None
        return Grid(groups.columns, found, here)


def _counts(groups: Groups, present: Bools | None) -> Ints:
    """Samples per step and group; one row for all steps when nothing is missing."""
    if present is None:
        return groups.sizes
    return np.add.reduceat(present, groups.starts, axis=1, dtype=np.int64)


def _reduce(
    op: str, values: Floats, present: Bools | None, groups: Groups, counts: Ints, param: Floats | None
) -> Floats:
    starts = groups.starts
    if op in ("sum", "avg"):
        total = kahan.group_sums(values if present is None else np.where(present, values, 0.0), starts, groups.count)
        return total if op == "sum" else _averages(total, values, present, starts, counts)
    if op in ("min", "max"):
        # fmin and fmax prefer numbers to NaN, and NaN stands for "nothing here" as well.
        masked = values if present is None else np.where(present, values, np.nan)
        return (np.fmax if op == "max" else np.fmin).reduceat(masked, starts, axis=1)
    if op == "count":
        return counts.astype(np.float64)
    if op == "group":
        return np.ones(counts.shape, dtype=np.float64)
    if op in ("stddev", "stdvar"):
        return _spread(op, values, present, starts, counts)
    assert param is not None
    return _quantiles(values, present, starts, counts, param)


def _averages(total: Floats, values: Floats, present: Bools | None, starts: Ints, counts: Ints) -> Floats:
    found = total / np.maximum(counts, 1)
    overflown = np.isinf(total)
    if not overflown.any():
        return found
    # The sum left the range of floats: a running mean stays inside it unless an infinity was among the values.
    ends = np.append(starts[1:], values.shape[1])
    for step, group in zip(*(index.tolist() for index in np.nonzero(overflown))):
        cells = values[step, starts[group] : ends[group]]
        if present is not None:
            cells = cells[present[step, starts[group] : ends[group]]]
        if np.isfinite(cells).all():
            mean, error = np.zeros(1), np.zeros(1)
            for number, value in enumerate(cells.tolist(), start=1):
                share = (number - 1) / number
                mean, error = kahan.add(share * mean, share * error, np.array([value / number]))
            found[step, group] = float((mean + error)[0])
    return found


def _spread(op: str, values: Floats, present: Bools | None, starts: Ints, counts: Ints) -> Floats:
    safe = np.maximum(counts, 1)
    sizes = np.diff(np.append(starts, values.shape[1]))
    mean = kahan.group_sums(values if present is None else np.where(present, values, 0.0), starts, 0) / safe
    distance = values - np.repeat(mean, sizes, axis=1)
    squares = distance * distance
    if present is not None:
        squares = np.where(present, squares, 0.0)
    found = np.add.reduceat(squares, starts, axis=1) / safe
    return np.sqrt(found) if op == "stddev" else found


def _quantiles(values: Floats, present: Bools | None, starts: Ints, counts: Ints, q: Floats) -> Floats:
    ends = np.append(starts[1:], values.shape[1]).tolist()
    found = np.empty((values.shape[0], len(starts)), dtype=np.float64)
    for group, (first, last) in enumerate(zip(starts.tolist(), ends)):
        cells = values[:, first:last].T
        if present is not None:
            here = present[:, first:last].T
            order = np.argsort(~here, axis=0, kind="stable")
            cells = np.take_along_axis(np.where(here, cells, np.nan), order, axis=0)
        found[:, group] = quantile_of(cells, np.broadcast_to(counts[:, group], q.shape), q)
    return found
