"""The report as one HTML file: verdicts, an inline SVG timeline, tables. No script, no external asset, no clock.
Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from pilothouse.base.duration import format_span
from pilothouse.report.model import (
    AlertTally,
    Figure,
    Found,
    HeldBack,
    Notification,
    ReceiverTally,
    Report,
    RunResult,
    Verdict,
)
from pilothouse.report.svg import draw
from pilothouse.report.timeline import DETAIL_WEIGHT
from pilothouse.report.woken import KINDS
from pilothouse.report.woken import alerts as alerts_told
from pilothouse.report.wording import MARK_LEGEND, MARKS, OUTCOME_SIGNS, amount, clock, percent, place, share, short

STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#667085;--line:#d6dbe3;--back:#fff;--fill:#3b6fb6;--good:#1a7f4b;
--bad:#c0322b;--warn:#b7791f;--lack:#e7b3ae}
@media (prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#98a2b3;--line:#344054;--back:#12161d;--fill:#6ea2e8;
--good:#4cc38a;--bad:#f2766f;--warn:#e0b354;--lack:#5d3330}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:1100px;margin:2rem auto;
padding:0 1rem}h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem .3rem 0;vertical-align:top;
border-bottom:1px solid var(--line)}th{color:var(--soft);font-weight:500}.soft{color:var(--soft)}
.met{color:var(--good)}.not-met,.unusable,.error{color:var(--bad)}.undecided,.warning{color:var(--warn)}
code{font:13px ui-monospace,monospace}svg{width:100%;height:auto;display:block}
svg text{font:11px system-ui,sans-serif;fill:var(--soft)}svg .name{fill:var(--ink);font-weight:600}
svg .area{fill:var(--fill);fill-opacity:.25}svg .curve{fill:none;stroke:var(--fill);stroke-width:1.3}
svg .wanted{fill:none;stroke:var(--bad);stroke-width:1;stroke-dasharray:4 3}svg
.grid{stroke:var(--line);stroke-width:.6} svg .limit{stroke:var(--bad);stroke-width:.8;stroke-dasharray:2 3}svg
.pending{fill:var(--warn);fill-opacity:.55} svg .firing{fill:var(--bad)}svg
.mark{stroke:var(--soft);stroke-width:.8;stroke-dasharray:1 3} svg .fault{stroke:var(--bad)}svg
.letter{fill:var(--ink);font-weight:600;text-anchor:middle}
"""


