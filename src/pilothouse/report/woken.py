"""The section "Who is woken": notifications per receiver with their times, and what was held back and why. Pure.

The same words serve a rehearsal's report (`text`, `html`) and a backtest's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pilothouse.base.duration import format_span
from pilothouse.report.lines import table, title, wrapped
from pilothouse.report.model import HeldBack, Notification, ReceiverTally, RunResult
from pilothouse.report.timeline import Line
from pilothouse.report.wording import clock, count, place, short

MESSAGES_SHOWN = 12
HELD_SHOWN = 8
ALERTS_SHOWN = 3

KINDS = {
    "inhibited": "inhibited",
    "silenced": "silenced",
    "muted_time": "muted",
    "inactive_time": "outside its hours",
    "no_integration": "nowhere to send",
    "too_short": "over too soon",
}
"""Kinds of holding back, in words of a table."""


def render(receivers: Sequence[ReceiverTally], run: RunResult | None, width: int) -> list[Line]:
    """The whole section of a rehearsal; nothing without an Alertmanager configuration."""
    if not receivers or run is None:
        return []
    woken = sum(r.woken for r in receivers)
    note = f"{short(woken)} {'notification' if woken == 1 else 'notifications'} with a firing alert"
    note += " a run" if receivers[0].low is not None else ""
    out = title("Who is woken", note, width)
    rows = [["receiver", "notifications", "a day", "first", "held back", "where"]]
    for receiver in receivers:
        number = short(receiver.notifications)
        if receiver.low is not None:
            number += f" ({receiver.low} to {receiver.high})"
        first = clock(receiver.first_s) if receiver.first_s is not None else "never"
        kept = short(receiver.held_back) if receiver.held_back else "–"
        rows.append([receiver.name, number, short(receiver.per_day), first, kept, place(receiver.at)])
    out += table(rows, width)
    return out + messages(run.notifications, width) + stretches(run.held_back, width)


def messages(sent: Sequence[Notification], width: int, when: Callable[[float], str] = clock) -> list[Line]:
    """The notifications themselves, in order of time. when: how a time since the start reads."""
    out: list[Line] = []
    for one in sent[:MESSAGES_SHOWN]:
        text = f"  {when(one.at_s):<9} → {one.receiver} ({one.integration}): {alerts(one)}; {one.reason}"
        out += wrapped(text, width, " " * 14, "warn" if one.status == "firing" else "")
    if len(sent) > MESSAGES_SHOWN:
        out.append([(f"  … and {len(sent) - MESSAGES_SHOWN} more: -o json lists all", "dim")])
    return out


def alerts(one: Notification) -> str:
    """`HighErrorRate{job="api"} firing`, `5 firing: A, B, C, …`, `A resolved`."""
    named = ", ".join(one.alerts[:ALERTS_SHOWN])
    total = one.firing or one.resolved
    if total > ALERTS_SHOWN:
        named += ", …"
    resolved = f" and {one.resolved} resolved" if one.firing and one.resolved else ""
    many = f"{total} " if total > 1 else ""
    return f"{many}{one.status}{resolved}: {named}"


def stretches(held: Sequence[HeldBack], width: int, when: Callable[[float], str] = clock) -> list[Line]:
    """What was held back, stretches of one reason and receiver together."""
    if not held:
        return []
    out: list[Line] = [[("  held back:", "bold")]]
    grouped = gathered(held)
    for alert, first, times in grouped[:HELD_SHOWN]:
        until = "to the end" if first.to_s is None else f"for {format_span(first.to_s - first.from_s)}"
        many = f" ({times} times)" if times > 1 else ""
        text = f"    {when(first.from_s):<9} {alert} from {first.receiver}, {until}{many}: {first.why}"
        text += f"  ({place(first.at)})" if first.at else ""
        out += wrapped(text, width, " " * 14)
    if len(grouped) > HELD_SHOWN:
        out.append([(f"    … and {count(len(grouped) - HELD_SHOWN, 'more reason')}: -o json lists all", "dim")])
    return out


def gathered(held: Sequence[HeldBack]) -> list[tuple[str, HeldBack, int]]:
    """(alert, first stretch, how many stretches) per alert, receiver and kind, in order of time."""
    found: dict[tuple[str, str, str], list[HeldBack]] = {}
    for one in held:
        found.setdefault((one.alert, one.receiver, one.kind), []).append(one)
    return [(key[0], same[0], len(same)) for key, same in found.items()]
