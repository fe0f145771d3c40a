"""OpenSLO v1: each budgeting method and metric against a sum by hand, windows, references, and what breaks a rule."""

from __future__ import annotations

import pytest
from tests.unit.engines.slo.documents_of import OPENSLO, only, read, requests

from pilothouse.engines import promql
from pilothouse.engines.slo import groups_of
from pilothouse.engines.slo.openslo_rules import check
from pilothouse.engines.slo.status import Meter
from pilothouse.engines.tsdb import Database, make_labels

HOUR_MS = 3600 * 1000


def _ratio(text: str, database: Database, window_s: int, at_ms: int) -> float | None:
    return Meter(only(text)).error_ratio(database, window_s, at_ms)


def test_good_over_total() -> None:
    database = requests(120, lambda minute: 0.1 if minute >= 60 else 0.0)
    assert _ratio(OPENSLO, database, 3600, 2 * HOUR_MS) == pytest.approx(0.1)
    assert _ratio(OPENSLO, database, 7200, 2 * HOUR_MS) == pytest.approx(0.05, rel=1e-3)


def test_bad_over_total_is_the_same() -> None:
    text = OPENSLO.replace("good:", "bad:").replace('code="200"', 'code="500"')
    database = requests(120, lambda minute: 0.1 if minute >= 60 else 0.0)
    assert _ratio(text, database, 7200, 2 * HOUR_MS) == pytest.approx(0.05, rel=1e-3)


def test_a_fixed_range_gives_way_to_the_window() -> None:
    text = OPENSLO.replace("[{{.window}}]", "[5m]")
    database = requests(120, lambda minute: 0.1 if minute >= 60 else 0.0)
    assert _ratio(text, database, 7200, 2 * HOUR_MS) == pytest.approx(0.05, rel=1e-3)
    assert {f.code for f in read(text).findings} == {"PH728"}


def test_bare_counters_get_a_rate() -> None:
    text = OPENSLO.replace("rate(", "(").replace("[{{.window}}]", "")
    database = requests(120, lambda minute: 0.1 if minute >= 60 else 0.0)
    assert _ratio(text, database, 7200, 2 * HOUR_MS) == pytest.approx(0.05, rel=1e-3)


def test_a_bare_query_with_an_offset_stays_promql() -> None:
    text = OPENSLO.replace("sum(rate(requests_total[{{.window}}]))", "sum(requests_total offset 5m)")
    (rule, *_rest) = groups_of(only(text))[0]["rules"]
    assert "rate(requests_total[5m] offset 5m)" in promql.to_text(promql.parse(rule["expr"]))


SLICES = OPENSLO.replace("Occurrences", "Timeslices").replace(
    "{target: 0.999}", "{target: 0.99, timeSliceTarget: 0.95, timeSliceWindow: 5m}"
)


def test_timeslices_count_slices_not_requests() -> None:
    # 10 of 120 minutes fail by 10 %: two slices of 24 are bad, by requests it would be 0.83 %.
    database = requests(120, lambda minute: 0.1 if 60 <= minute < 70 else 0.0)
    assert _ratio(SLICES, database, 7200, 2 * HOUR_MS) == pytest.approx(2 / 24)


def test_a_slice_with_few_errors_is_good() -> None:
    database = requests(120, lambda _minute: 0.04)
    assert _ratio(SLICES, database, 7200, 2 * HOUR_MS) == 0.0


def test_slices_without_traffic_count_neither_way() -> None:
    database = Database()
    value = 0.0
    for time_s in range(0, 7201, 30):
        value += 10 if 3600 <= time_s < 5400 else 0
        database.append(make_labels({"code": "500"}, "requests_total"), time_s * 1000, value)
        database.append(make_labels({"code": "200"}, "requests_total"), time_s * 1000, 0)
    assert _ratio(SLICES, database, 7200, 2 * HOUR_MS) == 1.0


