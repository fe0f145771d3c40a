"""Functions that take scalars or instant vectors, one node each.

Range functions are in `range_functions`, histograms in `histogram_functions`, label functions in `label_functions`.
Semantics follow promql/functions.go of Prometheus 3: float functions pass over native histograms, names are dropped
late.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pilothouse.engines.promql import ast, dates
from pilothouse.engines.promql.grid import UNLABELLED, Columns, Floats, Grid, Ints, any_column
from pilothouse.engines.promql.run import Node, Run
from pilothouse.engines.promql.selectors import InstantSelector
from pilothouse.engines.tsdb.labels import METRIC_NAME, Labels, label_value, make_labels


def _sign(values: Floats) -> Floats:
    return np.where(values < 0, -1.0, np.where(values > 0, 1.0, values))


ELEMENTWISE: dict[str, Callable[[Floats], Floats]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "cos": np.cos,
    "cosh": np.cosh,
    "deg": lambda values: values * 180.0 / np.pi,
    "exp": np.exp,
    "floor": np.floor,
    "ln": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "rad": lambda values: values * np.pi / 180.0,
    "sgn": _sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "tan": np.tan,
    "tanh": np.tanh,
}


def grid_of(node: Node, run: Run, times: Ints) -> Grid:
    """The vector a node gives (types were checked by the parser)."""
    found = node.evaluate(run, times)
    assert isinstance(found, Grid)
    return found


def scalar_of(node: Node, run: Run, times: Ints) -> Floats:
    """The scalar a node gives: one float per step."""
    found = node.evaluate(run, times)
    assert isinstance(found, np.ndarray)
    return found


class Elementwise:
    """A function of each float."""

    def __init__(self, name: str, inner: Node) -> None:
        self.function, self.inner = ELEMENTWISE[name], inner

    def evaluate(self, run: Run, times: Ints) -> Grid:
        grid = grid_of(self.inner, run, times)
        return Grid(grid.columns.dropping_names(), self.function(grid.values), grid.float_presence())


class Rounding:
    """round(v, to_nearest): ties go up."""

    def __init__(self, inner: Node, nearest: Node | None) -> None:
        self.inner, self.nearest = inner, nearest

    def evaluate(self, run: Run, times: Ints) -> Grid:
        grid = grid_of(self.inner, run, times)
        nearest = np.ones(len(times)) if self.nearest is None else scalar_of(self.nearest, run, times)
        inverse = (1.0 / nearest)[:, None]
        values = np.floor(grid.values * inverse + 0.5) / inverse
        return Grid(grid.columns.dropping_names(), values, grid.float_presence())


def _lesser(left: Floats, right: Floats) -> Floats:
    """Go's math.Min: -Inf beats NaN, NaN beats everything else."""
    return np.where(np.isneginf(left) | np.isneginf(right), -np.inf, np.minimum(left, right))


def _greater(left: Floats, right: Floats) -> Floats:
    """Go's math.Max: +Inf beats NaN, NaN beats everything else."""
    return np.where(np.isposinf(left) | np.isposinf(right), np.inf, np.maximum(left, right))


class Clamp:
    """clamp, clamp_min and clamp_max; nothing comes out when the bounds are the wrong way round."""

    def __init__(self, inner: Node, lowest: Node | None, highest: Node | None) -> None:
        self.inner, self.lowest, self.highest = inner, lowest, highest

    def evaluate(self, run: Run, times: Ints) -> Grid:
        grid = grid_of(self.inner, run, times)
        low = np.full(len(times), -np.inf) if self.lowest is None else scalar_of(self.lowest, run, times)
        high = np.full(len(times), np.inf) if self.highest is None else scalar_of(self.highest, run, times)
        values = _greater(low[:, None], _lesser(high[:, None], grid.values))
        present = grid.float_presence()
        crossed = (high < low)[:, None]
        if crossed.any():
            everywhere = np.ones(values.shape, dtype=np.bool_) if present is None else present
            present = everywhere & ~crossed
        return Grid(grid.columns.dropping_names(), values, present)


