"""Backtests as cases: a folder with rules, history and routing, and the report that is expected of them.

`REFRESH_CASES=1` writes the expected reports anew; review the difference.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pilothouse.assemble.backtest import BacktestRequest, backtest
from pilothouse.assemble.recorded import Recorded
from pilothouse.assemble.recorded_files import read_bytes
from pilothouse.base.clock import ManualClock
from pilothouse.engines import promql
from pilothouse.engines.tsdb import Database
from pilothouse.report import backtest_text as told
from pilothouse.report.backtest import BacktestReport
from pilothouse.report.text import plain
from pilothouse.signals.metrics.http_fetch import FetchRequest, FetchResponse, fetch
from pilothouse.wire.prometheus import Context, serve

CASES = Path(__file__).parents[2] / "cases" / "backtest"
NIGHT = CASES / "night-errors"


def asked(case: Path, **changes: Any) -> BacktestReport:
    """The backtest of a case's files, named as if the case were the current folder."""
    diff = ("new-rules.yml",) if (case / "new-rules.yml").exists() else ()
    request = {"rules": ("rules.yml",), "source": "history.om", "alertmanager": "alertmanager.yml", "diff": diff}
    before = Path.cwd()
    os.chdir(case)
    try:
        return backtest(BacktestRequest(**{**request, **changes}))
    finally:
        os.chdir(before)


@pytest.mark.parametrize("case", sorted(p for p in CASES.iterdir() if p.is_dir()), ids=lambda p: p.name)
def test_case(case: Path) -> None:
    text = plain(told.render(asked(case)))
    if os.environ.get("REFRESH_CASES"):
        (case / "expected.txt").write_text(text)
    assert text == (case / "expected.txt").read_text()


def test_the_same_history_in_every_format_gives_the_same() -> None:
    text = (NIGHT / "history.om").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    dump = []
    results: dict[str, list[list[Any]]] = {}
    for line in lines:
        series, value, time = line.split(" ")
        name, _, labels = series.partition("{")
        dump.append(f'{{__name__="{name}", {labels} {value} {int(time) * 1000}')
        results.setdefault(name, []).append([int(time), value])
    matrix = [{"metric": {"__name__": n, "job": "api"}, "values": v} for n, v in results.items()]
    document = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": matrix}})
    stamped = "\n".join(f"{line}000" for line in lines) + "\n"
    columns = []
    for form in (text, "\n".join(dump), document, stamped):
        recorded = Recorded()
        assert read_bytes(form.encode(), "f", recorded) == []
        columns.append((recorded.series, recorded.samples, recorded.span_ms(), recorded.widest_step_ms()))
    assert columns == [columns[0]] * 4
    assert columns[0][:2] == (2, 362)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("a 1\nb 2\n", "f PH321 2 of 2 samples carry no time and are left out"),
        ("a{ 1 5\n", "f:1 PH320 cannot be read from here on: "),
        ('{"data": {"resultType": "scalar"}}', "f PH320 resultType is 'scalar', not matrix or vector"),
        ('{"status": "error", "error": "bad"}', "f PH320 the answer is an error: bad"),
        ('[{"metric": {}, "values": 3}]', "f PH320 result 1 is not {metric: …, values: [[time, value], …]}"),
        ("[1", "f:1 PH320 is not JSON"),
        ('{__name__="x"} 1 5\nx 1\n', "f:2 PH320 is no line of a dump: 'x 1'"),
        ('{__name__="x"} one 5\n', "f:1 PH320 'one' is no value"),
        ("input_series:\n  - {series: x, values: 1+}\n", "f:1 PH320 input series: 1:1: parse error"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, finding: str) -> None:
    (found,) = read_bytes(text.encode(), "f", Recorded())
    line = f":{found.place.line}" if found.place.line else ""
    assert f"{found.place.file}{line} {found.code} {found.message}".startswith(finding)


def test_a_sample_given_twice_counts_once_and_order_does_not_matter() -> None:
    recorded = Recorded()
    assert read_bytes(b"x 2 2000\nx 1 1000\nx 3 2000\n", "f", recorded) == []
    database = Database()
    recorded.fill(database)
    matrix = promql.compile("x").range(database, 1000, 2000, 1000)
    assert matrix.values.tolist() == [[1.0, 3.0]]


def test_exemplars_and_labels_with_spaces_are_no_samples() -> None:
    text = 'x_total{a="b c # d"} 1 5 # {id="1"} 2 6\ny_total{a="b c"} 3 7\n# EOF\n'
    recorded = Recorded()
    assert read_bytes(text.encode(), "f", recorded) == []
    assert (recorded.series, recorded.samples, recorded.span_ms()) == (2, 2, (5000, 7000))


