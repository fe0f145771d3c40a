"""An Alertmanager configuration once read: the routing tree, receivers, inhibition rules, time intervals. Values only.

Made by `config_file`; `dispatch` runs it. Routes have their options resolved: what a child does not set, it has
from its
parent (dispatch/route.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.errors import Place
from pilothouse.engines.alerting.alertmanager.intervals import TimeInterval
from pilothouse.engines.alerting.alertmanager.matchers import Matcher, all_match, matchers_text


@dataclass(frozen=True, slots=True)
class Integration:
    """One way of a receiver to reach people. kind: webhook, slack, email, pagerduty, …; settings: its YAML as
    written.
    """

    kind: str
    index: int
    send_resolved: bool
    settings: Mapping[str, Any]
    place: Place = field(default_factory=Place)


@dataclass(frozen=True, slots=True)
class Receiver:
    name: str
    integrations: tuple[Integration, ...] = ()
    place: Place = field(default_factory=Place)


@dataclass(frozen=True, slots=True)
class Route:
    """A node of the routing tree. key and id are Alertmanager's own texts; id is unique.

    group_by: None groups by all labels (`...`). Durations in milliseconds.
    """

    receiver: str
    matchers: tuple[Matcher, ...]
    group_by: tuple[str, ...] | None
    group_wait_ms: int
    group_interval_ms: int
    repeat_interval_ms: int
    mute_time_intervals: tuple[str, ...]
    active_time_intervals: tuple[str, ...]
    continues: bool
    key: str
    id: str
    routes: tuple[Route, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    place: Place = field(default_factory=Place)

    def matching(self, labels: Mapping[str, str]) -> list[Route]:
        """The routes an alert takes: depth first, left to right, stopping at the first match that does not continue."""
        if not all_match(self.matchers, labels):
            return []
        found: list[Route] = []
        for child in self.routes:
            matches = child.matching(labels)
            found.extend(matches)
            if matches and not child.continues:
                break
        return found or [self]

    def walk(self) -> Iterator[Route]:
        """This route and all below it, depth first."""
        yield self
        for child in self.routes:
            yield from child.walk()

    def group_labels(self, labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """The labels by which this route groups an alert; a label that it lacks is left out."""
        if self.group_by is None:
            return tuple(sorted(labels.items()))
        return tuple(sorted((n, labels[n]) for n in self.group_by if n in labels))


@dataclass(frozen=True, slots=True)
class InhibitRule:
    """A firing alert that matches `source` silences those that match `target` and agree with it on all `equal`
    labels.
    """

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]
    name: str = ""
    place: Place = field(default_factory=Place)

    def __str__(self) -> str:
        equal = f" equal ({', '.join(self.equal)})" if self.equal else ""
        return self.name or f"{matchers_text(self.source)} over {matchers_text(self.target)}{equal}"


@dataclass(frozen=True, slots=True)
class Config:
    """templates: the file patterns as written; whoever may read files hands their texts to the renderer."""

    route: Route
    receivers: Mapping[str, Receiver]
    inhibit_rules: tuple[InhibitRule, ...] = ()
    time_intervals: Mapping[str, tuple[TimeInterval, ...]] = field(default_factory=dict)
    resolve_timeout_ms: int = 300_000
    templates: tuple[str, ...] = ()
    global_settings: Mapping[str, Any] = field(default_factory=dict)
