"""SLO documents among the inputs of a rehearsal: their rules, what is stored, what a budget comes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from pilothouse.assemble.endings import endings
from pilothouse.assemble.facts import Facts
from pilothouse.assemble.inputs import Inputs, read_inputs
from pilothouse.base.errors import Place
from pilothouse.engines.slo import Slo
from pilothouse.engines.tsdb import Database, make_labels
from pilothouse.kinds.pilothouse.scenario.spec import Bound, Expectation
from pilothouse.report.model import RehearseRequest

OPENSLO = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: avail, displayName: Availability, labels: {team: [a, b]}}
spec:
  service: web
  indicator:
    metadata: {name: ok}
    spec:
      ratioMetric:
        bad: {metricSource: {type: Prometheus, spec: {query: 'sum(rate(http_requests_total{status=~"5.."}[5m]))'}}}
        total: {metricSource: {type: Prometheus, spec: {query: 'sum(rate(http_requests_total[5m]))'}}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.999}]
"""
SLOTH = """\
version: prometheus/v1
service: web
slos:
  - name: up
    objective: 99
    sli: {raw: {error_ratio_query: '1 - avg_over_time(up[{{.window}}])'}}
    alerting: {name: WebDown}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def _inputs(folder: Path, **files: str) -> Inputs:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return read_inputs(RehearseRequest(paths=(str(folder),)))


def test_rules_stand_where_the_slo_is_written(folder: Path) -> None:
    inputs = _inputs(folder, slo=OPENSLO)
    alerts = [rule for group in inputs.groups for rule in group.alerting_rules()]
    assert [a.name for a in alerts] == ["avail-fast-burn", "avail-slow-burn"]
    assert all(a.place.file.endswith("slo.yaml") and a.place.line == 14 for a in alerts)
    assert len({a.place for a in alerts}) == 2
    assert list(inputs.inventory.alerts) == ["avail-fast-burn", "avail-slow-burn"]


def test_the_object_is_stored_and_nothing_of_it_is_dropped(folder: Path) -> None:
    inputs = _inputs(folder, slo=OPENSLO)
    assert inputs.counts() == {"SLO": 1}
    assert {f.code for f in inputs.findings} == {"PH728"}


def test_a_sloth_spec_is_rules_only(folder: Path) -> None:
    inputs = _inputs(folder, slo=SLOTH)
    assert [s.id for s in inputs.slos] == ["web-up"]
    assert inputs.counts() == {}
    assert inputs.usable
    assert inputs.findings == []


def test_a_broken_slo_is_said_once_and_the_rest_goes_on(folder: Path) -> None:
    inputs = _inputs(folder, a=OPENSLO.replace("0.999", "1"), b=SLOTH)
    errors = [f for f in inputs.findings if f.severity == "error"]
    assert [(f.code, f.place.line) for f in errors] == [("PH720", 14)]
    assert [s.id for s in inputs.slos] == ["web-up"]


# budgetBurned with an SLO


def _facts(slos: list[Slo], database: Database) -> Facts:
    """A run of two hours that began at 0; an SLO's budget needs no more than the series."""
    nothing = cast("Any", None)
    return Facts(1, 0.0, 7200.0, nothing, database, nothing, [], [], [], slos=tuple(slos))


def _burned(facts: Facts, slo: str, **bounds: Any) -> Any:
    check = Bound(at=Place(), measure="budgetBurned", slo=slo, **bounds)
    (ending,) = endings([Expectation(at=Place(), name="n", asked="a", check=check)], facts)
    return ending


def test_a_budget_is_the_slos_own(folder: Path) -> None:
    inputs = _inputs(folder, slo=OPENSLO)
    database = Database()
    for status, per_s in (("200", 9.0), ("500", 1.0)):
        labels = make_labels({"status": status}, "http_requests_total")
        for time_s in range(0, 7201, 15):
            database.append(labels, time_s * 1000, per_s * time_s)
    facts = _facts(inputs.slos, database)
    # A tenth fails for two hours: 12 minutes of 43.2.
    ending = _burned(facts, "avail", at_most=0.3)
    assert ending.holds
    assert ending.value == pytest.approx(12 / 43.2, rel=1e-3)
    assert ending.seen == "avail, over 2h, burned 12.0 minutes of 43.2 minutes of budget (27.8 %)"
    assert _burned(facts, "avail", at_most=0.2).holds is False
    assert _burned(facts, "web-avail", at_most=0.1, from_s=3600.0).holds is False


def test_a_budget_that_nobody_can_tell(folder: Path) -> None:
    inputs = _inputs(folder, slo=OPENSLO)
    ending = _burned(_facts(inputs.slos, Database()), "avail", at_most=0.1)
    assert (ending.holds, ending.seen) == (None, "avail: no data yet")
    ending = _burned(_facts(inputs.slos, Database()), "other", at_most=0.1)
    assert (ending.holds, ending.seen) == (None, "no usable SLO other; known: avail")
