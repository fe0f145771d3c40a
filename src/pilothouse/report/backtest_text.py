"""A backtest as lines for a terminal, as JSON, YAML and one HTML file. Pure; the same report, the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import msgspec
import yaml

from pilothouse.base.clock import rfc3339
from pilothouse.base.duration import format_span
from pilothouse.report import html, woken
from pilothouse.report.backtest import AlertHistory, BacktestReport, Change, Diff, Firing, Version
from pilothouse.report.formats import Dumper
from pilothouse.report.lines import findings, table, title, wrapped
from pilothouse.report.model import Notification
from pilothouse.report.timeline import Line
from pilothouse.report.wording import count, place, short

FIRINGS_SHOWN = 20
CHANGES_SHOWN = 30


def to_json(report: BacktestReport) -> bytes:
    """Indented JSON, ended by a line feed."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def to_yaml(report: BacktestReport) -> str:
    value = msgspec.json.decode(msgspec.json.encode(report))
    return str(yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120))


def render(report: BacktestReport, width: int = 100) -> list[Line]:
    """All lines, each at most `width` characters."""
    width = max(60, min(width, 160))
    if report.rules is None:
        return [[("Nothing could be backtested", "bad")], *findings(report.findings, width)]
    out = _header(report, report.rules, width)
    if report.diff is not None and report.other is not None:
        out += _diff(report, report.diff, report.rules, report.other, width)
        return out + findings(report.findings, width)
    out += _alerts(report.rules.alerts, width)
    out += _firings(report, width)
    out += _noise(report.rules, width)
    out += _woken(report, width)
    return out + findings(report.findings, width)


def moment(report: BacktestReport, at_s: float) -> str:
    """`2026-01-05T00:22:30Z`."""
    return rfc3339(report.start_epoch_s + at_s)


def _header(report: BacktestReport, rules: Version, width: int) -> list[Line]:
    out: list[Line] = [[("Backtest of ", "bold"), (", ".join(rules.files), "bold")]]
    span = f"{moment(report, 0)} to {moment(report, report.duration_s)} ({format_span(report.duration_s)})"
    text = (
        f"  on {report.source}: {span}, {count(report.series, 'series', 'series')}, {count(report.samples, 'sample')}"
    )
    out += wrapped(text, width, "    ", "dim")
    if report.other is not None:
        out += wrapped(f"  compared with {', '.join(report.other.files)}", width, "    ", "dim")
    return out


def _alerts(alerts: Sequence[AlertHistory], width: int) -> list[Line]:
    fired = [a for a in alerts if a.firings or a.pending_s or a.error]
    out = title("Alerts", f"{sum(bool(a.firings) for a in alerts)} of {len(alerts)} fired", width)
    rows = [["alert", "severity", "firings", "firing", "longest", "flaps", "rule"]]
    for alert in fired:
        lengths = [f.to_s - f.from_s for f in alert.firings if f.to_s is not None]
        rows.append(
            [
                alert.name,
                alert.severity or "–",
                str(len(alert.firings)) if alert.firings else f"pending {format_span(alert.pending_s)}",
                format_span(alert.firing_s) if alert.firings else "–",
                format_span(max(lengths)) if lengths else "to the end" if alert.firings else "–",
                str(alert.flaps) if alert.flaps else "–",
                place(alert.at),
            ]
        )
    out += table(rows, width) if fired else []
    for alert in fired:
        out += (
            wrapped(f"  {alert.name}: its evaluation failed: {alert.error}", width, "    ", "bad")
            if alert.error
            else []
        )
    silent = [a.name for a in alerts if a not in fired]
    return out + (wrapped(f"  silent: {', '.join(silent)}", width, "    ", "dim") if silent else [])


def _firings(report: BacktestReport, width: int) -> list[Line]:
    assert report.rules is not None
    firings = sorted((f for a in report.rules.alerts for f in a.firings), key=lambda f: (f.from_s, f.alert))
    if not firings:
        return []
    out = title("When", "", width)
    for firing in firings[:FIRINGS_SHOWN]:
        out += wrapped(f"  {moment(report, firing.from_s)}  {_told(firing)}", width, " " * 24)
    if len(firings) > FIRINGS_SHOWN:
        out.append([(f"  … and {len(firings) - FIRINGS_SHOWN} more: -o json lists all", "dim")])
    return out


def _told(firing: Firing) -> str:
    lasting = "to the end" if firing.to_s is None else f"for {format_span(firing.to_s - firing.from_s)}"
    waited = f", after {format_span(firing.pending_s)} pending" if firing.pending_s else ""
    return f"{firing.alert} fires {lasting}{waited}"


def _noise(rules: Version, width: int) -> list[Line]:
    noise = rules.noise
    if not noise.firings:
        return []
    out = title("Noise", "", width)
    text = f"  {count(noise.firings, 'firing')}, {short(noise.per_day)} a day; {count(noise.flaps, 'flap')}"
    text += " (the same label set again within 30 minutes)"
    if noise.shortest_s is not None:
        text += f"; the shortest took {format_span(noise.shortest_s)}: {noise.shortest}"
    return out + wrapped(text, width, "  ")


