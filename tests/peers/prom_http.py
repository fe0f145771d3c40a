"""Peer set `prom-http`: exchanges with the reference server's HTTP API, over fixed data and over a live configuration.

`fixed-data.json` is answered from the series of `data.json`. `live.json` is answered by a server of ours that ran
the same configuration and rules in virtual time: the same targets are scraped through a fetch function that plays the
page which was scraped then. The set was recorded from 2.42, so the older generation's answers are asked for.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pilothouse.base import virtual_loop
from pilothouse.base.clock import ManualClock, VirtualClock
from pilothouse.base.errors import Place
from pilothouse.engines.alerting import parse_rule_groups
from pilothouse.engines.tsdb import STALE, Database, make_labels
from pilothouse.signals.metrics.http_fetch import FetchError, FetchRequest, FetchResponse
from pilothouse.signals.metrics.page import Dialect
from pilothouse.signals.metrics.rules import RuleRunner
from pilothouse.signals.metrics.scrape import Scraper
from pilothouse.signals.metrics.scrape_config import load_server_config
from pilothouse.wire.prometheus import Context, Request, handle
from pilothouse.wire.prometheus.config_yaml import config_yaml

_SPECIAL = {"NaN": math.nan, "Inf": math.inf, "+Inf": math.inf, "-Inf": -math.inf, "-0": -0.0, "stale": STALE}
_OLD_NAMES = {"holt_winters(": "double_exponential_smoothing("}
_SORTED = ("sort(", "sort_desc(", "topk(", "bottomk(")
_VOLATILE = frozenset(
    {"lastScrape", "lastScrapeDuration", "evaluationTime", "lastEvaluation", "activeAt", "scrapePool", "globalUrl"}
)
_KEYS_ONLY = ("/api/v1/status/buildinfo", "/api/v1/status/runtimeinfo", "/api/v1/status/flags")


def run(folder: Path) -> Iterable[tuple[str, str | None]]:
    yield from _fixed(folder)
    yield from _live(folder)


def _fixed(folder: Path) -> Iterator[tuple[str, str | None]]:
    database = _database(json.loads((folder / "data.json").read_text()))
    context = Context(database, ManualClock(1_767_229_200.0), dialect=Dialect.PROMETHEUS_2)
    for index, exchange in enumerate(json.loads((folder / "fixed-data.json").read_text())):
        yield _name("fixed", index, exchange), _difference(exchange, context)


def _name(kind: str, index: int, exchange: Mapping[str, Any]) -> str:
    query = next((value for name, value in _params(exchange) if name in ("query", "match[]")), "")
    return f"{kind}-{index:03d} {exchange['method']} {exchange['path']} {query}".rstrip()


def _params(exchange: Mapping[str, Any]) -> list[tuple[str, str]]:
    given = exchange["params"]
    pairs = given.items() if isinstance(given, dict) else given
    return [(name, value) for name, value in pairs]


def _database(data: Mapping[str, Any]) -> Database:
    database = Database()
    for series in data["series"]:
        labels = make_labels(series["labels"])
        for index, value in enumerate(series["values"]):
            if value is not None:
                time_ms = round((data["t0"] + data["offset"] + index * data["step"]) * 1000)
                number = _SPECIAL[value] if isinstance(value, str) else float(value)
                database.append(labels, time_ms, number)
    return database


def _difference(exchange: Mapping[str, Any], context: Context) -> str | None:
    params = _params(exchange)
    if "note" in exchange:
        for old, new in _OLD_NAMES.items():
            params = [(name, value.replace(old, new)) for name, value in params]
    response = handle(Request(exchange["method"], exchange["path"], params), context)
    if response.status != exchange["status"]:
        return f"status {response.status}, wanted {exchange['status']}: {response.body[:200]!r}"
    if response.content_type != exchange["content_type"]:
        return f"content type {response.content_type}, wanted {exchange['content_type']}"
    wanted = exchange["body"]
    if "_text" in wanted:
        return _compare_pages(response.body.decode(), wanted["_text"])
    found = json.loads(response.body)
    if wanted["status"] == "error":
        same = (found["status"], found["errorType"]) == (wanted["status"], wanted["errorType"])
        return None if same else f"{found['errorType']}, wanted {wanted['errorType']}"
    query = next((value for name, value in params if name == "query"), "")
    ordered = query.startswith(_SORTED)
    if exchange["path"] in _KEYS_ONLY:
        return _compare(sorted(found["data"]), sorted(wanted["data"]), "keys")
    return _compare(_ready(found["data"], ordered), _ready(wanted["data"], ordered), "data")


def _ready(data: Any, ordered: bool) -> Any:
    """The data without what is volatile; vectors and matrices in label order, except where order is the answer."""
    if isinstance(data, list):
        items = [_ready(item, ordered) for item in data]
        # Targets come in the order of pools, which is volatile.
        return sorted(items, key=_target) if items and isinstance(items[0], dict) and "target" in items[0] else items
    if not isinstance(data, dict):
        return data
    kept = {name: _ready(value, ordered) for name, value in data.items() if name not in _VOLATILE}
    if "lastError" in kept:
        kept["lastError"] = bool(kept["lastError"])
    if "resultType" in kept and kept["resultType"] in ("vector", "matrix"):
        # Of equal values any order is right: where order counts, it is the values' order.
        if ordered and kept["resultType"] == "vector":
            kept["order"] = [one["value"][1] for one in kept["result"]]
        kept["result"] = sorted(kept["result"], key=lambda one: sorted(one["metric"].items()))
    return kept


def _target(item: Mapping[str, Any]) -> list[tuple[str, str]]:
    return sorted(item["target"].items())


def _compare(found: Any, wanted: Any, where: str) -> str | None:
    if isinstance(wanted, dict) and isinstance(found, dict):
        if sorted(found) != sorted(wanted):
            return f"{where}: {sorted(found)}, wanted {sorted(wanted)}"
        return _first(_compare(found[key], wanted[key], f"{where}.{key}") for key in wanted)
    if isinstance(wanted, list) and isinstance(found, list):
        if len(found) != len(wanted):
            return f"{where}: {len(found)} entries, wanted {len(wanted)}: {str(found)[:150]} / {str(wanted)[:150]}"
        return _first(_compare(f, w, f"{where}[{i}]") for i, (f, w) in enumerate(zip(found, wanted)))
    if found == wanted or _close(found, wanted):
        return None
    return f"{where}: {str(found)[:200]!r}, wanted {str(wanted)[:200]!r}"


def _first(problems: Iterable[str | None]) -> str | None:
    return next((problem for problem in problems if problem is not None), None)


def _close(found: Any, wanted: Any) -> bool:
    """Numbers within 1e-6; as text they must be in the shortest form, which only the value is asked of here."""
    try:
        left, right = float(found), float(wanted)
    except (TypeError, ValueError):
        return False
    return math.isclose(left, right, rel_tol=1e-6) or (left != left and right != right)


def _compare_pages(found: str, wanted: str) -> str | None:
    """Lines of text, sample times left out."""
    left, right = _without_times(found), _without_times(wanted)
    if left == right:
        return None
    odd = next((pair for pair in zip(left, right) if pair[0] != pair[1]), (len(left), len(right)))
    return f"page: {odd[0]!r}, wanted {odd[1]!r}"


def _without_times(page: str) -> list[str]:
    lines = []
    for line in page.split("\n"):
        parts = line.split(" ")
        timed = not line.startswith("#") and len(parts) == 3 and parts[2].isdigit()
        value = "*" if timed and parts[0].startswith(("scrape_duration", "ALERTS_FOR_STATE")) else parts[1:2]
        lines.append(f"{parts[0]} {value}" if timed else line)
    return lines


# --- live ---

_PAGE = """# HELP http_requests_total Requests by code.
# TYPE http_requests_total counter
http_requests_total{{service="web",status="200"}} {ok}
http_requests_total{{service="web",status="500"}} {failed}
# HELP container_memory_usage_bytes Memory used.
# TYPE container_memory_usage_bytes gauge
container_memory_usage_bytes{{pod="web-1"}} 190
container_memory_usage_bytes{{pod="web-2"}} 100
# TYPE container_spec_memory_limit_bytes gauge
container_spec_memory_limit_bytes{{pod="web-1"}} 200
container_spec_memory_limit_bytes{{pod="web-2"}} 200
# HELP req_seconds Latency.
# TYPE req_seconds histogram
req_seconds_bucket{{le="1"}} {half}
req_seconds_bucket{{le="+Inf"}} {count}
req_seconds_sum {half}
req_seconds_count {count}
"""


class _Service:
    """The scraped service: each request for a page counts 50 good and 10 failed requests."""

    def __init__(self) -> None:
        self.pages = 0

    async def __call__(self, request: FetchRequest) -> FetchResponse:
        await asyncio.sleep(0.003)
        host, _, path = request.url.removeprefix("http://").partition("/")
        if host.endswith(":29129"):
            raise FetchError(f'Get "{request.url}": dial tcp {host}: connect: connection refused')
        if path != "metrics":
            status = {"404": (404, "Not Found"), "500": (500, "Internal Server Error")}[path]
            return FetchResponse(*status, "text/html", b"")
        self.pages += 1
        page = _PAGE.format(ok=50 * self.pages, failed=10 * self.pages, half=self.pages / 2, count=self.pages)
        return FetchResponse(200, "OK", "text/plain; version=0.0.4", page.encode())


def _live(folder: Path) -> Iterator[tuple[str, str | None]]:
    exchanges = json.loads((folder / "live.json").read_text())
    problems = virtual_loop.run(lambda loop: _answers(loop, folder, exchanges))
    for index, (exchange, problem) in enumerate(zip(exchanges, problems)):
        yield _name("live", index, exchange), problem


async def _answers(
    loop: virtual_loop.VirtualLoop, folder: Path, exchanges: Sequence[Mapping[str, Any]]
) -> list[str | None]:
    """Runs the configuration for twelve seconds, then answers every request."""
    clock = VirtualClock(loop)
    config, _ = load_server_config((folder / "live-config.yml").read_text(), "CONFIGDIR/live.yml")
    document = yaml.safe_load((folder / "live.rules.yml").read_text())
    groups, _ = parse_rule_groups(document, Place("CONFIGDIR/live.rules.yml"))
    database = Database()
    scraper = Scraper(database, _Service(), clock, dialect=Dialect.PROMETHEUS_2)
    scraper.apply([(pool, pool.static) for pool in config.scrape_configs])
    rules = RuleRunner(database, clock, groups, external_labels=config.external_labels)
    context = Context(database, clock, config, scraper=scraper, rules=rules, dialect=Dialect.PROMETHEUS_2)
    context.config_yaml = config_yaml(config, "CONFIGDIR", Dialect.PROMETHEUS_2)
    tasks = [loop.create_task(scraper.run()), loop.create_task(rules.run())]
    await asyncio.sleep(14)
    problems = [_live_difference(exchange, context) for exchange in exchanges]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return problems


def _live_difference(exchange: Mapping[str, Any], context: Context) -> str | None:
    """As `_difference`, with sample values that count scrapes and the order of pools left out."""
    wanted = exchange["body"]
    if exchange["path"] == "/api/v1/query":
        found = json.loads(handle(Request("GET", exchange["path"], _params(exchange)), context).body)
        return _compare(_untimed(found), _untimed(wanted), "body")
    if "_text" in wanted:
        page = handle(Request(exchange["method"], exchange["path"], _params(exchange)), context)
        return _compare_pages(_without_counts(page.body.decode()), _without_counts(wanted["_text"]))
    return _difference(exchange, context)


def _untimed(body: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Labels and values of a vector."""
    return sorted((sorted(one["metric"].items()), one["value"][1]) for one in body["data"]["result"])


def _without_counts(page: str) -> str:
    counting = ("http_requests_total", "req_seconds")
    return "\n".join(line.rsplit(" ", 2)[0] if line.startswith(counting) else line for line in page.split("\n"))
