"""What an SLO is, whatever format it was written in: an indicator, an objective over a period, and its alerts.

Readers (`sloth`, `openslo`, `pyrra`) make it; `rules`, `pyrra_rules`, `status` and `words` use it. Values only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.duration import format_prometheus_duration
from pilothouse.base.errors import Place
from pilothouse.engines.promql import format_number

WINDOW = re.compile(r"\{\{-?\s*\.window\s*-?\}\}")
"""Where a query takes its range: Sloth's template variable."""


def window_text(seconds: int) -> str:
    """A window as rule names and ranges write it: `5m`, `1h`, `30d`."""
    return format_prometheus_duration(round(seconds * 1000))


def render(query: str, window: str) -> str:
    """The query with its range filled in."""
    return WINDOW.sub(window, query)


@dataclass(frozen=True, slots=True)
class Events:
    """Bad events over all events, as queries with `{{.window}}`."""

    error: str
    total: str

    def error_ratio(self, window: str) -> str:
        return render(f"({self.error})\n/\n({self.total})\n", window)


@dataclass(frozen=True, slots=True)
class Raw:
    """A query with `{{.window}}` that gives the error ratio itself."""

    ratio: str

    def error_ratio(self, window: str) -> str:
        return render(f"({self.ratio})", window)


@dataclass(frozen=True, slots=True)
class Slices:
    """Time cut into slices. target: a slice is good when so much of it is (Timeslices); None: the mean of the slices.

    A slice without events counts neither way.
    """

    inner: Events | Raw
    length: str
    target: float | None = None

    def error_ratio(self, window: str) -> str:
        slice_ = f"(({self.inner.error_ratio(self.length)}) < Inf)"
        if self.target is None:
            return f"avg_over_time({slice_}[{window}:{self.length}])"
        good = f"((1 - {slice_}) >= bool {format_number(self.target)})"
        return f"1 - avg_over_time({good}[{window}:{self.length}])"


@dataclass(frozen=True, slots=True)
class Composite:
    """The weighted mean of several indicators' error ratios."""

    parts: tuple[tuple[float, Indicator], ...]

    def error_ratio(self, window: str) -> str:
        total = sum(weight for weight, _part in self.parts)
        terms = (f"{format_number(weight)} * avg({part.error_ratio(window)})" for weight, part in self.parts)
        return f"({' + '.join(terms)}) / {format_number(total)}"


Indicator = Events | Raw | Slices | Composite


@dataclass(frozen=True, slots=True)
class AlertMeta:
    """An alert to make: its name and what its author adds."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Condition:
    """An alert condition of OpenSLO: burn rate over a window compared with a threshold. op: a PromQL comparison."""

    policy: str
    name: str
    severity: str
    op: str
    threshold: float
    lookback_s: int
    after_s: int = 0
    no_data: bool = False
    """Alert as well when there is no data."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """A window that follows the calendar: `count` units (m, h, d, w, M, Q, Y) from `start`, wall time of a zone."""

    start: str
    zone: str
    count: int
    unit: str


@dataclass(frozen=True, slots=True)
class Plugin:
    """A step of Sloth's chain. priority below 0 runs before the standard steps."""

    id: str
    config: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """Where an SLO was written. spec: `prometheus/v1`, `openslo/v1`, …; document: counts the documents of a reading."""

    spec: str
    place: Place
    document: int = 0
    mode: str = ""
    object_name: str = ""
    namespace: str = ""
    object_labels: Mapping[str, str] = field(default_factory=dict)
    object_annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PyrraParts:
    """What only Pyrra's own rules need. kind: ratio, latency, latencyNative or bool_gauge; queries are selectors."""

    kind: str
    total: str
    other: str = ""
    """Errors of a ratio, successes of a latency; seconds as text for latencyNative."""
    grouping: tuple[str, ...] = ()
    alert_name: str = "ErrorBudgetBurn"
    absent_name: str = "SLOMetricAbsent"
    burn_alerts: bool = True
    absent_alert: bool = True
    severities: tuple[str, str, str, str] = ("critical", "critical", "warning", "warning")
    absent_severity: str = "critical"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slo:
    """One objective. objective_percent as written (0..100); page, ticket: None when that alert is off."""

    service: str
    name: str
    objective_percent: float
    period_s: int
    indicator: Indicator
    source: Source
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    page: AlertMeta | None = None
    ticket: AlertMeta | None = None
    conditions: tuple[Condition, ...] = ()
    calendar: Calendar | None = None
    plugins: tuple[Plugin, ...] = ()
    override_plugins: bool = False
    method: str = "Occurrences"
    pyrra: PyrraParts | None = None

    @property
    def id(self) -> str:
        return f"{self.service}-{self.name}" if self.service else self.name

    @property
    def objective_ratio(self) -> float:
        return self.objective_percent / 100

    @property
    def budget_ratio(self) -> float:
        """Sloth's order of operations, so that thresholds print alike."""
        return (100 - self.objective_percent) / 100

    @property
    def budget_s(self) -> float:
        """Seconds of complete outage that the period allows."""
        return self.budget_ratio * self.period_s

    def answers_to(self, name: str) -> bool:
        """Is it meant by this name: its own, its id, or its document's?"""
        return name in (self.name, self.id, self.source.object_name)
