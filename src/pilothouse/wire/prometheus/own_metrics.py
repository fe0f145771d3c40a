"""`GET /metrics`: what the server says of itself and what was pushed to it, under Prometheus' names if it has them."""

from __future__ import annotations

from collections.abc import Iterator

from pilothouse.engines.tsdb import Labels, make_labels
from pilothouse.signals.metrics.exposition import write_text
from pilothouse.wire.prometheus.context import Context
from pilothouse.wire.prometheus.exchange import Form, Response

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Family = tuple[str, str, str, list[tuple[Labels, float]]]


def page(_form: Form, context: Context) -> Response:
    """The text page: own families, then the push gateway's."""
    text = write_text(sorted(_families(context)))
    if context.pushes is not None:
        text += context.pushes.page()
    return Response(200, CONTENT_TYPE, text.encode())


def _families(context: Context) -> Iterator[_Family]:
    yield _one("pilothouse_build_info", "gauge", "The version that runs.", 1.0, version=context.version)
    yield _one("process_start_time_seconds", "gauge", "Start of the process, Unix seconds.", context.started_s)
    yield _one("prometheus_tsdb_head_series", "gauge", "Series held.", float(context.database.series_count))
    if context.scraper is not None:
        active = context.scraper.active_targets()
        yield _one("prometheus_sd_discovered_targets", "gauge", "Targets being scraped.", float(len(active)))
        failed = sum(1 for target in active if target.health == "down")
        yield _one("pilothouse_targets_down", "gauge", "Targets whose last scrape failed.", float(failed))
    if context.rules is not None and context.rules.groups:
        groups = context.rules.groups
        yield _by_group(
            "interval_seconds", "Interval of a rule group.", [(g.key, g.state.interval_ms / 1e3) for g in groups]
        )
        yield _by_group("last_duration_seconds", "Its last evaluation.", [(g.key, g.duration_s) for g in groups])


def _by_group(ending: str, help_text: str, values: list[tuple[str, float]]) -> _Family:
    name = f"prometheus_rule_group_{ending}"
    samples = [(make_labels({"__name__": name, "rule_group": key}), value) for key, value in values]
    return name, "gauge", help_text, samples


def _one(name: str, kind: str, help_text: str, value: float, **labels: str) -> _Family:
    return name, kind, help_text, [(make_labels({"__name__": name, **labels}), value)]
