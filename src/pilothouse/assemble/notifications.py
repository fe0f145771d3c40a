"""From a run's alert transitions to who is told and what is held back: Alertmanager's state machine over the whole
time, after the fact. Pure; used by rehearsals and backtests.

Nothing feeds back from a notification, so the transitions of a finished run are enough: the machine is stepped from
moment to moment (a transition, or a group that is due), and after each it is asked what keeps a firing alert unsaid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from pilothouse.assemble.found import spot
from pilothouse.base.duration import format_span
from pilothouse.base.errors import Place
from pilothouse.engines.alerting.alertmanager import AlertmanagerState, Config, Held, Notification, Silence
from pilothouse.engines.alerting.evaluation import Evaluation, Transition
from pilothouse.engines.alerting.outbox import alerts_of
from pilothouse.engines.alerting.rules import Labels, label_text
from pilothouse.report import model

ALERTS_NAMED = 20
"""Alerts listed in a notification's record; the counts say how many there were."""


@dataclass(frozen=True, slots=True)
class Silenced:
    """A stretch during which one firing alert was kept from one receiver. to_ms None: until the end.

    kind: inhibited, silenced, muted_time, inactive_time, no_integration, or too_short (it was over before its group
    was due).
    """

    labels: Labels
    receiver: str
    kind: str
    text: str
    place: Place
    from_ms: int
    to_ms: int | None


@dataclass(slots=True)
class Routed:
    """What became of all alerts, in order of time."""

    sent: list[Notification] = field(default_factory=list)
    held: list[Silenced] = field(default_factory=list)


def route(config: Config, transitions: Iterable[Transition], end_ms: int, silences: Sequence[Silence] = ()) -> Routed:
    """Plays the transitions (any order) into a fresh Alertmanager until `end_ms` (Unix ms, included)."""
    state = AlertmanagerState(config, silences=silences)
    watch = _Watch()
    out = Routed()
    for now_ms, arriving in _moments(state, transitions, end_ms):
        state.receive((alert for step in arriving for alert in alerts_of(_as_evaluation(step))), now_ms)
        out.sent += state.advance(now_ms)
        watch.look(state, now_ms)
    out.held = watch.ended()
    return out


def _moments(
    state: AlertmanagerState, transitions: Iterable[Transition], end_ms: int
) -> Iterator[tuple[int, list[Transition]]]:
    """Every time at which something arrives or a group is due. What arrives at the due moment is still told of."""
    told = sorted((t for t in transitions if "firing" in (t.before, t.after)), key=lambda t: t.time_ms)
    for time_ms, group in groupby(told, key=lambda t: t.time_ms):
        if time_ms > end_ms:
            break
        yield from _due_before(state, time_ms)
        yield time_ms, list(group)
    yield from _due_before(state, end_ms + 1)


def _due_before(state: AlertmanagerState, time_ms: int) -> Iterator[tuple[int, list[Transition]]]:
    while (due_ms := state.next_due_ms()) is not None and due_ms < time_ms:
        yield due_ms, []


def _as_evaluation(step: Transition) -> Evaluation:
    return Evaluation(step.time_ms, (step,))


_Key = tuple[Labels, str, str]


class _Watch:
    """Turns what the machine says at each moment into stretches."""

    def __init__(self) -> None:
        self._open: dict[_Key, tuple[Held, int]] = {}
        self._done: list[Silenced] = []

    def look(self, state: AlertmanagerState, now_ms: int) -> None:
        seen: dict[_Key, Held] = {(h.labels, h.receiver, h.group_key): h for h in state.unnotified(now_ms)}
        for key, (held, since_ms) in list(self._open.items()):
            new = seen.get(key)
            if new is not None and _same(held, new):
                continue
            del self._open[key]
            self._close(held, since_ms, now_ms, over=_is_over(state, held.labels, now_ms))
        for key, held in seen.items():
            if key not in self._open:
                self._open[key] = (held, now_ms)

    def _close(self, held: Held, from_ms: int, to_ms: int | None, *, over: bool) -> None:
        kind, text = held.kind, held.text
        if kind in ("waiting", "unknown"):
            if not over or to_ms is None:
                return  # Waiting for its group is how every alert begins.
            kind, text = "too_short", f"over after {format_span((to_ms - from_ms) / 1000)}, before its group was due"
        self._done.append(Silenced(held.labels, held.receiver, kind, text, held.place, from_ms, to_ms))

    def ended(self) -> list[Silenced]:
        """All stretches by their beginning, those that still last included."""
        for held, since_ms in self._open.values():
            self._close(held, since_ms, None, over=False)
        return sorted(self._done, key=lambda s: (s.from_ms, s.labels, s.receiver))


def _same(old: Held, new: Held) -> bool:
    """The texts of waiting alerts count down; those of the others name the cause."""
    return old.kind == new.kind and (old.kind == "waiting" or old.text == new.text)


def _is_over(state: AlertmanagerState, labels: Labels, now_ms: int) -> bool:
    alert = state.alerts.get(labels)
    return alert is None or alert.resolved_at(now_ms)


# In the report's form


def notification(sent: Notification, start_ms: int) -> model.Notification:
    """Times in seconds since the start."""
    firing = [a for a in sent.alerts if a.status == "firing"]
    named = [alert_text(a.labels) for a in (firing or sent.alerts)]
    return model.Notification(
        at_s=(sent.time_ms - start_ms) / 1000,
        receiver=sent.receiver,
        integration=sent.integration.kind,
        status=sent.status,
        reason=sent.reason,
        group=label_text(sent.group_labels),
        alerts=tuple(named[:ALERTS_NAMED]),
        firing=len(firing),
        resolved=len(sent.alerts) - len(firing),
        at=spot(sent.place),
    )


def held_back(stretch: Silenced, start_ms: int) -> model.HeldBack:
    return model.HeldBack(
        alert=alert_text(stretch.labels),
        receiver=stretch.receiver,
        kind=stretch.kind,
        why=stretch.text,
        from_s=max(0.0, (stretch.from_ms - start_ms) / 1000),
        to_s=None if stretch.to_ms is None else (stretch.to_ms - start_ms) / 1000,
        at=spot(stretch.place),
    )


def told_since(routed: Routed, start_ms: int) -> tuple[tuple[model.Notification, ...], tuple[model.HeldBack, ...]]:
    """What was sent or held back from `start_ms` on; a warm-up before it is left out."""
    sent = tuple(notification(n, start_ms) for n in routed.sent if n.time_ms >= start_ms)
    held = tuple(held_back(s, start_ms) for s in routed.held if s.to_ms is None or s.to_ms > start_ms)
    return sent, held


def alert_text(labels: Labels) -> str:
    """`HighErrorRate{job="api"}`: the alert's name before its other labels."""
    rest = tuple(pair for pair in labels if pair[0] != "alertname")
    return dict(labels).get("alertname", "") + (label_text(rest) if rest else "")
