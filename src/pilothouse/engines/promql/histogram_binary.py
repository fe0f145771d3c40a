"""Binary operators where a native histogram is involved."""

from __future__ import annotations

from pilothouse.engines.promql import ast
from pilothouse.engines.promql.errors import NotEvaluated
from pilothouse.engines.promql.grid import Bools, Grid
from pilothouse.engines.promql.run import Run


def combine_cells(expr: ast.Binary, run: Run, left: Grid, right: Grid, here: Bools) -> Grid:
    raise NotEvaluated("native histograms are not evaluated")
