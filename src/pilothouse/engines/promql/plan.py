"""Plans: a query parsed, checked and compiled once, evaluated many times.

Owns the translation from syntax tree to nodes, instant and range evaluation, the final clean-up of labels, and what
a plan tells about itself (names it reads, how far back it looks). Callers hold on to a plan: its nodes remember
what they worked out from the labels of the series they saw last.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pilothouse.engines.promql import ast, dates, range_functions
from pilothouse.engines.promql.aggregate import Aggregation
from pilothouse.engines.promql.binary import ScalarBinary, SetBinary, VectorBinary, VectorScalarBinary
from pilothouse.engines.promql.durations import is_constant, to_ms
from pilothouse.engines.promql.errors import Annotations, EvalError
from pilothouse.engines.promql.functions import (
    ELEMENTWISE,
    Absent,
    Clamp,
    Clock,
    Constant,
    DatePart,
    Elementwise,
    Negation,
    Rounding,
    ScalarOf,
    ScalarPair,
    Sorting,
    Timestamp,
    VectorOf,
    absent_labels,
    sort_order,
)
from pilothouse.engines.promql.grid import UNLABELLED, Floats, Grid, Ints, Text, any_step, merge_columns
from pilothouse.engines.promql.histogram_functions import (
    HistogramFraction,
    HistogramQuantile,
    HistogramQuantiles,
    HistogramReading,
)
from pilothouse.engines.promql.info import Info
from pilothouse.engines.promql.label_functions import LabelJoin, LabelReplace
from pilothouse.engines.promql.limits import (
    BLOCK_CELLS,
    DEFAULT_LOOKBACK_MS,
    DEFAULT_SUBQUERY_STEP_MS,
    MAX_STEPS,
)
from pilothouse.engines.promql.parser import parse
from pilothouse.engines.promql.printer import to_text
from pilothouse.engines.promql.run import Node, Run
from pilothouse.engines.promql.selectors import InstantSelector, RangeSelector, SubqueryRange
from pilothouse.engines.promql.values import Matrix, RangeVector, Scalar, String, Vector
from pilothouse.engines.tsdb.database import Database
from pilothouse.engines.tsdb.labels import METRIC_NAME
from pilothouse.engines.tsdb.matchers import EQUAL, Matcher


def compile(
    text: str,
    *,
    lookback_ms: int = DEFAULT_LOOKBACK_MS,
    subquery_step_ms: int = DEFAULT_SUBQUERY_STEP_MS,
) -> Plan:
    """A plan for one expression; ParseError when the text is none.

    lookback_ms: how old the newest sample of an instant selector may be; subquery_step_ms: resolution of `[1h:]`.
    """
    return Plan(text, parse(text), lookback_ms, subquery_step_ms)


class Plan:
    """A compiled expression. Evaluation reads the database and changes nothing but the plan's own memory of labels."""

    def __init__(self, text: str, expr: ast.Expr, lookback_ms: int, subquery_step_ms: int) -> None:
        self.text = text
        self.expr = expr
        self._lookback_ms = lookback_ms
        self._subquery_step_ms = subquery_step_ms
        self._root: Node | None = None if expr.type == ast.MATRIX else compile_node(expr)
        self._selectors = _selectors(expr)
        self.metric_names = _metric_names(expr)
        self.lookback_ms = _reach_ms(expr, lookback_ms)

    @property
    def type(self) -> str:
        """ "scalar", "vector", "matrix" or "string"."""
        return self.expr.type

    def __str__(self) -> str:
        return to_text(self.expr)

    def instant(self, database: Database, time_ms: int) -> Scalar | String | Vector | RangeVector:
        """The value at one time; EvalError when the data does not allow one."""
        run = self._run(database, time_ms, time_ms, 0)
        if self._root is None:
            return self._range_vector(run, time_ms)
        # Divisions by zero and NaN are ordinary values here; entered once, as it costs as much as a small operation.
        with np.errstate(all="ignore"):
            found = self._root.evaluate(run, np.array([time_ms], dtype=np.int64))
        notes = {"warnings": run.annotations.warnings, "infos": run.annotations.infos} if run.annotations else {}
        if isinstance(found, Text):
            return String(time_ms, found.value, **notes)
        if isinstance(found, np.ndarray):
            return Scalar(time_ms, float(found[0]), **notes)
        return self._vector(found, time_ms, notes)

    def range(self, database: Database, start_ms: int, end_ms: int, step_ms: int) -> Matrix:
        """The values at start, start+step, … up to end; equal to `instant` at each of them."""
        if self.type not in (ast.SCALAR, ast.VECTOR):
            kind = ast.documented_type(self.type)
            raise EvalError(f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector')
        if step_ms <= 0:
            raise EvalError("zero or negative query resolution step widths are not accepted. Try a positive integer")
        steps = (end_ms - start_ms) // step_ms + 1 if end_ms >= start_ms else 0
        if steps > MAX_STEPS:
            raise EvalError(f"a range query may have {MAX_STEPS} steps, this one has {steps}: use a larger step")
        times = start_ms + step_ms * np.arange(steps, dtype=np.int64)
        run = self._run(database, start_ms, end_ms, step_ms)
        with np.errstate(all="ignore"):
            return self._matrix(run, times)

    def _run(self, database: Database, start_ms: int, end_ms: int, step_ms: int) -> Run:
        notes = Annotations(self.text)
        return Run(database, start_ms, end_ms, step_ms, self._lookback_ms, self._subquery_step_ms, notes)

    def _vector(self, grid: Grid, time_ms: int, notes: dict[str, list[str]]) -> Vector:
        labels, target = grid.columns.final()
        if target is not None:
            grid = merge_columns(labels, target, grid)
        if grid.present is None:
            keep = None
        else:
            row = grid.present[0]
            keep = None if row.all() else np.flatnonzero(row)
        values = grid.values[0]
        histograms = None if grid.histograms is None else grid.histograms[0].tolist()
        if keep is not None:
            values = values[keep]
            kept = keep.tolist()
            labels = [labels[i] for i in kept]
            histograms = None if histograms is None else [histograms[i] for i in kept]
        else:
            labels = list(labels)
        vector = Vector(time_ms, labels, values, histograms, **notes)
        return self._ordered(vector)

    def _ordered(self, vector: Vector) -> Vector:
        if not isinstance(ast.unwrap(self.expr), (ast.Call, ast.Aggregate)) or len(vector) < 2:
            return vector
        order = sort_order(self.expr, vector.labels, vector.values.tolist())
        if order == list(range(len(order))):
            return vector
        vector.labels = [vector.labels[i] for i in order]
        vector.values = vector.values[order]
        if vector.histograms is not None:
            vector.histograms = [vector.histograms[i] for i in order]
        return vector

    def _matrix(self, run: Run, times: Ints) -> Matrix:
        """Evaluate in blocks of steps, so that a block of all series stays a size that memory likes."""
        assert self._root is not None
        blocks: list[Grid] = []
        size = self._block_steps(run)
        for at in range(0, len(times), size):
            found = self._root.evaluate(run, times[at : at + size])
            grid = Grid(UNLABELLED, found[:, None]) if isinstance(found, np.ndarray) else found
            assert isinstance(grid, Grid)
            blocks.append(grid)
        return _assemble(blocks, times, run.annotations)

    def _block_steps(self, run: Run) -> int:
        """Steps per block: so many that the widest selector fills `BLOCK_CELLS`."""
        widest = max((run.database.select(matchers).size for matchers in self._selectors), default=1)
        return max(1, BLOCK_CELLS // max(widest, 1))

    def _range_vector(self, run: Run, time_ms: int) -> RangeVector:
        expr = ast.unwrap(self.expr)
        source = range_source(expr)
        with np.errstate(all="ignore"):
            windows, columns = source.windows(run, np.array([time_ms], dtype=np.int64))
        labels, samples = [], []
        found = windows.samples_of_step(0)
        final, _ = columns.final()
        for column in sorted(found, key=lambda c: final[c]):
            labels.append(final[column])
            samples.append(found[column])
        notes = run.annotations
        return RangeVector(time_ms, labels, samples, warnings=notes.warnings, infos=notes.infos)


def _assemble(blocks: list[Grid], times: Ints, notes: Annotations) -> Matrix:
    """One matrix from blocks of steps, whose columns may differ: series are put together by their final labels."""
    places: dict[tuple[tuple[str, str], ...], int] = {}
    targets = []
    for block in blocks:
        labels, merge = block.columns.final()
        if merge is not None:
            drop = np.zeros(len(labels), dtype=np.bool_)
            block = merge_columns(labels, merge, block, drop)
        targets.append((block, np.array([places.setdefault(one, len(places)) for one in labels], dtype=np.int64)))
    width = len(places)
    values = np.full((len(times), width), np.nan)
    present = np.zeros((len(times), width), dtype=np.bool_)
    histograms = None
    if any(block.histograms is not None for block, _ in targets):
        histograms = np.full((len(times), width), None, dtype=object)
    at = 0
    for block, target in targets:
        rows = slice(at, at + block.steps)
        at += block.steps
        if len(target) == 0:
            continue
        here = block.presence()
        values[rows, target] = np.where(here, block.values, np.nan)
        present[rows, target] = here
        if histograms is not None and block.histograms is not None:
            cells: Any = None
            histograms[rows, target] = np.where(here, block.histograms, cells)
    order = [column for _, column in sorted((labels, column) for labels, column in places.items())]
    used = any_step(present)
    order = [column for column in order if used[column]]
    names = list(places)
    return Matrix(
        times,
        [names[column] for column in order],
        np.ascontiguousarray(values[:, order].T),
        np.ascontiguousarray(present[:, order].T),
        None if histograms is None else histograms[:, order].T,
        warnings=notes.warnings,
        infos=notes.infos,
    )


# From syntax to nodes


class _Literal:
    def __init__(self, value: str) -> None:
        self.value = Text(value)

    def evaluate(self, run: Run, times: Ints) -> Text:
        del run, times
        return self.value


class _Failing:
    """A call whose constant arguments are wrong: the query parses, evaluation says what is the matter."""

    def __init__(self, problem: EvalError) -> None:
        self.message = problem.message

    def evaluate(self, run: Run, times: Ints) -> Floats:
        del run, times
        raise EvalError(self.message)


def compile_node(expr: ast.Expr) -> Node:
    """The node of an expression that is no range vector."""
    match expr:
        case ast.Paren():
            return compile_node(expr.expr)
        case ast.NumberLiteral():
            return Constant(expr.value)
        case ast.StringLiteral():
            return _Literal(expr.value)
        case ast.VectorSelector():
            return InstantSelector(expr)
        case ast.Unary():
            inner = compile_node(expr.expr)
            return Negation(inner) if expr.op == "-" else inner
        case ast.Binary():
            return _binary(expr)
        case ast.Aggregate():
            return _aggregate(expr)
        case ast.Call():
            try:
                return _call(expr)
            except EvalError as problem:
                return _Failing(problem)
    raise TypeError(type(expr).__name__)


def _binary(expr: ast.Binary) -> Node:
    left, right = compile_node(expr.left), compile_node(expr.right)
    kinds = (expr.left.type, expr.right.type)
    if kinds == (ast.SCALAR, ast.SCALAR):
        return ScalarBinary(expr, left, right)
    if ast.SCALAR in kinds:
        swapped = kinds[0] == ast.SCALAR
        return VectorScalarBinary(expr, *((right, left) if swapped else (left, right)), swapped=swapped)
    return SetBinary(expr, left, right) if expr.op in ast.SET_OPERATORS else VectorBinary(expr, left, right)


def _aggregate(expr: ast.Aggregate) -> Node:
    param: Node | str | None = None
    if expr.param is not None:
        inner = ast.unwrap(expr.param)
        param = inner.value if isinstance(inner, ast.StringLiteral) else compile_node(expr.param)
    return Aggregation(expr, compile_node(expr.expr), param)


def range_source(expr: ast.Expr) -> range_functions.Source:
    """Where the windows of a range vector come from."""
    expr = ast.unwrap(expr)
    if isinstance(expr, ast.Subquery):
        return SubqueryRange(expr, compile_node(expr.expr))
    assert isinstance(expr, ast.MatrixSelector)
    return RangeSelector(expr)


def _text(expr: ast.Expr) -> str:
    inner = ast.unwrap(expr)
    assert isinstance(inner, ast.StringLiteral)
    return inner.value


def _call(expr: ast.Call) -> Node:
    name, args = expr.name, expr.args
    ranges = [arg for arg in args if arg.type == ast.MATRIX]
    if ranges:
        scalars = [compile_node(arg) for arg in args if arg.type != ast.MATRIX]
        return range_functions.RangeCall(expr, range_source(ranges[0]), ast.unwrap(ranges[0]), scalars)
    if name in ELEMENTWISE:
        return Elementwise(name, compile_node(args[0]))
    if name in dates.NAMES:
        return DatePart(name, compile_node(args[0]) if args else None)
    if name == "pi":
        return Constant(float(np.pi))
    if name in ("time", "start", "end", "range", "step"):
        return Clock(name)
    if name == "label_replace":
        return LabelReplace(compile_node(args[0]), *(_text(arg) for arg in args[1:5]))
    if name == "label_join":
        texts = [_text(arg) for arg in args[1:]]
        return LabelJoin(compile_node(args[0]), texts[0], texts[1], texts[2:])
    if name == "histogram_quantiles":
        return HistogramQuantiles(expr, compile_node(args[0]), _text(args[1]), [compile_node(a) for a in args[2:]])
    return _plain_call(expr, [compile_node(arg) for arg in args if arg.type != ast.STRING])


def _plain_call(expr: ast.Call, nodes: list[Node]) -> Node:
    match expr.name:
        case "absent":
            return Absent(nodes[0], absent_labels(expr.args[0]))
        case "scalar":
            return ScalarOf(nodes[0])
        case "vector":
            return VectorOf(nodes[0])
        case "timestamp":
            return Timestamp(nodes[0])
        case "round":
            return Rounding(nodes[0], nodes[1] if len(nodes) > 1 else None)
        case "clamp":
            return Clamp(nodes[0], nodes[1], nodes[2])
        case "clamp_min":
            return Clamp(nodes[0], nodes[1], None)
        case "clamp_max":
            return Clamp(nodes[0], None, nodes[1])
        case "min_of" | "max_of":
            return ScalarPair(expr.name, nodes[0], nodes[1])
        case "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc":
            return Sorting(expr, nodes[0])
        case "histogram_quantile":
            return HistogramQuantile(expr, nodes[0], nodes[1])
        case "histogram_fraction":
            return HistogramFraction(expr, nodes[0], nodes[1], nodes[2])
        case "histogram_count" | "histogram_sum" | "histogram_avg" | "histogram_stddev" | "histogram_stdvar":
            return HistogramReading(expr.name, nodes[0])
        case "info":
            return Info(expr, nodes[0])
    raise EvalError(f"{expr.name}() is not evaluated")


# What a plan tells about itself


def _selectors(expr: ast.Expr) -> list[tuple[Matcher, ...]]:
    if isinstance(expr, ast.VectorSelector):
        return [tuple(expr.matchers)]
    return [found for child in ast.children(expr) for found in _selectors(child)]


def _metric_names(expr: ast.Expr) -> frozenset[str] | None:
    if isinstance(expr, ast.VectorSelector):
        names = [m.value for m in expr.matchers if m.name == METRIC_NAME and m.op == EQUAL and m.value]
        listed = [m.values for m in expr.matchers if m.name == METRIC_NAME and m.values and not m.negative]
        if names:
            return frozenset(names[:1])
        return listed[0] if listed else None
    found: frozenset[str] = frozenset()
    if isinstance(expr, ast.Call) and expr.name == "info":
        return None
    for child in ast.children(expr):
        below = _metric_names(child)
        if below is None:
            return None
        found |= below
    return found


def _reach_ms(expr: ast.Expr, lookback_ms: int) -> int:
    """How far before the evaluation time samples may matter; `@` makes that unbounded, which counts as nothing here."""
    own = 0
    shift = None
    if isinstance(expr, ast.VectorSelector):
        own, shift = lookback_ms, expr.shift
    elif isinstance(expr, ast.MatrixSelector):
        widened = lookback_ms if expr.selector.anchored or expr.selector.smoothed else 0
        return _length(expr.range_s) + widened + max(_offset(expr.selector.shift), 0)
    elif isinstance(expr, ast.Subquery):
        own, shift = _length(expr.range_s), expr.shift
    below = max((_reach_ms(child, lookback_ms) for child in ast.children(expr)), default=0)
    return max(own + below + (max(_offset(shift), 0) if shift is not None else 0), 0)


def _length(seconds: float) -> int:
    return to_ms(seconds)


def _offset(shift: ast.Shift) -> int:
    return to_ms(shift.offset_s) if is_constant(shift.offset_expr) else 0
