"""Binary operators where a native histogram is involved, cell by cell (vectorElemBinop of promql/engine.go)."""

from __future__ import annotations

import numpy as np

from pilothouse.engines.promql import ast, histogram_shape
from pilothouse.engines.promql.grid import Bools, Floats, Grid, Objects, holding
from pilothouse.engines.promql.histogram import GAUGE, FloatHistogram, IncompatibleSchema
from pilothouse.engines.promql.run import Run


def combine_cells(expr: ast.Binary, run: Run, left: Grid, right: Grid, here: Bools) -> Grid:
    """The operator over aligned grids; cells that cannot be combined are left out with an info."""
    values = _floats(expr, left.values, right.values)
    kept = here.copy()
    shape = values.shape
    histograms: Objects = np.full(shape, None, dtype=object)
    left_cells, right_cells = _cells(left, shape), _cells(right, shape)
    involved = (holding(left_cells) | holding(right_cells)) & here
    plain = here & ~involved
    if expr.op in ast.COMPARISONS:
        passed = values != 0
        if expr.bool_modifier:
            values = passed.astype(np.float64)
        else:
            kept &= ~plain | passed
            values = left.values
    elif expr.op in ("</", ">/"):
        if plain.any():
            _incompatible(expr, run, "float", "float")
        kept &= ~plain
    values = np.array(values, dtype=np.float64)
    for cell in zip(*(index.tolist() for index in np.nonzero(involved))):
        found = _combine(expr, run, left_cells[cell], right_cells[cell], left.values[cell], right.values[cell])
        if found is None:
            kept[cell] = False
        elif isinstance(found, bool):
            if expr.bool_modifier:
                values[cell] = float(found)
            else:
                kept[cell] = found
                histograms[cell] = left_cells[cell]
        else:
            histograms[cell] = found
    return Grid(left.columns, values, kept, histograms if holding(histograms).any() else None)


def _cells(grid: Grid, shape: tuple[int, ...]) -> Objects:
    return np.full(shape, None, dtype=object) if grid.histograms is None else grid.histograms


def _floats(expr: ast.Binary, left: Floats, right: Floats) -> Floats:
    from pilothouse.engines.promql.binary import ARITHMETIC, COMPARE  # binary builds on this module

    if expr.op in COMPARE:
        return COMPARE[expr.op](left, right).astype(np.float64)
    if expr.op in ARITHMETIC:
        return ARITHMETIC[expr.op](left, right)
    return np.zeros(np.broadcast_shapes(left.shape, right.shape))


def _combine(
    expr: ast.Binary, run: Run, left: FloatHistogram | None, right: FloatHistogram | None, lf: float, rf: float
) -> FloatHistogram | bool | None:
    op = expr.op
    if left is None:
        assert right is not None
        if op == "*":
            return right.scaled(float(lf)).compacted()
        _incompatible(expr, run, "float", "histogram")
        return None
    if right is None:
        if op == "*":
            return left.scaled(float(rf)).compacted()
        if op == "/":
            return left.divided(float(rf)).compacted()
        if op in ("</", ">/"):
            return histogram_shape.trimmed(left, float(rf), upper=op == "</")
        _incompatible(expr, run, "histogram", "float")
        return None
    if op in ("==", "!="):
        return (left == right) == (op == "==")
    if op in ("+", "-"):
        return _sum(expr, run, left, right)
    _incompatible(expr, run, "histogram", "histogram")
    return None


def _sum(expr: ast.Binary, run: Run, left: FloatHistogram, right: FloatHistogram) -> FloatHistogram | None:
    word = "addition" if expr.op == "+" else "subtraction"
    start = expr.span[0]
    try:
        found, collision, reconciled = left.plus(right) if expr.op == "+" else left.minus(right)
    except IncompatibleSchema:
        run.annotations.warn(f"incompatible bucket layout encountered for binary operator {expr.op}", start)
        return None
    if collision:
        run.annotations.warn(f"conflicting counter resets during histogram {word}", start)
    if reconciled:
        run.annotations.info(f"mismatched custom buckets were reconciled during {word}", start)
    return (found if expr.op == "+" else found.with_hint(GAUGE)).compacted()


def _incompatible(expr: ast.Binary, run: Run, left: str, right: str) -> None:
    text = f'incompatible sample types encountered for binary operator "{expr.op}": {left} {expr.op} {right}'
    run.annotations.info(text, expr.span[0])
