"""What one finished run leaves for judging and telling: columns, alert lives, phases, events. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field

from pilothouse.assemble.phases import Phases
from pilothouse.base.errors import Place
from pilothouse.engines.slo import Slo
from pilothouse.engines.tsdb.database import Database
from pilothouse.report.model import HeldBack, Notification, Span
from pilothouse.worlds.rehearsal.history import History

EventSort = str
"""deploy, fault, load, scale, apply, delete."""


@dataclass(slots=True)
class AlertLife:
    """One label set of one alert: its pending and firing spans in seconds since the start."""

    labels: dict[str, str]
    spans: list[Span] = field(default_factory=list)


@dataclass(slots=True)
class RuleLives:
    """All lives of one alerting rule."""

    name: str
    severity: str
    group: str
    place: Place
    lives: list[AlertLife] = field(default_factory=list)
    error: str = ""
    """The last evaluation error, "" when every evaluation succeeded."""
    missing: tuple[str, ...] = ()
    """Metrics without any series in the run, for want of which it could not fire."""


@dataclass(frozen=True, slots=True)
class Played:
    """A scenario event that took place. sort: deploy, fault, load, scale, apply, delete; ended_s: when it stopped."""

    sort: EventSort
    at_s: float
    subject: str
    text: str
    place: Place
    ended_s: float | None = None


@dataclass(slots=True)
class Facts:
    """Everything known after a run. Times are seconds since the start unless they end in epoch_s."""

    seed: int
    start_epoch_s: float
    duration_s: float
    history: History
    database: Database
    phases: Phases
    alerts: list[RuleLives]
    played: list[Played]
    incidents: list[Played]
    """Things worth telling that nobody planned: kills, evictions, scale moves, nodes coming and going."""
    events: int = 0
    slos: tuple[Slo, ...] = ()
    routed: bool = False
    """Was there an Alertmanager configuration? Without one the next three say nothing."""
    receivers: tuple[str, ...] = ()
    """Their names, in the order of the configuration."""
    notifications: tuple[Notification, ...] = ()
    held_back: tuple[HeldBack, ...] = ()

    def first(self, sort: EventSort) -> float | None:
        """When the first event of this sort took place; "start" is 0."""
        if sort == "start":
            return 0.0
        return next((p.at_s for p in self.played if p.sort == sort), None)
