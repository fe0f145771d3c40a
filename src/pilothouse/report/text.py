"""The report as lines for a terminal: what was rehearsed, the verdict, the timeline, what happened, and what it
rests on.

Lines are lists of (text, style), so that a pipe gets plain text and a terminal gets colour with the same words.
Nothing is said by colour alone. Pure. Printed by `cli.terminal`.
"""

from __future__ import annotations

import re

import msgspec

from pilothouse.base.duration import format_span
from pilothouse.report import woken
from pilothouse.report.lines import findings, table, title, wrapped
from pilothouse.report.model import AlertTally, Figure, Moment, Report, Spent, Verdict, Why
from pilothouse.report.timeline import DETAIL_WEIGHT, Line, draw
from pilothouse.report.wording import (
    MARK_LEGEND,
    MARKS,
    OUTCOME_SIGNS,
    amount,
    clock,
    count,
    percent,
    place,
    share,
)

MOMENTS_SHOWN = 15
ALIKE_WITHIN_S = 60.0
"""Moments that differ only in names and numbers are told once when they lie this close together."""

STYLES = {"met": "good", "not met": "bad", "undecided": "warn", "unusable": "bad"}

ASCII = str.maketrans(
    {
        "▁": "_", "▂": "_", "▃": "-", "▄": "-", "▅": "=", "▆": "=", "▇": "#", "█": "#",
        "░": ":", "▒": "?", "·": ".", "┤": "|", "✓": "+", "✗": "x", "≈": "%", "–": "-", "→": ">", "…": "~", "×": "x",
        "─": "-", "µ": "u",
    }
)  # fmt: skip
"""For terminals that are not UTF-8: the same grid in ASCII."""


def render(report: Report, width: int = 100, spent: Spent | None = None) -> list[Line]:
    """All lines, each at most `width` characters."""
    width = max(60, min(width, 160))
    if report.outcome == "unusable":
        head: list[Line] = [[("Nothing could be rehearsed", "bad")]]
        return head + findings(report.findings, width) + _closing(report, width)
    out = _header(report, width, spent)
    out += _verdicts(report, width)
    if report.shown is not None:
        out += title("Timeline", _shown_seed(report), width)
        out += draw(report.shown, width)
        out += _moments(report.shown.moments, width)
    out += _alerts(report.alerts, report.runs, width)
    out += woken.render(report.receivers, report.shown, width)
    out += _figures(report.figures, width)
    out += _assumptions(report, width)
    out += findings(report.findings, width)
    return out + _closing(report, width)


def plain(lines: list[Line], *, ascii_only: bool = False) -> str:
    """The lines without styles, each ended by a line feed."""
    text = "".join("".join(part for part, _style in line).rstrip() + "\n" for line in lines)
    return text.translate(ASCII) if ascii_only else text


# --- parts


def _header(report: Report, width: int, spent: Spent | None) -> list[Line]:
    made = " (made from your files: there was no scenario)" if report.made_up else ""
    out: list[Line] = [[("Rehearsal of ", "bold"), (report.scenario, "bold"), (made, "dim")]]
    facts = [f"{format_span(report.duration_s)} of virtual time"]
    first, last = report.seeds_first, report.seeds_first + report.runs - 1
    facts.append(f"seed {first}" if report.runs == 1 else f"{report.runs} runs, seeds {first} to {last}")
    if report.runs < report.runs_asked:
        facts[-1] += f" (of {report.runs_asked}: more would not change the verdicts)"
    if spent is not None:
        facts.append(f"{spent.cpu_s:.1f} CPU s")
    out += wrapped("  " + " · ".join(facts), width, "  ", "dim")
    inputs = report.inputs
    things = [count(n, kind, kind) for kind, n in inputs.objects.items()]
    if inputs.alerts:
        things.append(count(inputs.alerts, "alert"))
    if inputs.files:
        text = f"  from {count(len(inputs.files), 'file')}: {', '.join(things) or 'nothing usable'}"
        out += wrapped(text, width, "    ", "dim")
    if inputs.cluster:
        out += wrapped(f"  on {inputs.cluster}", width, "    ", "dim")
    if report.verification is not None:
        out += _verification(report, width)
    return out


