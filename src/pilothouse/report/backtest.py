"""What `pilothouse backtest` answers, as plain records. Times named `_s` are seconds since the history's start."""

from __future__ import annotations

from typing import Literal

from pilothouse.report.model import Found, HeldBack, Notification, ReceiverTally, Record, Spot

FLAP_WITHIN_S = 1800.0
"""A label set that fires again so soon after it was over has flapped."""

ChangeKind = Literal["new", "gone", "earlier", "later", "longer", "shorter", "relabelled"]


class Firing(Record, frozen=True, kw_only=True):
    """One firing of one label set. pending_s: how long it was pending before; to_s None: it fires at the end."""

    alert: str
    from_s: float
    to_s: float | None
    pending_s: float = 0.0


class AlertHistory(Record, frozen=True, kw_only=True):
    """One alerting rule over the whole history. pending_s: time pending without firing in the end."""

    name: str
    severity: str
    group: str
    at: Spot | None
    firings: tuple[Firing, ...] = ()
    firing_s: float = 0.0
    pending_s: float = 0.0
    flaps: int = 0
    error: str = ""


class Noise(Record, frozen=True, kw_only=True):
    """How restless the alerts are. shortest_*: of the firings that ended."""

    firings: int
    flaps: int
    shortest_s: float | None
    shortest: str = ""
    per_day: float = 0.0
    """Firings a day."""


class Version(Record, frozen=True, kw_only=True):
    """One set of rules on the history."""

    files: tuple[str, ...]
    rules: int
    alerts: tuple[AlertHistory, ...]
    noise: Noise
    receivers: tuple[ReceiverTally, ...] = ()
    notifications: tuple[Notification, ...] = ()
    held_back: tuple[HeldBack, ...] = ()


class Change(Record, frozen=True, kw_only=True):
    """One firing that differs between two versions; None where a version has none. by_s: how much earlier or longer."""

    kind: ChangeKind
    alert: str
    old_from_s: float | None = None
    old_to_s: float | None = None
    new_from_s: float | None = None
    new_to_s: float | None = None
    by_s: float = 0.0
    note: str = ""


class Diff(Record, frozen=True, kw_only=True):
    """What changes from the first version (the rules given) to the second (--diff)."""

    changes: tuple[Change, ...]
    unchanged: int
    """Firings that are the same in both."""
    notifications_gone: tuple[Notification, ...] = ()
    notifications_new: tuple[Notification, ...] = ()


class BacktestReport(Record, frozen=True, kw_only=True):
    """Everything a backtest says. outcome: "unusable" when there was no rule or no history; findings say why."""

    version: str
    outcome: Literal["done", "unusable"]
    source: str
    start_epoch_s: float = 0.0
    duration_s: float = 0.0
    series: int = 0
    samples: int = 0
    routed: bool = False
    rules: Version | None = None
    other: Version | None = None
    diff: Diff | None = None
    findings: tuple[Found, ...] = ()

    @property
    def exit_code(self) -> int:
        return 0 if self.outcome == "done" else 3
