"""Reads Sloth's formats: `version: prometheus/v1`, PrometheusServiceLevel objects, OpenSLO v1alpha as Sloth does.

Source: slok/sloth 0e395d81 (0.16): internal/storage/io, pkg/common/validation. Fields a format does not know are
ignored there and here; what cannot be used becomes a finding and the other SLOs go on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pilothouse.engines.slo import queries
from pilothouse.engines.slo.fields import LONGEST_PERIOD_S, Path, Sink, items, mapping, number, text, text_map
from pilothouse.engines.slo.model import AlertMeta, Events, Indicator, Plugin, Raw, Slo, Source
from pilothouse.engines.slo.plugins import FOREIGN_DIALECT, is_known

PROMETHEUS_V1 = "prometheus/v1"
KUBERNETES_V1 = "sloth.slok.dev/v1"
OPENSLO_ALPHA = "openslo/v1alpha"

NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]*[A-Za-z0-9]")
DAY_S = 86400


class _Keys:
    """How the two spellings of one format call their fields."""

    def __init__(self, camel: bool) -> None:
        self.error = "errorQuery" if camel else "error_query"
        self.total = "totalQuery" if camel else "total_query"
        self.ratio = "errorRatioQuery" if camel else "error_ratio_query"
        self.page = "pageAlert" if camel else "page_alert"
        self.ticket = "ticketAlert" if camel else "ticket_alert"
        self.plugins = "sloPlugins" if camel else "slo_plugins"


def read_prometheus(sink: Sink, default_period_s: int, number_: int = 0) -> list[Slo]:
    """The SLOs of a `version: prometheus/v1` document."""
    root = sink.document.object
    if root.get("version") != PROMETHEUS_V1:
        sink.wrong(("version",), f"{root.get('version')!r} is not {PROMETHEUS_V1}", f"write version: {PROMETHEUS_V1}")
        return []
    source = Source(PROMETHEUS_V1, sink.document.place_of(), number_, "cli-gen-prom")
    return _service(sink, root, (), _Keys(camel=False), default_period_s, source)


def read_kubernetes(sink: Sink, default_period_s: int, number_: int = 0) -> list[Slo]:
    """The SLOs of a PrometheusServiceLevel."""
    document = sink.document
    metadata = mapping(document.object.get("metadata"))
    source = Source(
        KUBERNETES_V1,
        document.place_of(),
        number_,
        "cli-gen-k8s",
        document.name,
        document.namespace,
        text_map(metadata.get("labels")),
        text_map(metadata.get("annotations")),
    )
    spec = mapping(document.object.get("spec"))
    return _service(sink, spec, ("spec",), _Keys(camel=True), default_period_s, source)


def _service(sink: Sink, spec: Mapping[str, Any], base: Path, keys: _Keys, period_s: int, source: Source) -> list[Slo]:
    service = text(spec.get("service"))
    if not NAME.fullmatch(service):
        sink.wrong((*base, "service"), f"{service!r} is not a name", "letters, digits, '.', '_' and '-'")
        return []
    entries = items(spec.get("slos"))
    if not entries:
        sink.wrong((*base, "slos"), "at least one SLO is needed", "add an entry with name, objective, sli and alerting")
    labels = text_map(spec.get("labels"))
    chain = _plugins(spec.get(keys.plugins))
    override = mapping(spec.get(keys.plugins)).get("overridePrevious") is True
    out = []
    for index, entry in enumerate(entries):
        path = (*base, "slos", index)
        slo = _slo(sink, mapping(entry), path, keys, service, period_s, source)
        if slo is None:
            continue
        own = mapping(mapping(entry).get("plugins"))
        replaced = own.get("overridePrevious") is True
        plugins = (*(() if replaced else chain), *_plugins(own))
        merged = {**labels, **slo.labels}
        slo = replace(slo, labels=merged, plugins=plugins, override_plugins=override or replaced)
        if _usable(sink, slo, path, keys):
            out.append(slo)
    return out


def _plugins(value: Any) -> tuple[Plugin, ...]:
    chain = items(mapping(value).get("chain"))
    return tuple(
        Plugin(text(p.get("id")), mapping(p.get("config")), int(number(p.get("priority")) or 0))
        for p in map(mapping, chain)
    )


def _slo(
    sink: Sink, entry: Mapping[str, Any], path: Path, keys: _Keys, service: str, period_s: int, source: Source
) -> Slo | None:
    name = text(entry.get("name"))
    if not NAME.fullmatch(name):
        sink.wrong((*path, "name"), f"{name!r} is not a name", "letters, digits, '.', '_' and '-'")
        return None
    objective = number(entry.get("objective"))
    if objective is None or not 0 < objective <= 100:
        seen = entry.get("objective")
        sink.wrong((*path, "objective"), f"{seen!r} is not above 0 and at most 100", "write a percentage, e.g. 99.9")
        return None
    indicator = _indicator(sink, mapping(entry.get("sli")), (*path, "sli"), keys)
    if indicator is None:
        return None
    alerting = mapping(entry.get("alerting"))
    return Slo(
        service=service,
        name=name,
        objective_percent=objective,
        period_s=period_s,
        indicator=indicator,
        source=replace(source, place=sink.document.place_of(path)),
        description=text(entry.get("description")),
        labels=text_map(entry.get("labels")),
        page=_alert(alerting, keys.page),
        ticket=_alert(alerting, keys.ticket),
    )


def _indicator(sink: Sink, sli: Mapping[str, Any], path: Path, keys: _Keys) -> Indicator | None:
    events, raw, plugin = (mapping(sli.get(k)) for k in ("events", "raw", "plugin"))
    if plugin and not raw:
        name = text(plugin.get("id"))
        message = f"the indicator is made by the plug-in {name!r}, which exists only as code"
        sink.say("PH727", message, (*path, "plugin"), "write the plug-in's query under sli.raw or sli.events")
        return None
    if bool(events) == bool(raw):
        seen = "both events and raw" if events else "none"
        sink.wrong(path, f"one kind of indicator is needed, {seen} is given", "write events: or raw:")
        return None
    if events:
        return Events(text(events.get(keys.error)), text(events.get(keys.total)))
    return Raw(text(raw.get(keys.ratio)))


def _alert(alerting: Mapping[str, Any], key: str) -> AlertMeta | None:
    own = mapping(alerting.get(key))
    if own.get("disable") is True:
        return None
    labels = {**text_map(alerting.get("labels")), **text_map(own.get("labels"))}
    annotations = {**text_map(alerting.get("annotations")), **text_map(own.get("annotations"))}
    return AlertMeta(text(alerting.get("name")), labels, annotations)


def _usable(sink: Sink, slo: Slo, path: Path, keys: _Keys) -> bool:
    """Sloth's rules for a whole SLO; says what is broken."""
    before = len(sink.findings)
    if not any(p.id.startswith(FOREIGN_DIALECT) for p in slo.plugins):
        _check_queries(sink, slo, path, keys)
    for key, alert in ((keys.page, slo.page), (keys.ticket, slo.ticket)):
        if alert is not None and not alert.name:
            field = (*path, "alerting", "name")
            sink.wrong(field, f"the {key} needs a name", f"name the alert, or write {key}: {{disable: true}}")
    for plugin in slo.plugins:
        if not is_known(plugin.id):
            message = f"the plug-in {plugin.id!r} exists only as code; it is left out"
            sink.say("PH727", message, (*path, "plugins"), "check what it would change", "warning")
    if slo.objective_percent == 100:
        message = f"{slo.id}: an objective of 100 % leaves no budget: every single error is over it"
        sink.say("PH724", message, (*path, "objective"), "write an objective below 100, e.g. 99.9", "warning")
    return not any(f.severity == "error" for f in sink.findings[before:])