def _woken(report: BacktestReport, width: int) -> list[Line]:
    rules = report.rules
    if not report.routed or rules is None:
        note = "no Alertmanager configuration: --alertmanager FILE tells who would be woken"
        return [[], *wrapped(note, width, "", "dim")]
    woken_count = sum(r.woken for r in rules.receivers)
    words = "notification" if woken_count == 1 else "notifications"
    out = title("Who is woken", f"{short(woken_count)} {words} with a firing alert", width)
    rows = [["receiver", "notifications", "a day", "first", "held back", "where"]]
    for receiver in rules.receivers:
        first = moment(report, receiver.first_s) if receiver.first_s is not None else "never"
        kept = short(receiver.held_back) if receiver.held_back else "–"
        cells = [receiver.name, short(receiver.notifications), short(receiver.per_day), first, kept]
        rows.append([*cells, place(receiver.at)])
    out += table(rows, width)
    out += woken.messages(rules.notifications, width, lambda s: moment(report, s))
    return out + woken.stretches(rules.held_back, width, lambda s: moment(report, s))


# Two versions


def _diff(report: BacktestReport, diff: Diff, old: Version, new: Version, width: int) -> list[Line]:
    note = f"{count(len(diff.changes), 'change')}, {count(diff.unchanged, 'firing')} unchanged"
    out = title("What changes", note, width)
    for change in diff.changes[:CHANGES_SHOWN]:
        style = {"gone": "good", "new": "bad"}.get(change.kind, "")
        out += wrapped(f"  {change.kind:<10}{_changed(report, change)}", width, " " * 12, style)
    if len(diff.changes) > CHANGES_SHOWN:
        out.append([(f"  … and {len(diff.changes) - CHANGES_SHOWN} more: -o json lists all", "dim")])
    if not diff.changes:
        out.append([("  nothing: every firing is the same", "")])
    out += title("Noise", "before → after", width)
    rows = [["", "before", "after"]]
    rows.append(["firings", str(old.noise.firings), str(new.noise.firings)])
    rows.append(["flaps", str(old.noise.flaps), str(new.noise.flaps)])
    for before, after in zip(old.receivers, new.receivers):
        rows.append([f"told {before.name}", short(before.notifications), short(after.notifications)])
    out += table(rows, width)
    for name, messages in (("no longer sent", diff.notifications_gone), ("newly sent", diff.notifications_new)):
        if messages:
            out.append([(f"  {name}:", "bold")])
            out += woken.messages(messages, width, lambda s: moment(report, s))
    return out


def _changed(report: BacktestReport, change: Change) -> str:
    by = format_span(change.by_s)
    if change.kind == "gone":
        return f"{change.alert}: {_span(report, change.old_from_s, change.old_to_s)}"
    if change.kind == "new":
        return f"{change.alert}: {_span(report, change.new_from_s, change.new_to_s)}"
    if change.kind in ("earlier", "later"):
        before, after = change.old_from_s or 0.0, change.new_from_s or 0.0
        return f"{change.alert}: fires {by} {change.kind}, at {moment(report, after)} (was {moment(report, before)})"
    if change.kind in ("longer", "shorter"):
        over = "at the end" if change.new_to_s is None else f"at {moment(report, change.new_to_s)}"
        return f"{change.alert}: over {by} {'later' if change.kind == 'longer' else 'earlier'}, {over}"
    return f"{change.alert}: {change.note}"


def _span(report: BacktestReport, from_s: float | None, to_s: float | None) -> str:
    start = from_s or 0.0
    lasting = "to the end" if to_s is None else f"for {format_span(to_s - start)}"
    return f"fires at {moment(report, start)} {lasting}"


# HTML


def to_html(report: BacktestReport) -> str:
    """The whole document; no script, no external asset."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>Backtest: {report.outcome}</title><style>{html.STYLE}</style></head><body>",
        f"<h1>Backtest {escape(report.source)}</h1>",
    ]
    if report.rules is not None:
        span = f"{moment(report, 0)} to {moment(report, report.duration_s)}"
        facts = f"{', '.join(report.rules.files)} · {span} · {report.series:,} series · {report.samples:,} samples"
        parts.append(f'<p class="soft">{escape(facts)}</p>')
        if report.diff is not None:
            parts.append(_html_diff(report, report.diff))
            parts.append(_html_messages(report, "No longer sent", report.diff.notifications_gone))
            parts.append(_html_messages(report, "Newly sent", report.diff.notifications_new))
        else:
            parts += _html_version(report, report.rules)
    parts += [html.findings(report.findings), "</body></html>"]
    return "\n".join(p for p in parts if p) + "\n"


def _html_version(report: BacktestReport, rules: Version) -> list[str]:
    rows = [
        [
            escape(a.name),
            escape(a.severity),
            str(len(a.firings)),
            format_span(a.firing_s),
            str(a.flaps),
            html.at(place(a.at)),
        ]
        for a in rules.alerts
    ]
    firings = sorted((f for a in rules.alerts for f in a.firings), key=lambda f: (f.from_s, f.alert))
    when = [[moment(report, f.from_s), escape(_told(f))] for f in firings]
    return [
        html.table("Alerts", ["alert", "severity", "firings", "firing for", "flaps", "rule"], rows),
        html.table("When", ["time", "what"], when),
        html.receivers(rules.receivers),
        html.notifications(rules.notifications),
        html.held_back(rules.held_back),
    ]


def _html_diff(report: BacktestReport, diff: Diff) -> str:
    rows = [[change.kind, escape(_changed(report, change))] for change in diff.changes]
    return html.table(f"What changes ({diff.unchanged} firings unchanged)", ["", "what"], rows)


def _html_messages(report: BacktestReport, name: str, sent: Sequence[Notification]) -> str:
    rows = [[moment(report, n.at_s), escape(n.receiver), escape(woken.alerts(n)), escape(n.reason)] for n in sent]
    return html.table(name, ["time", "receiver", "alerts", "why"], rows)
