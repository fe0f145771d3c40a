"""The states of alerts over time, the series they write, and what a failing rule does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.engines.alerting.builders import STEP_MS, fill, group_of, label, story, walk

from pilothouse.engines.alerting.evaluation import GroupState
from pilothouse.engines.alerting.lifecycle import NEXT
from pilothouse.engines.alerting.observation import observe, why_not_observable
from pilothouse.engines.alerting.outbox import alerts_of
from pilothouse.engines.alerting.queries import compile_query
from pilothouse.engines.alerting.restoration import restore
from pilothouse.engines.tsdb import Database

HIGH = {"alert": "High", "expr": "load > 5"}


def loaded(values: list[float | None]) -> Database:
    database = Database()
    fill(database, "load", {"pod": "a"}, values)
    return database


def series_at(database: Database, expr: str, minute: int) -> list[tuple[dict[str, str], float]]:
    return [(dict(ls), v) for ls, v in compile_query(expr).samples(database, minute * STEP_MS)]


def test_without_for_an_alert_fires_at_once_and_resolves_at_once() -> None:
    state = GroupState(group_of(HIGH))
    assert story(walk(state, loaded([1, 9, 9, 1]), 5)) == [(1, "inactive", "firing"), (3, "firing", "inactive")]


def test_for_holds_an_alert_pending_until_it_has_been_true_that_long() -> None:
    state = GroupState(group_of({**HIGH, "for": "2m"}))
    found = story(walk(state, loaded([9, 9, 9, 9, 1]), 5))
    assert found == [(0, "inactive", "pending"), (2, "pending", "firing"), (4, "firing", "inactive")]


def test_a_dip_while_pending_starts_over() -> None:
    state = GroupState(group_of({**HIGH, "for": "2m"}))
    found = story(walk(state, loaded([9, 9, 1, 9, 9, 9]), 6))
    assert found == [
        (0, "inactive", "pending"),
        (2, "pending", "inactive"),
        (3, "inactive", "pending"),
        (5, "pending", "firing"),
    ]


def test_keep_firing_for_bridges_a_dip_that_is_short_enough() -> None:
    state = GroupState(group_of({**HIGH, "keep_firing_for": "2m"}))
    found = story(walk(state, loaded([9, 1, 1, 9, 1, 1, 1, 1]), 8))
    assert found == [(0, "inactive", "firing"), (6, "firing", "inactive")]


def test_alerts_series_tell_the_state_and_end_with_it() -> None:
    database = loaded([9, 9, 9, 1])
    walk(GroupState(group_of({**HIGH, "for": "1m", "labels": {"severity": "page"}})), database, 5)
    named = {"alertname": "High", "pod": "a", "severity": "page"}
    assert series_at(database, "ALERTS", 0) == [({**named, "__name__": "ALERTS", "alertstate": "pending"}, 1.0)]
    assert series_at(database, "ALERTS", 1) == [({**named, "__name__": "ALERTS", "alertstate": "firing"}, 1.0)]
    assert series_at(database, "ALERTS_FOR_STATE", 2) == [({**named, "__name__": "ALERTS_FOR_STATE"}, 0.0)]
    assert series_at(database, "ALERTS", 3) == []


def test_a_recording_rule_renames_relabels_and_ends_what_vanishes() -> None:
    database = Database()
    fill(database, "load", {"pod": "a"}, [1, 2, None])
    state = GroupState(group_of({"record": "pod:load", "expr": "load * 2", "labels": {"pod": "", "kind": "x"}}))
    walk(state, database, 2)
    assert series_at(database, "pod:load", 1) == [({"__name__": "pod:load", "kind": "x"}, 4.0)]
    state.evaluate(database, 20 * STEP_MS)
    assert series_at(database, "pod:load", 20) == []


def test_results_are_seen_neither_before_they_began_nor_after_the_lookback() -> None:
    database = loaded([1, 1, 9])
    state = GroupState(group_of(HIGH))
    walk(state, database, 3)
    assert series_at(database, "ALERTS", 1) == []
    assert len(series_at(database, "ALERTS", 6)) == 1
    assert series_at(database, "ALERTS", 7) == []


def test_rules_of_a_group_see_the_results_of_those_before_them() -> None:
    state = GroupState(group_of({"record": "twice", "expr": "load * 2"}, {"alert": "Twice", "expr": "twice > 5"}))
    assert story(walk(state, loaded([1, 3]), 2)) == [(1, "inactive", "firing")]


def test_a_failing_rule_keeps_its_error_and_the_next_goes_on() -> None:
    database = Database()
    for pod in "ab":
        fill(database, "load", {"pod": pod}, [9])
    state = GroupState(group_of({"record": "x", "expr": "load", "labels": {"pod": ""}}, HIGH))
    evaluation = state.evaluate(database, 0)
    assert [(e.rule, e.index) for e in evaluation.errors] == [("x", 0)]
    assert "same labelset" in evaluation.errors[0].message
    assert (state.rules[0].health, state.rules[0].last_error) == ("err", evaluation.errors[0].message)
    assert (state.rules[1].health, len(evaluation.transitions)) == ("ok", 2)


def test_over_the_limit_all_alerts_of_the_rule_are_dropped_with_an_error() -> None:
    database = Database()
    fill(database, "load", {"pod": "a"}, [9, 9])
    fill(database, "load", {"pod": "b"}, [1, 9])
    state = GroupState(group_of(HIGH, limit=1))
    assert len(state.evaluate(database, 0).transitions) == 1
    second = state.evaluate(database, STEP_MS)
    assert second.errors[0].message == "exceeded limit of 1 with 2 alerts"
    assert [(t.after, t.reason) for t in second.transitions] == [("inactive", second.errors[0].message)]
    assert state.alerting_states()[0].active == {}


def test_two_series_that_become_one_alert_are_an_error() -> None:
    database = Database()
    for pod in "ab":
        fill(database, "load", {"pod": pod}, [9])
    evaluation = GroupState(group_of({**HIGH, "labels": {"pod": "same"}})).evaluate(database, 0)
    assert evaluation.errors[0].message == "vector contains metrics with the same labelset after applying alert labels"


def test_a_label_that_changes_with_the_value_makes_another_alert() -> None:
    rule = {**HIGH, "labels": {"severity": "{{ if gt $value 20.0 }}page{{ else }}info{{ end }}"}}
    found = walk(GroupState(group_of(rule)), loaded([9, 30]), 2)
    assert [(t.time_ms, t.after, label(t.labels, "severity")) for t in found] == [
        (0, "firing", "info"),
        (STEP_MS, "inactive", "info"),
        (STEP_MS, "firing", "page"),
    ]


def test_a_template_that_fails_leaves_the_alert_firing() -> None:
    found = walk(GroupState(group_of({**HIGH, "annotations": {"x": "{{ .Nope }}"}})), loaded([9]), 1)
    assert found[0].after == "firing"
    assert found[0].annotations[0][1].startswith("<error expanding template: error executing template __alert_High:")


def test_query_offset_looks_back_and_stamps_results_back() -> None:
    database = loaded([9, 1, 1])
    state = GroupState(group_of(HIGH, query_offset="1m"))
    assert story([*state.evaluate(database, STEP_MS).transitions]) == [(1, "inactive", "firing")]
    assert len(series_at(database, "ALERTS", 0)) == 1


def test_every_state_has_a_way_on_for_whatever_is_seen() -> None:
    assert {state for state, _seen in NEXT} >= set(NEXT.values())
    assert all((state, seen) in NEXT for state in ("pending", "firing") for seen in ("met", "held", "absent"))


def test_resolved_alerts_are_told_with_their_span() -> None:
    state = GroupState(group_of({**HIGH, "for": "1m"}))
    database = loaded([9, 9, 1])
    told = [a for minute in range(3) for a in alerts_of(state.evaluate(database, minute * STEP_MS), "http://p/")]
    assert [(a.starts_at_ms, a.ends_at_ms) for a in told] == [(STEP_MS, None), (STEP_MS, 2 * STEP_MS)]
    assert told[0].generator_url == "http://p/graph?g0.expr=load+%3E+5&g0.tab=1"


@pytest.mark.parametrize(
    ("active_minutes", "down_minutes", "fires_after"),
    [
        (40, 10, 0),  # fired before: fires again with the next evaluation
        (25, 5, 10),  # five minutes were left: the grace period of ten must pass
        (10, 15, 20),  # twenty minutes were left: the outage does not count
    ],
)
def test_for_is_restored_after_a_restart(active_minutes: int, down_minutes: int, fires_after: int) -> None:
    database = Database()
    fill(database, "load", {"pod": "a"}, [9] * 120)
    rule = {**HIGH, "for": "30m"}
    walk(GroupState(group_of(rule)), database, active_minutes + 1)
    back = active_minutes + down_minutes
    state = GroupState(group_of(rule), restored=False)
    state.evaluate(database, (back - 1) * STEP_MS)
    state.evaluate(database, back * STEP_MS)
    restore(state, database, back * STEP_MS)
    fired = [
        minute - back
        for minute in range(back + 1, back + 40)
        for t in state.evaluate(database, minute * STEP_MS).transitions
        if t.after == "firing"
    ]
    assert fired == [max(1, fires_after)]


def test_a_group_that_reads_its_own_results_is_not_observable() -> None:
    assert why_not_observable(group_of({"record": "a", "expr": "a + 1"})) != ""
    assert why_not_observable(group_of({"alert": "A", "expr": "ALERTS > 0"})) != ""
    assert why_not_observable(group_of({"alert": "A", "expr": '{job="x"}'})) != ""
    assert why_not_observable(group_of({"record": "a", "expr": "load"}, {"alert": "A", "expr": "a > 1"})) == ""


RULES: list[dict[str, Any]] = [
    {"record": "pod:load:max", "expr": "max by (pod) (load) > 2"},
    {"alert": "Plain", "expr": "load > 5"},
    {"alert": "Held", "expr": "pod:load:max > 4", "for": "2m", "annotations": {"v": "{{ $value }}"}},
    {"alert": "Kept", "expr": "load > 6", "keep_firing_for": "2m", "labels": {"s": "{{ if gt $value 8.0 }}a{{ end }}"}},
    {"alert": "Gone", "expr": "absent(load)"},
    {
        "alert": "Asks",
        "expr": "load > 7",
        "annotations": {"q": '{{ with query "sum(load)" }}{{ . | first | value }}{{ end }}'},
    },
    {"record": "clash", "expr": "load > 8", "labels": {"pod": ""}},
]


@given(
    values=st.lists(
        st.lists(st.one_of(st.none(), st.integers(0, 10)), min_size=12, max_size=12), min_size=1, max_size=3
    ),
    cut=st.integers(1, 11),
)
@settings(max_examples=40, deadline=None)
def test_a_span_at_once_gives_the_same_as_step_by_step(values: list[list[float | None]], cut: int) -> None:
    databases = [Database(), Database()]
    for database in databases:
        for number, row in enumerate(values):
            fill(database, "load", {"pod": f"p{number}"}, row)
    stepped, observed = GroupState(group_of(*RULES, limit=2)), GroupState(group_of(*RULES, limit=2))
    by_step = [stepped.evaluate(databases[0], minute * STEP_MS) for minute in range(20)]
    spans = [(0, cut * STEP_MS - 1), (cut * STEP_MS, 19 * STEP_MS)]
    at_once = [e for start, end in spans for e in observe(observed, databases[1], start, end)]
    eventful = [(e.time_ms, e.transitions, e.errors) for e in by_step if e.transitions or e.errors]
    assert [(e.time_ms, e.transitions, e.errors) for e in at_once] == eventful
    for minute in range(20):
        for name in ("ALERTS", "ALERTS_FOR_STATE", "pod:load:max", "clash"):
            shown = [sorted(compile_query(name).samples(d, minute * STEP_MS)) for d in databases]
            assert shown[0] == shown[1], (name, minute)
