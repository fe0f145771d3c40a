"""What is left of a budget at a moment: indicator, burn rates, forecast, what a stretch of time burned.

Reads a `tsdb.Database` through compiled queries; the time is an argument. No data is `None`, never a NaN: a service
that gets no requests, or is new, has a budget but no measurement.

The budget is the period's, at even traffic: errors use it up by their ratio times the share of the period that they
lasted. A service that is one day old has one day of its thirty behind it; Sloth's `slo:period_burn_rate:ratio`, the
mean over the samples that exist, takes that day for all thirty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pilothouse.engines import promql
from pilothouse.engines.slo import burn
from pilothouse.engines.slo.calendar import bounds_ms
from pilothouse.engines.slo.model import Slo, window_text
from pilothouse.engines.slo.windows import Tier, Windows, windows_for
from pilothouse.engines.tsdb import Database

SEARCH_STEPS = 240
"""Steps of each of the two looks for the first measurement: 30 days are found to within a minute."""


@dataclass(frozen=True, slots=True)
class Burn:
    """One window: its error ratio (the worst group's) and how many times faster than allowed the budget burns."""

    window_s: int
    error_ratio: float | None
    rate: float | None


@dataclass(frozen=True, slots=True)
class Spent:
    """What a stretch of time used of the budget. seconds: of complete outage, at even traffic; share: of the budget."""

    duration_s: float
    error_ratio: float
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """The budget of one SLO at a moment; None where nothing was measured.

    covered_s: how much of the period was measured. burned, left: shares of the budget, left below 0 when overdrawn.
    exhausted_in_s: at the burn rate of the page's long window; None: not in this period, or unknown.
    """

    slo: str
    service: str
    name: str
    at_ms: int
    objective_ratio: float
    period_s: float
    budget_s: float
    covered_s: float
    error_ratio: float | None
    error_ratio_now: float | None
    burned: float | None
    burns: tuple[Burn, ...]
    firing: tuple[str, ...]
    exhausted_in_s: float | None
    ends_in_s: float | None = None

    @property
    def measured(self) -> bool:
        return self.error_ratio is not None

    @property
    def left(self) -> float | None:
        return None if self.burned is None else 1 - self.burned

    @property
    def left_s(self) -> float | None:
        return None if self.left is None else self.left * self.budget_s

    def rate_over(self, window_s: int) -> float | None:
        return next((b.rate for b in self.burns if b.window_s == window_s), None)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: shares as ratios, times in seconds; what is infinite is left out as null."""
        return {
            "slo": self.slo,
            "objective": self.objective_ratio,
            "periodSeconds": self.period_s,
            "budgetSeconds": _finite(self.budget_s),
            "measuredSeconds": self.covered_s,
            "sli": None if self.error_ratio is None else 1 - self.error_ratio,
            "sliNow": None if self.error_ratio_now is None else 1 - self.error_ratio_now,
            "budgetLeft": _finite(self.left),
            "budgetLeftSeconds": _finite(self.left_s),
            "burnRates": {window_text(b.window_s): _finite(b.rate) for b in self.burns},
            "firing": list(self.firing),
            "exhaustedInSeconds": _finite(self.exhausted_in_s),
        }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


class Meter:
    """The compiled queries of one SLO. EvalError of a query counts as no data: `problem` keeps its text."""

    def __init__(self, slo: Slo, windows: Windows | None = None) -> None:
        self.slo = slo
        self.windows = windows or windows_for(slo.period_s)
        self.problem = ""
        self._plans: dict[int, promql.Plan] = {}

    def error_ratio(self, database: Database, window_s: int, at_ms: int) -> float | None:
        """The error ratio over a window that ends at a moment; of several groups the worst."""
        plan = self._plan(window_s)
        if plan is None:
            return None
        try:
            answer = plan.instant(database, at_ms)
        except promql.EvalError as error:
            self.problem = str(error)
            return None
        if isinstance(answer, promql.Scalar):
            return _finite(answer.value)
        if isinstance(answer, promql.Vector):
            return max((v for _labels, v in answer if math.isfinite(v)), default=None)
        return None

    def _plan(self, window_s: int) -> promql.Plan | None:
        if window_s in self._plans:
            return self._plans[window_s]
        try:
            plan = promql.compile(self.slo.indicator.error_ratio(window_text(window_s)))
        except (promql.ParseError, promql.EvalError) as error:
            self.problem = str(error)
            return None
        # The window of a calendar is another one at each moment: only the lengths that come back are kept.
        if window_s == self.slo.period_s or window_s in self.windows.lengths_s:
            self._plans[window_s] = plan
        return plan

    def status(self, database: Database, at_ms: int, since_ms: int | None = None) -> BudgetStatus:
        """The budget at a moment. since_ms: when measuring began; None: it is looked for in the data."""
        slo = self.slo
        begin_ms, end_ms = at_ms - slo.period_s * 1000, None
        if slo.calendar is not None:
            begin_ms, end_ms = bounds_ms(slo.calendar, at_ms)
        period_s = slo.period_s if end_ms is None else (end_ms - begin_ms) / 1000
        since_ms = self._first_ms(database, begin_ms, at_ms) if since_ms is None else max(since_ms, begin_ms)
        covered_s = 0.0 if since_ms is None else max(1.0, (at_ms - since_ms) / 1000)
        error_ratio = None
        if since_ms is not None:
            error_ratio = self.error_ratio(database, max(1, round((at_ms - begin_ms) / 1000)), at_ms)
        burned = None
        if error_ratio is not None:
            burned = burn.spent_ratio(max(0.0, error_ratio), covered_s, slo.budget_ratio, period_s)
        burns = tuple(self._burn(database, length, at_ms) for length in self.windows.lengths_s)
        ends_in_s = None if end_ms is None else (end_ms - at_ms) / 1000
        return BudgetStatus(
            slo=slo.id,
            service=slo.service,
            name=slo.name,
            at_ms=at_ms,
            objective_ratio=slo.objective_ratio,
            period_s=period_s,
            budget_s=slo.budget_ratio * period_s,
            covered_s=covered_s,
            error_ratio=error_ratio,
            error_ratio_now=burns[0].error_ratio,
            burned=burned,
            burns=burns,
            firing=self._firing(burns),
            exhausted_in_s=self._exhausted(burned, burns, period_s, ends_in_s),
            ends_in_s=ends_in_s,
        )

    def burned(self, database: Database, from_ms: int, to_ms: int) -> Spent | None:
        """What was burned between two moments, e.g. by a deploy; None when nothing was measured there."""
        duration_s = (to_ms - from_ms) / 1000
        if duration_s < 1:
            return None
        ratio = self.error_ratio(database, round(duration_s), to_ms)
        if ratio is None:
            return None
        ratio = max(0.0, ratio)
        share = burn.spent_ratio(ratio, duration_s, self.slo.budget_ratio, self.slo.period_s)
        return Spent(duration_s, ratio, ratio * duration_s, share)

    # Parts

    def _burn(self, database: Database, window_s: int, at_ms: int) -> Burn:
        ratio = self.error_ratio(database, window_s, at_ms)
        rate = None if ratio is None else burn.burn_rate(max(0.0, ratio), self.slo.budget_ratio)
        return Burn(window_s, ratio, rate)

    def _firing(self, burns: tuple[Burn, ...]) -> tuple[str, ...]:
        """The severities whose condition holds now, each once."""
        ratios = {b.window_s: b.error_ratio for b in burns}

        def above(tier: Tier) -> bool:
            threshold = tier.burn_rate(self.slo.period_s) * self.slo.budget_ratio
            sides = (ratios.get(tier.short_s), ratios.get(tier.long_s))
            return all(ratio is not None and ratio > threshold for ratio in sides)

        return tuple(dict.fromkeys(tier.severity for tier in self.windows.tiers if above(tier)))

    def _exhausted(
        self, burned: float | None, burns: tuple[Burn, ...], period_s: float, ends_in_s: float | None
    ) -> float | None:
        rate = next(b.rate for b in burns if b.window_s == self.windows.page_quick.long_s)
        if burned is None or rate is None:
            return None
        seconds = burn.exhausted_in_s(1 - burned, rate, period_s)
        return None if seconds is None or (ends_in_s is not None and seconds > ends_in_s) else seconds

    def _first_ms(self, database: Database, begin_ms: int, at_ms: int) -> int | None:
        """About when the first measurement in the period was made, by two looks at the shortest window."""
        plan = self._plan(self.windows.shortest_s)
        if plan is None:
            return None
        first = None
        low, high = begin_ms, at_ms
        for _look in range(2):
            step = max(1000, -(-(high - low) // SEARCH_STEPS))
            try:
                answer = plan.range(database, low, high, step)
            except promql.EvalError as error:
                self.problem = str(error)
                return None
            found = answer.present & ~_nan(answer.values)
            if not found.any():
                break
            first = int(answer.times_ms[int(found.any(axis=0).argmax())])
            low, high = max(begin_ms, first - step), first
            if low >= high:
                break
        return first


def _nan(values: Any) -> Any:
    return values != values


def measure(database: Database, slo: Slo, at_ms: int, since_ms: int | None = None) -> BudgetStatus:
    """The budget of one SLO at a moment, for callers that ask once; others keep a `Meter`."""
    return Meter(slo).status(database, at_ms, since_ms)
