"""Alertmanager as a state machine: alerts come in, time moves on, notifications come out. No clock, no sockets.

    state = AlertmanagerState(config)
    state.receive(alerts, now_ms)
    notifications = state.advance(now_ms)      # everything due up to now, in the order it would have been sent
    state.why(labels, now_ms)                  # per route: notified, waiting, inhibited by …, silenced by …, muted by …

Follows dispatch/dispatch.go and the stages of notify/ (0.28): a group waits `group_wait`, then looks every
`group_interval`;
inhibition, active and mute intervals, silences, then de-duplication against what each integration was last told.
Sending
always succeeds here. Order is fixed: by due time, then by the age of the group.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pilothouse.engines.alerting.alertmanager.alerts import (
    Held,
    HeldAlert,
    Notification,
    NotifiedAlert,
    Silence,
    sort_key,
)  # fmt: skip
from pilothouse.engines.alerting.alertmanager.config import Config, Integration, Route
from pilothouse.engines.alerting.alertmanager.inhibition import Inhibitor
from pilothouse.engines.alerting.rules import Labels, label_text

LOG_RETENTION_MS = 120 * 3_600_000
"""How long it is remembered what was told (--data.retention's default)."""

ALERT_RETENTION_MS = 30 * 60_000
"""Resolved alerts are forgotten after this (--alerts.gc-interval's default)."""

GROUPS_LIMIT = 100_000
"""Aggregation groups at one time; alerts beyond it are held back with a reason instead of filling the memory."""


@dataclass(slots=True)
class _Told:
    """What an integration was last told about a group."""

    firing: frozenset[Labels]
    resolved: frozenset[Labels]
    time_ms: int
    expires_ms: int


@dataclass(slots=True)
class _Group:
    number: int
    route: Route
    labels: Labels
    due_ms: int
    alerts: dict[Labels, HeldAlert] = field(default_factory=dict)
    flushed: bool = False

    @property
    def key(self) -> str:
        return f"{self.route.key}:{label_text(self.labels)}"


class AlertmanagerState:
    """One Alertmanager. Times are Unix ms and must not go back."""

    def __init__(self, config: Config, *, silences: Iterable[Silence] = ()) -> None:
        self.config = config
        self.silences: dict[str, Silence] = {s.id: s for s in silences}
        self.alerts: dict[Labels, HeldAlert] = {}
        self._inhibitor = Inhibitor(config.inhibit_rules)
        self._groups: dict[tuple[str, Labels], _Group] = {}
        self._due: list[tuple[int, int, _Group]] = []
        self._count = 0
        self._told: dict[tuple[str, str, str, int], _Told] = {}
        self._held: dict[tuple[str, Labels], Held] = {}

    # Input

    def receive(self, alerts: Iterable[HeldAlert], now_ms: int) -> None:
        """Takes in alerts as a Prometheus or the API sends them; a resolved one has its end in the past."""
        for incoming in alerts:
            known = self.alerts.get(incoming.labels)
            alert = incoming
            if known is not None and _overlap(known, incoming):
                alert = incoming.merged(known, now_ms)
            self.alerts[alert.labels] = alert
            self._inhibitor.take(alert)
            labels = dict(alert.labels)
            for route in self.config.route.matching(labels):
                self._insert(route, route.group_labels(labels), alert, now_ms)

    def add_silence(self, silence: Silence) -> None:
        """Adds a silence, or changes the one of the same id."""
        self.silences[silence.id] = silence

    def expire_silence(self, id: str, now_ms: int) -> None:
        """Ends a silence now; unknown ids are ignored."""
        known = self.silences.get(id)
        if known is not None and known.ends_at_ms > now_ms:
            self.silences[id] = Silence(
                id, known.matchers, min(known.starts_at_ms, now_ms), now_ms, known.comment, known.created_by
            )

    # Time

    def next_due_ms(self) -> int | None:
        """When `advance` has something to look at next; None when nothing is pending."""
        while self._due and not self._is_current(*self._due[0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def advance(self, now_ms: int) -> list[Notification]:
        """All notifications due up to now. Calling it late gives the same as calling it at every moment."""
        out: list[Notification] = []
        while True:
            due = self.next_due_ms()
            if due is None or due > now_ms:
                break
            _at, _number, group = heapq.heappop(self._due)
            out.extend(self._flush(group, due))
        self._forget(now_ms)
        return out

    def _is_current(self, due_ms: int, _number: int, group: _Group) -> bool:
        return group.due_ms == due_ms and self._groups.get((group.route.id, group.labels)) is group

    def _schedule(self, group: _Group, due_ms: int) -> None:
        group.due_ms = due_ms
        heapq.heappush(self._due, (due_ms, group.number, group))

    def _insert(self, route: Route, labels: Labels, alert: HeldAlert, now_ms: int) -> None:
        group = self._groups.get((route.id, labels))
        if group is None:
            if len(self._groups) >= GROUPS_LIMIT:
                self._note(
                    now_ms, alert.labels, route.receiver, route.key, "waiting", "too many aggregation groups", route
                )
                return
            self._count += 1
            group = self._groups[route.id, labels] = _Group(self._count, route, labels, 0)
            old = alert.starts_at_ms + route.group_wait_ms < now_ms
            self._schedule(group, now_ms if old else now_ms + route.group_wait_ms)
        group.alerts[alert.labels] = alert

    def _forget(self, now_ms: int) -> None:
        for labels in [k for k, a in self.alerts.items() if a.resolved_at(now_ms - ALERT_RETENTION_MS)]:
            alert = self.alerts.pop(labels)
            self._inhibitor.forget(alert)
        for key in [k for k, told in self._told.items() if told.expires_ms < now_ms]:
            del self._told[key]

    # One look at a group

    def _flush(self, group: _Group, now_ms: int) -> list[Notification]:
        route = group.route
        self._schedule(group, now_ms + route.group_interval_ms)
        group.flushed = True
        alerts = sorted(group.alerts.values(), key=lambda a: sort_key(a.labels))
        audible = self._audible(group, alerts, now_ms)
        out: list[Notification] = []
        if audible:
            receiver = self.config.receivers[route.receiver]
            for integration in receiver.integrations:
                out.extend(self._tell(group, integration, audible, now_ms))
            if not receiver.integrations:
                for alert in audible:
                    text = f'receiver "{receiver.name}" has no integration'
                    self._note(now_ms, alert.labels, receiver.name, group.key, "no_integration", text, receiver)
        for alert in alerts:
            if alert.resolved_at(now_ms):
                group.alerts.pop(alert.labels, None)
                self._held.pop((group.key, alert.labels), None)
        if not group.alerts:
            del self._groups[route.id, group.labels]
        return out

    def _audible(self, group: _Group, alerts: list[HeldAlert], now_ms: int) -> list[HeldAlert]:
        """The alerts that nothing mutes, in Alertmanager's order of stages; the others are noted with the reason."""
        route, out = group.route, []
        for alert in alerts:
            cause = self._inhibitor.cause(alert.labels, now_ms)
            if cause is None:
                out.append(alert)
                continue
            rule, source = cause
            text = f"inhibited by {label_text(source)} (rule {rule})"
            self._note(now_ms, alert.labels, route.receiver, group.key, "inhibited", text, rule)
        muted = self._muted_by_time(route, now_ms)
        if muted is not None:
            for alert in out:
                self._note(now_ms, alert.labels, route.receiver, group.key, muted[0], muted[1], route)
            return []
        audible = []
        for alert in out:
            silence = self._silence_of(alert.labels, now_ms)
            if silence is None:
                audible.append(alert)
                continue
            text = f"silenced by {silence.id}" + (f" ({silence.comment})" if silence.comment else "")
            self._note(now_ms, alert.labels, route.receiver, group.key, "silenced", text, route)
        return audible

    def _muted_by_time(self, route: Route, now_ms: int) -> tuple[str, str] | None:
        if route.active_time_intervals and not self._inside(route.active_time_intervals, now_ms):
            return "inactive_time", f"outside of active time interval {', '.join(route.active_time_intervals)}"
        names = self._inside(route.mute_time_intervals, now_ms)
        return ("muted_time", f"muted by time interval {', '.join(names)}") if names else None

    def _inside(self, names: tuple[str, ...], now_ms: int) -> list[str]:
        intervals = self.config.time_intervals
        return [n for n in names if any(i.contains(now_ms) for i in intervals.get(n, ()))]

    def _silence_of(self, labels: Labels, now_ms: int) -> Silence | None:
        found = dict(labels)
        return next((s for s in self.silences.values() if s.mutes(found, now_ms)), None)

    def _tell(
        self, group: _Group, integration: Integration, alerts: list[HeldAlert], now_ms: int
    ) -> list[Notification]:
        """De-duplicates against what this integration was last told (notify/dedup_stage.go)."""
        route = group.route
        firing = frozenset(a.labels for a in alerts if not a.resolved_at(now_ms))
        resolved = frozenset(a.labels for a in alerts if a.resolved_at(now_ms))
        key = (group.key, route.receiver, integration.kind, integration.index)
        told = self._told.get(key)
        if told is not None and told.expires_ms < now_ms:
            told = None
        reason = _reason(told, firing, resolved, integration.send_resolved, route.repeat_interval_ms, now_ms)
        if not reason:
            self._note_told(group, integration, alerts, told, now_ms)
            return []
        expiry = min(2 * route.repeat_interval_ms, LOG_RETENTION_MS)
        self._told[key] = _Told(firing, resolved, now_ms, now_ms + expiry)
        sent = alerts if integration.send_resolved else [a for a in alerts if not a.resolved_at(now_ms)]
        self._note_told(group, integration, alerts, self._told[key], now_ms)
        if not sent:
            return []
        shown = tuple(_notified(a, now_ms) for a in sent)
        return [
            Notification(
                now_ms,
                route.receiver,
                integration,
                group.key,
                group.labels,
                route.id,
                route.labels,
                reason,
                shown,
                route.place,
            )
        ]

    # Why

    def _note(self, now_ms: int, labels: Labels, receiver: str, key: str, kind: str, text: str, owner: object) -> None:
        place = getattr(owner, "place", self.config.route.place)
        known = self._held.get((key, labels))
        since = known.time_ms if known is not None and (known.kind, known.text) == (kind, text) else now_ms
        self._held[key, labels] = Held(since, labels, receiver, key, kind, text, place)

    def _note_told(
        self, group: _Group, integration: Integration, alerts: list[HeldAlert], told: _Told | None, now_ms: int
    ) -> None:
        route = group.route
        for alert in alerts:
            if told is not None and alert.labels in told.firing:
                self._held[group.key, alert.labels] = Held(
                    told.time_ms, alert.labels, route.receiver, group.key, "notified",
                    f"grouped into {label_text(group.labels)}, told {integration.kind}; again after "
                    f"{route.repeat_interval_ms // 1000}s if nothing changes",
                    route.place,
                )  # fmt: skip
            elif alert.resolved_at(now_ms):
                text = f"resolved; {integration.kind} " + (
                    "was told" if integration.send_resolved else "is not told of resolved alerts"
                )
                self._note(now_ms, alert.labels, route.receiver, group.key, "resolved_unsent", text, route)

    def why(self, labels: Labels, now_ms: int) -> list[Held]:
        """One answer per route that the alert takes: what became of it there, or what it waits for."""
        out = []
        found = dict(labels)
        for route in self.config.route.matching(found):
            group = self._groups.get((route.id, route.group_labels(found)))
            key = f"{route.key}:{label_text(route.group_labels(found))}"
            known = self._held.get((key, labels))
            if known is not None:
                out.append(known)
            elif group is None or labels not in group.alerts:
                text = "no such alert is held"
                out.append(Held(now_ms, labels, route.receiver, key, "unknown", text, route.place))
            else:
                which = "group_interval" if group.flushed else "group_wait"
                text = f"waits {(group.due_ms - now_ms) / 1000:g}s for the group's {which}"
                out.append(Held(now_ms, labels, route.receiver, key, "waiting", text, route.place))
        return out

    def unnotified(self, now_ms: int) -> list[Held]:
        """Every firing alert that something keeps from being told, in alert order, per route."""
        held = [
            h
            for labels in sorted(self.alerts)
            if not self.alerts[labels].resolved_at(now_ms)
            for h in self.why(labels, now_ms)
        ]
        return [h for h in held if h.kind != "notified"]

    def groups(self) -> list[tuple[Route, Labels, Mapping[Labels, HeldAlert]]]:
        """The groups that exist, oldest first."""
        return [(g.route, g.labels, g.alerts) for g in self._groups.values()]


def _overlap(known: HeldAlert, incoming: HeldAlert) -> bool:
    """Whether two messages speak of one life of the alert (provider/mem): their spans touch."""
    known_end = known.ends_at_ms
    incoming_end = incoming.ends_at_ms
    starts_inside = incoming.starts_at_ms >= known.starts_at_ms and (
        known_end is None or incoming.starts_at_ms < known_end
    )
    ends_inside = incoming_end is None or incoming_end > known.starts_at_ms
    # An alert that fires anew has no end yet, which is after any end that is known: a new life, not the old one.
    before_end = known_end is None or (incoming_end is not None and incoming_end < known_end)
    return starts_inside or (ends_inside and before_end)


def _reason(
    told: _Told | None,
    firing: frozenset[Labels],
    resolved: frozenset[Labels],
    send_resolved: bool,
    repeat_ms: int,
    now_ms: int,
) -> str:
    """Why to tell now; "" when there is nothing to tell."""
    if told is None:
        return "first notification" if firing else ""
    if not firing <= told.firing:
        return "new alerts added" if told.firing else "first notification"
    if not firing:
        return "all alerts resolved" if told.firing else ""
    if send_resolved and not resolved <= told.resolved:
        return "some alerts resolved"
    return "repeat interval elapsed" if told.time_ms < now_ms - repeat_ms else ""


def _notified(alert: HeldAlert, now_ms: int) -> NotifiedAlert:
    status = alert.status(now_ms)
    return NotifiedAlert(
        alert.labels,
        alert.annotations,
        status,
        alert.starts_at_ms,
        alert.ends_at_ms if status == "resolved" else None,
        alert.generator_url,
    )
