"""Reads an alertmanager.yml from plain data, with Alertmanager's checks and words (config/config.go, 0.28).

Unlike Alertmanager, one mistake does not refuse the file: a broken route, receiver or rule is reported and left
out, and
routing goes on with the rest. Only a file without a usable root route gives no configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.duration import parse_prometheus_duration_ms
from pilothouse.base.errors import Finding, Place
from pilothouse.engines.alerting.alertmanager.config import Config, InhibitRule, Integration, Receiver, Route
from pilothouse.engines.alerting.alertmanager.intervals import TimeInterval, parse_interval
from pilothouse.engines.alerting.alertmanager.matchers import Matcher, make_matcher, matchers_text, parse_matchers
from pilothouse.engines.alerting.codes import finding
from pilothouse.engines.alerting.rule_file import Path, PlaceOf, text_of
from pilothouse.engines.alerting.rules import quoted

_TOP = (
    "global", "route", "inhibit_rules", "receivers", "templates", "mute_time_intervals", "time_intervals", "tracing",
    "event_recorder",
)  # fmt: skip
_ROUTE = (
    "receiver", "group_by", "match", "match_re", "matchers", "mute_time_intervals", "active_time_intervals", "continue",
    "routes", "group_wait", "group_interval", "repeat_interval", "labels",
)  # fmt: skip
_INHIBIT = (
    "name", "source_match", "source_match_re", "source_matchers", "target_match", "target_match_re", "target_matchers",
    "equal",
)  # fmt: skip

SEND_RESOLVED: dict[str, bool] = {
    "discord": True, "email": False, "incidentio": True, "pagerduty": True, "slack": False, "webhook": True,
    "opsgenie": True, "wechat": False, "pushover": True, "victorops": True, "sns": True, "telegram": True,
    "webex": True, "msteams": True, "msteamsv2": True, "jira": True, "rocketchat": False, "mattermost": True,
}  # fmt: skip
"""The integrations Alertmanager knows, and whether each tells of resolved alerts when its settings do not say."""


def parse_config(document: Any, place: Place | PlaceOf) -> tuple[Config | None, list[Finding]]:
    """The configuration and all that is wrong with it; None when there is no usable root route.

    document: the YAML as dicts and lists. place: where it begins, or a function from a value's path to its place.
    """
    reader = _Reader((lambda _path: place) if isinstance(place, Place) else place)
    return reader.read(document), reader.findings


@dataclass(slots=True)
class _Inherited:
    receiver: str = ""
    group_by: tuple[str, ...] | None = ()
    group_wait_ms: int = 30_000
    group_interval_ms: int = 300_000
    repeat_interval_ms: int = 4 * 3_600_000
    labels: tuple[tuple[str, str], ...] = ()
    key: str = ""
    id: str = ""


@dataclass(slots=True)
class _Reader:
    where: PlaceOf
    findings: list[Finding] = field(default_factory=list)
    receivers: dict[str, Receiver] = field(default_factory=dict)
    intervals: dict[str, tuple[TimeInterval, ...]] = field(default_factory=dict)

    def say(self, code: str, message: str, path: Path, remedy: str = "", severity: str = "error") -> None:
        self.findings.append(finding(code, message, self.where(path), remedy, severity=severity))

    def read(self, document: Any) -> Config | None:
        if not isinstance(document, Mapping):
            self.say("PH260", "the document is not a mapping", (), "An Alertmanager file has `route` and `receivers`.")
            return None
        self._unknown(document, _TOP, "config.plain", ())
        settings = self._mapping(document, "global", ())
        self._read_receivers(document)
        for key, what in (("mute_time_intervals", "mute time interval"), ("time_intervals", "time interval")):
            self._read_intervals(document, key, what)
        route = self._root(document)
        rules = [
            self._inhibit_rule(e, ("inhibit_rules", i)) for i, e in enumerate(self._list(document, "inhibit_rules", ()))
        ]
        if route is None:
            return None
        return Config(
            route=route,
            receivers=self.receivers,
            inhibit_rules=tuple(r for r in rules if r is not None),
            time_intervals=self.intervals,
            resolve_timeout_ms=self._duration(settings, "resolve_timeout", ("global",), 300_000),
            templates=tuple(text_of(t) for t in self._list(document, "templates", ())),
            global_settings=settings,
        )

    # Receivers and intervals

    def _read_receivers(self, document: Mapping[str, Any]) -> None:
        for index, entry in enumerate(self._list(document, "receivers", ())):
            path: Path = ("receivers", index)
            name = text_of(entry.get("name")) if isinstance(entry, Mapping) else ""
            if not name:
                self.say("PH265", "missing name in receiver", path, "Give the receiver a name that routes can use.")
            elif name in self.receivers:
                self.say(
                    "PH265", f"notification config name {quoted(name)} is not unique", path, "Rename one of the two."
                )
            else:
                self.receivers[name] = Receiver(name, tuple(self._integrations(entry, path)), self.where(path))

    def _integrations(self, entry: Mapping[str, Any], path: Path) -> list[Integration]:
        out = []
        for key in entry:
            kind = key.removesuffix("_configs")
            if key in ("name", "labels"):
                continue
            if not key.endswith("_configs") or kind not in SEND_RESOLVED:
                self.say("PH261", f"field {key} not found in type config.plain", (*path, key))
                continue
            for index, settings in enumerate(self._list(entry, key, path)):
                place: Path = (*path, key, index)
                if settings is not None and not isinstance(settings, Mapping):
                    self.say("PH262", f"an entry of {key} must be a mapping", place)
                    continue
                settings = settings or {}
                if not settings and kind in ("webhook", "email"):
                    self.say("PH265", f"missing {kind} config", place)
                    continue
                if kind == "email" and not settings.get("to"):
                    self.say("PH265", "missing to address in email config", place)
                    continue
                if kind == "webhook" and not settings.get("url") and not settings.get("url_file"):
                    self.say("PH265", "one of url or url_file must be configured", place)
                    continue
                chosen = settings.get("send_resolved")
                resolved = SEND_RESOLVED[kind] if chosen is None else text_of(chosen) == "true"
                out.append(Integration(kind, index, resolved, dict(settings), self.where(place)))
        return out

    def _read_intervals(self, document: Mapping[str, Any], key: str, what: str) -> None:
        for index, entry in enumerate(self._list(document, key, ())):
            path: Path = (key, index)
            name = text_of(entry.get("name")) if isinstance(entry, Mapping) else ""
            if not name:
                self.say("PH266", f"missing name in {what}", path)
                continue
            if name in self.intervals:
                self.say("PH266", f"{what} {quoted(name)} is not unique", path)
                continue
            try:
                parsed = [parse_interval(e) for e in self._list(entry, "time_intervals", path)]
            except ValueError as error:
                self.say("PH266", f"{what} {quoted(name)}: {error}", path)
                continue
            self.intervals[name] = tuple(parsed)

    # Routes

    def _root(self, document: Mapping[str, Any]) -> Route | None:
        entry = document.get("route")
        path: Path = ("route",)
        if not isinstance(entry, Mapping):
            self.say("PH264", "no routes provided", path, "Add `route:` with a default `receiver`.")
            return None
        if not entry.get("receiver"):
            self.say("PH264", "root route must specify a default receiver", path, "Add `receiver:` to the root route.")
            return None
        if entry.get("match") or entry.get("match_re") or entry.get("matchers"):
            self.say("PH264", "root route must not have any matchers", path, "Move them to a child route.")
            entry = {k: v for k, v in entry.items() if k not in ("match", "match_re", "matchers")}
        for key, what in (("mute_time_intervals", "mute"), ("active_time_intervals", "active")):
            if entry.get(key):
                self.say(
                    "PH264", f"root route must not have any {what} time intervals", path, "Move them to a child route."
                )
                entry = {k: v for k, v in entry.items() if k != key}
        return self._route(entry, path, _Inherited(), None)

    def _route(self, entry: Any, path: Path, parent: _Inherited, index: int | None) -> Route | None:
        if not isinstance(entry, Mapping):
            self.say("PH262", "a route must be a mapping", path)
            return None
        before = len(self.findings)
        self._unknown(entry, _ROUTE, "config.plain", path)
        matchers = self._matchers(entry, path, "match", "match_re", "matchers")
        receiver = text_of(entry.get("receiver")) or parent.receiver
        if receiver not in self.receivers:
            self.say(
                "PH264", f"undefined receiver {quoted(receiver)} used in route", path, "Define it under `receivers`."
            )
        mute, active = (
            tuple(text_of(n) for n in self._list(entry, key, path))
            for key in ("mute_time_intervals", "active_time_intervals")
        )
        for name in (*active, *mute):
            if name not in self.intervals:
                self.say("PH266", f"undefined time interval {quoted(name)} used in route", path)
        head = f"{parent.key}/" if index is not None else ""
        shown = matchers_text(matchers)
        options = _Inherited(
            receiver=receiver,
            group_by=self._group_by(entry, path, parent.group_by),
            group_wait_ms=self._duration(entry, "group_wait", path, parent.group_wait_ms),
            group_interval_ms=self._duration(entry, "group_interval", path, parent.group_interval_ms, zero=False),
            repeat_interval_ms=self._duration(entry, "repeat_interval", path, parent.repeat_interval_ms, zero=False),
            labels=self._route_labels(entry, path, parent.labels),
            key=f"{head}{shown}",
            id=f"{parent.id}/{shown}/{index}" if index is not None else shown,
        )
        broken = any(f.severity == "error" and f.code != "PH261" for f in self.findings[before:])
        if broken and index is not None:
            return None  # What matched it falls to its siblings or its parent; the finding says so.
        children = [
            self._route(e, (*path, "routes", i), options, i) for i, e in enumerate(self._list(entry, "routes", path))
        ]
        if broken and receiver not in self.receivers:
            return None
        return Route(
            receiver=options.receiver,
            matchers=tuple(matchers),
            group_by=options.group_by,
            group_wait_ms=options.group_wait_ms,
            group_interval_ms=options.group_interval_ms,
            repeat_interval_ms=options.repeat_interval_ms,
            mute_time_intervals=mute,
            active_time_intervals=active,
            continues=text_of(entry.get("continue")) == "true",
            key=options.key,
            id=options.id,
            routes=tuple(c for c in children if c is not None),
            labels=options.labels,
            place=self.where(path),
        )

    def _group_by(self, entry: Mapping[str, Any], path: Path, parent: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if entry.get("group_by") is None:
            return parent
        names = [text_of(n) for n in self._list(entry, "group_by", path)]
        if "..." in names:
            if len(names) > 1:
                self.say("PH264", "cannot have wildcard group_by (`...`) and other labels at the same time", path)
            return None
        for at, name in enumerate(names):
            if not name:
                self.say("PH264", f"invalid label name {quoted(name)} in group_by list", path)
            elif name in names[:at]:
                self.say("PH264", f"duplicated label {quoted(name)} in group_by", path)
        return tuple(dict.fromkeys(names))

    def _route_labels(
        self, entry: Mapping[str, Any], path: Path, parent: tuple[tuple[str, str], ...]
    ) -> tuple[tuple[str, str], ...]:
        own = {text_of(k): text_of(v) for k, v in self._mapping(entry, "labels", path).items()}
        return tuple(sorted({**dict(parent), **own}.items()))

    # Inhibition

    def _inhibit_rule(self, entry: Any, path: Path) -> InhibitRule | None:
        if not isinstance(entry, Mapping):
            self.say("PH267", "an inhibition rule must be a mapping", path)
            return None
        before = len(self.findings)
        self._unknown(entry, _INHIBIT, "common.plain", path)
        source = self._matchers(entry, path, "source_match", "source_match_re", "source_matchers")
        target = self._matchers(entry, path, "target_match", "target_match_re", "target_matchers")
        equal = [text_of(n) for n in self._list(entry, "equal", path)]
        if any(f.severity == "error" for f in self.findings[before:]):
            return None
        return InhibitRule(tuple(source), tuple(target), tuple(equal), text_of(entry.get("name")), self.where(path))

    def _matchers(self, entry: Mapping[str, Any], path: Path, equal: str, regex: str, modern: str) -> list[Matcher]:
        out: list[Matcher] = []
        for key, op in ((equal, "="), (regex, "=~")):
            for name, value in self._mapping(entry, key, path).items():
                self._matcher(out, (*path, key, name), lambda n=name, v=value, o=op: [make_matcher(n, o, text_of(v))])
        for index, text in enumerate(self._list(entry, modern, path)):
            self._matcher(out, (*path, modern, index), lambda t=text: parse_matchers(text_of(t)))
        return sorted(out, key=lambda m: (m.name, m.value, ("=", "!=", "=~", "!~").index(m.op)))

    def _matcher(self, out: list[Matcher], path: Path, read: Any) -> None:
        try:
            out.extend(read())
        except ValueError as error:
            self.say("PH263", str(error), path, 'Write matchers as name="value", with =, !=, =~ or !~.')

    # Fields

    def _unknown(self, entry: Mapping[str, Any], known: Sequence[str], owner: str, path: Path) -> None:
        for key in entry:
            if key not in known:
                self.say(
                    "PH261", f"field {key} not found in type {owner}", (*path, key), f"Known here: {', '.join(known)}."
                )

    def _list(self, entry: Mapping[str, Any], key: str, path: Path) -> Sequence[Any]:
        value = entry.get(key)
        if value is None:
            return ()
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            self.say("PH262", f"'{key}' must be a list", (*path, key))
            return ()
        return value

    def _mapping(self, entry: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
        value = entry.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.say("PH262", f"'{key}' must be a mapping", (*path, key))
            return {}
        return value

    def _duration(self, entry: Mapping[str, Any], key: str, path: Path, default: int, *, zero: bool = True) -> int:
        value = entry.get(key)
        if value is None or value == "":
            return default
        try:
            parsed = parse_prometheus_duration_ms(text_of(value))
        except ValueError as error:
            self.say("PH262", f"{key}: {error}", (*path, key), "Write a duration such as 30s, 5m or 4h.")
            return default
        if parsed == 0 and not zero:
            self.say("PH262", f"{key} cannot be zero", (*path, key))
            return default
        return parsed
