"""`/query`, `/query_range`, `/format_query`, `/parse_query`, `/query_exemplars`: evaluating and showing expressions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pilothouse.engines import promql
from pilothouse.engines.promql import Answer, EvalError, Expr, ParseError, Plan, VectorSelector
from pilothouse.engines.promql.ast import children
from pilothouse.engines.tsdb import Labels, Matcher
from pilothouse.signals.metrics.go_numbers import format_api
from pilothouse.wire.prometheus.context import Context
from pilothouse.wire.prometheus.exchange import ApiFailure, Form, Response, bad_param, success
from pilothouse.wire.prometheus.params import duration_param, limit_param, parse_duration_ms, required_time, time_param
from pilothouse.wire.prometheus.pretty import pretty
from pilothouse.wire.prometheus.results import shown
from pilothouse.wire.prometheus.series import TRUNCATED
from pilothouse.wire.prometheus.syntax import tree

POINTS = 11_000
"""Steps of a range query: 60 s steps for a week, hourly ones for a year (api.go)."""

_STATS = ("", "true", "all")


def instant(form: Form, context: Context) -> Response:
    limit = limit_param(form, context.dialect)
    time_ms = time_param(form, "time", round(context.clock.time() * 1000))
    timeout_ms = duration_param(form, "timeout")
    plan = _plan(form, context)
    began_s = context.clock.monotonic()
    try:
        answer = plan.instant(context.database, time_ms)
    except EvalError as error:
        raise ApiFailure("execution", str(error)) from None
    return _finished(answer, form, limit, context.clock.monotonic() - began_s, timeout_ms)


def over_range(form: Form, context: Context) -> Response:
    limit = limit_param(form, context.dialect)
    start_ms, end_ms = required_time(form, "start"), required_time(form, "end")
    if end_ms < start_ms:
        raise bad_param("end", "end timestamp must not be before start time")
    step_ms = _step(form)
    if (end_ms - start_ms) // step_ms > POINTS:
        why = "exceeded maximum resolution of 11,000 points per timeseries."
        raise ApiFailure("bad_data", f"{why} Try decreasing the query resolution (?step=XX)")
    timeout_ms = duration_param(form, "timeout")
    plan = _plan(form, context)
    if plan.type not in ("vector", "scalar"):
        kind = "range vector" if plan.type == "matrix" else plan.type
        why = f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector'
        raise bad_param("query", why)
    began_s = context.clock.monotonic()
    try:
        answer = plan.range(context.database, start_ms, end_ms, step_ms)
    except EvalError as error:
        raise ApiFailure("execution", str(error)) from None
    return _finished(answer, form, limit, context.clock.monotonic() - began_s, timeout_ms)


def format_query(form: Form, _context: Context) -> Response:
    return success(pretty(_parsed(form)))


def parse_query(form: Form, _context: Context) -> Response:
    return success(tree(_parsed(form)))


def exemplars(form: Form, context: Context) -> Response:
    """Exemplars by series; only those of each target's newest page are kept."""
    now_ms = round(context.clock.time() * 1000)
    start_ms, end_ms = time_param(form, "start", 0), time_param(form, "end", now_ms)
    if end_ms < start_ms:
        raise bad_param("end", "end timestamp must not be before start timestamp")
    wanted = [selector.matchers for selector in _selectors(_parsed(form))]
    grouped: dict[Labels, list[dict[str, Any]]] = {}
    for active in context.scraper.active_targets() if context.scraper else ():
        for exemplar in active.ingest.exemplars:
            if start_ms <= exemplar.time_ms <= end_ms and _selected(exemplar.series, wanted):
                value = {"labels": dict(exemplar.labels), "value": format_api(exemplar.value)}
                grouped.setdefault(exemplar.series, []).append({**value, "timestamp": exemplar.time_ms / 1000})
    return success([{"seriesLabels": dict(series), "exemplars": found} for series, found in sorted(grouped.items())])


def _selectors(expr: Expr) -> list[VectorSelector]:
    if isinstance(expr, VectorSelector):
        return [expr]
    return [found for child in children(expr) for found in _selectors(child)]


def _selected(series: Labels, wanted: Sequence[Sequence[Matcher]]) -> bool:
    labels = dict(series)
    return any(all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers) for matchers in wanted)


def _parsed(form: Form) -> Expr:
    try:
        return promql.parse(form.get("query"))
    except ParseError as error:
        raise bad_param("query", error) from None


def _plan(form: Form, context: Context) -> Plan:
    """The plan of the query, with `lookback_delta` when one is given."""
    lookback_ms = context.lookback_ms
    if form.get("lookback_delta"):
        try:
            lookback_ms = round(parse_duration_ms(form.get("lookback_delta")))
        except ValueError as why:
            raise ApiFailure("bad_data", f"error parsing lookback delta duration: {why}") from None
    try:
        return _compiled(form.get("query"), lookback_ms or context.lookback_ms)
    except ParseError as error:
        raise bad_param("query", error) from None


@lru_cache(maxsize=512)
def _compiled(text: str, lookback_ms: int) -> Plan:
    """Dashboards ask the same again and again; a plan remembers what it worked out."""
    return promql.compile(text, lookback_ms=lookback_ms)


def _step(form: Form) -> int:
    try:
        step_ms = parse_duration_ms(form.get("step"))
    except ValueError as why:
        raise bad_param("step", why) from None
    if step_ms <= 0:
        why_not = "zero or negative query resolution step widths are not accepted. Try a positive integer"
        raise bad_param("step", why_not)
    return max(1, round(step_ms))


def _finished(answer: Answer, form: Form, limit: int, spent_s: float, timeout_ms: float | None) -> Response:
    """The answer in its envelope; too late an answer is a timeout, as it would have been there."""
    if timeout_ms is not None and spent_s * 1000 > timeout_ms:
        raise ApiFailure("timeout", "query timed out in expression evaluation")
    found = shown(answer)
    warnings, result = list(found.warnings), found.result
    if limit and found.series and len(result) > limit:
        result = result[:limit]
        warnings.append(TRUNCATED)
    data: dict[str, Any] = {"resultType": found.kind, "result": result}
    stats = form.get("stats")
    if stats not in _STATS:
        warnings.append(f'value "{stats}" for parameter "stats" is deprecated, use "true" or "all"')
    if stats:
        data["stats"] = _stats(spent_s, found.samples)
    return success(data, warnings, found.infos)


def _stats(spent_s: float, samples: int) -> dict[str, Any]:
    timings = {"evalTotalTime": spent_s, "resultSortTime": 0, "queryPreparationTime": 0}
    timings |= {"innerEvalTime": spent_s, "execQueueTime": 0, "execTotalTime": spent_s}
    return {"timings": timings, "samples": {"totalQueryableSamples": samples, "peakSamples": samples}}
