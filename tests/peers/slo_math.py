"""The set `slo-math`: detection, reset and spent budget of four tiers, burn factors per period, allowed downtime."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from pilothouse.base.duration import parse_prometheus_duration_ms
from pilothouse.engines.slo import burn
from pilothouse.engines.slo.windows import Tier, windows_for

_PERIODS = {
    "day": Fraction(86400),
    "week": Fraction(7 * 86400),
    "28d": Fraction(28 * 86400),
    "30d": Fraction(30 * 86400),
    "month_365/12d": burn.MONTH_S,
    "month_30.44d": Fraction("30.44") * 86400,
    "quarter_91.31d": Fraction("91.3125") * 86400,
    "year_365.25d": Fraction("365.25") * 86400,
}


def run(folder: Path) -> Iterable[tuple[str, str | None]]:
    """(case, None or the difference)."""
    yield from _table(json.loads((folder / "burn-rate-30d.json").read_text()))
    yield from _factors(json.loads((folder / "burn-factors-by-period.json").read_text()))
    yield from _downtime(json.loads((folder / "downtime.json").read_text()))


def _seconds(text: str) -> int:
    return parse_prometheus_duration_ms(text) // 1000


def _close(want: Any, got: Any) -> bool:
    if want is None or got is None:
        return want is got
    return math.isclose(want, got, rel_tol=1e-9, abs_tol=1e-6)


def _table(data: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    for row in data["table"]:
        budget = float(burn.budget_of(burn.parse_percent(str(row["slo_percent"]) + "%")))
        allowed = float(burn.allowed_s(burn.parse_percent(f"{row['slo_percent']}%"), int(row["period_s"])))
        same = _close(row["budget_seconds_full_outage"], allowed) and _close(row["error_budget"], budget)
        yield f"{row['slo_percent']}% of 30d", None if same else f"got {allowed} s, {budget}"
        for recorded, tier in zip(row["tiers"], windows_for(int(row["period_s"])).tiers):
            yield from _tier(row, recorded, tier, budget)


def _tier(row: dict[str, Any], recorded: dict[str, Any], tier: Tier, budget: float) -> Iterator[tuple[str, str | None]]:
    period_s = row["period_s"]
    long_s, short_s = _seconds(recorded["long_window"]), _seconds(recorded["short_window"])
    where = f"{row['slo_percent']}% {recorded['severity']} {recorded['long_window']}"
    rate = tier.burn_rate(int(period_s))
    threshold = rate * budget
    same = (tier.long_s, tier.short_s, tier.severity) == (long_s, short_s, recorded["severity"])
    same = same and _close(recorded["burn_rate"], rate) and (threshold < 1) == recorded["reachable"]
    yield where, None if same else f"got {tier}, burn rate {rate}"
    for case in recorded["cases"]:
        error = case["error_ratio"]
        detected = burn.detection_s(error, threshold, long_s, short_s)
        spent = None if detected is None else burn.spent_ratio(error, detected, budget, period_s)
        got = {
            "burn_rate": burn.burn_rate(error, budget),
            "detection_s": detected,
            "reset_s": burn.reset_s(error, threshold, long_s, short_s),
            "reset_long_window_only_s": burn.reset_s(error, threshold, long_s),
            "budget_spent_at_detection": spent,
        }
        wrong = [f"{k}: want {case[k]}, got {v}" for k, v in got.items() if not _close(case[k], v)]
        yield f"{where} at {error}", "; ".join(wrong) or None


def _factors(rows: list[dict[str, Any]]) -> Iterator[tuple[str, str | None]]:
    for row in rows:
        period_s = _seconds(row["period"])
        for recorded, tier in zip(row["tiers"], windows_for(period_s).tiers):
            want = (_seconds(recorded["long"]), _seconds(recorded["short"]), recorded["severity"])
            same = want == (tier.long_s, tier.short_s, tier.severity)
            same = same and _close(recorded["budget_fraction"] * 100, tier.budget_percent)
            same = same and _close(recorded["burn_rate"], tier.burn_rate(period_s))
            yield f"{row['period']} {recorded['severity']} {recorded['long']}", None if same else f"got {tier}"


def _downtime(data: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    for row in data["rows"]:
        percent = burn.parse_percent(f"{row['slo_percent']}%")
        for name, period_s in _PERIODS.items():
            allowed = burn.allowed_s(percent, period_s)
            got = (float(allowed), burn.format_exact(allowed))
            same = _close(row[name]["seconds"], got[0]) and row[name]["text"] == got[1]
            yield f"{row['slo_percent']}% a {name}", None if same else f"want {row[name]}, got {got}"
