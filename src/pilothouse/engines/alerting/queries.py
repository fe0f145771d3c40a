"""The border to the query engine: the one file of this room that knows how `promql` compiles, answers and fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pilothouse.engines import promql
from pilothouse.engines.promql import ast
from pilothouse.engines.promql.durations import is_constant
from pilothouse.engines.tsdb import Database, Labels

Sample = tuple[Labels, float]

DEFAULT_SUBQUERY_STEP_MS = promql.DEFAULT_SUBQUERY_STEP_MS


class QueryError(Exception):
    """A query cannot be parsed or answered, in Prometheus' words; `picture` has the text with a caret under the
    place.
    """

    def __init__(self, message: str, picture: str = "") -> None:
        super().__init__(message)
        self.picture = picture


@dataclass(frozen=True, slots=True)
class Span:
    """Answers over many times. present and values are [series, time]; labels in label order."""

    labels: list[Labels]
    present: npt.NDArray[np.bool_]
    values: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Query:
    """A compiled expression and the text it came from."""

    text: str
    plan: promql.Plan

    @property
    def metric_names(self) -> frozenset[str] | None:
        """Names it may read, None when it may read any."""
        return self.plan.metric_names

    @property
    def knows_its_span(self) -> bool:
        """Whether many times at once give something else: `@ start()`, `@ end()`, `step()` in a duration."""
        return any(_of_the_span(node) for node in _walk(self.plan.expr))

    @property
    def looks_ahead(self) -> bool:
        """Whether it may read samples that are younger than its evaluation: a negative offset, a fixed `@`."""
        return any(shift.offset_s < 0 or shift.has_at for shift in map(_shift, _walk(self.plan.expr)) if shift)

    def samples(self, database: Database, time_ms: int) -> list[Sample]:
        """The answer as a vector; a scalar is one sample without labels. QueryError when it fails.

        Native histograms are left out: rules here neither record them nor fire on them.
        """
        result = self._instant(database, time_ms)
        if isinstance(result, promql.Scalar):
            return [((), result.value)]
        if result.histograms is None:
            return list(result)
        return [sample for sample, histogram in zip(result, result.histograms) if histogram is None]

    def values(self, database: Database, time_ms: int) -> list[tuple[Labels, Any]]:
        """Like `samples`, with native histograms as the engine holds them."""
        result = self._instant(database, time_ms)
        if isinstance(result, promql.Scalar):
            return [((), result.value)]
        if result.histograms is None:
            return list(result)
        return [(ls, v if h is None else h) for (ls, v), h in zip(result, result.histograms)]

    def _instant(self, database: Database, time_ms: int) -> promql.Scalar | promql.Vector:
        try:
            result = self.plan.instant(database, time_ms)
        except promql.EvalError as error:
            raise QueryError(str(error)) from None
        if not isinstance(result, promql.Scalar | promql.Vector):
            raise QueryError("rule result is not a vector or scalar")
        return result

    def span(self, database: Database, times: range) -> Span:
        """The answers at all times (ms, evenly spaced); QueryError when one of them fails."""
        try:
            found = self.plan.range(database, times[0], times[-1], times.step)
        except promql.EvalError as error:
            raise QueryError(str(error)) from None
        present = found.present
        if found.histograms is not None:
            present = present & np.array([[h is None for h in row] for row in found.histograms], dtype=np.bool_)
        return Span(found.labels, present, found.values)


def _walk(expr: ast.Expr) -> Iterator[ast.Expr]:
    yield expr
    for child in ast.children(expr):
        yield from _walk(child)


def _shift(expr: ast.Expr) -> ast.Shift | None:
    return expr.shift if isinstance(expr, ast.VectorSelector | ast.Subquery) else None


def _of_the_span(expr: ast.Expr) -> bool:
    shift = _shift(expr)
    if shift is not None and (shift.at_edge or not is_constant(shift.offset_expr)):
        return True
    if isinstance(expr, ast.MatrixSelector):
        return not is_constant(expr.range_expr)
    return isinstance(expr, ast.Subquery) and not (is_constant(expr.range_expr) and is_constant(expr.step_expr))


@lru_cache(maxsize=4096)
def compile_query(text: str, subquery_step_ms: int = DEFAULT_SUBQUERY_STEP_MS) -> Query:
    """A compiled query, remembered by its text; QueryError with `line:column: parse error: …`.

    subquery_step_ms: the resolution of subqueries that name none, Prometheus' global evaluation interval.
    """
    try:
        return Query(text, promql.compile(text, subquery_step_ms=subquery_step_ms))
    except promql.ParseError as error:
        raise QueryError(str(error), error.caret()) from None