def test_ratio_timeslices_are_the_mean_of_the_slices() -> None:
    text = SLICES.replace("Timeslices", "RatioTimeslices").replace("timeSliceTarget: 0.95, ", "")
    database = requests(120, lambda minute: 0.1 if 60 <= minute < 70 else 0.0)
    assert _ratio(text, database, 7200, 2 * HOUR_MS) == pytest.approx(2 * 0.1 / 24)


THRESHOLD = """
apiVersion: openslo/v1
kind: SLO
metadata: {name: latency}
spec:
  service: shop
  indicator:
    metadata: {name: fast}
    spec:
      thresholdMetric:
        metricSource: {type: Prometheus, spec: {query: latency_ms}}
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{op: lt, value: 200, target: 0.99}]
"""


def test_a_threshold_metric_is_judged_minute_by_minute() -> None:
    database = Database()
    for minute in range(121):
        database.append(make_labels({}, "latency_ms"), minute * 60_000, 500.0 if 60 < minute <= 75 else 100.0)
    assert _ratio(THRESHOLD, database, 7200, 2 * HOUR_MS) == pytest.approx(15 / 120)


def test_a_raw_ratio_of_successes() -> None:
    raw = "raw: {metricSource: {type: Prometheus, spec: {query: availability}}}, rawType: success"
    text = THRESHOLD.replace(
        "thresholdMetric:\n        metricSource: {type: Prometheus, spec: {query: latency_ms}}",
        f"ratioMetric: {{{raw}}}",
    ).replace("op: lt, value: 200, ", "")
    database = Database()
    for minute in range(121):
        database.append(make_labels({}, "availability"), minute * 60_000, 0.9 if minute > 60 else 1.0)
    assert _ratio(text, database, 7200, 2 * HOUR_MS) == pytest.approx(0.05, rel=1e-3)


COMPOSITE = """
apiVersion: openslo/v1
kind: SLI
metadata: {name: ok}
spec:
  ratioMetric:
    bad: {metricSource: {type: Prometheus, spec: {query: 'sum(rate(requests_total{code="500"}[{{.window}}]))'}}}
    total: {metricSource: {type: Prometheus, spec: {query: 'sum(rate(requests_total[{{.window}}]))'}}}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: up}
spec:
  ratioMetric:
    rawType: failure
    raw: {metricSource: {type: Prometheus, spec: {query: '1 - avg_over_time(up[{{.window}}])'}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: both}
spec:
  service: shop
  timeWindow: [{duration: 1M, isRolling: true}]
  budgetingMethod: Occurrences
  objectives:
    - {target: 0.99, indicatorRef: ok, compositeWeight: 3}
    - {targetPercent: 95, indicatorRef: up}
"""


def test_a_composite_has_its_parts_and_the_whole() -> None:
    reading = read(COMPOSITE)
    assert [s.name for s in reading.slos] == ["both-0", "both-1", "both"]
    whole = reading.slos[2]
    assert whole.objective_percent == pytest.approx((3 * 99 + 95) / 4)
    database = requests(120, lambda _minute: 0.1)
    for minute in range(121):
        database.append(make_labels({}, "up"), minute * 60_000, 1.0 if minute > 60 else 0.0)
    ratio = Meter(whole).error_ratio(database, 3600, 2 * HOUR_MS)
    assert ratio == pytest.approx((3 * 0.1 + 0.0) / 4)


def test_several_objectives_are_several_slos() -> None:
    reading = read(OPENSLO.replace("[{target: 0.999}]", "[{target: 0.999}, {target: 0.9}]"))
    assert [(s.name, round(s.objective_percent, 6)) for s in reading.slos] == [
        ("availability-0", 99.9),
        ("availability-1", 90.0),
    ]


def test_months_quarters_and_years_have_a_length() -> None:
    days = {"1M": 30, "1Q": 90, "1Y": 365, "2w": 14, "36h": 1.5}
    for text, length in days.items():
        assert only(OPENSLO.replace("30d", text)).period_s == length * 86400