def render(report: Report) -> str:
    """The whole document."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{escape(report.scenario)}: {report.outcome}</title><style>{STYLE}</style></head><body>",
        _head(report),
        _verdicts(report),
    ]
    if report.shown is not None:
        parts += ["<h2>Timeline</h2>", draw(report.shown), _moments(report.shown)]
    parts += [_alerts(report.alerts), receivers(report.receivers)]
    if report.shown is not None:
        parts += [notifications(report.shown.notifications), held_back(report.shown.held_back)]
    parts += [_figures(report.figures), _assumptions(report), findings(report.findings)]
    if report.next_command:
        parts.append(f"<p>Next: <code>{escape(report.next_command)}</code></p>")
    parts.append(f'<p class="soft">Pilothouse {escape(report.version)} · {escape(report.model)}</p></body></html>')
    return "\n".join(p for p in parts if p) + "\n"


def _head(report: Report) -> str:
    seeds = f"seed {report.seeds_first}" if report.runs == 1 else f"{report.runs} runs from seed {report.seeds_first}"
    made = " · made from the files, there was no scenario" if report.made_up else ""
    things = ", ".join(f"{n} {kind}" for kind, n in report.inputs.objects.items())
    facts = f"{format_span(report.duration_s)} of virtual time · {seeds}{made}"
    return (
        f'<h1>{escape(report.scenario)} <span class="{_class(report.outcome)}">{report.outcome}</span></h1>'
        f'<p class="soft">{escape(facts)}<br>{escape(things)} · {escape(report.inputs.cluster)}</p>'
    )


def _verdicts(report: Report) -> str:
    rows = [_verdict(v) for v in report.verdicts]
    return table("Verdict", ["", "expectation", "seen", "why"], rows)


def _verdict(verdict: Verdict) -> list[str]:
    seen = f"{MARKS[verdict.mark]} {verdict.seen}" + (f"; holds in {share(verdict)}" if share(verdict) else "")
    why = "<br>".join(
        [f"{escape(w.text)} {at(place(w.at))}" for w in verdict.why]
        + ([escape("→ " + verdict.hint)] if verdict.hint else [])
    )
    sign = f'<span class="{_class(verdict.outcome)}">{OUTCOME_SIGNS[verdict.outcome]} {verdict.outcome}</span>'
    asked = f'{escape(verdict.name)}<br><span class="soft">{escape(verdict.asked)}</span> {at(place(verdict.at))}'
    return [sign, asked, escape(seen), why]


def _moments(run: RunResult) -> str:
    rows = [[escape(clock(m.at_s)), escape(m.text), at(place(m.at))] for m in run.moments if m.weight >= DETAIL_WEIGHT]
    return table("What happened", ["time", "what", "where"], rows)


def _alerts(alerts: Iterable[AlertTally]) -> str:
    rows = []
    for alert in alerts:
        first = clock(alert.first_s) if alert.first_s is not None else "never"
        runs = percent(alert.fired_runs / alert.runs) if alert.runs else "–"
        firing = format_span(alert.firing_s)
        rows.append([escape(alert.name), escape(alert.severity), first, firing, runs, at(place(alert.at))])
    return table("Alerts", ["alert", "severity", "first firing", "firing for", "of runs", "rule"], rows)


def receivers(tallies: Iterable[ReceiverTally]) -> str:
    """Who is woken, per receiver."""
    rows = []
    for tally in tallies:
        first = clock(tally.first_s) if tally.first_s is not None else "never"
        number = short(tally.notifications) + (f" ({tally.low} to {tally.high})" if tally.low is not None else "")
        cells = [escape(tally.name), number, short(tally.woken), short(tally.per_day), first, short(tally.held_back)]
        rows.append([*cells, at(place(tally.at))])
    heads = ["receiver", "notifications", "of them firing", "a day", "first", "held back", "where"]
    return table("Who is woken", heads, rows)


def notifications(sent: Iterable[Notification]) -> str:
    rows = [
        [
            escape(clock(n.at_s)),
            escape(f"{n.receiver} ({n.integration})"),
            escape(alerts_told(n)),
            escape(n.reason),
            escape(n.group),
            at(place(n.at)),
        ]
        for n in sent
    ]
    return table("Notifications", ["time", "receiver", "alerts", "why now", "group", "route"], rows)


def held_back(stretches: Iterable[HeldBack]) -> str:
    rows = []
    for one in stretches:
        until = "to the end" if one.to_s is None else format_span(one.to_s - one.from_s)
        cells = [clock(one.from_s), until, one.alert, one.receiver, KINDS.get(one.kind, one.kind), one.why]
        rows.append([*(escape(c) for c in cells), at(place(one.at))])
    return table("Held back", ["from", "for", "alert", "receiver", "", "why", "where"], rows)


def _figures(figures: Iterable[Figure]) -> str:
    rows = []
    for figure in figures:
        value = amount(figure.value, figure.unit)
        if figure.low is not None and figure.high is not None:
            value += f" ({amount(figure.low, figure.unit)} to {amount(figure.high, figure.unit)})"
        why = "<br>".join(f"{escape(w.text)} {at(place(w.at))}" for w in figure.why)
        rows.append([MARKS[figure.mark], escape(figure.title), escape(value), why])
    return table(f"Figures ({MARK_LEGEND})", ["", "figure", "value", "why"], rows)


def _assumptions(report: Report) -> str:
    rows = [
        [escape(a.what), escape(a.value), escape(a.why), f"<code>{escape(a.change)}</code><br>{escape(a.effect)}"]
        for a in report.assumptions
    ]
    return table("Assumptions", ["what", "value", "why", "how to change it"], rows)


def findings(found: Iterable[Found]) -> str:
    rows = [
        [
            f'<span class="{f.severity}">{f.severity} {f.code}</span>',
            at(place(f.at)),
            escape(f.message),
            escape(f.remedy),
        ]
        for f in found
    ]
    return table("Findings", ["", "where", "what", "remedy"], rows)


def table(title: str, heads: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<h2>{escape(title)}</h2>\n<table><tr>{head}</tr>\n{body}</table>"


def at(text: str) -> str:
    return f"<code>{escape(text)}</code>" if text else ""


def _class(outcome: str) -> str:
    return outcome.replace(" ", "-")
