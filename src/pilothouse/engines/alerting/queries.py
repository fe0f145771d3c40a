"""The border to the query engine: the one file of this room that knows how `promql` compiles, answers and fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pilothouse.engines import promql
from pilothouse.engines.promql.errors import EvalError, ParseError
from pilothouse.engines.tsdb import Database, Labels

Sample = tuple[Labels, float]


class QueryError(Exception):
    """A query cannot be parsed or answered, in Prometheus' words; `picture` shows the text with a caret under the place."""

    def __init__(self, message: str, picture: str = "") -> None:
        super().__init__(message)
        self.picture = picture


@dataclass(frozen=True, slots=True)
class Query:
    """A compiled expression and the text it came from."""

    text: str
    plan: Any

    @property
    def metric_names(self) -> frozenset[str] | None:
        """Names it may read, None when it may read any."""
        names: frozenset[str] | None = self.plan.metric_names
        return names

    def samples(self, database: Database, time_ms: int) -> list[Sample]:
        """The answer as a vector; a scalar is one sample without labels. QueryError when it fails or is of another type."""
        try:
            result = self.plan.instant(database, time_ms)
        except EvalError as error:
            raise QueryError(str(error)) from None
        return _samples_of(result)

    def span(
        self, database: Database, times: range
    ) -> list[tuple[Labels, npt.NDArray[np.bool_], npt.NDArray[np.float64]]]:
        """Per series: labels, where it has a value, and the values, over all times (ms, evenly spaced)."""
        raise NotImplementedError


def _samples_of(result: Any) -> list[Sample]:
    raise NotImplementedError


@lru_cache(maxsize=4096)
def compile_query(text: str) -> Query:
    """A compiled query, remembered by its text; QueryError with `line:column: parse error: …`."""
    try:
        return Query(text, promql.compile(text))
    except ParseError as error:
        raise QueryError(str(error), error.caret()) from None


def vector_of(samples: Sequence[Sample]) -> dict[Labels, float]:
    return dict(samples)