def test_unusable_inputs_say_why(tmp_path: Path) -> None:
    rules = str(NIGHT / "rules.yml")
    empty = tmp_path / "empty.yml"
    empty.write_text("groups: []\n")
    cases: list[tuple[BacktestRequest, str]] = [
        (BacktestRequest(rules=(rules,), source="none.om"), "PH120"),
        (BacktestRequest(rules=(str(empty),), source=str(NIGHT / "history.om")), "PH323"),
        (BacktestRequest(rules=(rules,), source=str(NIGHT / "history.om"), start_s=1.0, end_s=2.0), "PH322"),
        (BacktestRequest(rules=(rules,), source=str(tmp_path)), "PH320"),
    ]
    for request, code in cases:
        report = backtest(request)
        assert (report.outcome, report.exit_code) == ("unusable", 3)
        assert code in [f.code for f in report.findings]


def test_the_history_s_own_recorded_results_are_made_anew(tmp_path: Path) -> None:
    """A history that holds job:error_ratio:rate5m of other rules must not feed the new alerts."""
    text = (NIGHT / "history.om").read_text().replace("# EOF\n", "")
    lies = "\n".join(f'job:error_ratio:rate5m{{job="api"}} 1 {1767571200 + 60 * m}' for m in range(181))
    (tmp_path / "h.om").write_text(f"{text}{lies}\n# EOF\n")
    plain_one, lied = asked(NIGHT), asked(NIGHT, source=str(tmp_path / "h.om"))
    assert plain_one.rules is not None
    assert lied.rules is not None
    assert plain_one.rules.alerts == lied.rules.alerts


def test_a_start_inside_the_history_is_warmed_up() -> None:
    report = asked(NIGHT, start_s=1767571200.0 + 3600 + 600, end_s=1767571200.0 + 3600 + 900)
    assert report.rules is not None
    high = next(a for a in report.rules.alerts if a.name == "HighErrorRate")
    assert [(f.from_s, f.to_s) for f in high.firings] == [(0.0, None)]


def test_silences_are_heard(tmp_path: Path) -> None:
    path = tmp_path / "silences.json"
    matcher = {"name": "alertname", "value": "High.*", "isRegex": True, "isEqual": True}
    times = {"startsAt": "2026-01-05T00:00:00Z", "endsAt": "2026-01-05T12:00:00Z"}
    path.write_text(json.dumps([{"id": "s", "matchers": [matcher], "comment": "known", **times}, {"matchers": 1}]))
    report = asked(NIGHT, silences=str(path))
    assert report.rules is not None
    assert "silenced by s (known)" in [h.why for h in report.rules.held_back]
    assert [f.code for f in report.findings if f.code == "PH267"] == ["PH267"]


def test_html_and_json_say_the_same() -> None:
    report = asked(NIGHT)
    html = told.to_html(report)
    assert "HighErrorRate" in html
    assert "Held back" in html
    assert json.loads(told.to_json(report))["rules"]["alerts"][0]["name"] == "HighErrorRate"


def served(case: Path, **changes: Any) -> tuple[BacktestReport, list[str]]:
    """The backtest of a case against our own server that holds its history; and the URLs that were asked."""
    recorded = Recorded()
    read_bytes((case / "history.om").read_bytes(), "history.om", recorded)
    database = Database()
    recorded.fill(database)
    clock = ManualClock(1767571200.0 + 3 * 3600)
    urls: list[str] = []

    async def through(request: FetchRequest) -> FetchResponse:
        """Each request on a server of its own: a backtest runs its own loop."""
        server = await serve(Context(database, clock), "127.0.0.1", 0)
        try:
            port = server.sockets[0].getsockname()[1]
            urls.append(request.url)
            url = request.url.replace("http://prometheus", f"http://127.0.0.1:{port}")
            return await fetch(FetchRequest(url, request.timeout_s, request.body_limit, request.headers))
        finally:
            server.close()
            await asyncio.sleep(0.01)

    request = BacktestRequest(
        rules=(str(case / "rules.yml"),),
        source="http://prometheus/",
        alertmanager=str(case / "alertmanager.yml"),
        **changes,
    )
    return backtest(request, fetch=through), urls


def test_a_url_gives_what_the_file_gives() -> None:
    from_url, urls = served(NIGHT, start_s=1767571200.0)
    from_file = asked(NIGHT)
    assert [str(f) for f in from_url.findings if f.severity == "error"] == []
    assert from_url.rules is not None
    assert from_file.rules is not None
    assert [a.firings for a in from_url.rules.alerts] == [a.firings for a in from_file.rules.alerts]
    both = (from_url.rules, from_file.rules)
    sent = [[(n.at_s, n.receiver, n.alerts) for n in version.notifications] for version in both]
    assert sent[0] == sent[1]
    assert len(urls) == 4  # its time, and three selectors


def test_a_url_that_is_no_prometheus_is_a_finding() -> None:
    async def nothing(_request: FetchRequest) -> FetchResponse:
        return FetchResponse(200, "OK", "text/html", b"<html>")

    request = BacktestRequest(rules=(str(NIGHT / "rules.yml"),), source="http://prometheus")
    report = backtest(request, fetch=nothing)
    assert report.exit_code == 3
    assert any(f.code == "PH322" and "answers 200 OK and no JSON" in f.message for f in report.findings)
