"""Pyrra's objects: indicators, its burn rates and factors, the absent alert, what its webhook refuses."""

from __future__ import annotations

import pytest
from tests.unit.engines.slo.documents_of import only, read, requests

from pilothouse.engines import promql
from pilothouse.engines.slo import groups_of
from pilothouse.engines.slo.pyrra_rules import tiers
from pilothouse.engines.slo.status import Meter

RATIO = """
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: shop-errors, labels: {pyrra.dev/team: payments, other: x}}
spec:
  target: "99"
  window: 4w
  indicator:
    ratio:
      errors: {metric: 'requests_total{job="shop",code=~"5.."}'}
      total: {metric: 'requests_total{job="shop",route=~"/api.*"}'}
"""


def test_four_weeks_have_pyrras_windows() -> None:
    assert tiers(28 * 86400) == [
        (14, 3600, 300, 120),
        (7, 6 * 3600, 1800, 900),
        (2, 86400, 7200, 3600),
        (1, 4 * 86400, 6 * 3600, 3 * 3600),
    ]


def test_burn_rates_and_their_alerts() -> None:
    absent, burn = groups_of(only(RATIO))
    assert (absent["name"], burn["name"], burn["interval"]) == ("shop-errors-increase", "shop-errors", "30s")
    records = [r for r in burn["rules"] if "record" in r]
    alerts = [r for r in burn["rules"] if "alert" in r]
    assert [r["record"] for r in records][:2] == ["requests:burnrate5m", "requests:burnrate30m"]
    assert records[0]["labels"] == {"slo": "shop-errors", "team": "payments", "job": "shop"}
    assert [(a["labels"]["severity"], a["for"], a["labels"]["exhaustion"]) for a in alerts] == [
        ("critical", "2m", "2d"),
        ("critical", "15m", "4d"),
        ("warning", "1h", "2w"),
        ("warning", "3h", "4w"),
    ]
    first = 'requests:burnrate5m{job="shop",slo="shop-errors"} > (14 * (1-0.99))'
    assert alerts[0]["expr"].startswith(first)
    for rule in burn["rules"]:
        promql.parse(rule["expr"])


def test_the_absent_alert_waits_as_long_as_a_page_would() -> None:
    (rule,) = groups_of(only(RATIO))[0]["rules"]
    assert rule["expr"] == 'absent(requests_total{job="shop",route=~"/api.*"}) == 1'
    assert rule["for"] == "10m"


def test_alerts_can_be_named_graded_and_switched_off() -> None:
    alerting = "  alerting: {name: Burn, absent: false, severities: {fastBurn: page}}\n"
    (group,) = groups_of(only(RATIO + alerting))
    alerts = [r for r in group["rules"] if "alert" in r]
    assert (alerts[0]["alert"], alerts[0]["labels"]["severity"]) == ("Burn", "page")
    (group,) = groups_of(only(RATIO + "  alerting: {disabled: true, absent: false}\n"))
    assert all("record" in r for r in group["rules"])


def test_the_ratio_is_measured() -> None:
    text = RATIO.replace('{job="shop",code=~"5.."}', '{code="500"}').replace('{job="shop",route=~"/api.*"}', "")
    database = requests(60, lambda _minute: 0.02)
    assert Meter(only(text)).error_ratio(database, 1800, 3600_000) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("indicator", "query"),
    [
        (
            "latency: {success: {metric: 'd_bucket{le=\"0.5\"}'}, total: {metric: d_count}}",
            '(sum(rate(d_count[5m])) - sum(rate(d_bucket{le="0.5"}[5m]))) / (sum(rate(d_count[5m])))',
        ),
        (
            "latencyNative: {latency: 500ms, total: {metric: d}}",
            "(1 - histogram_fraction(0, 0.5, sum(rate(d[5m]))))",
        ),
        (
            "bool_gauge: {metric: probe_success, grouping: [site]}",
            "(sum by (site) (count_over_time(probe_success[5m])) - sum by (site) (sum_over_time(probe_success[5m])))"
            " / (sum by (site) (count_over_time(probe_success[5m])))",
        ),
    ],
)
def test_other_indicators(indicator: str, query: str) -> None:
    head, _, _ = RATIO.partition("    ratio:")
    slo = only(head + "    " + indicator)
    got = promql.to_text(promql.parse(slo.indicator.error_ratio("5m")))
    assert got == promql.to_text(promql.parse(query))
    assert groups_of(slo)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('target: "99"', 'target: "101"', "between 0 and 100"),
        ('target: "99"', 'target: "most"', "not a number"),
        ("window: 4w", "window: month", "spec.window"),
        ("    ratio:", "    rate:", "one of ratio"),
        ('requests_total{job="shop",code=~"5.."}\'', "sum(x)'", "not a metric with labels"),
        ("total: {metric:", "total: {matric:", "is missing"),
    ],
)
def test_what_is_refused(old: str, new: str, words: str) -> None:
    assert old in RATIO
    reading = read(RATIO.replace(old, new))
    assert reading.slos == []
    assert words in " ".join(f.message for f in reading.findings)


def test_a_target_below_one_is_percent_and_said_so() -> None:
    reading = read(RATIO.replace('"99"', '"0.99"'))
    assert [f.severity for f in reading.findings] == ["warning"]
    assert reading.slos[0].objective_percent == 0.99
