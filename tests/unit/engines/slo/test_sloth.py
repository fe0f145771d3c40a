"""Sloth's specs: what is read, which rules they become, what is refused and where."""

from __future__ import annotations

import pytest
from tests.unit.engines.slo.documents_of import SPEC, only, read

from pilothouse.engines import promql
from pilothouse.engines.slo import Options, groups_of, rule_objects

GOOD = SPEC.format(objective="99.9")


def test_three_groups_in_sloths_names() -> None:
    groups = groups_of(only(GOOD))
    assert [g["name"] for g in groups] == [
        "sloth-slo-sli-recordings-shop-availability",
        "sloth-slo-meta-recordings-shop-availability",
        "sloth-slo-alerts-shop-availability",
    ]
    names = [r["record"] for r in groups[0]["rules"]]
    assert names == [f"slo:sli_error:ratio_rate{w}" for w in ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")]
    assert groups[0]["rules"][0]["labels"] == {
        "sloth_id": "shop-availability",
        "sloth_service": "shop",
        "sloth_slo": "availability",
        "sloth_window": "5m",
        "team": "payments",
        "tier": "1",
    }


def test_every_expression_is_promql() -> None:
    for group in groups_of(only(GOOD)):
        for rule in group["rules"]:
            assert promql.to_text(promql.parse(rule["expr"]))


def test_the_page_alert_merges_labels_and_annotations() -> None:
    (alert,) = groups_of(only(GOOD))[2]["rules"]
    assert alert["alert"] == "ShopBurn"
    assert alert["labels"] == {"sloth_severity": "page", "category": "availability", "severity": "critical"}
    assert alert["annotations"]["summary"] == "mine"
    above = "(14.4 * 0.0009999999999999432)"
    assert alert["expr"].count(above) == 2


def test_options_switch_rules_off_and_add_labels() -> None:
    slo = only(GOOD)
    assert len(groups_of(slo, Options(alerts=False))) == 2
    assert len(groups_of(slo, Options(recordings=False))) == 1
    extra = groups_of(slo, Options(extra_labels={"env": "prod"}))
    assert all(r["labels"]["env"] == "prod" for r in extra[0]["rules"])


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "words"),
    [
        ("objective: 99.9", "objective: 101", "PH720", 7, "at most 100"),
        ("objective: 99.9", "objective: 0", "PH720", 7, "above 0"),
        ("objective: 99.9", "objective: high", "PH720", 7, "'high'"),
        ("name: availability", "name: no name", "PH720", 6, "not a name"),
        ("service: shop", "service: ''", "PH720", 3, "not a name"),
        ('code=~"5.."}[{{.window}}]', 'code=~"5.."}[5m]', "PH723", 12, "{{.window}}"),
        ("sum(rate(requests_total[{{.window}}]))", "sum(rate(requests_total[{{.window}}])", "PH723", 13, "unclosed"),
        ("name: ShopBurn", "name: ''", "PH720", 15, "needs a name"),
        ("version: prometheus/v1", "version: prometheus/v9", "PH720", 2, "prometheus/v1"),
        ("      events:", "      raw: {error_ratio_query: 'x[{{.window}}]'}\n      events:", "PH720", 10, "both"),
    ],
)
def test_a_broken_spec_is_refused_with_its_place(old: str, new: str, code: str, line: int, words: str) -> None:
    assert old in GOOD
    reading = read(GOOD.replace(old, new))
    errors = [f for f in reading.findings if f.severity == "error"]
    assert reading.slos == []
    assert errors[0].code == code
    assert words in errors[0].message
    assert errors[0].place.line == line


def test_the_same_slo_twice_is_kept_once() -> None:
    reading = read(f"{GOOD}---{GOOD}")
    assert [s.id for s in reading.slos] == ["shop-availability"]
    assert [f.code for f in reading.findings] == ["PH721"]


def test_an_objective_of_100_is_used_with_a_warning() -> None:
    reading = read(SPEC.format(objective="100"))
    assert [(f.code, f.severity) for f in reading.findings] == [("PH724", "warning")]
    assert reading.slos[0].budget_ratio == 0