def _check_queries(sink: Sink, slo: Slo, path: Path, keys: _Keys) -> None:
    if isinstance(slo.indicator, Events):
        named = [("events", keys.error, slo.indicator.error), ("events", keys.total, slo.indicator.total)]
        if slo.indicator.error == slo.indicator.total:
            sink.wrong((*path, "sli", "events"), "the error query and the total query are the same")
    elif isinstance(slo.indicator, Raw):
        named = [("raw", keys.ratio, slo.indicator.ratio)]
    else:
        named = []
    for group, key, query in named:
        wrong = queries.problem(query)
        if wrong:
            field = (*path, "sli", group, key)
            remedy = "write e.g. sum(rate(requests_total[{{.window}}]))"
            sink.say("PH723", f"{slo.id}: {key}: {wrong}", field, remedy)


# OpenSLO v1alpha


def read_openslo_alpha(sink: Sink, default_period_s: int, number_: int = 0) -> list[Slo]:
    """The objectives of an openslo/v1alpha SLO, each as an SLO of its own without alerts, as Sloth reads them."""
    document = sink.document
    spec = mapping(document.object.get("spec"))
    service = text(spec.get("service"))
    objectives = items(spec.get("objectives"))
    windows = items(spec.get("timeWindows"))
    if not objectives:
        sink.wrong(("spec", "objectives"), "at least one objective is needed")
    period_s = _alpha_period_s(sink, windows, default_period_s)
    out = []
    for index, entry in enumerate(map(mapping, objectives)):
        path: Path = ("spec", "objectives", index)
        target = number(entry.get("target"))
        if target is None or not 0 < target <= 1:
            sink.wrong((*path, "target"), f"{entry.get('target')!r} is not above 0 and at most 1", "write e.g. 0.999")
            continue
        query = _alpha_query(sink, mapping(entry.get("ratioMetrics")), (*path, "ratioMetrics"))
        if query is None:
            continue
        slo = Slo(
            service=service,
            name=f"{document.name}-{index}",
            objective_percent=target * 100,
            period_s=period_s,
            indicator=Raw(query),
            source=Source(OPENSLO_ALPHA, document.place_of(path), number_, "cli-gen-openslo", document.name),
            description=text(spec.get("description")),
        )
        if not NAME.fullmatch(slo.id) or not service:
            sink.wrong(("spec", "service"), f"{service!r} is not a name", "letters, digits, '.', '_' and '-'")
            continue
        wrong = queries.problem(query)
        if wrong:
            sink.say("PH723", f"{slo.id}: {wrong}", (*path, "ratioMetrics"), "use {{.window}} as the range")
            continue
        out.append(slo)
    return out


