"""Parsing: canonical texts come back unchanged in meaning, and errors read as Prometheus' do, with their place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.engines import promql
from pilothouse.engines.tsdb import Database

CANONICAL = {
    "up": "up",
    "sum(up)by(job)": "sum by (job) (up)",
    "sum without (a, b) (up)": "sum without (a, b) (up)",
    'rate(x_total{code=~"5..",job="a"}[5m]) > bool 0.1': 'rate(x_total{code=~"5..",job="a"}[5m]) > bool 0.1',
    "a/on(x)group_left(y)b": "a / on (x) group_left (y) b",
    "a + ignoring (x) fill_right(0) b": "a + ignoring (x) fill_right (0) b",
    "-a ^ 2": "-a ^ 2",
    "x[5m] offset 1h @ 12.5": "x[5m] @ 12.500 offset 1h",
    "max_over_time(sum(x)[1h:5m] @ end())": "max_over_time(sum(x)[1h:5m] @ end())",
    '{"my.metric", a="b"}': '{__name__="my.metric",a="b"}',
    "x[5m+1m]": "x[5m + 1m]",
    "x offset (5m*2)": "x offset (5m * 2)",
    "increase(x[1m] anchored)": "increase(x[1m] anchored)",
    "1e3": "1000",
    "0x1F": "31",
    "1h30m": "1h30m",
    "Inf": "+Inf",
    "count_values('v', x)": 'count_values("v", x)',
}


@pytest.mark.parametrize("text", CANONICAL)
def test_prints_the_canonical_text(text: str) -> None:
    assert promql.to_text(promql.parse(text)) == CANONICAL[text]


@pytest.mark.parametrize("text", CANONICAL.values())
def test_the_canonical_text_prints_as_itself(text: str) -> None:
    assert promql.to_text(promql.parse(text)) == text


ERRORS = {
    "": "unknown position: parse error: no expression found in input",
    "up{": "1:4: parse error: unexpected end of input inside braces",
    "sum(up": "1:7: parse error: unclosed left parenthesis",
    "1 + ": "1:5: parse error: unexpected end of input",
    "rate(up)": '1:6: parse error: expected type range vector in call to function "rate", got instant vector',
    "up[5m] + 1": "1:1: parse error: binary expression must contain only scalar and instant vector types",
    "nonsense(up)": '1:1: parse error: unknown function with name "nonsense"',
    "1 == 1": "1:3: parse error: comparisons between scalars must use BOOL modifier",
    "up + bool 1": "1:4: parse error: bool modifier can only be used on comparison operators",
    'up{job=~"("}': "1:4: parse error: error parsing regexp: missing closing ): `(`",
    "{}": "1:1: parse error: vector selector must contain at least one non-empty matcher",
    "sum by (a": "1:10: parse error: unclosed left parenthesis",
    "up\n  and": "2:6: parse error: unexpected end of input",
    "up[0s]": "1:4: parse error: duration must be greater than 0",
    "sum(up[5m])": "1:5: parse error: expected type instant vector in aggregation expression, got range vector",
    "a and on (x) group_left () b": '1:1: parse error: no grouping allowed for "and" operation',
    "up offset 5m offset 5m": "1:1: parse error: offset may not be set multiple times",
    "topk(up)": "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
}


@pytest.mark.parametrize("text", ERRORS)
def test_errors_read_as_prometheus_write_them(text: str) -> None:
    with pytest.raises(promql.ParseError) as problem:
        promql.parse(text)
    assert str(problem.value) == ERRORS[text]


def test_an_error_shows_its_place_with_a_caret() -> None:
    with pytest.raises(promql.ParseError) as problem:
        promql.parse("sum(up) +\nrate(up)")
    assert problem.value.caret() == "rate(up)\n     ^"
    assert (problem.value.line, problem.value.column) == (2, 6)


def test_columns_count_bytes_as_upstream_does() -> None:
    with pytest.raises(promql.ParseError) as problem:
        promql.parse('{a="ä"} 5')
    assert str(problem.value).startswith("1:10:")


def test_hostile_nesting_is_refused_not_crashed() -> None:
    nested = ("(" * 5000 + "1" + ")" * 5000, "-" * 5000 + "1", "x[" + "(" * 5000 + "1" + ")" * 5000 + "]")
    chains = (" or ".join(["x"] * 20_000), "x" + "[5m:]" * 2 + " offset 1m" + "[5m:]" * 2000, "1^" * 5000 + "1")
    for text in (*nested, *chains):
        with pytest.raises(promql.ParseError, match="nested more than"):
            promql.parse(text)


def test_a_chain_below_the_limit_is_compiled_and_answered() -> None:
    plan = promql.compile("+".join(["1"] * 250))
    assert plan.instant(Database(), 0).value == 250  # type: ignore[union-attr]


PIECES = [
    "sum",
    "rate",
    "up",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "5m",
    "1",
    "+",
    "-",
    "*",
    "/",
    "^",
    "==",
    "bool",
    "by",
    "on",
    "ignoring",
    "group_left",
    ",",
    "=",
    "=~",
    '"a"',
    "'b'",
    "offset",
    "@",
    ":",
    "and",
    "unless",
]


def tree_or_problem(text: str) -> promql.Expr | str:
    try:
        return promql.parse(text)
    except promql.ParseError as problem:
        return str(problem)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
def test_any_text_parses_or_says_why(text: str) -> None:
    found = tree_or_problem(text)
    if isinstance(found, str):
        assert "parse error: " in found
    else:
        printed = promql.to_text(found)
        assert promql.to_text(promql.parse(printed)) == printed


@given(st.text(max_size=30))
def test_arbitrary_characters_never_crash_the_parser(text: str) -> None:
    assert tree_or_problem(text)


def test_a_plan_tells_what_it_reads_and_how_far_back() -> None:
    plan = promql.compile("sum(rate(a_total[5m])) / sum(rate(b_total[10m] offset 1h)) > scalar(c)")
    assert plan.metric_names == frozenset({"a_total", "b_total", "c"})
    assert plan.lookback_ms == 70 * 60_000
    assert promql.compile('{job="x"}').metric_names is None
    assert promql.compile("max_over_time(rate(a[5m])[1h:])").lookback_ms == 65 * 60_000
