"""Reads Pyrra's ServiceLevelObjective (pyrra.dev/v1alpha1): ratio, latency, native latency and boolean gauge.

Source: pyrra-dev/pyrra 1ba95afb, kubernetes/api/v1alpha1/servicelevelobjective_types.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.duration import parse_prometheus_duration_ms
from pilothouse.engines import promql
from pilothouse.engines.promql import format_number
from pilothouse.engines.slo.fields import LONGEST_PERIOD_S, Path, Sink, items, mapping, text, text_map
from pilothouse.engines.slo.model import Events, Indicator, PyrraParts, Raw, Slo, Source

VERSION = "pyrra.dev/v1alpha1"
PROPAGATED = "pyrra.dev/"
"""Labels and annotations of the object with this prefix reach the rules, without it."""

_KINDS = ("ratio", "latency", "latencyNative", "bool_gauge")
_SEVERITIES = ("fastBurn", "mediumBurn", "slowBurn", "longTermBurn")
_DEFAULT_SEVERITIES = ("critical", "critical", "warning", "warning")


def read(sink: Sink, number: int = 0) -> list[Slo]:
    """The SLO of one object, or nothing and why."""
    document = sink.document
    spec = mapping(document.object.get("spec"))
    percent = _target(sink, spec.get("target"))
    period_s = _window(sink, spec.get("window"))
    found = _indicator(sink, mapping(spec.get("indicator")))
    if percent is None or period_s is None or found is None:
        return []
    kind, total, other, indicator, grouping = found
    metadata = mapping(document.object.get("metadata"))
    labels, annotations = text_map(metadata.get("labels")), text_map(metadata.get("annotations"))
    alerting = mapping(spec.get("alerting"))
    severities = mapping(alerting.get("severities"))
    parts = PyrraParts(
        kind,
        total,
        other,
        grouping,
        text(alerting.get("name")) or "ErrorBudgetBurn",
        text(alerting.get("absentName")) or "SLOMetricAbsent",
        alerting.get("disabled") is not True and alerting.get("burnrates") is not False,
        alerting.get("absent") is not False,
        _four(severities),
        text(severities.get("absent")) or "critical",
        _propagated(labels),
        _propagated(annotations),
    )
    source = Source(
        VERSION, document.place_of(), number, "pyrra", document.name, document.namespace, labels, annotations
    )
    slo = Slo(
        service="",
        name=document.name,
        objective_percent=percent,
        period_s=period_s,
        indicator=indicator,
        source=source,
        description=text(spec.get("description")),
        labels=_propagated(labels),
        pyrra=parts,
    )
    if percent in (0, 100):
        message = f"{slo.id}: an objective of {percent:g} % leaves {'everything' if percent == 0 else 'no'} budget"
        sink.say("PH724", message, ("spec", "target"), 'write e.g. target: "99.9"', "warning")
    return [slo]


def _four(severities: Mapping[str, Any]) -> tuple[str, str, str, str]:
    fast, medium, slow, long = (text(severities.get(k)) or d for k, d in zip(_SEVERITIES, _DEFAULT_SEVERITIES))
    return fast, medium, slow, long


def _propagated(values: Mapping[str, str]) -> dict[str, str]:
    return {k.removeprefix(PROPAGATED): v for k, v in values.items() if k.startswith(PROPAGATED)}


def _target(sink: Sink, value: Any) -> float | None:
    path: Path = ("spec", "target")
    shown = format_number(float(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    try:
        percent = float(text(shown))
    except ValueError:
        sink.wrong(path, f"{value!r} is not a number", 'write e.g. target: "99.9"')
        return None
    if not 0 <= percent <= 100:
        sink.wrong(path, f"{value!r} is not between 0 and 100", 'write e.g. target: "99.9"')
        return None
    if 0 < percent < 1:
        message = f"{percent:g} is read as {percent:g} %, not as a ratio"
        sink.wrong(path, message, f'write target: "{format_number(percent * 100)}" if that is meant', "warning")
    return percent


def _window(sink: Sink, value: Any) -> int | None:
    try:
        seconds = parse_prometheus_duration_ms(text(value)) // 1000
    except ValueError as error:
        sink.wrong(("spec", "window"), str(error), "write e.g. window: 4w")
        return None
    if not 0 < seconds <= LONGEST_PERIOD_S:
        sink.wrong(("spec", "window"), "a duration above 0 and of ten years at most is needed", "write e.g. window: 4w")
        return None
    return seconds


def _indicator(sink: Sink, spec: Mapping[str, Any]) -> tuple[str, str, str, Indicator, tuple[str, ...]] | None:
    """(kind, total selector, other selector or seconds, indicator, grouping)."""
    path: Path = ("spec", "indicator")
    given = [k for k in _KINDS if mapping(spec.get(k))]
    if len(given) != 1:
        seen = " and ".join(given) if given else "none"
        sink.wrong(path, f"one of {', '.join(_KINDS)} is needed, {seen} is given", "keep one")
        return None
    kind = given[0]
    body, at = mapping(spec[kind]), (*path, kind)
    grouping = tuple(text(g) for g in items(body.get("grouping")) if text(g))
    if kind == "bool_gauge":
        total = _selector(sink, body, at)
        return None if total is None else (kind, total, "", _gauge(total, grouping), grouping)
    total = _selector(sink, mapping(body.get("total")), (*at, "total"))
    if kind == "latencyNative":
        return _native(sink, body, at, total, grouping)
    key = "errors" if kind == "ratio" else "success"
    other = _selector(sink, mapping(body.get(key)), (*at, key))
    if total is None or other is None:
        return None
    if kind == "latency" and 'le="' not in promql.to_text(promql.parse(other)):
        sink.wrong((*at, key), "the success metric has no le label", 'write e.g. requests_bucket{le="0.5"}')
        return None
    if total == other:
        sink.wrong((*at, key), "it is the same as the total metric", "select the errors only", "warning")
    by = _by(grouping)
    all_, some = (f"sum{by}(rate({selector}[{{{{.window}}}}]))" for selector in (total, other))
    return kind, total, other, Events(some if kind == "ratio" else f"{all_} - {some}", all_), grouping


def _gauge(total: str, grouping: tuple[str, ...]) -> Indicator:
    by = _by(grouping)
    count, good = (f"sum{by}({f}_over_time({total}[{{{{.window}}}}]))" for f in ("count", "sum"))
    return Events(f"{count} - {good}", count)


def _native(
    sink: Sink, body: Mapping[str, Any], at: Path, total: str | None, grouping: tuple[str, ...]
) -> tuple[str, str, str, Indicator, tuple[str, ...]] | None:
    try:
        seconds = format_number(parse_prometheus_duration_ms(text(body.get("latency"))) / 1000)
    except ValueError as error:
        sink.wrong((*at, "latency"), str(error), "write e.g. latency: 500ms")
        return None
    if total is None:
        return None
    query = f"1 - histogram_fraction(0, {seconds}, sum{_by(grouping)}(rate({total}[{{{{.window}}}}])))"
    return "latencyNative", total, seconds, Raw(query), grouping


def _by(grouping: tuple[str, ...]) -> str:
    return f" by ({', '.join(sorted(grouping))}) " if grouping else ""


def _selector(sink: Sink, value: Mapping[str, Any], path: Path) -> str | None:
    metric = text(value.get("metric"))
    at = (*path, "metric")
    if not metric:
        sink.wrong(at, "is missing", "write a metric with its labels")
        return None
    try:
        tree = promql.parse(metric)
    except promql.ParseError as error:
        sink.say("PH723", f"{error.message}: {metric}", at, "write a metric with its labels")
        return None
    if not isinstance(tree, promql.VectorSelector) or not tree.name:
        sink.say("PH723", f"{metric} is not a metric with labels", at, "write a metric with its labels, no functions")
        return None
    return metric