class DatePart:
    """hour(), day_of_week(v) and their kin; without argument, of the evaluation time."""

    def __init__(self, name: str, inner: Node | None) -> None:
        self.name, self.inner = name, inner

    def evaluate(self, run: Run, times: Ints) -> Grid:
        if self.inner is None:
            return Grid(UNLABELLED, dates.part_of(self.name, (times // 1000).astype(np.float64))[:, None])
        grid = grid_of(self.inner, run, times)
        return Grid(grid.columns.dropping_names(), dates.part_of(self.name, grid.values), grid.float_presence())


class Timestamp:
    """timestamp(v): when the sample was taken if v is a plain selector, else the evaluation time."""

    def __init__(self, inner: Node) -> None:
        self.inner = inner

    def evaluate(self, run: Run, times: Ints) -> Grid:
        if isinstance(self.inner, InstantSelector):
            grid, moments = self.inner.read(run, times, want_times=True)
            assert moments is not None
            return Grid(grid.columns.dropping_names(), moments / 1000.0, grid.present)
        grid = grid_of(self.inner, run, times)
        values = np.broadcast_to((times / 1000.0)[:, None], grid.values.shape)
        return Grid(grid.columns.dropping_names(), values, grid.present)


class Absent:
    """absent(v): 1 at the steps where v has nothing, labelled from the selector's equality matchers."""

    def __init__(self, inner: Node, labels: Labels) -> None:
        self.inner, self.columns = inner, Columns([labels])

    def evaluate(self, run: Run, times: Ints) -> Grid:
        grid = grid_of(self.inner, run, times)
        empty = ~any_column(grid.presence()) if len(grid.columns) else np.ones(len(times), dtype=np.bool_)
        return Grid(self.columns, np.ones((len(times), 1)), empty[:, None])


def absent_labels(expr: ast.Expr) -> Labels:
    """Labels of absent()'s result: names with exactly one equality matcher (createLabelsForAbsentFunction)."""
    if isinstance(expr, ast.MatrixSelector):
        expr = expr.selector
    if not isinstance(expr, ast.VectorSelector):
        return ()
    found: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in expr.matchers:
        if matcher.name == METRIC_NAME:
            continue
        if matcher.op == "=" and matcher.name not in seen:
            found[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            found.pop(matcher.name, None)
    return make_labels(found)


class ScalarOf:
    """scalar(v): the one float of a vector, NaN when there is none or several."""

    def __init__(self, inner: Node) -> None:
        self.inner = inner

    def evaluate(self, run: Run, times: Ints) -> Floats:
        grid = grid_of(self.inner, run, times)
        if len(grid.columns) == 0:
            return np.full(len(times), np.nan)
        present = grid.presence() & ~grid.histogram_mask()
        single = present.sum(axis=1) == 1
        values = np.where(present, grid.values, 0.0)
        chosen = grid.values[np.arange(len(times)), present.argmax(axis=1)] if values.size else values
        return np.where(single, chosen, np.nan)


class VectorOf:
    """vector(s)."""

    def __init__(self, inner: Node) -> None:
        self.inner = inner

    def evaluate(self, run: Run, times: Ints) -> Grid:
        return Grid(UNLABELLED, scalar_of(self.inner, run, times)[:, None])


class Constant:
    """A number literal or pi()."""

    def __init__(self, value: float) -> None:
        self.value = value

    def evaluate(self, run: Run, times: Ints) -> Floats:
        del run
        return np.full(len(times), self.value)


class Clock:
    """time(), and the query's own start(), end(), range() and step()."""

    def __init__(self, name: str) -> None:
        self.name = name

    def evaluate(self, run: Run, times: Ints) -> Floats:
        if self.name == "time":
            return times / 1000.0
        known = {"start": run.start_ms, "end": run.end_ms, "range": run.end_ms - run.start_ms, "step": run.step_ms}
        return np.full(len(times), known[self.name] / 1000.0)


class ScalarPair:
    """min_of and max_of: NaN if either is NaN."""

    def __init__(self, name: str, left: Node, right: Node) -> None:
        self.function = np.minimum if name == "min_of" else np.maximum
        self.left, self.right = left, right

    def evaluate(self, run: Run, times: Ints) -> Floats:
        found: Floats = self.function(scalar_of(self.left, run, times), scalar_of(self.right, run, times))
        return found


class Negation:
    """A minus sign before a vector or scalar; a plus sign changes nothing and makes no node."""

    def __init__(self, inner: Node) -> None:
        self.inner = inner

    def evaluate(self, run: Run, times: Ints) -> Grid | Floats:
        found = self.inner.evaluate(run, times)
        if isinstance(found, np.ndarray):
            return -found
        assert isinstance(found, Grid)
        histograms = found.histograms
        if histograms is not None:
            histograms = histograms.copy()
            for cell in zip(*(index.tolist() for index in np.nonzero(found.histogram_mask()))):
                histograms[cell] = histograms[cell].scaled(-1.0).compacted()
        return Grid(found.columns.dropping_names(), -found.values, found.present, histograms)


class Sorting:
    """sort and its kin: floats only for the value sorts; the order itself is applied to the final vector."""

    def __init__(self, expr: ast.Call, inner: Node) -> None:
        self.expr, self.inner = expr, inner

    def evaluate(self, run: Run, times: Ints) -> Grid:
        if run.start_ms != run.end_ms:
            text = "sort is ineffective for range queries since results are always ordered by labels"
            run.annotations.warn(text, self.expr.span[0])
        grid = grid_of(self.inner, run, times)
        if self.expr.name in ("sort", "sort_desc"):
            return Grid(grid.columns, grid.values, grid.float_presence())
        return grid


def sort_order(expr: ast.Expr, labels: list[Labels], values: list[float]) -> list[int]:
    """The order in which an instant query lists its samples: as the outermost sort or topk says, else as they come."""
    expr = ast.unwrap(expr)
    found = list(range(len(labels)))
    if isinstance(expr, ast.Call) and expr.name in ("sort", "sort_desc"):
        sign = 1.0 if expr.name == "sort" else -1.0
        found.sort(key=lambda i: (values[i] != values[i], sign * values[i] if values[i] == values[i] else 0.0))
    elif isinstance(expr, ast.Call) and expr.name in ("sort_by_label", "sort_by_label_desc"):
        names = [arg.value for arg in (ast.unwrap(a) for a in expr.args[1:]) if isinstance(arg, ast.StringLiteral)]
        found.sort(key=lambda i: ([natural(label_value(labels[i], name)) for name in names], labels[i]))
        if expr.name.endswith("_desc"):
            found.reverse()
    elif isinstance(expr, ast.Aggregate) and expr.op in ("topk", "bottomk"):
        sign = -1.0 if expr.op == "topk" else 1.0
        keys = _group_ranks(expr, labels)
        found.sort(key=lambda i: (keys[i], values[i] != values[i], sign * values[i] if values[i] == values[i] else 0.0))
    return found


def _group_ranks(expr: ast.Aggregate, labels: list[Labels]) -> list[int]:
    wanted = frozenset(expr.grouping)
    places: dict[Labels, int] = {}
    ranks: list[int] = []
    for one in labels:
        if expr.without:
            key = tuple(pair for pair in one if pair[0] not in wanted and pair[0] != METRIC_NAME)
        else:
            key = tuple(pair for pair in one if pair[0] in wanted)
        ranks.append(places.setdefault(key, len(places)))
    return ranks


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that puts "v2" before "v10": runs of digits compare as numbers."""
    parts: list[tuple[int, int, str]] = []
    at = 0
    while at < len(text):
        end = at
        digits = text[at].isascii() and text[at].isdigit()
        while end < len(text) and (text[end].isascii() and text[end].isdigit()) == digits:
            end += 1
        parts.append((0, int(text[at:end]), "") if digits else (1, 0, text[at:end]))
        at = end
    return parts
