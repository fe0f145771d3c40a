"""Conditions as people write them in AnalysisTemplates, and where their errors point."""

from __future__ import annotations

from typing import Any

import pytest

from pilothouse.engines.expr import ExprError, compile, condition_holds, verdict

TRUE = [
    ("result[0] >= 0.95", [0.97]),
    ("len(result) == 0 || result[0] < 0.1", []),
    ("isNaN(result) or result > 3", float("nan")),
    ("all(result, # > 1)", [2, 3]),
    ("any(result, {.code == 500})", [{"code": 200}, {"code": 500}]),
    ("count(result, # > 1) == 1", [1, 2]),
    ("result.status?.text ?? 'none' == 'none'", {}),
    ("not (1 in result) && 4 not in result", [2]),
    ("2 ** 3 ** 2 == 512 ? true : false", 0),
    ("let limit = 0.5; result < limit", 0.2),
    ("result | filter(# > 1) | len() == 1", [1, 2]),
    ("-2 < 1 and 1..3 == [1, 2, 3]", 0),
    ("result matches '^ok' and result endsWith \"!\"", "ok!"),
    ("asFloat(result) >= 1.1 && asInt('7') == 7", "1.1"),
    ("default(result, 0) == 0 && isNil(result)", None),
    ("1 / 0 > 100 and isInf(1 / 0)", 0),
    ("result['a b'][1:][0] == 2", {"a b": [1, 2]}),
]


@pytest.mark.parametrize(("condition", "result"), TRUE)
def test_a_condition_that_holds(condition: str, result: Any) -> None:
    assert condition_holds(result, condition) is True
    assert condition_holds(result, f"!({condition})" if ";" not in condition else "false") is False


@pytest.mark.parametrize(
    ("condition", "result", "message", "column"),
    [
        ("result >", 1, "unexpected end of the expression", 9),
        ("result[3] > 1", [1], "index out of range: 3 (array length is 1)", 7),
        ("unknown > 1", 1, "unknown name unknown", 1),
        ("result", 1, "expected bool, but got int", 1),
        ("1 > 0 && result > 'a'", 1, "invalid operation: > (mismatched types int and string)", 17),
        ("result == 'a", "a", "literal not terminated", 11),
        ("asInt(result) == 1", "x", 'asInt: parsing "x": invalid syntax', 1),
        ("len(result) > 0", 3, "cannot call len with (int)", 1),
    ],
)
def test_an_error_says_what_and_where(condition: str, result: Any, message: str, column: int) -> None:
    with pytest.raises(ExprError) as caught:
        condition_holds(result, condition)
    assert (caught.value.message, caught.value.line, caught.value.column) == (message, 1, column)


def test_an_error_on_a_later_line_counts_lines() -> None:
    with pytest.raises(ExprError) as caught:
        compile("1 > 0 &&\n  (2 >")
    assert (caught.value.line, caught.value.column) == (2, 7)


def test_nesting_has_a_limit() -> None:
    with pytest.raises(ExprError, match="nested deeper than 100"):
        compile("(" * 500 + "1" + ")" * 500)


@pytest.mark.parametrize(
    ("success", "failure", "result", "expected"),
    [
        ("", "", None, "Successful"),
        ("result > 1", "", 2, "Successful"),
        ("result > 1", "", 1, "Failed"),
        ("", "result > 1", 1, "Successful"),
        ("result > 5", "result < 2", 3, "Inconclusive"),
        ("result > 1", "result > 1", 2, "Failed"),
    ],
)
def test_both_conditions_give_one_verdict(success: str, failure: str, result: Any, expected: str) -> None:
    assert verdict(result, success, failure) == expected


def test_no_data_is_named_as_such() -> None:
    with pytest.raises(ExprError) as caught:
        verdict([], "result[0] > 1", "")
    assert caught.value.message == (
        'could not evaluate successCondition "result[0] > 1": metric result is nil or empty:'
        " no data returned from the metric provider"
    )
