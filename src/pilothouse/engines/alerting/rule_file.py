"""Reads rule groups from plain data: a Prometheus rule file, or a PrometheusRule object or its spec.

Checks follow Prometheus 3 (`model/rulefmt`, `rules/manager.go`) and use its words, but one broken rule does not
take the
others with it: it becomes a Finding and the rest is returned. Callers that want Prometheus' all-or-nothing (the rule
unit tests) look for findings of severity "error".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.duration import parse_prometheus_duration_ms
from pilothouse.base.errors import Finding, Place
from pilothouse.engines.alerting.codes import finding
from pilothouse.engines.alerting.dependencies import find_cycles
from pilothouse.engines.alerting.expansion import AlertTemplate
from pilothouse.engines.alerting.gotemplate.errors import TemplateError
from pilothouse.engines.alerting.queries import DEFAULT_SUBQUERY_STEP_MS, Query, QueryError, compile_query
from pilothouse.engines.alerting.rules import (
    AlertingRule,
    Labels,
    RecordingRule,
    Rule,
    RuleGroup,
    merged_labels,
    quoted,
)

Path = tuple[str | int, ...]
PlaceOf = Callable[[Path], Place]
"""The place of a value in the document, by its path of keys and indexes."""

_GROUP_FIELDS = ("name", "interval", "query_offset", "limit", "rules", "labels", "partial_response_strategy")
_RULE_FIELDS = ("record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations")


def parse_rule_groups(
    document: Any, place: Place | PlaceOf, *, subquery_step_ms: int = DEFAULT_SUBQUERY_STEP_MS
) -> tuple[list[RuleGroup], list[Finding]]:
    """The usable groups of a rule file and everything that is wrong with it.

    document: {"groups": [{"name", "interval", "rules": [{"alert", "expr", …}]}]}, a PrometheusRule, or its spec.
    place: where the document begins, or a function from a value's path to its place.
    subquery_step_ms: resolution of subqueries that name none (Prometheus' global evaluation_interval).
    """
    where: PlaceOf = (lambda _path: place) if isinstance(place, Place) else place
    reader = _Reader(where, subquery_step_ms)
    groups = reader.read(document)
    return groups, reader.findings


def text_of(value: Any) -> str:
    """A YAML scalar as the string that a Go string field would take."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


@dataclass(slots=True)
class _Reader:
    where: PlaceOf
    subquery_step_ms: int
    findings: list[Finding] = field(default_factory=list)

    def say(self, code: str, message: str, path: Path, remedy: str = "", severity: str = "error") -> None:
        self.findings.append(finding(code, message, self.where(path), remedy, severity=severity))

    def read(self, document: Any) -> list[RuleGroup]:
        if document is None:
            return []
        base: Path = ()
        if isinstance(document, Mapping) and "groups" not in document and isinstance(document.get("spec"), Mapping):
            document, base = document["spec"], ("spec",)
        if not isinstance(document, Mapping):
            self.say("PH200", "the document is not a mapping with 'groups'", base, "Start the file with `groups:`.")
            return []
        if not base:
            self._unknown(document, ("groups", "apiVersion", "kind", "metadata", "spec"), "RuleGroups", base)
        entries = document.get("groups")
        if entries is None:
            return []
        if not _is_list(entries):
            self.say("PH200", "'groups' is not a list", (*base, "groups"))
            return []
        groups = list(self._groups(entries, (*base, "groups")))
        self._duplicates(groups)
        for cycle in find_cycles(groups):
            names = " → ".join([rule.name for rule in cycle] + [cycle[0].name])
            self.findings.append(
                finding(
                    "PH212",
                    f"rules read each other in a circle: {names}",
                    cycle[0].place,
                    "Each evaluation then reads a result of the one before; break the circle if that is not meant.",
                    severity="warning",
                )
            )
        return groups

    def _groups(self, entries: Sequence[Any], base: Path) -> Iterator[RuleGroup]:
        names: dict[str, None] = {}
        for index, entry in enumerate(entries):
            path = (*base, index)
            if not isinstance(entry, Mapping):
                self.say("PH204", f"group {index + 1} is not a mapping", path)
                continue
            group = self._group(entry, path)
            if group.name == "":
                self.say("PH202", "Groupname must not be empty", path, "Give the group a name.")
            elif group.name in names:
                self.say(
                    "PH203",
                    f'groupname: "{group.name}" is repeated in the same file',
                    path,
                    "Rename one of the two groups, or move its rules into the other.",
                )
                continue
            names[group.name] = None
            yield group

    def _group(self, entry: Mapping[str, Any], path: Path) -> RuleGroup:
        self._unknown(entry, _GROUP_FIELDS, "RuleGroup", path)
        name = self._text(entry, "name", path)
        labels = self._label_map(entry, "labels", path)
        kept = {}
        for key, value in labels.items():
            if _valid_label_name(key):
                kept[key] = value
            else:
                self.say("PH205", f"invalid label name: {key}", (*path, "labels", key))
        rules = entry.get("rules") or ()
        if not _is_list(rules):
            self.say("PH204", f"group {quoted(name)}: 'rules' is not a list", (*path, "rules"))
            rules = ()
        offset = self._duration(entry, "query_offset", path) if entry.get("query_offset") is not None else None
        return RuleGroup(
            name=name,
            rules=tuple(self._rules(rules, (*path, "rules"), name, kept)),
            interval_ms=self._duration(entry, "interval", path),
            query_offset_ms=offset,
            limit=self._whole(entry, "limit", path),
            labels=tuple(sorted(kept.items())),
            subquery_step_ms=self.subquery_step_ms,
            file=self.where(path).file,
            place=self.where(path),
        )

    def _rules(self, entries: Sequence[Any], base: Path, group: str, labels: dict[str, str]) -> Iterator[Rule]:
        for index, entry in enumerate(entries):
            path = (*base, index)
            if not isinstance(entry, Mapping):
                self.say("PH204", f"group {quoted(group)}, rule {index + 1} is not a mapping", path)
                continue
            before = len(self.findings)
            check = _RuleCheck(self, entry, path, group, index + 1)
            rule = check.read(labels)
            if rule is not None and not any(f.severity == "error" for f in self.findings[before:]):
                yield rule

    def _duplicates(self, groups: list[RuleGroup]) -> None:
        seen: dict[tuple[str, Labels], None] = {}
        for group in groups:
            for rule in group.rules:
                key = (rule.name, rule.labels)
                if key in seen:
                    shown = "".join(f" {n}={quoted(v)}" for n, v in rule.labels) or " none"
                    self.findings.append(
                        finding(
                            "PH211",
                            f"duplicate rule: {rule.name}, label(s):{shown}",
                            rule.place,
                            "Might cause inconsistency while recording expressions; remove one or add a label.",
                            severity="warning",
                        )
                    )
                seen[key] = None

    # Fields. Each says what is wrong and gives a harmless value, so that reading goes on.

    def _unknown(self, entry: Mapping[str, Any], known: Sequence[str], owner: str, path: Path) -> None:
        for key in entry:
            if key not in known:
                self.say(
                    "PH201",
                    f"field {key} not found in type rulefmt.{owner}",
                    (*path, key),
                    f"Remove it or correct its name; known here: {', '.join(known)}.",
                )

    def _text(self, entry: Mapping[str, Any], key: str, path: Path) -> str:
        value = entry.get(key)
        if isinstance(value, Mapping) or _is_list(value):
            self.say("PH204", f"'{key}' must be a string", (*path, key))
            return ""
        return text_of(value)

    def _label_map(self, entry: Mapping[str, Any], key: str, path: Path) -> dict[str, str]:
        value = entry.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.say("PH204", f"'{key}' must be a mapping of strings", (*path, key))
            return {}
        out = {}
        for name, text in value.items():
            if isinstance(text, Mapping) or _is_list(text):
                self.say("PH204", f"'{key}.{name}' must be a string", (*path, key, str(name)))
            else:
                out[text_of(name)] = text_of(text)
        return out

    def _duration(self, entry: Mapping[str, Any], key: str, path: Path) -> int:
        value = entry.get(key)
        if value is None or value == "":
            return 0
        try:
            return parse_prometheus_duration_ms(text_of(value))
        except ValueError as error:
            self.say("PH204", f"{key}: {error}", (*path, key), "Write a duration such as 30s, 5m or 1h30m.")
            return 0

    def _whole(self, entry: Mapping[str, Any], key: str, path: Path) -> int:
        value = text_of(entry.get(key))
        if value == "":
            return 0
        try:
            return int(value)
        except ValueError:
            self.say("PH204", f"{key}: {quoted(value)} is not a whole number", (*path, key))
            return 0


@dataclass(slots=True)
class _RuleCheck:
    """Reads one rule; what is wrong is said with group, rule number and rule name, as promtool does."""

    reader: _Reader
    entry: Mapping[str, Any]
    path: Path
    group: str
    number: int
    name: str = ""

    def say(self, code: str, message: str, key: str, remedy: str = "") -> None:
        path = (*self.path, key) if key in self.entry else self.path
        full = f"group {quoted(self.group)}, rule {self.number}, {quoted(self.name)}: {message}"
        self.reader.say(code, full, path, remedy)

    def read(self, group_labels: dict[str, str]) -> Rule | None:
        reader, entry, path = self.reader, self.entry, self.path
        record, alert = reader._text(entry, "record", path), reader._text(entry, "alert", path)
        self.name = alert or record
        reader._unknown(entry, _RULE_FIELDS, "Rule", path)
        if record and alert:
            self.say("PH206", "only one of 'record' and 'alert' must be set", "record", "Make two rules of it.")
        if not record and not alert:
            self.say(
                "PH206", "one of 'record' or 'alert' must be set", "record", "Name the rule's result or its alert."
            )
        query = self._query()
        labels = reader._label_map(entry, "labels", path)
        annotations = reader._label_map(entry, "annotations", path)
        for_ms = reader._duration(entry, "for", path)
        keep_ms = reader._duration(entry, "keep_firing_for", path)
        if record:
            self._check_recording(record, annotations, for_ms, keep_ms)
        self._check_names(labels, annotations)
        if not alert or record:
            if query is None or not record:
                return None
            return RecordingRule(record, query, merged_labels(group_labels, labels), reader.where(path))
        merged = merged_labels(group_labels, labels)
        label_templates = self._templates("label", "labels", merged)
        annotation_templates = self._templates("annotation", "annotations", tuple(sorted(annotations.items())))
        if query is None:
            return None
        return AlertingRule(
            name=alert,
            query=query,
            labels=merged,
            annotations=tuple(sorted(annotations.items())),
            label_templates=label_templates,
            annotation_templates=annotation_templates,
            for_ms=for_ms,
            keep_firing_for_ms=keep_ms,
            place=reader.where((*path, "alert")),
        )

    def _query(self) -> Query | None:
        text = self.reader._text(self.entry, "expr", self.path)
        if text == "":
            self.say("PH207", "field 'expr' must be set in rule", "expr", "Write the PromQL expression of the rule.")
            return None
        try:
            return compile_query(text, self.reader.subquery_step_ms)
        except QueryError as error:
            self.say("PH207", f"could not parse expression: {error}", "expr", error.picture)
            return None

    def _check_recording(self, record: str, annotations: Mapping[str, str], for_ms: int, keep_ms: int) -> None:
        for key, is_set in (("annotations", annotations), ("for", for_ms), ("keep_firing_for", keep_ms)):
            if is_set:
                self.say("PH208", f"invalid field '{key}' in recording rule", key, "Only alerts have it: remove it.")
        if not _valid_utf8(record):
            self.say("PH209", f"invalid recording rule name: {record}", "record")
        if "{" in record or "}" in record:
            self.say(
                "PH209",
                f"braces present in the recording rule name; should it be in expr?: {record}",
                "record",
                "Name the result; matchers belong into expr, extra labels into labels.",
            )

    def _check_names(self, labels: Mapping[str, str], annotations: Mapping[str, str]) -> None:
        for key, value in labels.items():
            if not _valid_label_name(key):
                self.say("PH205", f"invalid label name: {key}", "labels")
            if not _valid_utf8(value, empty=True):
                self.say("PH205", f"invalid label value: {value!r}", "labels")
        for key in annotations:
            if not _valid_utf8(key):
                self.say("PH205", f"invalid annotation name: {key}", "annotations")

    def _templates(self, what: str, key: str, texts: Labels) -> tuple[tuple[str, AlertTemplate], ...]:
        out = []
        for name, text in texts:
            try:
                out.append((name, AlertTemplate.parse(self.name, text)))
            except TemplateError as error:
                self.say("PH210", f"{what} {quoted(name)}: {error}", key)
        return tuple(out)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _valid_label_name(name: str) -> bool:
    """Prometheus 3 takes any UTF-8 name but the metric name's own."""
    return _valid_utf8(name) and name != "__name__"


def _valid_utf8(text: str, *, empty: bool = False) -> bool:
    if text == "":
        return empty
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
