"""promtool's rule unit-test files: notation, what passes, what fails and how failures read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pilothouse.base.errors import Place
from pilothouse.engines.alerting.series_notation import NotationError, parse_metric, parse_series
from pilothouse.engines.alerting.unittests import FileResult, run_test_file
from pilothouse.engines.tsdb import is_stale_value

CASES = yaml.load(
    (Path(__file__).parents[3] / "cases" / "alerting" / "unit-tests.yml").read_text(), Loader=yaml.BaseLoader
)


def run(document: Any, **options: Any) -> FileResult:
    return run_test_file(document, [("rules.yml", CASES["rules"], Place("rules.yml", 1))], **options)


def test_right_expectations_pass() -> None:
    result = run(CASES["tests"])
    assert result.failures == ()
    assert [g.name for g in result.groups] == ["busy for two minutes", "a later start"]


def test_wrong_expectations_fail_one_by_one_and_readably() -> None:
    failures = run(CASES["failing"]).failures
    assert len(failures) == 5
    assert failures[0].startswith(
        "    name: every assertion is wrong,\n    alertname: Busy, time: 5m, \n        exp:[], \n"
    )
    assert 'Labels:{alertname="Busy", job="a", severity="page"}' in failures[0]
    assert failures[2] == (
        '    expr: "load", time: 1m,\n        exp: {__name__="load", job="a"} 3.1E+01\n'
        '        got: {__name__="load", job="a"} 3E+01'
    )
    assert failures[3].startswith('    expr: "sum(", time: 1m, err: 1:5: parse error:')
    assert failures[4] == '    expr: "\\"text\\"", time: 1m, err: rule result is not a vector or scalar'


def test_only_matching_groups_run() -> None:
    assert [g.name for g in run(CASES["tests"], run="later|nothing").groups] == ["a later start"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"test": []}, "field test not found in type main.unitTestFile"),
        ({"tests": [{"nam": "x"}]}, "field nam not found in type main.testGroup"),
        (
            {"tests": [{"promql_expr_test": [{"expression": "x"}]}]},
            "field expression not found in type main.promqlTestCase",
        ),
        ({"group_eval_order": ["a", "a"]}, "group name repeated in evaluation order: a"),
        (
            {"tests": [{"alert_rule_test": [{"eval_time": "1m"}]}]},
            "misses required attribute alertname at eval_time 1m",
        ),
        ({"tests": [{"input_series": [{"series": "up{", "values": "1"}]}]}, "unexpected end of input in label set"),
        ({"tests": [{"start_timestamp": "soon"}]}, 'cannot parse "soon" to a valid timestamp'),
        ([], "the test file is not a mapping"),
    ],
)
def test_a_test_file_that_cannot_be_run_says_why(document: Any, words: str) -> None:
    (failure,) = run(document).failures
    assert words in failure


def test_a_rule_file_with_a_mistake_fails_every_group() -> None:
    rules = {"groups": [{"name": "g", "rules": [{"record": "x", "expr": "sum("}], "owner": "me"}]}
    result = run_test_file({"tests": [{}]}, [("r.yml", rules, Place("r.yml", 3))])
    assert 'r.yml: 3:0: group "g", rule 1, "x": could not parse expression' in result.failures[0]
    assert "field owner not found" in result.failures[0]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("1 2 3", [1, 2, 3]),
        ("1x2 _x2 5", [1, 1, 1, None, None, 5]),
        ("1+2x2 -1-1x2", [1, 3, 5, -1, -2, -3]),
        ("0x3", [0, 0, 0, 0]),
        ("_ 1.5e2 .5 Inf", [None, 150, 0.5, float("inf")]),
    ],
)
def test_values(text: str, want: list[float | None]) -> None:
    assert parse_series("x", text)[1] == want


def test_stale_is_a_marker() -> None:
    values = parse_series("x", "stale 1 stalex1")[1]
    assert [isinstance(v, float) and is_stale_value(v) for v in values] == [True, False, True, True]


@pytest.mark.parametrize("text", ["1 two", "1x", "1+x2", "x", "1 2,3", "{{schema:x}}", "0x99999999999"])
def test_values_that_are_none(text: str) -> None:
    with pytest.raises(NotationError):
        parse_series("x", text)


def test_metrics_in_all_forms() -> None:
    assert parse_metric("up{job=\"a\", env='b'}") == (("__name__", "up"), ("env", "b"), ("job", "a"))
    assert parse_metric('{"größe", "dc.name"="x",}') == (("__name__", "größe"), ("dc.name", "x"))
    assert parse_metric("") == ()
