"""Window by window evaluation, for series with native histograms or start timestamps and for anchored and smoothed
ranges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pilothouse.engines.promql import ast
from pilothouse.engines.promql.errors import NotEvaluated
from pilothouse.engines.promql.grid import Floats, Grid, Ints
from pilothouse.engines.promql.run import Run
from pilothouse.engines.tsdb.labels import Labels
from pilothouse.engines.tsdb.loose import Sample


@dataclass(slots=True)
class Walk:
    expr: ast.Call
    source: ast.Expr
    range_ms: int
    run: Run
    times: Ints
    scalars: list[Floats]

    def extended(self, source: Any) -> Grid:
        raise NotEvaluated("anchored and smoothed ranges are not evaluated")


def walk_series(
    walk: Walk, samples: list[Sample], labels: Labels, starts: Ints, ends: Ints
) -> Iterator[tuple[int, float, Any]]:
    raise NotEvaluated("native histograms are not evaluated")
