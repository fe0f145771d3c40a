"""The HTTP API as pure functions: shapes, errors, parameters. Values of queries are the engine's own tests."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pilothouse.base.clock import ManualClock
from pilothouse.base.errors import Place
from pilothouse.engines.alerting import parse_rule_groups
from pilothouse.engines.tsdb import STALE, Database, make_labels
from pilothouse.signals.metrics.ingest import Exchange
from pilothouse.signals.metrics.page import Dialect
from pilothouse.signals.metrics.push import PushGateway
from pilothouse.signals.metrics.rules import RuleRunner
from pilothouse.signals.metrics.scrape import Scraper
from pilothouse.signals.metrics.scrape_config import ServerConfig, load_server_config
from pilothouse.wire.prometheus import Context, Request, Response, handle
from pilothouse.wire.prometheus.config_yaml import config_yaml

NOW_S = 1_767_225_600.0
CONFIG = """
global: {scrape_interval: 15s}
scrape_configs:
- job_name: web
  params: {m: [a]}
  sample_limit: 5
  static_configs: [{targets: ['a:1', 'drop:1'], labels: {env: dev}}]
  relabel_configs: [{source_labels: [__address__], regex: 'drop.*', action: drop}]
"""
RULES = {
    "groups": [
        {"name": "one", "rules": [{"record": "x:y", "expr": "up", "labels": {"k": "v"}}]},
        {
            "name": "two",
            "rules": [
                {"alert": "Up", "expr": "up==1", "for": "5m", "labels": {"s": "p"}, "annotations": {"n": "{{$value}}"}},
                {"record": "broken", "expr": "up * on() group_left() (up or label_replace(up,'a','b','',''))"},
            ],
        },
    ]
}


def context() -> Context:
    """A server that scraped one target once and ran its rules once."""
    database, clock = Database(), ManualClock(NOW_S)
    config, _ = load_server_config(CONFIG)

    async def no_fetch(_request: object) -> Any:
        raise AssertionError("nothing is fetched here")

    scraper = Scraper(database, no_fetch, clock)
    scraper.apply([(pool, pool.static) for pool in config.scrape_configs])
    page = b'# TYPE hits_total counter\n# HELP hits_total Hits.\nhits_total{code="200"} 5\nhits_total{code="500"} 1\n'
    (active,) = scraper.active_targets()
    active.last = active.ingest.take(Exchange(page, "text/plain"), round(NOW_S * 1000) - 1000, 0.25)
    active.health = "up"
    groups, _ = parse_rule_groups(RULES, Place("r.yml"))
    rules = RuleRunner(database, clock, groups)
    for running in rules.groups:
        rules.evaluate(running, round(NOW_S * 1000))
    return Context(
        database, clock, config, config_yaml(config), scraper, rules, PushGateway(), writer=database, started_s=NOW_S
    )


def get(path: str, *params: tuple[str, str], given: Context | None = None, method: str = "GET") -> Response:
    return handle(Request(method, path, params), given or context())


def data(path: str, *params: tuple[str, str], given: Context | None = None) -> Any:
    response = get(path, *params, given=given)
    body = orjson.loads(response.body)
    assert (response.status, body["status"], response.content_type) == (200, "success", "application/json"), body
    return body["data"]


def error(path: str, *params: tuple[str, str]) -> tuple[int, str, str]:
    response = get(path, *params)
    body = orjson.loads(response.body)
    assert body["status"] == "error"
    return response.status, body["errorType"], body["error"]


# --- queries ---


def test_instant_queries_give_their_type() -> None:
    at = NOW_S
    assert data("/api/v1/query", ("query", "1.5")) == {"resultType": "scalar", "result": [at, "1.5"]}
    assert data("/api/v1/query", ("query", '"x"')) == {"resultType": "string", "result": [at, "x"]}
    vector = data("/api/v1/query", ("query", "up"))
    labels = {"__name__": "up", "env": "dev", "instance": "a:1", "job": "web"}
    assert vector == {"resultType": "vector", "result": [{"metric": labels, "value": [at, "1"]}]}
    matrix = data("/api/v1/query", ("query", "up[1m]"))
    assert matrix == {"resultType": "matrix", "result": [{"metric": labels, "values": [[at - 1, "1"]]}]}


def test_range_queries_give_a_matrix() -> None:
    params = (("query", "up"), ("start", str(NOW_S - 15)), ("end", str(NOW_S + 15)), ("step", "15"))
    found = data("/api/v1/query_range", *params)
    assert found["result"][0]["values"] == [[NOW_S, "1"], [NOW_S + 15, "1"]]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1767225600", 1767225600),
        ("1767225600.5", 1767225600.5),
        ("2026-01-01T00:00:00Z", 1767225600),
        ("2026-01-01T01:00:00.25+01:00", 1767225600.25),
        ("2026-01-01T00:00:00.123456789Z", 1767225600.123),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert data("/api/v1/query", ("query", "time()"), ("time", text))["result"] == [
        seconds,
        f"{seconds:.3f}".rstrip("0").rstrip("."),
    ]


def test_values_are_the_shortest_text() -> None:
    for text, shown in (
        ("1e21", "1e+21"),
        ("1e-7", "1e-07"),
        ("0.1+0.2", "0.30000000000000004"),
        ("1/0", "+Inf"),
        ("0/0", "NaN"),
    ):
        assert data("/api/v1/query", ("query", text))["result"][1] == shown


@pytest.mark.parametrize(
    ("path", "params", "wanted"),
    [
        ("query", {"query": "up{"}, (400, "bad_data", 'invalid parameter "query": 1:4: parse error')),
        ("query", {}, (400, "bad_data", 'invalid parameter "query"')),
        ("query", {"query": "up", "time": "soon"}, (400, "bad_data", 'cannot parse "soon" to a valid timestamp')),
        ("query", {"query": "up", "time": "NaN"}, (400, "bad_data", "to a valid timestamp")),
        ("query", {"query": "up", "timeout": "x"}, (400, "bad_data", 'invalid parameter "timeout"')),
        ("query", {"query": "up", "limit": "-1"}, (400, "bad_data", "limit must be non-negative")),
        ("query", {"query": "up", "lookback_delta": "x"}, (400, "bad_data", "error parsing lookback delta")),
        ("query", {"query": "label_replace(up,'a','b','c','(')"}, (422, "execution", "invalid regular expression")),
        ("query_range", {"query": "up"}, (400, "bad_data", 'invalid parameter "start"')),
        (
            "query_range",
            {"query": "up", "start": "2", "end": "1", "step": "1"},
            (400, "bad_data", "must not be before start"),
        ),
        ("query_range", {"query": "up", "start": "1", "end": "2", "step": "0"}, (400, "bad_data", "zero or negative")),
        ("query_range", {"query": "up", "start": "1", "end": "20000", "step": "1"}, (400, "bad_data", "11,000 points")),
        (
            "query_range",
            {"query": "up[1m]", "start": "1", "end": "2", "step": "1"},
            (400, "bad_data", 'expression type "range vector"'),
        ),
        ("series", {}, (400, "bad_data", "no match[] parameter provided")),
        ("series", {"match[]": "{a=''}"}, (400, "bad_data", "at least one non-empty matcher")),
        ("labels", {"match[]": "rate(up[5m])"}, (400, "bad_data", '1:5: parse error: unexpected "("')),
        ("series", {"match[]": "up offset 5m"}, (400, "bad_data", "1:4: parse error: unexpected <offset>")),
        ("series", {"match[]": "up[5m]"}, (400, "bad_data", '1:3: parse error: unexpected "["')),
        ("series", {"match[]": ""}, (400, "bad_data", "parse error: unexpected end of input")),
        ("metadata", {"limit": "x"}, (400, "bad_data", "limit must be a number")),
        ("rules", {"type": "x"}, (400, "bad_data", 'invalid parameter "type": not supported value "x"')),
        ("rules", {"group_next_token": "x"}, (400, "bad_data", "group_limit needs to be present")),
        ("rules", {"group_next_token": "x", "group_limit": "1"}, (400, "bad_data", "invalid group_next_token")),
        ("format_query", {"query": "sum("}, (400, "bad_data", "parse error")),
    ],
)
def test_errors(path: str, params: dict[str, str], wanted: tuple[int, str, str]) -> None:
    status, kind, text = error(f"/api/v1/{path}", *params.items())
    assert (status, kind) == wanted[:2]
    assert wanted[2] in text


def test_a_limit_cuts_and_warns() -> None:
    body = orjson.loads(get("/api/v1/query", ("query", "hits_total"), ("limit", "1")).body)
    assert len(body["data"]["result"]) == 1
    assert body["warnings"] == ["results truncated due to limit"]
    older = context()
    older.dialect = Dialect.PROMETHEUS_2
    assert len(data("/api/v1/query", ("query", "hits_total"), ("limit", "1"), given=older)["result"]) == 2


def test_lookback_delta_and_stats() -> None:
    given = context()
    given.database.append(make_labels({}, "old"), round(NOW_S * 1000) - 60_000, 1.0)
    assert len(data("/api/v1/query", ("query", "up or old"), given=given)["result"]) == 2
    assert len(data("/api/v1/query", ("query", "up or old"), ("lookback_delta", "30s"), given=given)["result"]) == 1
    stats = data("/api/v1/query", ("query", "up"), ("stats", "all"))["stats"]
    assert stats["samples"]["totalQueryableSamples"] == 1
    assert "evalTotalTime" in stats["timings"]


def test_forms_are_read_before_the_url() -> None:
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    response = handle(Request("POST", "/api/v1/query", [("query", "2")], b"query=1%2B1&time=5", headers), context())
    assert orjson.loads(response.body)["data"]["result"] == [5, "2"]


def test_queries_are_formatted_and_parsed() -> None:
    assert data("/api/v1/format_query", ("query", "sum by(a)(rate(up[5m]))>0")) == "sum by (a) (rate(up[5m])) > 0"
    long = " + ".join(f'some_long_metric_name{{label="value{n}"}}' for n in range(3))
    lines = data("/api/v1/format_query", ("query", f"sum by (job) ({long})")).split("\n")
    assert lines[0] == "sum by (job) ("
    assert lines[-1] == ")"
    assert lines[2].strip() == "+"
    tree = data("/api/v1/parse_query", ("query", "sum(rate(up{a!='b'}[5m] offset 1m)) / 2"))
    assert (tree["type"], tree["op"], tree["rhs"]["val"]) == ("binaryExpr", "/", "2")
    selector = tree["lhs"]["expr"]["args"][0]
    assert (selector["range"], selector["offset"], selector["matchers"][0]["type"]) == (300_000, 60_000, "!=")


# --- series ---


def test_series_labels_and_values() -> None:
    assert [s["code"] for s in data("/api/v1/series", ("match[]", "hits_total"), ("match[]", "hits_total"))] == [
        "200",
        "500",
    ]
    assert data("/api/v1/labels", ("match[]", "hits_total")) == ["__name__", "code", "env", "instance", "job"]
    assert data("/api/v1/label/code/values") == ["200", "500"]
    assert data("/api/v1/label/code/values", ("match[]", 'hits_total{code="500"}')) == ["500"]
    assert data("/api/v1/series", ("match[]", "up"), ("end", str(NOW_S - 100))) == []
    assert data("/api/v1/series", ("match[]", "up"), ("start", "9"), ("end", "8")) == []
    assert data("/api/v1/label/nosuch/values") == []


def test_names_beyond_the_old_scheme() -> None:
    given = context()
    given.database.append(make_labels({"a.b": "x"}, "m"), 1000, 1.0)
    assert data("/api/v1/label/a.b/values", given=given) == ["x"]
    assert data("/api/v1/label/U__a_2e_b/values", given=given) == ["x"]
    given.dialect = Dialect.PROMETHEUS_2
    assert get("/api/v1/label/a.b/values", given=given).status == 400


def test_federation_attaches_external_labels_and_leaves_ended_series_out() -> None:
    given = context()
    given.config = ServerConfig(external_labels={"cluster": "c", "env": "other"})
    given.database.append(make_labels({"job": "web"}, "ended"), round(NOW_S * 1000) - 5, STALE)
    page = get("/federate", ("match[]", '{job="web",__name__=~"up|ended"}'), given=given)
    wanted = f'# TYPE up untyped\nup{{env="dev",instance="a:1",job="web",cluster="c"}} 1 {round(NOW_S * 1000) - 1000}\n'
    assert page.body.decode() == wanted
    assert page.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert get("/federate", ("match[]", "up{"), given=given).status == 400
    everything = get("/federate", ("match[]", '{job!="nope"}'), given=given).body.decode()
    assert wanted in everything


# --- targets, rules, status ---


def test_targets_and_metadata() -> None:
    found = data("/api/v1/targets")
    (active,) = found["activeTargets"]
    assert (active["scrapeUrl"], active["health"], active["scrapePool"]) == ("http://a:1/metrics?m=a", "up", "web")
    assert (active["lastScrape"], active["scrapeInterval"]) == ("2025-12-31T23:59:59Z", "15s")
    assert found["droppedTargets"][0]["discoveredLabels"]["__address__"] == "drop:1"
    assert found["droppedTargetCounts"] == {"web": 1}
    assert data("/api/v1/targets", ("state", "dropped"))["activeTargets"] == []
    hits = {"type": "counter", "help": "Hits.", "unit": ""}
    assert data("/api/v1/metadata") == {"hits_total": [hits]}
    (entry,) = data("/api/v1/targets/metadata", ("match_target", '{env="dev"}'))
    assert (entry["metric"], entry["target"]["job"]) == ("hits_total", "web")
    assert data("/api/v1/targets/metadata", ("match_target", '{env="x"}')) == []
    assert data("/api/v1/scrape_pools") == {"scrapePools": ["web"]}


def test_rules_and_alerts() -> None:
    one, two = data("/api/v1/rules")["groups"]
    assert (one["name"], one["file"], one["interval"], one["rules"][0]["labels"]) == ("one", "r.yml", 60, {"k": "v"})
    alert, broken = two["rules"]
    assert (alert["state"], alert["query"], alert["duration"], alert["type"]) == ("pending", "up == 1", 300, "alerting")
    assert alert["alerts"][0]["annotations"] == {"n": "1"}
    assert alert["alerts"][0]["value"] == "1e+00"
    assert (broken["health"], "many-to-many" in broken["lastError"]) == ("err", True)
    assert data("/api/v1/alerts")["alerts"] == alert["alerts"]


def test_rules_are_filtered_and_paged() -> None:
    only = data("/api/v1/rules", ("type", "alert"))["groups"]
    assert [group["name"] for group in only] == ["two"]
    assert data("/api/v1/rules", ("rule_name[]", "x:y"))["groups"][0]["name"] == "one"
    assert data("/api/v1/rules", ("rule_group[]", "no")) == {"groups": []}
    assert [g["name"] for g in data("/api/v1/rules", ("match[]", '{s="p"}'))["groups"]] == ["two"]
    hidden = data("/api/v1/rules", ("exclude_alerts", "true"), ("type", "alert"))
    assert hidden["groups"][0]["rules"][0]["alerts"] is None
    first = data("/api/v1/rules", ("group_limit", "1"))
    assert [group["name"] for group in first["groups"]] == ["one"]
    second = data("/api/v1/rules", ("group_limit", "1"), ("group_next_token", first["groupNextToken"]))
    assert [group["name"] for group in second["groups"]] == ["two"]
    assert "groupNextToken" not in second


def test_status() -> None:
    assert "job_name: web" in data("/api/v1/status/config")["yaml"]
    assert data("/api/v1/status/walreplay") == {"min": 0, "max": 0, "current": 0}
    assert data("/api/v1/status/flags")["query.lookback-delta"] == "5m"
    assert data("/api/v1/status/runtimeinfo")["startTime"] == "2026-01-01T00:00:00Z"
    assert data("/api/v1/status/buildinfo")["version"].startswith("3.")
    sizes = data("/api/v1/status/tsdb", ("limit", "1"))
    assert (
        sizes["headStats"]["numSeries"] == sizes["seriesCountByLabelValuePair"][0]["value"] + 0
        or sizes["headStats"]["numSeries"] > 5
    )
    assert len(sizes["seriesCountByMetricName"]) == 1
    assert data("/api/v1/alertmanagers") == {"activeAlertmanagers": [], "droppedAlertmanagers": []}
    assert get("/-/healthy").body == b"Prometheus Server is Healthy.\n"
    assert get("/-/ready").body == b"Prometheus Server is Ready.\n"


def test_a_server_without_scraper_and_rules_answers_empty() -> None:
    bare = Context(Database(), ManualClock(NOW_S))
    assert data("/api/v1/rules", given=bare) == {"groups": []}
    assert data("/api/v1/targets/metadata", given=bare) == []
    assert data("/api/v1/status/tsdb", given=bare)["headStats"]["numSeries"] == 0
    assert get("/metrics/job/x", method="PUT", given=Context(Database(), ManualClock(1.0))).status == 404
    assert get("/api/v1/write", method="POST", given=bare).status == 404


def test_unknown_paths_and_methods() -> None:
    assert get("/api/v1/nosuch").status == 404
    assert get("/api/v1/query", method="DELETE").status == 405
    assert get("/api/v1/query", method="OPTIONS").status == 204


# --- writes ---


def test_pushes_are_routed() -> None:
    given = context()
    pushed = handle(Request("PUT", "/metrics/job/batch", (), b"done 1\n"), given)
    assert (pushed.status, pushed.body) == (200, b"")
    assert given.pushes is not None
    assert 'done{instance="",job="batch"} 1' in given.pushes.page()
    assert handle(Request("PUT", "/metrics/job/batch", (), b"done{\n"), given).status == 400
    assert handle(Request("DELETE", "/metrics/job/batch"), given).status == 202


def test_remote_write_stores_samples() -> None:
    given = context()
    # snappy literal of: TimeSeries{__name__="rw", sample 1.0 at 1000 ms}
    series = b"\x0a\x0e\x0a\x08__name__\x12\x02rw\x12\x0c\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\xe8\x07"
    message = b"\x0a" + bytes((len(series),)) + series
    body = bytes((len(message), (len(message) - 1) << 2)) + message
    written = handle(Request("POST", "/api/v1/write", (), body), given)
    assert (written.status, written.body) == (204, b"")
    assert data("/api/v1/query", ("query", "rw"), ("time", "2"), given=given)["result"][0]["value"] == [2, "1"]
    late = body.replace(b"\x10\xe8\x07", b"\x10\xe7\x07")
    assert handle(Request("POST", "/api/v1/write", (), late), given).status == 400
    assert handle(Request("POST", "/api/v1/write", (), b"\xff"), given).status == 400
    assert handle(Request("GET", "/api/v1/write"), given).status == 405


def test_broken_utf8_never_breaks_an_answer() -> None:
    response = get("/api/v1/query", ("query", "up{a='\udcff'}"))
    assert response.status in (200, 400)
    assert orjson.loads(response.body)["status"] in ("success", "error")
