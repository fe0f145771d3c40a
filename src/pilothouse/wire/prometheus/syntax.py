"""A syntax tree as JSON, the way `/parse_query` gives it to query editors (web/api/v1/translate_ast.go)."""

from __future__ import annotations

from typing import Any

from pilothouse.engines.promql.ast import (
    Aggregate,
    Binary,
    Call,
    DurationExpr,
    Expr,
    MatrixSelector,
    NumberLiteral,
    Paren,
    Shift,
    StringLiteral,
    Subquery,
    Unary,
    VectorSelector,
)
from pilothouse.signals.metrics.go_numbers import format_f


def tree(expr: Expr | None) -> dict[str, Any] | None:
    """The node and everything below it; None for an absent part."""
    match expr:
        case None:
            return None
        case Aggregate():
            shown = {"op": expr.op, "expr": tree(expr.expr), "param": tree(expr.param), "grouping": expr.grouping}
            return {"type": "aggregation", **shown, "without": expr.without}
        case Binary():
            return _binary(expr)
        case Call():
            return _call(expr)
        case MatrixSelector():
            span = {"range": _ms(expr.range_s), "rangeExpr": _duration(expr.range_expr)}
            return {"type": "matrixSelector", **_selector(expr.selector), **span}
        case Subquery():
            length: dict[str, Any] = {"range": _ms(expr.range_s), "rangeExpr": _duration(expr.range_expr)}
            step = {"step": _ms(expr.step_s), "stepExpr": _duration(expr.step_expr)}
            return {"type": "subquery", "expr": tree(expr.expr), **length, **step, **_shift(expr.shift)}
        case DurationExpr():
            return _duration(expr)
        case NumberLiteral():
            return {"type": "numberLiteral", "val": format_f(expr.value)}
        case StringLiteral():
            return {"type": "stringLiteral", "val": expr.value}
        case Paren():
            return {"type": "parenExpr", "expr": tree(expr.expr)}
        case Unary():
            return {"type": "unaryExpr", "op": expr.op, "expr": tree(expr.expr)}
        case VectorSelector():
            return {"type": "vectorSelector", **_selector(expr)}
    raise TypeError(type(expr).__name__)


def _binary(expr: Binary) -> dict[str, Any]:
    matching: dict[str, Any] | None = None
    if expr.matching is not None:
        found = expr.matching
        matching = {"card": found.card, "labels": found.labels, "on": found.on, "include": found.include}
        matching["fillValues"] = {"lhs": found.fill_left, "rhs": found.fill_right}
    sides = {"lhs": tree(expr.left), "rhs": tree(expr.right)}
    return {"type": "binaryExpr", "op": expr.op, **sides, "matching": matching, "bool": expr.bool_modifier}


def _call(expr: Call) -> dict[str, Any]:
    signature = expr.signature
    function = {"name": signature.name, "argTypes": list(signature.args), "variadic": signature.optional}
    return {"type": "call", "func": {**function, "returnType": signature.returns}, "args": [tree(a) for a in expr.args]}


def _selector(expr: VectorSelector) -> dict[str, Any]:
    matchers = [{"name": matcher.name, "value": matcher.value, "type": matcher.op} for matcher in expr.matchers]
    flags = {"anchored": expr.anchored, "smoothed": expr.smoothed}
    return {"name": expr.name, "matchers": matchers, **_shift(expr.shift), **flags}


def _shift(shift: Shift) -> dict[str, Any]:
    where = {"timestamp": shift.at_ms, "startOrEnd": shift.at_edge or None}
    return {"offset": _ms(shift.offset_s), "offsetExpr": _duration(shift.offset_expr), **where}


def _duration(expr: Expr | None) -> dict[str, Any] | None:
    if isinstance(expr, DurationExpr):
        sides = {"lhs": _duration(expr.left), "rhs": _duration(expr.right)}
        return {"type": "durationExpr", "op": expr.op, **sides, "wrapped": expr.wrapped}
    if isinstance(expr, NumberLiteral):
        return {"type": "numberLiteral", "val": format_f(expr.value), "duration": expr.duration}
    return tree(expr)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
