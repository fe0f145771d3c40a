"""Several groups over a stretch give what evaluating them at every step gives, and it is known when they do not."""

from __future__ import annotations

import pytest

from pilothouse.base.errors import Place
from pilothouse.engines.alerting import Evaluation, GroupState, RuleGroup, parse_rule_groups
from pilothouse.engines.alerting.stretches import evaluate_all, why_not_at_once
from pilothouse.engines.tsdb import Database, make_labels

STEP_MS = 30_000
STEPS = 200


def groups(*sets: list[dict[str, object]]) -> list[RuleGroup]:
    document = {"groups": [{"name": f"g{i}", "rules": rules} for i, rules in enumerate(sets)]}
    found, findings = parse_rule_groups(document, Place("rules.yml"))
    assert [f for f in findings if f.severity == "error"] == []
    return found


def recorded() -> Database:
    """A load that comes and goes, in two jobs; one of them has gaps."""
    database = Database()
    for job, period, gaps in (("a", 40, False), ("b", 25, True)):
        for step in range(STEPS):
            if not (gaps and step % 17 == 0):
                labels = make_labels({"__name__": "load", "job": job})
                database.append(labels, step * STEP_MS, float(step % period))
    return database


RECORDING: list[dict[str, object]] = [{"record": "job:load:max", "expr": "max by (job) (load)"}]
ALERTING: list[dict[str, object]] = [
    {"alert": "Busy", "expr": "job:load:max > 15", "for": "2m", "annotations": {"v": "{{ $value }}"}},
    {"alert": "Odd", "expr": "rate(load[3m]) > 0.02", "keep_firing_for": "1m", "labels": {"job": "{{ $labels.job }}!"}},
]


def run(sets: list[RuleGroup], *, at_once: bool) -> list[tuple[str, Evaluation]]:
    database = recorded()
    states = [GroupState(group, default_interval_ms=STEP_MS) for group in sets]
    found = []
    for first, last in ((0, 77), (78, 78), (79, STEPS - 1)):
        times = range(first * STEP_MS, last * STEP_MS + 1, STEP_MS)
        found += [
            (state.group.name, Evaluation(e.time_ms, e.transitions, e.errors))
            for state, e in evaluate_all(states, database, times, at_once=at_once)
        ]
    return found


def test_a_stretch_gives_what_single_steps_give() -> None:
    sets = groups(RECORDING, ALERTING)
    assert why_not_at_once(sets) == ""
    at_once = run(sets, at_once=True)
    assert len(at_once) > 20
    assert at_once == run(sets, at_once=False)


def test_errors_come_at_their_step() -> None:
    bad: list[dict[str, object]] = [{"alert": "Twice", "expr": "load > 20", "labels": {"job": ""}}]
    both: list[dict[str, object]] = [
        {"alert": "Both", "expr": "load > 3 or label_replace(load, 'job', 'c', 'job', 'b')", "labels": {"job": "x"}}
    ]
    for rules in (bad, both):
        sets = groups(rules)
        at_once = run(sets, at_once=True)
        assert at_once == run(sets, at_once=False)
    assert any(e.errors for _name, e in at_once)


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        ((ALERTING, RECORDING), 'rule "Busy" may read the result of a later group than "g0"'),
        (([{"record": "x", "expr": "load offset -5m"}],), 'rule "x" looks ahead of its evaluation'),
        (([{"record": "x", "expr": "max_over_time(load[5m] @ 300)"}],), 'rule "x" looks ahead of its evaluation'),
        (([{"record": "x", "expr": "load @ end()"}],), 'rule "x" asks for the ends or the step of its evaluation'),
        (
            ([{"record": "x", "expr": "x + 1"}],),
            'rule "x" may read its own result or that of a later rule of group "g0"',
        ),
    ],
)
def test_reasons_for_single_steps(sets: tuple[list[dict[str, object]], ...], reason: str) -> None:
    assert why_not_at_once(groups(*sets)) == reason


def test_a_template_that_looks_ahead_is_a_reason() -> None:
    text = "{{ range query `load offset -1m` }}{{ .Value }}{{ end }}"
    sets = groups([{"alert": "A", "expr": "load > 1", "annotations": {"next": text}}])
    assert why_not_at_once(sets) == 'rule "A" looks ahead of its evaluation'
