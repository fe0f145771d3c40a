"""Which alerts cannot fire for want of series, and which may."""

from __future__ import annotations

from typing import Any

import pytest

from pilothouse.assemble.load_option import parse_load
from pilothouse.assemble.unfed import unfed_alerts
from pilothouse.base.errors import Finding, Place
from pilothouse.engines.alerting import parse_rule_groups
from pilothouse.kinds.pilothouse.scenario.spec import Load


def missing(*rules: dict[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    groups, findings = parse_rule_groups({"groups": [{"name": "g", "rules": list(rules)}]}, Place("r.yml"))
    assert findings == []
    return [(u.rule.name, u.missing) for u in unfed_alerts(groups, ("up", "requests_total"))]


@pytest.mark.parametrize(
    ("expr", "names"),
    [
        ("nothing > 1", ("nothing",)),
        ("sum(rate(nothing[5m])) / sum(rate(requests_total[5m])) > 0.1", ("nothing",)),
        ("histogram_quantile(0.9, sum by (le) (rate(nothing_bucket[5m]))) > 1", ("nothing_bucket",)),
        ("max_over_time((nothing > 2)[1h:5m])", ("nothing",)),
        ("up and on (job) nothing", ("nothing",)),
        ("nothing or other", ("nothing", "other")),
    ],
)
def test_cannot_fire(expr: str, names: tuple[str, ...]) -> None:
    assert missing({"alert": "A", "expr": expr}) == [("A", names)]


@pytest.mark.parametrize(
    "expr",
    [
        "up == 0",
        "absent(nothing)",
        "absent_over_time(nothing[5m])",
        "nothing or up",
        "up unless nothing",
        "vector(1)",
        "vector(time()) > 0",
        '{job="a"} > 1',
        'up{job="unknown"} == 0',
        "topk(3, up)",
    ],
)
def test_may_fire(expr: str) -> None:
    assert missing({"alert": "A", "expr": expr}) == []


def test_recorded_names_are_followed() -> None:
    fed = {"record": "a", "expr": "sum(up)"}
    hungry = {"record": "b", "expr": "nothing + a"}
    assert missing({"alert": "A", "expr": "a > 1"}, fed) == []
    assert missing(fed, hungry, {"alert": "B", "expr": "b > 1"}) == [("B", ("b",))]
    assert missing(fed, {"alert": "A", "expr": "a > 1"}, {"alert": "C", "expr": "ALERTS{alertname='A'} == 1"}) == []


def test_loads_of_the_command_line(tmp_path: Any) -> None:
    assert parse_load("50rps") == Load(base_rps=50.0)
    assert parse_load("120rpm") == Load(base_rps=2.0)
    assert parse_load("diurnal:20rps-80rps") == Load(base_rps=20.0, shape="diurnal", ratio=4.0)
    path = tmp_path / "load.csv"
    path.write_text("time,rps\n0,10\n1h,40\n")
    assert parse_load(str(path)) == Load(csv=str(path), points=((0.0, 10.0), (3600.0, 40.0)))


@pytest.mark.parametrize("text", ["fast", "diurnal:80rps-20rps", "diurnal:fast", "none.csv", "-1rps", "0rps-"])
def test_loads_that_are_none(text: str) -> None:
    found = parse_load(text)
    assert isinstance(found, Finding)
    assert found.code == "PH311"