def _verification(report: Report, width: int) -> list[Line]:
    check = report.verification
    if check is None:
        return []
    if check.equal:
        return wrapped(f"  verified: two processes, the same {check.digest[:16]}", width, "    ", "good")
    return wrapped(f"  NOT REPRODUCED: {check.first_difference}", width, "    ", "bad")


def _verdicts(report: Report, width: int) -> list[Line]:
    met = sum(v.outcome == "met" for v in report.verdicts)
    if report.verdicts:
        note = f"{report.outcome}: {met} of {count(len(report.verdicts), 'expectation')} met"
        if report.outcome == "undecided" and met == len(report.verdicts):
            note += ", but broken input was left out"
    else:
        note = "nothing was expected: add `expect:` to a scenario"
    out = title("Verdict", note, width, STYLES[report.outcome])
    for verdict in report.verdicts:
        out += _verdict(verdict, width)
    return out


def _verdict(verdict: Verdict, width: int) -> list[Line]:
    sign = f" {OUTCOME_SIGNS[verdict.outcome]} {verdict.outcome:<10}"
    head: Line = [(sign, STYLES[verdict.outcome]), (verdict.name, "bold")]
    out: list[Line] = []
    body = f"{MARKS[verdict.mark]} {verdict.seen}"
    if share(verdict):
        body += f"; holds in {share(verdict)}, wanted {_wanted(verdict)}"
    if verdict.outcome != "met" and verdict.first_failing_seed is not None and verdict.runs > 1:
        body += f"; first failing seed {verdict.first_failing_seed}"
    indent = " " * len(sign)
    if len(sign) + len(verdict.name) > width:
        head[1] = (verdict.name[: width - len(sign) - 1] + "…", "bold")
    out.append(head)
    at = f"  ({place(verdict.at)})" if verdict.at else ""
    if verdict.asked != verdict.name:
        out += wrapped(f"{indent}asked: {verdict.asked}{at}", width, indent + "  ", "dim")
        at = ""
    out += wrapped(f"{indent}seen: {body}{at}", width, indent + "  ")
    for why in verdict.why if verdict.outcome != "met" else ():
        text = why.text + (f"  ({place(why.at)})" if why.at else "")
        out += wrapped(f"{indent}why: {text}", width, indent + "  ")
    if verdict.hint:
        out += wrapped(f"{indent}→ {verdict.hint}", width, indent + "  ")
    return out


def _wanted(verdict: Verdict) -> str:
    """Without a space behind the sign, so that a line never ends between the two."""
    return verdict.wanted.replace("= ", "=").replace("> ", ">").replace("< ", "<")


def _shown_seed(report: Report) -> str:
    run = report.shown
    if run is None or report.runs == 1:
        return "time since the start"
    failed = any(v.first_failing_seed == run.seed for v in report.verdicts)
    return f"seed {run.seed}{', the first that failed' if failed else ''}; time since the start"


def _moments(moments: list[Moment], width: int) -> list[Line]:
    if not moments:
        return []
    given = len(moments)
    moments = _merged(moments)
    least = DETAIL_WEIGHT if len(moments) > MOMENTS_SHOWN else 0
    ranked = sorted(range(len(moments)), key=lambda i: (-moments[i].weight, i))[:MOMENTS_SHOWN]
    ranked = [i for i in ranked if moments[i].weight >= least]
    left = given - sum(_told(moments[i]) for i in ranked)
    out = title("What happened", f"{count(left, 'smaller thing')} left out" if left else "", width)
    for moment in sorted((moments[i] for i in ranked), key=lambda m: m.at_s):
        style = {"fault": "bad", "alert": "warn", "deploy": "bold"}.get(moment.kind, "")
        at = place(moment.at)
        text = f"  {clock(moment.at_s):<10}{moment.text}"
        if at and len(text) + len(at) + 2 <= width:
            out.append([(text, style), (at.rjust(width - len(text)), "dim")])
        else:
            out += wrapped(text, width, " " * 12, style)
            if at:
                out.append([(" " * 12 + at, "dim")])
    return out


_MORE = re.compile(r" \(and (\d+) more like it\)$")


