"""Rule files and rule unit tests of any shape are findings or failures with words, never a crash."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.base.errors import Place
from pilothouse.engines.alerting import GroupState, parse_rule_groups
from pilothouse.engines.alerting.unittests import TestFileError, read_test_file, run_test_file
from pilothouse.engines.tsdb import Database

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**65),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["1m", "-1m", "99999999999y", "0", "up", "up >", "sum(", "1 / 0", "vector(NaN)", "{{", "{{ .X }}"]),
    st.sampled_from(
        ["{{ $value }}", "up{a=~'('}", "rate(up)", "a:b", "0x1", "é", "\x00", "a+bx3", "1x99", "_", "stale"]
    ),
)
ANYTHING = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def mapping(*names: str, **typed: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any choice of the names with anything below them; `typed` names usually get what they ask for."""
    values = dict.fromkeys(names, ANYTHING) | {name: st.one_of(value, value, ANYTHING) for name, value in typed.items()}
    return st.fixed_dictionaries({}, optional=values)


TEXTS = st.dictionaries(st.sampled_from(["severity", "alertname", "__name__", "1x", "summary", ""]), ODD, max_size=2)
EXPRESSIONS = st.sampled_from(["up", "up == 0", "vector(1)", "a:b > 1", "up + on () up", "1", "'x'", "up["])
RULES = mapping(
    "for", "keep_firing_for", "extra", record=ODD, alert=st.sampled_from(["A", "B", ""]), expr=EXPRESSIONS,
    labels=TEXTS, annotations=TEXTS,
)  # fmt: skip
GROUPS = mapping(
    "interval", "limit", "query_offset", "extra", name=st.sampled_from(["g", "h", ""]), labels=TEXTS,
    rules=st.lists(RULES, max_size=3),
)  # fmt: skip
FILES = st.one_of(mapping("extra", groups=st.lists(GROUPS, max_size=2)), ANYTHING)

SERIES = mapping(
    series=st.sampled_from(["up", 'up{a="b"}', "up{"]), values=st.sampled_from(["1 0 _ stale", "0+1x3", "x"])
)
EVAL_TIMES = st.sampled_from(["0", "1m", "90s", "-1m", "soon"])
ALERT_TESTS = mapping("exp_alerts", eval_time=EVAL_TIMES, alertname=st.sampled_from(["A", "B", ""]))
QUERY_TESTS = mapping("exp_samples", eval_time=EVAL_TIMES, expr=EXPRESSIONS)
TESTS = mapping(
    "name", "external_labels", "external_url", interval=st.sampled_from(["1m", "15s", "0"]),
    input_series=st.lists(SERIES, max_size=2), alert_rule_test=st.lists(ALERT_TESTS, max_size=2),
    promql_expr_test=st.lists(QUERY_TESTS, max_size=2),
)  # fmt: skip
TEST_FILES = mapping(
    "group_eval_order", "fuzzy_compare", "rule_files", evaluation_interval=st.sampled_from(["1m", "30s"]),
    tests=st.lists(TESTS, max_size=2),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(FILES)
def test_any_rule_file_is_read_told_and_evaluated(document: Any) -> None:
    groups, findings = parse_rule_groups(document, Place("r.yml"))
    assert all(finding.code.startswith("PH2") and finding.message for finding in findings)
    database = Database()
    database.append((("__name__", "up"),), 0, 1.0)
    for group in groups:
        GroupState(group).evaluate(database, 0)


@settings(max_examples=150, deadline=None)
@given(TEST_FILES, FILES)
def test_any_test_file_passes_fails_or_says_what_is_wrong(document: dict[str, Any], rules: Any) -> None:
    try:
        read_test_file(document)
    except TestFileError:
        return
    result = run_test_file(document, [("r.yml", rules, Place("r.yml"))])
    assert result.passed or result.errors or any(group.failures for group in result.groups)
