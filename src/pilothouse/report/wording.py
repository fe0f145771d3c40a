"""How numbers, times and marks read in a report. Pure; used by every rendering, so that all say the same."""

from __future__ import annotations

from pilothouse.base.duration import format_span
from pilothouse.report.model import Mark, Spot, Verdict

MARKS: dict[Mark, str] = {"exact": "=", "calibrated": "≈", "assumed": "~"}
MARK_LEGEND = "= exact   ≈ calibrated   ~ rests on an assumption"
OUTCOME_SIGNS = {"met": "✓", "not met": "✗", "undecided": "?", "unusable": "!"}


def clock(seconds: float, *, with_seconds: bool = True) -> str:
    """Time since the start: `00:22:30`, `1d 02:00`."""
    total = round(seconds)
    days, rest = divmod(total, 86400)
    text = f"{rest // 3600:02d}:{rest % 3600 // 60:02d}"
    if with_seconds and (not days or rest % 60):
        text += f":{rest % 60:02d}"
    return f"{days}d {text}" if days else text


def amount(value: float | None, unit: str) -> str:
    """A number with its unit, short enough for a table: `300 req/s`, `2.5 %`, `350 ms`, `$0.51/h`."""
    if value is None:
        return "–"
    if unit == "ratio":
        return f"{short(value * 100)} %"
    if unit == "s":
        return seconds(value)
    if unit.startswith("$"):
        return f"${value:,.2f}{unit[1:]}"
    if unit == "bytes":
        return size(value)
    text = short(value)
    return f"{text} {unit}" if unit else text


def seconds(value: float) -> str:
    if 0 < abs(value) < 1:
        return f"{short(value * 1000)} ms"
    return f"{short(value)} s" if abs(value) < 10 else format_span(value)


def short(value: float) -> str:
    """At most three or four digits: `0.04`, `12.5`, `1240`, `12.4k`, `3.1M`."""
    size_of = abs(value)
    for limit, factor, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if size_of >= limit:
            return f"{float(f'{value / factor:.3g}'):g}{letter}"
    if size_of >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{float(f'{value:.3g}'):g}"


def size(value: float) -> str:
    """Bytes in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{short(value)} {unit}"
        value /= 1024
    return f"{short(value)} TiB"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.1f}".rstrip("0").rstrip(".") + " %"


def share(verdict: Verdict) -> str:
    """`97.2 % [95.4, 98.3] of 500 runs`; "" for a single run."""
    if verdict.probability is None or verdict.low is None or verdict.high is None or verdict.runs < 2:
        return ""
    low, high = percent(verdict.low)[:-2], percent(verdict.high)[:-2]
    return f"{percent(verdict.probability)} [{low}, {high}] of {verdict.runs} runs"


def place(spot: Spot | None) -> str:
    return "" if spot is None else str(spot)


def count(number: int, one: str, many: str = "") -> str:
    """`1 file`, `3 files`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
