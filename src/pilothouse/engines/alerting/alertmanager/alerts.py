"""Alerts as Alertmanager holds them, silences, and what comes out: notifications and the reasons why there was none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pilothouse.base.errors import Place
from pilothouse.engines.alerting.alertmanager.config import Integration
from pilothouse.engines.alerting.alertmanager.matchers import Matcher, all_match, matchers_text
from pilothouse.engines.alerting.rules import Labels

Status = Literal["firing", "resolved"]


@dataclass(frozen=True, slots=True)
class HeldAlert:
    """An alert as received. Times in Unix ms; ends_at_ms None: it fires until somebody says otherwise.

    timeout: the end was not sent but assumed (resolve_timeout), so a later message may move it earlier.
    """

    labels: Labels
    annotations: Labels
    starts_at_ms: int
    ends_at_ms: int | None = None
    generator_url: str = ""
    updated_at_ms: int = 0
    timeout: bool = False

    def resolved_at(self, now_ms: int) -> bool:
        return self.ends_at_ms is not None and self.ends_at_ms <= now_ms

    def status(self, now_ms: int) -> Status:
        return "resolved" if self.resolved_at(now_ms) else "firing"

    def merged(self, older: HeldAlert, now_ms: int) -> HeldAlert:
        """This younger message over what was known of the same alert (alert/alert.go, Merge)."""
        ends = self.ends_at_ms
        if older.ends_at_ms is not None and ends is not None and older.ends_at_ms > ends:
            if self.resolved_at(now_ms):
                ends = older.ends_at_ms if older.resolved_at(now_ms) else ends
            elif not older.timeout:
                ends = older.ends_at_ms
        starts = min(self.starts_at_ms, older.starts_at_ms)
        return HeldAlert(
            self.labels, self.annotations, starts, ends, self.generator_url, self.updated_at_ms, self.timeout
        )


def sort_key(labels: Labels) -> tuple[object, ...]:
    """Alertmanager's order of alerts in a message: by job, then instance (those that have them first), then all
    labels.
    """
    found = dict(labels)
    job, instance = found.get("job"), found.get("instance")
    return (job is None, job or "", instance is None, instance or "", labels)


_FNV_OFFSET, _FNV_PRIME, _MASK = 14695981039346656037, 1099511628211, 2**64 - 1


def fingerprint(labels: Labels) -> str:
    """The alert's fingerprint, 16 hex digits: FNV-1a over names and values, each ended by 0xff (common/model)."""
    value = _FNV_OFFSET
    for name, text in labels:
        for byte in name.encode() + b"\xff" + text.encode() + b"\xff":
            value = (value ^ byte) * _FNV_PRIME & _MASK
    return f"{value:016x}"


@dataclass(frozen=True, slots=True)
class Silence:
    """Mutes alerts that match all matchers from start (included) to end (excluded), Unix ms."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at_ms: int
    ends_at_ms: int
    comment: str = ""
    created_by: str = ""

    def mutes(self, labels: Mapping[str, str], now_ms: int) -> bool:
        return self.starts_at_ms <= now_ms < self.ends_at_ms and all_match(self.matchers, labels)


def silence_id(matchers: tuple[Matcher, ...], starts_at_ms: int) -> str:
    """A stable id in the form of a UUID: the same silence has the same id in every run."""
    raw = hashlib.blake2b(f"{matchers_text(matchers)}@{starts_at_ms}".encode(), digest_size=16).hexdigest()
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"


@dataclass(frozen=True, slots=True)
class NotifiedAlert:
    """An alert inside a notification; ends_at_ms is None while it fires."""

    labels: Labels
    annotations: Labels
    status: Status
    starts_at_ms: int
    ends_at_ms: int | None
    generator_url: str

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.labels)


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one integration of a receiver. reason in Alertmanager's words ("first notification", …)."""

    time_ms: int
    receiver: str
    integration: Integration
    group_key: str
    group_labels: Labels
    route_id: str
    route_labels: Labels
    reason: str
    alerts: tuple[NotifiedAlert, ...]
    place: Place = field(default_factory=Place)
    """The route that led here."""

    @property
    def status(self) -> Status:
        return "firing" if any(a.status == "firing" for a in self.alerts) else "resolved"


@dataclass(frozen=True, slots=True)
class Held:
    """Why an alert did not (yet) make a notification in one group. kind: waiting, inhibited, inactive_time, muted_time,
    silenced, notified, no_integration, resolved_unsent. place: the rule, silence or route responsible, where it has
    one."""

    time_ms: int
    labels: Labels
    receiver: str
    group_key: str
    kind: str
    text: str
    place: Place = field(default_factory=Place)
