"""`/targets`, `/targets/metadata`, `/metadata`, `/scrape_pools`: what is scraped and what it says of itself."""

from __future__ import annotations

from typing import Any

from pilothouse.base.duration import format_prometheus_duration
from pilothouse.engines.tsdb import Labels, label_value
from pilothouse.signals.metrics.page import Dialect
from pilothouse.signals.metrics.scrape import ActiveTarget, metadata_by_metric
from pilothouse.wire.prometheus.context import Context
from pilothouse.wire.prometheus.exchange import Form, Response, success
from pilothouse.wire.prometheus.moments import NEVER, go_time
from pilothouse.wire.prometheus.params import matchers_of, number_param


def targets(form: Form, context: Context) -> Response:
    state, pool = form.get("state").lower(), form.get("scrapePool")
    newer = context.dialect is not Dialect.PROMETHEUS_2
    pools = sorted(context.scraper.pools.items()) if context.scraper else []
    data: dict[str, Any] = {"activeTargets": [], "droppedTargets": []}
    if newer:
        data["droppedTargetCounts"] = None
    for name, found in pools:
        if state in ("", "any", "dropped") and newer:
            data["droppedTargetCounts"] = {**(data["droppedTargetCounts"] or {}), name: len(found.dropped)}
        if pool and name != pool:
            continue
        if state in ("", "any", "active"):
            data["activeTargets"] += [_active(name, active) for active in found.active.values()]
        if state in ("", "any", "dropped"):
            data["droppedTargets"] += [
                {"discoveredLabels": dict(dropped.discovered), **({"scrapePool": name} if newer else {})}
                for dropped in found.dropped
            ]
    return success(data)


def _active(pool: str, active: ActiveTarget) -> dict[str, Any]:
    target, last = active.target, active.last
    return {
        "discoveredLabels": dict(target.discovered),
        "labels": dict(target.labels),
        "scrapePool": pool,
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": active.last_error,
        "lastScrape": NEVER if last is None else go_time(last.time_ms / 1000),
        "lastScrapeDuration": 0 if last is None else last.duration_s,
        "health": active.health,
        "scrapeInterval": format_prometheus_duration(target.interval_ms),
        "scrapeTimeout": format_prometheus_duration(target.timeout_ms),
    }


def scrape_pools(_form: Form, context: Context) -> Response:
    return success({"scrapePools": sorted(context.scraper.pools) if context.scraper else []})


def target_metadata(form: Form, context: Context) -> Response:
    limit, metric = number_param(form, "limit"), form.get("metric")
    wanted = matchers_of(form.get("match_target"), "match_target") if form.get("match_target") else ()
    found: list[dict[str, Any]] = []
    for active in _targets(context):
        # Checked before each target, not within one: a target's metadata comes whole, as upstream.
        if 0 <= limit <= len(found):
            break
        labels = active.target.labels
        if all(matcher.matches(label_value(labels, matcher.name)) for matcher in wanted):
            found += _metadata_of(active, labels, metric)
    return success(found)


def _metadata_of(active: ActiveTarget, labels: Labels, metric: str) -> list[dict[str, Any]]:
    entries = active.ingest.metadata.entries()
    if metric:
        return [{"target": dict(labels), **_fields(entries[metric])}] if metric in entries else []
    return [{"target": dict(labels), "metric": name, **_fields(fields)} for name, fields in entries.items()]


def metadata(form: Form, context: Context) -> Response:
    limit, per_metric, metric = number_param(form, "limit"), number_param(form, "limit_per_metric"), form.get("metric")
    found = metadata_by_metric(_targets(context))
    names = [name for name in found if not metric or name == metric]
    names = names[:limit] if limit >= 0 else names
    return success(
        {name: [_fields(f) for f in found[name][: per_metric if per_metric > 0 else None]] for name in names}
    )


def _fields(fields: Any) -> dict[str, str]:
    return {"type": fields["type"], "help": fields["help"], "unit": fields["unit"]}


def _targets(context: Context) -> list[ActiveTarget]:
    return context.scraper.active_targets() if context.scraper else []
