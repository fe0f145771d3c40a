"""Rules rehearsed without any workload: load from the command line, fed series, routing, and what cannot fire."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.assemble import rehearse
from pilothouse.report.html import render as html
from pilothouse.report.model import RehearseRequest, Report
from pilothouse.report.text import plain, render

RULES = """\
groups:
  - name: shop
    rules:
      - alert: HighErrorRate
        expr: sum(rate(http_requests_total{status=~"5.."}[5m])) > 100
        labels: {severity: page}
      - {alert: QueueGrows, expr: checkout_queue_length > 100, for: 5m, labels: {severity: page, namespace: shop}}
      - {alert: Unknown, expr: nobody_produces_this > 1}
"""
ALERTMANAGER = """\
route:
  receiver: team
  routes: [{matchers: ['severity="page"'], receiver: pager}]
receivers:
  - {name: team, webhook_configs: [{url: "http://localhost/team"}]}
  - {name: pager, webhook_configs: [{url: "http://localhost/pager"}]}
"""
OBJECT = """\
apiVersion: monitoring.coreos.com/v1beta1
kind: AlertmanagerConfig
metadata: {name: shop, namespace: shop}
spec:
  route: {receiver: desk}
  receivers:
    - {name: desk, webhookConfigs: [{url: "http://localhost/desk"}]}
"""
QUEUE = "interval: 1m\ninput_series:\n  - {series: checkout_queue_length, values: 0+10x60}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("rules.yml", RULES), ("am.yml", ALERTMANAGER), ("desk.yaml", OBJECT), ("queue.yml", QUEUE)):
        (tmp_path / name).write_text(text)
    return tmp_path


def rehearsed(*paths: str, series: tuple[str, ...] = ("queue.yml",)) -> Report:
    return rehearse(RehearseRequest(paths=paths, load="20rps", series=series, duration_s=1800.0))


@pytest.mark.usefixtures("folder")
def test_fed_series_fire_and_somebody_is_woken() -> None:
    report = rehearsed("rules.yml", "am.yml")
    assert report.shown is not None
    told = [(n.receiver, n.status, n.alerts[0].partition("{")[0]) for n in report.shown.notifications]
    assert told == [("pager", "firing", "QueueGrows")]
    assert [(r.name, r.woken) for r in report.receivers] == [("team", 0.0), ("pager", 1.0)]
    assert max(v or 0.0 for x in report.shown.lanes if x.id == "load" for v in x.values) == pytest.approx(20.0, rel=0.3)
    text = plain(render(report, 160))
    assert "Who is woken" in text
    assert '→ pager (webhook): firing: QueueGrows{namespace="shop", severity="page"}; first notification' in text
    assert "<h2>Notifications</h2>" in html(report)


@pytest.mark.usefixtures("folder")
def test_what_nothing_produces_is_told_and_leaves_it_undecided() -> None:
    report = rehearsed("rules.yml")
    assert [(f.code, str(f.at)) for f in report.findings if f.code == "PH310"] == [("PH310", "rules.yml:8")]
    outcomes = {v.name: v.outcome for v in report.verdicts}
    assert outcomes == {
        "HighErrorRate stays silent": "met",
        "QueueGrows stays silent": "not met",
        "Unknown stays silent": "undecided",
    }
    assert "cannot fire, nothing produces what they read: Unknown (nobody_produces_this)" in plain(render(report))
    assert report.receivers == ()


@pytest.mark.usefixtures("folder")
def test_config_objects_route_their_namespace() -> None:
    report = rehearsed("rules.yml", "am.yml", "desk.yaml")
    assert report.shown is not None
    assert [n.receiver for n in report.shown.notifications] == ["shop/shop/desk", "pager"]
    assert [f for f in report.findings if f.code == "PH301"] == []
    desk = next(r for r in report.receivers if r.name == "shop/shop/desk")
    assert str(desk.at) == "desk.yaml:7"


def test_a_config_object_of_another_form_is_a_finding(folder: Path) -> None:
    (folder / "desk.yaml").write_text(OBJECT.split("spec:")[0] + "spec: [1]\n")
    report = rehearsed("rules.yml", "am.yml", "desk.yaml")
    assert "PH260" in [f.code for f in report.findings]
    assert [r.name for r in report.receivers] == ["team", "pager"]


@pytest.mark.usefixtures("folder")
def test_the_command_names_what_was_given() -> None:
    assert rehearsed("rules.yml").command == (
        "pilothouse rehearse rules.yml --duration 1800s --load 20rps --series queue.yml"
    )
