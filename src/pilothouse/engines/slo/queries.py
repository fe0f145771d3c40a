"""Queries of indicators: are they PromQL, and how a fixed range becomes `{{.window}}`."""

from __future__ import annotations

from pilothouse.engines import promql
from pilothouse.engines.promql import ast
from pilothouse.engines.slo.model import WINDOW, render

PROBE_WINDOW = "1m"


def problem(query: str) -> str:
    """What is wrong with a query template, "" when nothing is (Sloth pkg/common/validation, 0.16)."""
    if not query:
        return "the query is missing"
    if not WINDOW.search(query):
        return "the query does not take its range from {{.window}}"
    rendered = render(query, PROBE_WINDOW)
    if "{{" in rendered:
        return "the query has a template variable other than {{.window}}"
    return syntax_problem(rendered)


def syntax_problem(query: str) -> str:
    """What Prometheus' parser says about a query, "" when it takes it."""
    try:
        promql.parse(query)
    except promql.ParseError as error:
        return error.message
    return ""


def with_window(query: str, counter: bool) -> tuple[str, str]:
    """(template with {{.window}}, what was assumed). ValueError when the query is no PromQL.

    Ranges that are all alike give way to the window. A query without any range selects counters (they get a rate) or
    samples that each count for themselves (they are summed). Anything else is averaged minute by minute.
    """
    if WINDOW.search(query):
        wrong = problem(query)
        if wrong:
            raise ValueError(wrong)
        return query, ""
    try:
        tree = promql.parse(query)
    except promql.ParseError as error:
        raise ValueError(error.message) from None
    nodes = list(_walk(tree))
    ranges = [n for n in nodes if isinstance(n, ast.MatrixSelector)]
    plain = not any(isinstance(n, ast.Subquery) for n in nodes)
    if plain and ranges and len({r.range_s for r in ranges}) == 1 and all(r.range_expr is None for r in ranges):
        made = _replace(query, [_brackets(query, r) for r in ranges])
        return made, f"the range {query[slice(*_brackets(query, ranges[0]))]} gives way to each rule's window"
    if plain and not ranges:
        selectors = [n for n in nodes if isinstance(n, ast.VectorSelector)]
        function = "rate" if counter else "sum_over_time"
        if selectors:
            return _wrap(query, selectors, function), f"{function} over each rule's window is taken of its series"
    return averaged(query), "it is averaged minute by minute over each rule's window"


def averaged(query: str) -> str:
    """The mean of an instant query over the window."""
    return f"avg_over_time(({query})[{{{{.window}}}}:1m])"


def _walk(tree: ast.Expr) -> list[ast.Expr]:
    out, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        out.append(node)
        waiting += ast.children(node)
    return out


def _brackets(query: str, node: ast.MatrixSelector) -> tuple[int, int]:
    """Start and end of `[5m]`: the selector's span ends before it, modifiers may follow it."""
    start = query.index("[", node.selector.span[1])
    return start, query.index("]", start) + 1


def _replace(query: str, spans: list[tuple[int, int]]) -> str:
    for start, end in sorted(spans, reverse=True):
        query = f"{query[:start]}[{{{{.window}}}}]{query[end:]}"
    return query


def _wrap(query: str, selectors: list[ast.VectorSelector], function: str) -> str:
    for node in sorted(selectors, key=lambda n: n.span, reverse=True):
        start, end = node.span
        # `offset` and `@` belong behind the range.
        bare = promql.to_text(ast.VectorSelector(node.span, node.name, node.matchers))
        modifiers = promql.to_text(node).removeprefix(bare)
        query = f"{query[:start]}{function}({bare}[{{{{.window}}}}]{modifiers}){query[end:]}"
    return query
