"""`/status/*`, health and readiness: what the server says of itself."""

from __future__ import annotations

from typing import Any

from pilothouse.engines.tsdb import make_matcher
from pilothouse.wire.prometheus.context import Context
from pilothouse.wire.prometheus.exchange import Form, Response, success, text
from pilothouse.wire.prometheus.flags import DEFAULT_FLAGS
from pilothouse.wire.prometheus.moments import go_time
from pilothouse.wire.prometheus.params import number_param

_EVERYTHING = (make_matcher("__name__", "=~", ".*"),)


def config(_form: Form, context: Context) -> Response:
    return success({"yaml": context.config_yaml})


def flags(_form: Form, context: Context) -> Response:
    return success(dict(sorted({**DEFAULT_FLAGS, **context.flags}.items())))


def runtimeinfo(_form: Form, context: Context) -> Response:
    return success(
        {
            "startTime": go_time(context.started_s),
            "CWD": context.working_directory,
            "reloadConfigSuccess": True,
            "lastConfigTime": go_time(context.loaded_s // 1),
            "corruptionCount": 0,
            "goroutineCount": 1,
            "GOMAXPROCS": 1,
            "GOGC": "",
            "GODEBUG": "",
            "storageRetention": context.retention,
        }
    )


def buildinfo(_form: Form, context: Context) -> Response:
    # Clients read the first number as the language's version: Grafana enables features by it.
    generation = f"{context.dialect.value}.0.0+pilothouse.{context.version}"
    facts = {"version": generation, "revision": context.version, "branch": "", "buildUser": "", "buildDate": ""}
    return success({**facts, "goVersion": ""})


def tsdb(form: Form, context: Context) -> Response:
    """Cardinality: the largest metric names, label names, label pairs and their memory."""
    limit = number_param(form, "limit")
    top = limit if limit > 0 else 10
    database = context.database
    names = database.label_names()
    values = {name: database.label_values(name) for name in names}
    pairs: dict[str, int] = {}
    oldest, newest = _time_bounds(context)
    for labels in database.select(_EVERYTHING).labels:
        for name, value in labels:
            key = f"{name}={value}"
            pairs[key] = pairs.get(key, 0) + 1
    data = {
        "headStats": {
            "numSeries": database.series_count,
            "numLabelPairs": len(pairs),
            "chunkCount": 0,
            "minTime": oldest,
            "maxTime": newest,
        },
        "seriesCountByMetricName": _top(dict(database.cardinality()), top),
        "labelValueCountByLabelName": _top({name: len(found) for name, found in values.items()}, top),
        "memoryInBytesByLabelName": _top({name: sum(map(len, found)) for name, found in values.items()}, top),
        "seriesCountByLabelValuePair": _top(pairs, top),
    }
    return success(data)


def _time_bounds(context: Context) -> tuple[int, int]:
    times = [part.frame.times for part in context.database.select(_EVERYTHING).parts if part.frame.rows]
    if not times:
        return 2**63 - 1, -(2**63)
    return min(int(found[0]) for found in times), max(int(found[-1]) for found in times)


def _top(counts: dict[str, int], limit: int) -> list[dict[str, Any]]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"name": name, "value": value} for name, value in ordered[:limit]]


def walreplay(_form: Form, _context: Context) -> Response:
    """Progress of reading the log back: it is done before the server answers."""
    return success({"min": 0, "max": 0, "current": 0})


def alertmanagers(_form: Form, context: Context) -> Response:
    active = [{"url": url} for url in context.alertmanagers]
    return success({"activeAlertmanagers": active, "droppedAlertmanagers": []})


def healthy(_form: Form, _context: Context) -> Response:
    return text(200, "Prometheus Server is Healthy.\n")


def ready(_form: Form, _context: Context) -> Response:
    return text(200, "Prometheus Server is Ready.\n")
