"""`pilothouse budget calc`: what an objective allows, in time and in requests, and when its alerts would fire."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import click

EPILOG = """\b
Examples:
  pilothouse budget calc                          the table of nines
  pilothouse budget calc 99.9% --window 30d       43.2 minutes, and what the four alerts mean
  pilothouse budget calc 99.9% 99.95% --window 28d
  pilothouse budget calc 99.9% --requests 5000000
  pilothouse budget calc 99.9% --window month -o json

\b
A month is 365/12 days, a quarter and a year are 3 and 12 of them. The time is complete outage at even traffic.
"""

NINES = ("90%", "95%", "99%", "99.5%", "99.9%", "99.95%", "99.99%", "99.999%")
WINDOWS = ("day", "week", "30d", "month", "quarter", "year")


@click.group()
def budget() -> None:
    """Error budgets: what an objective allows."""


@budget.command(epilog=EPILOG)
@click.argument("objectives", nargs=-1, metavar="[OBJECTIVE]...")
@click.option("--window", "-w", metavar="SPAN", default="", help="30d, 4w, month, quarter, year; default: several.")
@click.option("--requests", type=click.IntRange(1), metavar="N", help="Requests in the window: how many may fail?")
@click.option("--output", "-o", type=click.Choice(["text", "json", "yaml"]), default="text", help="Form of the result.")
def calc(objectives: tuple[str, ...], window: str, requests: int | None, output: str) -> int:
    """Say how much outage an objective such as 99.9% allows in a window."""
    windows = [window] if window else list(WINDOWS)
    rows = [_row(objective, windows, requests) for objective in (objectives or NINES)]
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
    elif output == "yaml":
        from pilothouse.cli.slo import to_yaml

        click.echo(to_yaml(rows), nl=False)
    else:
        click.echo("\n".join(_text(rows, windows, detailed=bool(objectives))))
    return 0


def _row(objective: str, windows: list[str], requests: int | None) -> dict[str, Any]:
    from pilothouse.engines.slo import burn
    from pilothouse.engines.slo.windows import windows_for

    try:
        percent = burn.parse_percent(objective)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write e.g. 99.9%", param_hint="OBJECTIVE") from None
    row: dict[str, Any] = {"objective": f"{float(percent):.12g}%", "errorBudget": float(burn.budget_of(percent))}
    row["windows"] = {}
    for name in windows:
        period_s = _period_s(name)
        allowed = burn.allowed_s(percent, period_s)
        entry: dict[str, Any] = {"seconds": float(allowed), "text": burn.format_exact(allowed)}
        if requests is not None:
            entry["failedRequests"] = int(burn.budget_of(percent) * requests)
        if len(windows) == 1:
            entry["alerts"] = _alerts(float(burn.budget_of(percent)), windows_for(round(period_s)))
        row["windows"][name] = entry
    return row


def _period_s(name: str) -> Fraction:
    from pilothouse.base.duration import parse_prometheus_duration_ms
    from pilothouse.engines.slo import burn

    named = {
        "day": Fraction(86400),
        "week": Fraction(7 * 86400),
        "month": burn.MONTH_S,
        "quarter": 3 * burn.MONTH_S,
        "year": 12 * burn.MONTH_S,
    }
    if name in named:
        return named[name]
    try:
        seconds = Fraction(parse_prometheus_duration_ms(name), 1000)
    except ValueError:
        seconds = Fraction(0)
    if seconds < 60:
        message = f"{name!r} is no window; write 30d, 4w, month, quarter or year (a minute at least)"
        raise click.BadParameter(message, param_hint="--window")
    return seconds


def _alerts(budget_ratio: float, windows: Any) -> list[dict[str, Any]]:
    """The four tiers: what each means for this budget."""
    from pilothouse.engines.slo import burn
    from pilothouse.engines.slo.model import window_text

    out = []
    for tier in windows.tiers:
        rate = tier.burn_rate(windows.period_s)
        out.append(
            {
                "severity": tier.severity,
                "burnRate": round(rate, 9),
                "long": window_text(tier.long_s),
                "short": window_text(tier.short_s),
                "budgetGone": tier.budget_percent / 100,
                "errorRatioAbove": rate * budget_ratio,
                "detectionSeconds": burn.detection_s(1.0, rate * budget_ratio, tier.long_s, tier.short_s),
                "allGoneSeconds": burn.exhausted_in_s(1.0, rate, windows.period_s),
            }
        )
    return out


# Text


def _text(rows: list[dict[str, Any]], windows: list[str], *, detailed: bool) -> list[str]:
    if len(windows) > 1:
        return _table(rows, windows)
    lines: list[str] = []
    for row in rows:
        lines += [""] if lines else []
        lines += _one(row, windows[0], detailed)
    return lines


def _table(rows: list[dict[str, Any]], windows: list[str]) -> list[str]:
    from pilothouse.cli.slo import aligned

    cells = [["OBJECTIVE", *(w.upper() if not w[0].isdigit() else w for w in windows)]]
    cells += [[row["objective"], *(row["windows"][w]["text"] for w in windows)] for row in rows]
    lines = aligned(cells)
    failed = [r for r in rows if "failedRequests" in next(iter(r["windows"].values()))]
    lines += [f"{r['objective']}: {next(iter(r['windows'].values()))['failedRequests']:,} may fail" for r in failed]
    return lines


def _one(row: dict[str, Any], window: str, detailed: bool) -> list[str]:
    from pilothouse.base.duration import format_span
    from pilothouse.cli.slo import aligned
    from pilothouse.engines.slo.words import minutes, percent

    entry = row["windows"][window]
    shown = f"{minutes(entry['seconds'])} ({entry['text']})"
    lines = [f"{row['objective']} of {window}: {percent(row['errorBudget'], 6)} may fail, {shown} of complete outage"]
    if "failedRequests" in entry:
        lines.append(f"{entry['failedRequests']:,} requests may fail")
    if not detailed or not row["errorBudget"]:
        return lines
    cells = [["ALERT", "BURN RATE", "WINDOWS", "ERRORS ABOVE", "BUDGET GONE", "ALL GONE IN", "IF ALL FAILS, AFTER"]]
    for alert in entry["alerts"]:
        after = alert["detectionSeconds"]
        cells.append(
            [
                alert["severity"],
                f"{alert['burnRate']:.4g}x",
                f"{alert['long']} and {alert['short']}",
                percent(alert["errorRatioAbove"]),
                percent(alert["budgetGone"], 1),
                format_span(alert["allGoneSeconds"]),
                "never" if after is None else format_span(after),
            ]
        )
    return [*lines, "", *aligned(cells)]
