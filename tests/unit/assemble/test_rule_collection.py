"""A collection of rules as teams run them loads without a finding, and every rule can be evaluated.

The files are in tests/cases/rule-collection: recording and alerting rules on workloads, nodes and services, with joins,
subqueries, predictions, calendars, templates with queries, group labels, limits and query offsets.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.assemble.inputs import read_inputs
from pilothouse.assemble.run import gather
from pilothouse.engines.alerting import GroupState
from pilothouse.engines.tsdb import Database
from pilothouse.report.model import RehearseRequest

FOLDER = Path(__file__).parents[2] / "cases" / "rule-collection"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_file_loads_without_a_finding(file: Path) -> None:
    inputs = read_inputs(RehearseRequest(paths=(str(file),)))
    assert [str(f) for f in inputs.findings if f.severity == "error"] == []
    assert sum(len(g.rules) for g in inputs.groups) >= 13


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_every_rule_is_evaluated_on_an_empty_database(file: Path) -> None:
    inputs = read_inputs(RehearseRequest(paths=(str(file),)))
    for group in inputs.groups:
        result = GroupState(group).evaluate(Database(), 1_767_571_200_000)
        assert result.errors == ()


@pytest.mark.slow
def test_all_of_them_watch_a_rehearsal_together() -> None:
    inputs = read_inputs(RehearseRequest(paths=(str(FOLDER), "-"), stdin=SCENARIO))
    facts = gather(inputs, 1)
    assert [(rule.name, rule.error) for rule in facts.alerts if rule.error] == []
    fired = [rule.name for rule in facts.alerts if any(s.state == "firing" for life in rule.lives for s in life.spans)]
    assert "Watchdog" in fired
    assert "NoNodes" in fired


SCENARIO = """
apiVersion: pilothouse.dev/v1alpha1
kind: Scenario
metadata: {name: watched}
spec:
  duration: 30m
  services:
    shop: {load: {base: 20rps}, pod: {replicas: 3}}
"""
