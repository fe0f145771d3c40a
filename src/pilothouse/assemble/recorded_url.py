"""Recorded series from a running Prometheus: the raw samples of every selector the rules use, window by window.

Asks `/api/v1/query` for `selector[window]`, which gives samples with their own times (a range query would give a grid).
A window that is too large for the server is halved. Called by `backtest`; fetching arrives as a function.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlencode

import orjson

from pilothouse.assemble.recorded import Recorded
from pilothouse.assemble.recorded_files import add_answer
from pilothouse.assemble.unfed import selectors
from pilothouse.base.errors import Finding, Place
from pilothouse.engines.alerting.dependencies import written_names
from pilothouse.engines.alerting.rules import RuleGroup
from pilothouse.engines.promql import ast, parse, to_text
from pilothouse.engines.promql.errors import ParseError
from pilothouse.signals.metrics.http_fetch import Fetch, FetchError, FetchRequest

WINDOW_MS = 6 * 3_600_000
"""What one request asks for: 6 h of 1,000 series every 15 s are 1.4 million samples, far below a server's limit."""
LEAST_WINDOW_MS = 60_000
TIMEOUT_S = 60.0
BODY_BYTES = 512 * 2**20

OnWindow = Callable[[int, int], None]
"""Called with requests done and requests in all."""


class Remote:
    """A Prometheus by its base URL (with any path prefix)."""

    def __init__(self, url: str, fetch: Fetch, headers: Mapping[str, str] | None = None) -> None:
        self._base = url.rstrip("/").removesuffix("/api/v1/query").removesuffix("/api/v1/query_range")
        self._fetch = fetch
        self._headers = {"Accept": "application/json", "Accept-Encoding": "gzip", **(headers or {})}

    async def now_ms(self) -> int:
        """The server's own time; FetchError when it does not answer as Prometheus does."""
        answer = await self._query("time()", None)
        try:
            return round(float(answer["data"]["result"][0]) * 1000)
        except (KeyError, IndexError, TypeError, ValueError):
            raise FetchError(f"{self._base} does not answer as Prometheus does") from None

    async def read(
        self, texts: Sequence[str], start_ms: int, end_ms: int, into: Recorded, on_window: OnWindow
    ) -> list[Finding]:
        """Adds all samples of the selectors from start to end; what could not be had."""
        findings: list[Finding] = []
        count = len(texts) * max(1, -(-(end_ms - start_ms) // WINDOW_MS))
        done = 0
        for text in texts:
            at_ms, window_ms = start_ms, WINDOW_MS
            while at_ms < end_ms:
                until_ms = min(at_ms + window_ms, end_ms)
                refusal = await self._window(text, at_ms, until_ms, into)
                if refusal and window_ms > LEAST_WINDOW_MS and _too_much(refusal):
                    window_ms //= 2
                    continue
                if refusal:
                    findings.append(_refused(self._base, f"{text}: {refusal}"))
                    break
                at_ms = until_ms
                done += 1
                on_window(min(done, count), count)
        return findings

    async def _window(self, text: str, from_ms: int, to_ms: int, into: Recorded) -> str:
        # One millisecond more: Prometheus 3 leaves a sample at the window's very beginning out.
        answer = await self._query(f"{text}[{to_ms - from_ms + 1}ms]", to_ms)
        return add_answer(answer, into)

    async def _query(self, query: str, time_ms: int | None) -> dict:  # type: ignore[type-arg]
        fields = {"query": query} | ({} if time_ms is None else {"time": f"{time_ms / 1000:.3f}"})
        url = f"{self._base}/api/v1/query?{urlencode(fields)}"
        response = await self._fetch(FetchRequest(url, TIMEOUT_S, BODY_BYTES, self._headers))
        try:
            answer = orjson.loads(response.body)
        except orjson.JSONDecodeError:
            raise FetchError(f"{self._base} answers {response.status} {response.reason} and no JSON") from None
        if not isinstance(answer, dict):
            raise FetchError(f"{self._base} does not answer as Prometheus does")
        return answer


def _too_much(refusal: str) -> bool:
    return "too many samples" in refusal or "timed out" in refusal


def _refused(url: str, message: str) -> Finding:
    return Finding("PH322", message, Place(url), "check the URL and whether the query works there; see --header")


def selector_texts(groups: Sequence[RuleGroup]) -> list[str]:
    """Every selector that the rules and their templates read from outside, without offset and range, each once."""
    own = [name for group in groups for rule in group.rules for name in written_names(rule)]
    texts: dict[str, None] = {}
    for expr in _expressions(groups):
        for selector in selectors(expr):
            if selector.name not in own:
                bare = dataclasses.replace(selector, shift=ast.Shift(), anchored=False, smoothed=False)
                texts[to_text(bare)] = None
    return list(texts)


def _expressions(groups: Sequence[RuleGroup]) -> list[ast.Expr]:
    found: list[ast.Expr] = []
    for group in groups:
        for rule in group.rules:
            found.append(rule.query.plan.expr)
        for alert in group.alerting_rules():
            for _name, template in (*alert.label_templates, *alert.annotation_templates):
                for text in template.query_texts:
                    try:
                        found += [parse(text)] if text is not None else []
                    except ParseError:
                        continue
    return found
