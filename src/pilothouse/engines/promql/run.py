"""What one evaluation carries along: the database, the query's own window, lookback and annotations.

Made by `plan` once per evaluation, handed to every node. Nodes get the step times separately: a subquery evaluates
its inner expression at other times than the query.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pilothouse.engines.promql.ast import DurationExpr
from pilothouse.engines.promql.durations import evaluate_ms, to_ms
from pilothouse.engines.promql.errors import Annotations
from pilothouse.engines.promql.grid import Ints, Value
from pilothouse.engines.tsdb.database import Database


@dataclass(slots=True)
class Run:
    """start, end, step: of the whole query in ms (step 0 for an instant query), whatever block of steps is worked
    on.
    """

    database: Database
    start_ms: int
    end_ms: int
    step_ms: int
    lookback_ms: int
    default_step_ms: int
    annotations: Annotations

    def length_ms(self, seconds: float, expr: DurationExpr | None, *, signed: bool = False) -> int:
        """A written duration in ms."""
        if expr is None:
            return to_ms(seconds)
        return evaluate_ms(expr, self.step_ms, self.end_ms - self.start_ms, signed=signed)


class Node(Protocol):
    """A compiled expression."""

    def evaluate(self, run: Run, times: Ints) -> Value:
        """The value at each of the rising times (int64 ms)."""
        ...
