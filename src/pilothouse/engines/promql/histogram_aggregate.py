"""Aggregations over grids that hold native histograms."""

from __future__ import annotations

from typing import Any

from pilothouse.engines.promql import ast
from pilothouse.engines.promql.errors import NotEvaluated
from pilothouse.engines.promql.grid import Floats, Grid
from pilothouse.engines.promql.run import Run


def aggregate_histograms(
    expr: ast.Aggregate, run: Run, grid: Grid, groups: Any, param: Floats | None, plain: Any
) -> Grid:
    raise NotEvaluated("native histograms are not evaluated")
