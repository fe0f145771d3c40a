"""The canonical text of a syntax tree, as Prometheus prints it (promql/parser/printer.go): parsing it gives the
tree again.
"""

from __future__ import annotations

import math

from pilothouse.base.duration import format_prometheus_duration
from pilothouse.engines.promql.ast import (
    Aggregate,
    Binary,
    Call,
    DurationExpr,
    Expr,
    Matching,
    MatrixSelector,
    NumberLiteral,
    Paren,
    Shift,
    StringLiteral,
    Subquery,
    Unary,
    VectorSelector,
)
from pilothouse.engines.promql.durations import to_ms
from pilothouse.engines.tsdb.labels import METRIC_NAME, is_legacy_label_name, is_legacy_metric_name, quote
from pilothouse.engines.tsdb.matchers import EQUAL


def to_text(expr: Expr) -> str:
    """One line of PromQL."""
    match expr:
        case NumberLiteral():
            return _duration(expr.value) if expr.duration else format_number(expr.value)
        case StringLiteral():
            return quote(expr.value)
        case DurationExpr():
            return _duration_expr(expr)
        case VectorSelector():
            return _selector(expr) + _at(expr.shift) + _extension(expr) + _offset(expr.shift)
        case MatrixSelector():
            selector = expr.selector
            tail = _extension(selector) + _at(selector.shift) + _offset(selector.shift)
            return f"{_selector(selector)}[{_length(expr.range_s, expr.range_expr)}]{tail}"
        case Subquery():
            step = _length(expr.step_s, expr.step_expr) if expr.step_s or expr.step_expr else ""
            span = f"[{_length(expr.range_s, expr.range_expr)}:{step}]"
            return to_text(expr.expr) + span + _at(expr.shift) + _offset(expr.shift)
        case Paren():
            return f"({to_text(expr.expr)})"
        case Unary():
            return expr.op + to_text(expr.expr)
        case Binary():
            word = expr.op + (" bool" if expr.bool_modifier else "") + _matching(expr.matching)
            return f"{to_text(expr.left)} {word} {to_text(expr.right)}"
        case Aggregate():
            return _aggregate(expr)
        case Call():
            return f"{expr.name}({', '.join(to_text(arg) for arg in expr.args)})"
    raise TypeError(type(expr).__name__)


def format_number(value: float) -> str:
    """A float as Go's FormatFloat(v, 'f', -1, 64): shortest digits, no exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" in text or "E" in text:
        text = _without_exponent(text)
    return text.removesuffix(".0")


def _without_exponent(text: str) -> str:
    mantissa, _, exponent = text.lower().partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    point = len(whole) + int(exponent)
    digits = whole + fraction
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}".rstrip("0").rstrip(".")
    digits = digits.ljust(point, "0")
    fraction = digits[point:].rstrip("0")
    return f"{sign}{digits[:point]}" + (f".{fraction}" if fraction else "")


def _duration(seconds: float) -> str:
    return format_prometheus_duration(to_ms(seconds))


def _length(seconds: float, expr: DurationExpr | None) -> str:
    return _duration(seconds) if expr is None else _duration_expr(expr)


def _duration_expr(expr: DurationExpr) -> str:
    left = "" if expr.left is None else to_text(expr.left)
    right = "" if expr.right is None else to_text(expr.right)
    if expr.op in ("step", "range"):
        text = f"{expr.op}()"
    elif expr.op in ("min_of", "max_of"):
        text = f"{expr.op}({left}, {right})"
    elif expr.left is None:
        text = right if expr.op == "+" else f"-{right}"
    else:
        text = f"{left} {expr.op} {right}"
    return f"({text})" if expr.wrapped else text


def _selector(expr: VectorSelector) -> str:
    quoted = bool(expr.name) and not is_legacy_metric_name(expr.name)
    shown = [
        str(m)
        for m in expr.matchers
        if not (m.name == METRIC_NAME and m.op == EQUAL and m.value == expr.name and expr.name)
    ]
    shown.sort()
    if quoted:
        shown.insert(0, quote(expr.name))
    return ("" if quoted else expr.name) + (f"{{{','.join(shown)}}}" if shown or not expr.name else "")


def _at(shift: Shift) -> str:
    if shift.at_ms is not None:
        return f" @ {shift.at_ms / 1000:.3f}"
    return f" @ {shift.at_edge}()" if shift.at_edge else ""


def _offset(shift: Shift) -> str:
    if shift.offset_expr is not None:
        return f" offset {_duration_expr(shift.offset_expr)}"
    return f" offset {_duration(shift.offset_s)}" if shift.offset_s else ""


def _extension(expr: VectorSelector) -> str:
    if expr.anchored:
        return " anchored"
    return " smoothed" if expr.smoothed else ""


def _names(labels: list[str]) -> str:
    return ", ".join(label if is_legacy_label_name(label) else quote(label) for label in labels)


def _matching(matching: Matching | None) -> str:
    if matching is None:
        return ""
    text = ""
    grouped = matching.card in ("many-to-one", "one-to-many")
    if matching.labels or matching.on or grouped:
        text += f" {'on' if matching.on else 'ignoring'} ({_names(matching.labels)})"
    if grouped:
        text += f" group_{'left' if matching.card == 'many-to-one' else 'right'} ({_names(matching.include)})"
    left, right = matching.fill_left, matching.fill_right
    if left is not None and left == right:
        return text + f" fill ({format_number(left)})"
    if left is not None:
        text += f" fill_left ({format_number(left)})"
    if right is not None:
        text += f" fill_right ({format_number(right)})"
    return text


def _aggregate(expr: Aggregate) -> str:
    text = expr.op
    if expr.without:
        text += f" without ({_names(expr.grouping)}) "
    elif expr.grouping:
        text += f" by ({_names(expr.grouping)}) "
    param = "" if expr.param is None else f"{to_text(expr.param)}, "
    return f"{text}({param}{to_text(expr.expr)})"
