"""Reads openslo/v1 documents: an SLO with what it refers to becomes one `Slo` per objective (and one for the whole of a
composite).

What the format leaves open is decided here and said as a note: how a query's own range gives way to the rules' windows,
that a month is 30 days in a rolling window, that a calendar window's recorded ratio rolls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.manifests import Document, field_path
from pilothouse.engines.promql import format_number
from pilothouse.engines.slo import queries
from pilothouse.engines.slo.fields import Path, Sink, items, mapping, number, text
from pilothouse.engines.slo.model import (
    WINDOW,
    AlertMeta,
    Calendar,
    Composite,
    Condition,
    Events,
    Indicator,
    Raw,
    Slices,
    Slo,
    Source,
    window_text,
)
from pilothouse.engines.slo.openslo_rules import DURATION, UNIT_S, VERSION, check

_OPERATOR = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_QUERY_KEYS = ("query", "promql", "expr")


@dataclass(slots=True)
class Library:
    """What SLOs refer to, by kind and name."""

    documents: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)

    def add(self, document: Document) -> None:
        self.documents[(document.kind, document.name)] = document.object

    def spec(self, kind: str, name: str) -> Mapping[str, Any] | None:
        found = self.documents.get((kind, name))
        return None if found is None else mapping(found.get("spec"))


def report(sink: Sink) -> bool:
    """Says which rules of the format the document breaks; False when it cannot be used."""
    document = sink.document
    for problem in check(document.object):
        path = field_path(problem.path)
        name = f"{document.kind} {document.name}".strip()
        message = f"{name}: {problem.path}: {problem.message} ({problem.rule})"
        sink.say("PH720", message, path, problem.remedy, problem.severity)
    return not sink.failed


def read(sink: Sink, library: Library, default_period_s: int, number_: int = 0) -> list[Slo]:
    """The SLOs of an `openslo/v1 SLO` document whose form was checked by `report`."""
    return _Reading(sink, library, number_, default_period_s).read()


@dataclass(slots=True)
class _Reading:
    sink: Sink
    library: Library
    number: int
    default_period_s: int

    def read(self) -> list[Slo]:
        document, spec = self.sink.document, mapping(self.sink.document.object.get("spec"))
        period_s, calendar = self._period(spec)
        conditions, standard = self._alerts(spec)
        objectives = [mapping(o) for o in items(spec.get("objectives"))]
        shared = None
        if not any(o.get("indicator") or o.get("indicatorRef") for o in objectives):
            shared = self._indicator_spec(spec, ("spec",))
            if shared is None:
                return []
        out, weights = [], []
        for index, objective in enumerate(objectives):
            path: Path = ("spec", "objectives", index)
            own = self._indicator_spec(objective, path) if shared is None else shared
            base: Path = path if shared is None else ("spec",)
            indicator = None if own is None else self._indicator(own, base, objective, path, spec)
            if indicator is None:
                continue
            name = document.name if len(objectives) == 1 else f"{document.name}-{index}"
            page, ticket = _standard(name) if standard else (None, None)
            percent = number(objective.get("targetPercent"))
            slo = Slo(
                service=text(spec.get("service")),
                name=name,
                objective_percent=percent if percent is not None else (number(objective.get("target")) or 0.0) * 100,
                period_s=period_s,
                indicator=indicator,
                source=self._source(path),
                description=text(spec.get("description")) or text(objective.get("displayName")),
                page=page,
                ticket=ticket,
                conditions=conditions,
                calendar=calendar,
                method=text(spec.get("budgetingMethod")),
            )
            self._extremes(slo, objective, path)
            out.append(slo)
            weights.append(number(objective.get("compositeWeight")) or 1.0)
        if shared is None and len(out) == len(objectives) > 1:
            out.append(self._whole(out, weights))
        return out

    def _source(self, path: Path) -> Source:
        document = self.sink.document
        place = document.place_of(path)
        return Source(VERSION, place, self.number, "cli-gen-openslo", document.name, document.namespace)

    def _whole(self, parts: list[Slo], weights: list[float]) -> Slo:
        """The composite itself: weighted error ratio against the weighted objective."""
        first, total = parts[0], sum(weights)
        page, ticket = _standard(self.sink.document.name) if first.page is not None else (None, None)
        objective = sum(w * p.objective_percent for w, p in zip(weights, parts)) / total
        return Slo(
            service=first.service,
            name=self.sink.document.name,
            objective_percent=objective,
            period_s=first.period_s,
            indicator=Composite(tuple((w, p.indicator) for w, p in zip(weights, parts))),
            source=self._source(("spec",)),
            description=text(mapping(self.sink.document.object.get("spec")).get("description")),
            page=page,
            ticket=ticket,
            conditions=first.conditions,
            calendar=first.calendar,
            method=first.method,
        )

    def _extremes(self, slo: Slo, objective: Mapping[str, Any], path: Path) -> None:
        key = "target" if objective.get("target") is not None else "targetPercent"
        if slo.objective_percent == 0:
            message = f"{slo.id}: an objective of 0 asks for nothing: its budget cannot run out"
            self.sink.say("PH724", message, (*path, key), "write e.g. target: 0.999", "warning")

    # Windows

    def _period(self, spec: Mapping[str, Any]) -> tuple[int, Calendar | None]:
        windows = items(spec.get("timeWindow"))
        if not windows:
            return self.default_period_s, None
        window, path = mapping(windows[0]), ("spec", "timeWindow", 0)
        match = DURATION.fullmatch(text(window.get("duration")))
        if match is None:
            return self.default_period_s, None
        count, unit = int(match[1]), match[2]
        seconds = count * UNIT_S[unit]
        given = mapping(window.get("calendar"))
        if given:
            message = f"the window follows the calendar; the recorded ratio rolls over {window_text(seconds)}"
            remedy = "what is left of the budget is counted from the window's own start"
            self.sink.say("PH728", message, path, remedy, "note")
            return seconds, Calendar(text(given.get("startTime")), text(given.get("timeZone")), count, unit)
        if unit in "MQY":
            message = f"{match[0]} is read as {window_text(seconds)}"
            self.sink.say("PH728", message, (*path, "duration"), "write days to say it exactly", "note")
        return seconds, None

    # Alerts

    def _alerts(self, spec: Mapping[str, Any]) -> tuple[tuple[Condition, ...], bool]:
        """(conditions of the alert policies, are the standard page and ticket wanted?)"""
        entries = [mapping(e) for e in items(spec.get("alertPolicies"))]
        found: list[Condition] = []
        missing = False
        for index, entry in enumerate(entries):
            path: Path = ("spec", "alertPolicies", index)
            if entry.get("alertPolicyRef"):
                name = text(entry["alertPolicyRef"])
                policy = self._referred("AlertPolicy", name, (*path, "alertPolicyRef"))
            else:
                name, policy = text(mapping(entry.get("metadata")).get("name")), mapping(entry.get("spec"))
            if policy is None:
                missing = True
                continue
            found += self._conditions(name, policy, path)
        return tuple(found), missing or not entries

    def _conditions(self, policy: str, spec: Mapping[str, Any], path: Path) -> list[Condition]:
        out = []
        for entry in map(mapping, items(spec.get("conditions"))):
            if entry.get("conditionRef"):
                name = text(entry["conditionRef"])
                body = self._referred("AlertCondition", name, path)
            else:
                name, body = text(mapping(entry.get("metadata")).get("name")), mapping(entry.get("spec"))
            if body is None or spec.get("alertWhenBreaching") is False:
                continue
            condition = mapping(body.get("condition"))
            out.append(
                Condition(
                    policy,
                    name,
                    text(body.get("severity")),
                    _OPERATOR.get(text(condition.get("op")), ">="),
                    number(condition.get("threshold")) or 0.0,
                    shorthand_s(condition.get("lookbackWindow")) or 3600,
                    shorthand_s(condition.get("alertAfter")) or 0,
                    spec.get("alertWhenNoData") is True,
                )
            )
        return out

    def _referred(self, kind: str, name: str, path: Path) -> Mapping[str, Any] | None:
        spec = self.library.spec(kind, name)
        if spec is None:
            message = f"{kind} {name!r} is not among the files"
            remedy = "add its file, or write it inline"
            severity = "error" if kind == "SLI" else "warning"
            if kind == "AlertPolicy":
                remedy += "; the standard page and ticket alerts are used until then"
            self.sink.say("PH722", message, path, remedy, severity)
        return spec

    # Indicators

    def _indicator_spec(self, owner: Mapping[str, Any], path: Path) -> Mapping[str, Any] | None:
        if owner.get("indicatorRef"):
            return self._referred("SLI", text(owner["indicatorRef"]), (*path, "indicatorRef"))
        return mapping(mapping(owner.get("indicator")).get("spec"))

    def _indicator(
        self, sli: Mapping[str, Any], base: Path, objective: Mapping[str, Any], path: Path, spec: Mapping[str, Any]
    ) -> Indicator | None:
        at: Path = (*base, "indicator", "spec")
        plain: Events | Raw | None
        if sli.get("thresholdMetric") is not None:
            plain = self._threshold(mapping(sli["thresholdMetric"]), (*at, "thresholdMetric"), objective, path)
        else:
            plain = self._ratio(mapping(sli.get("ratioMetric")), (*at, "ratioMetric"))
        method = spec.get("budgetingMethod")
        if plain is None or method == "Occurrences":
            return plain
        length_s = shorthand_s(objective.get("timeSliceWindow")) or 60
        target = number(objective.get("timeSliceTarget")) if method == "Timeslices" else None
        return Slices(plain, window_text(length_s), target)

    def _threshold(self, metric: Mapping[str, Any], at: Path, objective: Mapping[str, Any], path: Path) -> Raw | None:
        query = self._query(metric, at)
        if query is None:
            return None
        wrong = queries.syntax_problem(query)
        if wrong:
            self.sink.say("PH723", f"{wrong}: {query}", at, "write PromQL")
            return None
        op, value = _OPERATOR.get(text(objective.get("op"))), number(objective.get("value"))
        if op is None or value is None:
            message = "a threshold metric needs op and value"
            self.sink.wrong(path, message, "add op: lt and value: 200 to the objective")
            return None
        good = f"({query}) {op} bool {format_number(value)}"
        return Raw(f"1 - {queries.averaged(good)}")

    def _ratio(self, ratio: Mapping[str, Any], at: Path) -> Events | Raw | None:
        counter = ratio.get("counter") is True
        if ratio.get("raw") is not None:
            raw = self._windowed(mapping(ratio["raw"]), (*at, "raw"), counter, raw=True)
            if raw is None:
                return None
            return Raw(f"1 - ({raw})" if ratio.get("rawType") == "success" else raw)
        total = self._windowed(mapping(ratio.get("total")), (*at, "total"), counter)
        key = "bad" if ratio.get("bad") is not None else "good"
        part = self._windowed(mapping(ratio.get(key)), (*at, key), counter)
        if total is None or part is None:
            return None
        if key == "bad":
            return Events(part, total)
        return Raw(f"1 - ((\n{part}\n) / (\n{total}\n))")

    def _windowed(self, metric: Mapping[str, Any], at: Path, counter: bool, *, raw: bool = False) -> str | None:
        query = self._query(metric, at)
        if query is None:
            return None
        try:
            if raw and not WINDOW.search(query) and not queries.syntax_problem(query):
                made, assumed = queries.averaged(query), "it is averaged minute by minute over each rule's window"
            else:
                made, assumed = queries.with_window(query, counter)
        except ValueError as error:
            self.sink.say("PH723", f"{error}: {query}", at, "write PromQL")
            return None
        if assumed:
            self.sink.say("PH728", f"{query}: {assumed}", at, "write {{.window}} as the range to say it", "note")
        return made

    def _query(self, metric: Mapping[str, Any], at: Path) -> str | None:
        """The PromQL of a metric source, or None and a finding when it is for another system."""
        source = mapping(metric.get("metricSource"))
        kind = text(source.get("type"))
        reference = text(source.get("metricSourceRef"))
        if not kind and reference:
            found = self.library.spec("DataSource", reference)
            kind = text(mapping(found).get("type"))
            if found is None:
                message = f"DataSource {reference!r} is not among the files; taken to be Prometheus"
                self.sink.say(
                    "PH722", message, (*at, "metricSource"), "add its file, or write type: Prometheus", "note"
                )
        if kind and kind.lower() not in ("prometheus", "promql", "thanos", "cortex", "mimir", "amp"):
            message = f"a {kind} source cannot be evaluated here; the SLO gets no rules"
            self.sink.say("PH726", message, (*at, "metricSource"), "add a Prometheus query", "warning")
            return None
        spec = mapping(source.get("spec"))
        query = next((text(spec[k]).strip() for k in _QUERY_KEYS if text(spec.get(k)).strip()), "")
        if not query:
            message = f"the metric source has no {', '.join(_QUERY_KEYS)}"
            self.sink.say("PH726", message, (*at, "metricSource"), "write spec: {query: …}", "warning")
            return None
        return query


def _standard(name: str) -> tuple[AlertMeta, AlertMeta]:
    """The page and the ticket alert of an SLO whose document names no policies."""
    fast, slow = (
        AlertMeta(f"{name}-fast-burn", {"severity": "page"}),
        AlertMeta(f"{name}-slow-burn", {"severity": "ticket"}),
    )
    return fast, slow


def shorthand_s(value: Any) -> int | None:
    """Seconds of OpenSLO's short durations (`30d`, `1M`); None when it is none."""
    match = DURATION.fullmatch(text(value))
    return None if match is None else int(match[1]) * UNIT_S[match[2]]
