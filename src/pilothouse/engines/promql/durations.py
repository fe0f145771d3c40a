"""Durations of a query: from what was written to milliseconds, with the query's step and range where they are asked
for.
"""

from __future__ import annotations

import math

from pilothouse.engines.promql.ast import DurationExpr, Expr, NumberLiteral
from pilothouse.engines.promql.errors import EvalError

_LONGEST_S = 2**63 / 1e9


_BEYOND_S = 1e18


def to_ms(seconds: float) -> int:
    """Whole milliseconds of written seconds: rounded to nanoseconds, then cut, as Go's time.Duration goes."""
    # Far beyond what a duration may be the nanoseconds overflow a float; the callers refuse both alike.
    bounded = min(max(seconds, -_BEYOND_S), _BEYOND_S)
    return math.trunc(round(bounded * 1e9) / 1_000_000)


def evaluate_ms(expr: DurationExpr, step_ms: int, range_ms: int, *, signed: bool) -> int:
    """Milliseconds of a duration expression; EvalError when it is not finite, or not positive where it must be."""
    seconds = _seconds(expr, step_ms / 1000, range_ms / 1000)
    where = f"{expr.span[0]}:{expr.span[1]}"
    if math.isnan(seconds) or math.isinf(seconds):
        raise EvalError(f"{where}: duration is NaN or infinite")
    if seconds <= 0 and not signed:
        raise EvalError(f"{where}: duration must be greater than 0")
    if abs(seconds) > _LONGEST_S:
        raise EvalError(f"{where}: duration is out of range")
    return math.trunc(seconds * 1000)


def is_constant(expr: Expr | None) -> bool:
    """Whether the duration needs neither step() nor range()."""
    if isinstance(expr, DurationExpr):
        return expr.op not in ("step", "range") and is_constant(expr.left) and is_constant(expr.right)
    return True


def _seconds(expr: Expr, step_s: float, range_s: float) -> float:
    if isinstance(expr, NumberLiteral):
        return expr.value
    assert isinstance(expr, DurationExpr)
    if expr.op == "step":
        return step_s
    if expr.op == "range":
        return range_s
    left = 0.0 if expr.left is None else _seconds(expr.left, step_s, range_s)
    right = 0.0 if expr.right is None else _seconds(expr.right, step_s, range_s)
    if expr.op in ("/", "%") and right == 0:
        word = "division" if expr.op == "/" else "modulo"
        raise EvalError(f"{expr.span[0]}:{expr.span[1]}: {word} by zero")
    return _combine(expr.op, left, right)


def _combine(op: str, left: float, right: float) -> float:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "%":
            return math.fmod(left, right)
        case "^":
            return _power(left, right)
        case "min_of":
            return min(left, right)
    return max(left, right)


def _power(left: float, right: float) -> float:
    try:
        found = left**right
    except (OverflowError, ZeroDivisionError):
        return math.inf
    return math.nan if isinstance(found, complex) else found