def _merged(moments: list[Moment]) -> list[Moment]:
    """Runs of moments that say the same of different pods become one: "… (and 4 more like it)"."""
    out: list[Moment] = []
    counts: list[int] = []
    latest: dict[tuple[str, str], int] = {}
    for moment in moments:
        key = (moment.kind, " ".join("#" if _NAMED.search(word) else word for word in moment.text.split()))
        index = latest.get(key)
        if index is not None and moment.at_s - out[index].at_s <= ALIKE_WITHIN_S and moment.weight <= out[index].weight:
            counts[index] += 1
            continue
        latest[key] = len(out)
        out.append(moment)
        counts.append(0)
    return [
        msgspec.structs.replace(m, text=f"{m.text} (and {n} more like it)") if n else m for m, n in zip(out, counts)
    ]


_NAMED = re.compile(r"\d")


def _told(moment: Moment) -> int:
    """How many moments a merged one stands for."""
    more = _MORE.search(moment.text)
    return 1 + (int(more[1]) if more else 0)


def _alerts(alerts: list[AlertTally], runs: int, width: int) -> list[Line]:
    if not alerts:
        return []
    fired = [a for a in alerts if a.fired_runs or a.pending_s]
    silent = [a.name for a in alerts if not (a.fired_runs or a.pending_s or a.missing)]
    unfed = [f"{a.name} ({', '.join(a.missing)})" for a in alerts if a.missing and not a.fired_runs]
    note = f"{sum(a.fired_runs > 0 for a in alerts)} of {len(alerts)} fired"
    out = title("Alerts", note, width)
    if fired:
        rows = [["alert", "severity", "first firing", "firing", "rule"]]
        for alert in fired:
            rows.append([alert.name, alert.severity or "–", _first(alert, runs), _lasting(alert), place(alert.at)])
        out += table(rows, width)
    if silent:
        out += wrapped(f"  silent: {', '.join(silent)}", width, "    ", "dim")
    if unfed:
        out += wrapped(f"  cannot fire, nothing produces what they read: {', '.join(unfed)}", width, "    ", "warn")
    return out


def _first(alert: AlertTally, runs: int) -> str:
    if alert.first_s is None:
        return f"pending {format_span(alert.pending_s)}"
    text = clock(alert.first_s)
    if runs > 1:
        text += f" in {percent(alert.fired_runs / alert.runs)}"
    return text


def _lasting(alert: AlertTally) -> str:
    if not alert.fired_runs:
        return "–"
    times = f", {alert.times:.3g}×" if alert.times > 1 else ""
    return f"{format_span(alert.firing_s)}{times}"


def _figures(figures: list[Figure], width: int) -> list[Line]:
    if not figures:
        return []
    out = title("Figures", MARK_LEGEND, width)
    name_width = min(34, max(len(f.title) for f in figures) + 2)
    notes: dict[Why, int] = {}
    value_width = max(len(_value(f)) for f in figures) + 2
    for figure in figures:
        marks = "".join(f"[{notes.setdefault(why, len(notes) + 1)}]" for why in figure.why)
        line = f"  {MARKS[figure.mark]} {figure.title:<{name_width}}{_value(figure):<{value_width}}"
        out += _noted(line, marks, width)
    for why, number in notes.items():
        text = why.text + (f"  ({place(why.at)})" if why.at else "")
        out += wrapped(f"    [{number}] {text}", width, "        ", "dim")
    return out


def _value(figure: Figure) -> str:
    value = amount(figure.value, figure.unit)
    if figure.low is None or figure.high is None:
        return value
    return f"{value}  ({amount(figure.low, figure.unit)} to {amount(figure.high, figure.unit)})"


def _noted(line: str, marks: str, width: int) -> list[Line]:
    """A figure with the numbers of the lines it rests on, which are listed below the table."""
    if len(line) + len(marks) <= width:
        return [[(line, ""), (marks, "dim")]]
    return [*wrapped(line.rstrip(), width, "      "), [(f"      {marks}", "dim")]]


def _assumptions(report: Report, width: int) -> list[Line]:
    if not report.assumptions:
        return []
    out = title("Assumptions", report.model, width)
    for assumed in report.assumptions:
        out += wrapped(f"  ~ {assumed.what}: {assumed.value}", width, "    ")
        out += wrapped(f"    because {assumed.why}", width, "      ", "dim")
        out += wrapped(f"    change it: {assumed.change}", width, "      ", "dim")
        if assumed.effect:
            out += wrapped(f"    then: {assumed.effect}", width, "      ", "dim")
    return out


def _closing(report: Report, width: int) -> list[Line]:
    if not report.next_command:
        return []
    return [[], *wrapped(f"Next: {report.next_command}", width, "      ", "bold")]
