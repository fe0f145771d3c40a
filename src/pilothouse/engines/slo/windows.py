"""Alert windows: per period the four tiers of multi-window multi-burn-rate alerts, and how they scale.

A tier fires when the error ratio over its long AND its short window is above `burn_rate x budget`. Its burn rate is not
chosen: it follows from the share of the budget that may be gone when it fires, `share * period / long window`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pilothouse.base.duration import parse_prometheus_duration_ms

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
MONTH_S = 30 * DAY_S

Severity = Literal["page", "ticket"]

SHORTEST_WINDOW_S = 2 * MINUTE_S
"""No scaled window is shorter: a rate needs two samples, and scrapes are up to a minute apart."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One of the four conditions. budget_percent: share of the period's budget spent when it fires (0..100)."""

    severity: Severity
    budget_percent: float
    short_s: int
    long_s: int

    def burn_rate(self, period_s: int) -> float:
        """How many times faster than allowed the budget burns at the threshold.

        The order of the operations is Sloth's (internal/alert/window.go, 0.16), so that the numbers print alike.
        """
        hours = self.budget_percent * (period_s / HOUR_S) / 100
        return hours / (self.long_s / HOUR_S)


@dataclass(frozen=True, slots=True)
class Windows:
    """The four tiers of one period."""

    period_s: int
    page_quick: Tier
    page_slow: Tier
    ticket_quick: Tier
    ticket_slow: Tier

    @property
    def tiers(self) -> tuple[Tier, Tier, Tier, Tier]:
        return self.page_quick, self.page_slow, self.ticket_quick, self.ticket_slow

    @property
    def lengths_s(self) -> list[int]:
        """Every window length once, shortest first."""
        return sorted({length for tier in self.tiers for length in (tier.short_s, tier.long_s)})

    @property
    def shortest_s(self) -> int:
        """The window that stands for "now"."""
        return self.page_quick.short_s


def _windows(period_s: int, page: tuple[float, float], ticket: tuple[float, float]) -> Windows:
    return Windows(
        period_s,
        Tier("page", page[0], 5 * MINUTE_S, HOUR_S),
        Tier("page", page[1], 30 * MINUTE_S, 6 * HOUR_S),
        Tier("ticket", ticket[0], 2 * HOUR_S, DAY_S),
        Tier("ticket", ticket[1], 6 * HOUR_S, 3 * DAY_S),
    )


MONTH = _windows(MONTH_S, (2, 5), (10, 10))
"""14.4x, 6x, 3x, 1x. Source: The Site Reliability Workbook, chapter 5, table 5-8."""

KNOWN: tuple[Windows, ...] = (
    MONTH,
    _windows(28 * DAY_S, (2, 5), (10, 10)),  # Sloth internal/alert/windows/google-28d.yaml: 13.44x, 5.6x, 2.8x, 0.933x
    _windows(7 * DAY_S, (8, 12.5), (20, 42)),  # Sloth examples/windows/7d.yaml: 13.44x, 3.5x, 1.4x, 0.98x
)


def windows_for(period_s: int, catalogue: tuple[Windows, ...] = ()) -> Windows:
    """The windows of a period: from the catalogue, the known ones, or the month's scaled to it.

    Scaling keeps shares and burn rates and stretches the windows, whole minutes each.
    """
    for known in (*catalogue, *KNOWN):
        if known.period_s == period_s:
            return known
    factor = period_s / MONTH_S
    if 0.9 <= factor <= 1.1:  # a calendar month: the windows stay, the burn rates follow its length, as for 28 days
        return Windows(period_s, *MONTH.tiers)
    return Windows(period_s, *(_scaled(tier, factor, period_s) for tier in MONTH.tiers))


def _scaled(tier: Tier, factor: float, period_s: int) -> Tier:
    short, long = _whole_minutes(tier.short_s * factor), _whole_minutes(tier.long_s * factor)
    # Rounding moves the windows, not the burn rate: the share of the budget follows.
    percent = tier.burn_rate(MONTH_S) * long / period_s * 100
    return Tier(tier.severity, percent, short, max(long, 2 * short))


def _whole_minutes(seconds: float) -> int:
    return max(SHORTEST_WINDOW_S, round(seconds / MINUTE_S) * MINUTE_S)


def read_alert_windows(document: Mapping[str, Any]) -> Windows:
    """A Sloth `AlertWindows` document (sloth.slok.dev/v1). ValueError says which field is wrong."""
    if document.get("apiVersion") != "sloth.slok.dev/v1" or document.get("kind") != "AlertWindows":
        raise ValueError("not a sloth.slok.dev/v1 AlertWindows document")
    spec = _mapping(document.get("spec"), "spec")
    tiers = []
    for severity, speed in (("page", "quick"), ("page", "slow"), ("ticket", "quick"), ("ticket", "slow")):
        path = f"spec.{severity}.{speed}"
        entry = _mapping(_mapping(spec.get(severity), f"spec.{severity}").get(speed), path)
        percent = entry.get("errorBudgetPercent")
        if isinstance(percent, bool) or not isinstance(percent, (int, float)) or not percent > 0:
            raise ValueError(f"{path}.errorBudgetPercent: a number above 0 is needed")
        short, long = (_seconds(entry.get(key), f"{path}.{key}") for key in ("shortWindow", "longWindow"))
        tiers.append(Tier("page" if severity == "page" else "ticket", float(percent), short, long))
    return Windows(_seconds(spec.get("sloPeriod"), "spec.sloPeriod"), *tiers)


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{path}: a mapping is needed")
    return value


def _seconds(value: Any, path: str) -> int:
    try:
        seconds = parse_prometheus_duration_ms(value if isinstance(value, str) else "") // 1000
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if seconds <= 0:
        raise ValueError(f"{path}: a duration above 0 is needed")
    return seconds
