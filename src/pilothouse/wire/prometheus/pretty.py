"""Long queries over several lines, as `promql/parser/prettier.go` breaks them: for format_query."""

from __future__ import annotations

from pilothouse.engines.promql import printer
from pilothouse.engines.promql.ast import AGGREGATORS_WITH_PARAM, Aggregate, Binary, Call, Expr, Paren, Subquery, Unary

LINE_CHARACTERS = 100
_INDENT = "  "


def pretty(expr: Expr, level: int = 0) -> str:
    """The expression's text; whatever is longer than a line is broken at its operators and brackets."""
    text, indent = printer.to_text(expr), _INDENT * level
    if isinstance(expr, Unary):
        return indent + expr.op + pretty(expr.expr, level).strip()
    if len(text.encode()) <= LINE_CHARACTERS:
        # Upstream does not indent a short subquery; so it stays.
        return text if isinstance(expr, Subquery) else indent + text
    match expr:
        case Aggregate():
            return _aggregate(expr, text, level)
        case Binary():
            left, right = pretty(expr.left, level + 1), pretty(expr.right, level + 1)
            return f"{left}\n{indent}{_operator(expr, text)}\n{right}"
        case Call():
            arguments = ",\n".join(pretty(argument, level + 1) for argument in expr.args)
            return f"{indent}{expr.name}(\n{arguments}\n{indent})"
        case Paren():
            return f"{indent}(\n{pretty(expr.expr, level + 1)}\n{indent})"
        case Subquery():
            return pretty(expr.expr, level) + text[len(printer.to_text(expr.expr)) :]
    return indent + text


def _operator(expr: Binary, text: str) -> str:
    """Operator, `bool` and matching: what the one-line text has between its two sides."""
    left, right = printer.to_text(expr.left), printer.to_text(expr.right)
    return text[len(left) : len(text) - len(right)].strip()


def _aggregate(expr: Aggregate, text: str, level: int) -> str:
    indent = _INDENT * level
    inner = printer.to_text(expr.expr)
    parameter = f"{printer.to_text(expr.param)}, " if expr.param is not None else ""
    head = text[: len(text) - len(inner) - len(parameter) - 2]
    lines = f"{indent}{head}(\n"
    if expr.op in AGGREGATORS_WITH_PARAM and expr.param is not None:
        lines += pretty(expr.param, level + 1) + ",\n"
    return f"{lines}{pretty(expr.expr, level + 1)}\n{indent})"