POLICY = """
---
apiVersion: openslo/v1
kind: AlertCondition
metadata: {name: fast}
spec: {severity: page, condition: {kind: burnrate, op: gte, threshold: 10, lookbackWindow: 45m, alertAfter: 2m}}
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: wake}
spec:
  alertWhenBreaching: true
  alertWhenNoData: true
  conditions: [{conditionRef: fast}]
  notificationTargets: [{targetRef: on-call}]
"""
WITH_POLICY = OPENSLO.rstrip() + "\n  alertPolicies: [{alertPolicyRef: wake}]\n"


def test_alert_policies_replace_the_standard_alerts() -> None:
    slo = only(WITH_POLICY + POLICY)
    sli, _meta, alerts = groups_of(slo)
    assert "slo:sli_error:ratio_rate45m" in [r["record"] for r in sli["rules"]]
    breach, no_data = alerts["rules"]
    assert (breach["alert"], breach["for"], breach["labels"]["severity"]) == ("availability-fast", "2m", "page")
    assert ">= (10 * " in breach["expr"]
    assert no_data["alert"] == "availability-fast-no-data"
    assert no_data["expr"].startswith("absent(")


def test_an_unknown_policy_leaves_the_standard_alerts() -> None:
    reading = read(WITH_POLICY)
    assert [(f.code, f.severity) for f in reading.findings] == [("PH722", "warning")]
    assert reading.slos[0].page is not None


def test_an_unknown_indicator_leaves_the_slo_out() -> None:
    reading = read(COMPOSITE.split("---\n")[2])
    assert reading.slos == []
    assert [f.code for f in reading.findings if f.severity == "error"] == ["PH722", "PH722"]


def test_other_sources_than_prometheus_get_no_rules() -> None:
    reading = read(OPENSLO.replace("type: Prometheus", "type: Datadog"))
    assert reading.slos == []
    assert {(f.code, f.severity) for f in reading.findings} == {("PH726", "warning")}


@pytest.mark.parametrize(
    ("old", "new", "path", "rule"),
    [
        ("kind: SLO", "kind: SLX", "kind", "one-of"),
        ("openslo/v1\n", "openslo/v2\n", "apiVersion", "equal"),
        ("service: shop", "note: shop", "spec.service", "required"),
        ("Occurrences", "Sometimes", "spec.budgetingMethod", "one-of"),
        ("target: 0.999", "target: 1", "spec.objectives[0].target", "range[0,1)"),
        ("target: 0.999", "target: '0.9'", "spec.objectives[0].target", "type"),
        ("target: 0.999", "targetPercent: 100", "spec.objectives[0].targetPercent", "range[0,100)"),
        ("target: 0.999", "value: 1", "spec.objectives[0]", "exactly-one:target,targetPercent"),
        ("duration: 30d", "duration: 30s", "spec.timeWindow[0].duration", "duration"),
        ("isRolling: true", "isRolling: false", "spec.timeWindow[0]", "rolling-xor-calendar"),
        ("{name: availability}", "{name: availability, labels: {-x: a}}", "metadata.labels", "label-key"),
        ("{name: availability}", "{name: availability, labels: {x: 1}}", "metadata.labels.x", "type"),
        ("counter: true", "rawType: success", "", ""),
    ],
)
def test_rules_of_the_format(old: str, new: str, path: str, rule: str) -> None:
    import yaml

    assert old in OPENSLO
    problems = check(yaml.safe_load(OPENSLO.replace(old, new)))
    found = [(p.path, p.rule) for p in problems if p.severity == "error"]
    assert found == ([(path, rule)] if path else [])


@pytest.mark.parametrize("document", [{}, {"kind": []}, {"apiVersion": "openslo/v1", "kind": "SLO", "spec": []}])
def test_nonsense_is_refused_without_breaking(document: dict[str, object]) -> None:
    assert any(p.severity == "error" for p in check(document))


def test_a_disputed_name_is_a_warning() -> None:
    reading = read(OPENSLO.replace("{name: availability}", "{name: Availability}"))
    assert [(f.code, f.severity) for f in reading.findings] == [("PH720", "warning")]
    assert len(reading.slos) == 1
