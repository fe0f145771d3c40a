"""Type checks over a syntax tree, in the order and with the texts of promql/parser/parse.go (checkAST).

Gives problems, does not raise: the parser reports the first. Also settles the matching of set operators
(many-to-many) and takes it away where a side is a scalar.
"""

from __future__ import annotations

from pilothouse.engines.promql.ast import (
    COMPARISONS,
    SCALAR,
    SET_OPERATORS,
    STRING,
    VECTOR,
    Aggregate,
    Binary,
    Call,
    Expr,
    MatrixSelector,
    Paren,
    Subquery,
    Unary,
    VectorSelector,
    documented_type,
)
from pilothouse.engines.promql.errors import Span
from pilothouse.engines.tsdb.labels import METRIC_NAME, quote

Problems = list[tuple[str, Span]]

_SCALAR_PARAM = ("topk", "bottomk", "quantile", "limitk", "limit_ratio")


def check(expr: Expr, text: str) -> Problems:
    """All type problems, innermost first; empty when the expression is sound."""
    found: Problems = []
    _check(expr, text, found)
    return found


def _check(expr: Expr, text: str, found: Problems) -> str:
    match expr:
        case Aggregate():
            _expect(expr.expr, VECTOR, "aggregation expression", text, found)
            if expr.op in _SCALAR_PARAM and expr.param is not None:
                _expect(expr.param, SCALAR, "aggregation parameter", text, found)
            if expr.op == "count_values" and expr.param is not None:
                _expect(expr.param, STRING, "aggregation parameter", text, found)
        case Binary():
            _binary(expr, text, found)
        case Call():
            _call(expr, text, found)
        case Paren():
            _check(expr.expr, text, found)
        case Unary():
            kind = _check(expr.expr, text, found)
            if kind not in (SCALAR, VECTOR):
                word = "unary expression only allowed on expressions of type scalar or instant vector"
                found.append((f'{word}, got "{documented_type(kind)}"', expr.span))
        case Subquery():
            kind = _check(expr.expr, text, found)
            if kind != VECTOR:
                found.append((f"subquery is only allowed on instant vector, got {kind} instead", expr.span))
        case MatrixSelector():
            _check(expr.selector, text, found)
        case VectorSelector():
            _selector(expr, found)
    return expr.type


def _expect(expr: Expr, want: str, context: str, text: str, found: Problems) -> None:
    kind = _check(expr, text, found)
    if kind != want:
        message = f"expected type {documented_type(want)} in {context}, got {documented_type(kind)}"
        found.append((message, expr.span))


def _binary(expr: Binary, text: str, found: Problems) -> None:
    left, right = _check(expr.left, text, found), _check(expr.right, text, found)
    matching = expr.matching
    assert matching is not None
    op_span = _operator_span(expr, text)
    if expr.bool_modifier and expr.op not in COMPARISONS:
        found.append(("bool modifier can only be used on comparison operators", op_span))
    if expr.op in COMPARISONS and not expr.bool_modifier and left == SCALAR and right == SCALAR:
        found.append(("comparisons between scalars must use BOOL modifier", op_span))
    if expr.op in SET_OPERATORS and matching.card == "one-to-one":
        matching.card = "many-to-many"
    for label in matching.labels if matching.on else ():
        if label in matching.include:
            found.append((f"label {quote(label)} must not occur in ON and GROUP clause at once", op_span))
    for side, kind in ((expr.left, left), (expr.right, right)):
        if kind not in (SCALAR, VECTOR):
            found.append(("binary expression must contain only scalar and instant vector types", side.span))
    filled = matching.fill_left is not None or matching.fill_right is not None
    if left != VECTOR or right != VECTOR:
        if matching.labels:
            found.append(("vector matching only allowed between instant vectors", expr.span))
        if filled:
            found.append(("filling in missing series only allowed between instant vectors", expr.span))
        expr.matching = None
    elif expr.op in SET_OPERATORS:
        if matching.card in ("one-to-many", "many-to-one"):
            found.append((f'no grouping allowed for "{expr.op}" operation', expr.span))
        if matching.card != "many-to-many":
            found.append(("set operations must always be many-to-many", expr.span))
        if filled:
            found.append(("filling in missing series not allowed for set operators", expr.span))
    if SCALAR in (left, right) and expr.op in SET_OPERATORS:
        found.append((f'set operator "{expr.op}" not allowed in binary scalar expression', expr.span))


def _operator_span(expr: Binary, text: str) -> Span:
    start, end = expr.left.span[1], expr.right.span[0]
    while start < len(text) and text[start].isspace():
        start += 1
    return start, max(start, end)


def _call(expr: Call, text: str, found: Problems) -> None:
    signature = expr.signature
    wanted, given, name = len(signature.args), len(expr.args), quote(signature.name)
    if signature.optional == 0:
        if wanted != given:
            found.append((f"expected {wanted} argument(s) in call to {name}, got {given}", expr.span))
    else:
        least = wanted - 1
        most = least + signature.optional
        if given < least:
            found.append((f"expected at least {least} argument(s) in call to {name}, got {given}", expr.span))
        elif signature.optional > 0 and given > most:
            found.append((f"expected at most {most} argument(s) in call to {name}, got {given}", expr.span))
    if signature.name == "info" and given > 1:
        _info_selector(expr, found)
    for index, arg in enumerate(expr.args):
        if index >= wanted and signature.optional == 0:
            break
        want = signature.args[min(index, wanted - 1)]
        kind = _check(arg, text, found)
        if kind != want:
            message = f"expected type {documented_type(want)} in call to function {name}, got {documented_type(kind)}"
            found.append((message, arg.span))


def _info_selector(expr: Call, found: Problems) -> None:
    selector = expr.args[1]
    if selector.type != VECTOR:
        kind = documented_type(selector.type)
        found.append((f'expected type instant vector in call to function "info", got {kind}', expr.span))
    if not isinstance(selector, VectorSelector):
        found.append(("expected label selectors only", selector.span))
    elif selector.name:
        found.append(("expected label selectors only, got vector selector instead", selector.span))
    else:
        selector.any_labels = True


def _selector(expr: VectorSelector, found: Problems) -> None:
    if expr.name:
        for matcher in expr.matchers[:-1]:
            if matcher.name == METRIC_NAME:
                message = f"metric name must not be set twice: {quote(expr.name)} or {quote(matcher.value)}"
                found.append((message, expr.span))
        return
    if not expr.any_labels and all(matcher.matches("") for matcher in expr.matchers):
        found.append(("vector selector must contain at least one non-empty matcher", expr.span))