def _alpha_period_s(sink: Sink, windows: list[Any], default_s: int) -> int:
    if not windows:
        return default_s
    window, path = mapping(windows[0]), ("spec", "timeWindows")
    if len(windows) > 1:
        sink.wrong(path, "only one time window is supported", "keep one")
    count = number(window.get("count"))
    fits = count is not None and 0 < count <= LONGEST_PERIOD_S / DAY_S and count == int(count)
    if text(window.get("unit")).lower() != "day" or count is None or not fits:
        sink.wrong((*path, 0), "only windows of whole days are supported", "write count: 30, unit: Day")
        return default_s
    return int(count) * DAY_S


def _alpha_query(sink: Sink, ratio: Mapping[str, Any], path: Path) -> str | None:
    if not ratio:
        sink.wrong(path, "ratioMetrics is missing", "write good: and total: with PromQL queries")
        return None
    for side in ("good", "total"):
        metric = mapping(ratio.get(side))
        if metric.get("source") not in ("prometheus", "sloth") or metric.get("queryType") != "promql":
            seen = f"source {metric.get('source')!r}, queryType {metric.get('queryType')!r}"
            sink.say(
                "PH726", f"{seen} cannot be evaluated", (*path, side), "write source: prometheus, queryType: promql"
            )
            return None
    good, total = (text(mapping(ratio.get(side)).get("query")) for side in ("good", "total"))
    return f"\n  1 - (\n    (\n      {good}\n    )\n    /\n    (\n      {total}\n    )\n  )\n"