def test_a_foreign_indicator_plugin_is_named() -> None:
    text = """
version: prometheus/v1
service: shop
slos: [{name: one, objective: 99, sli: {plugin: {id: acme/http}}, alerting: {name: A}}]
"""
    reading = read(text)
    assert reading.slos == []
    assert [f.code for f in reading.findings] == ["PH727"]
    assert "acme/http" in reading.findings[0].message


PLUGINS = """
    plugins:
      chain:
        - {id: sloth.dev/contrib/info_labels/v1, config: {labels: {owner: me}}}
        - {id: sloth.dev/contrib/rule_intervals/v1, config: {interval: {default: 5m, alert: 1m}}}
        - {id: sloth.dev/contrib/remove_labels/v1, config: {preserveLabels: [tier]}}
        - {id: sloth.dev/contrib/error_budget_exhausted_alert/v1, config: {threshold: 0.05}}
        - {id: acme/own}
"""


def test_contributed_plugins_that_need_no_code() -> None:
    reading = read(GOOD.rstrip() + PLUGINS)
    assert [(f.code, f.severity) for f in reading.findings] == [("PH727", "warning")]
    sli, meta, alerts = groups_of(reading.slos[0])
    assert [g["interval"] for g in (sli, meta, alerts)] == ["5m", "5m", "1m"]
    assert meta["rules"][-1]["labels"]["owner"] == "me"
    assert "team" not in sli["rules"][0]["labels"]
    assert sli["rules"][0]["labels"]["tier"] == "1"
    exhausted = alerts["rules"][-1]
    assert exhausted["alert"] == "ErrorBudgetExhausted"
    assert exhausted["expr"].endswith("<= 0.05")
    promql.parse(exhausted["expr"])


def test_an_overridden_chain_runs_only_what_it_lists() -> None:
    chain = "\n    plugins: {overridePrevious: true, chain: [{id: sloth.dev/core/sli_rules/v1}]}\n"
    (group,) = groups_of(only(GOOD.rstrip() + chain))
    assert group["name"].startswith("sloth-slo-sli-recordings-")


KUBERNETES = """
apiVersion: sloth.slok.dev/v1
kind: PrometheusServiceLevel
metadata: {name: shop, namespace: prod, labels: {a: b}}
spec:
  service: shop
  slos:
    - name: availability
      objective: 99.9
      sli: {raw: {errorRatioQuery: "1 - avg_over_time(up[{{.window}}])"}}
      alerting: {name: A, pageAlert: {}, ticketAlert: {}}
"""


def test_an_object_of_kubernetes_becomes_a_prometheusrule() -> None:
    (rule,) = rule_objects([only(KUBERNETES)])
    assert rule["kind"] == "PrometheusRule"
    assert rule["metadata"]["namespace"] == "prod"
    assert rule["metadata"]["labels"]["a"] == "b"
    assert rule["spec"]["groups"][0]["rules"][0]["expr"] == "(1 - avg_over_time(up[5m]))"


ALPHA = """
apiVersion: openslo/v1alpha
kind: SLO
metadata: {name: avail}
spec:
  service: shop
  budgetingMethod: Occurrences
  objectives:
    - target: 0.999
      ratioMetrics:
        good: {source: prometheus, queryType: promql, query: "sum(rate(ok[{{.window}}]))"}
        total: {source: prometheus, queryType: promql, query: "sum(rate(all[{{.window}}]))"}
  timeWindows: [{count: 28, unit: Day}]
"""


def test_openslo_v1alpha_as_sloth_reads_it() -> None:
    slo = only(ALPHA)
    assert (slo.id, slo.period_s) == ("shop-avail-0", 28 * 86400)
    assert slo.page is None
    assert slo.ticket is None
    assert len(groups_of(slo)) == 2


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("unit: Day", "unit: Month", "PH720"),
        ("good: {source: prometheus, queryType: promql,", "good: {source: datadog,", "PH726"),
        ("target: 0.999", "target: 99.9", "PH720"),
        ("ok[{{.window}}]", "ok[5m]", None),
    ],
)
def test_broken_openslo_v1alpha(old: str, new: str, code: str | None) -> None:
    assert old in ALPHA
    found = [f.code for f in read(ALPHA.replace(old, new)).findings if f.severity == "error"]
    assert found == ([code] if code else [])
