"""From runs to a verdict, and when more runs would not change it.

An expectation demands a probability ("at least 0.95"). It is met when the whole Wilson interval lies on the right
side, not met when it lies on the wrong one, undecided otherwise. Looking after every run makes a 95 % interval err
more often than 5 %, so stopping early uses a wider one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pilothouse.engines.statistics.intervals import Interval, wilson

Outcome = Literal["met", "not met", "undecided"]
Comparison = Literal[">=", ">", "<=", "<"]

MINIMUM_RUNS = 50
Z_EARLY = 2.8
"""For stopping early: with looks from run 50 to 500, the chance of ever stopping on the wrong side stays below 5 %."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What an expectation asks of the share of runs, e.g. Demand(">=", 0.95)."""

    comparison: Comparison = ">="
    probability: float = 1.0

    def holds(self, share: float) -> bool:
        """Whether a share satisfies it."""
        match self.comparison:
            case ">=":
                return share >= self.probability
            case ">":
                return share > self.probability
            case "<=":
                return share <= self.probability
            case _:
                return share < self.probability


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: Outcome
    share: Interval
    successes: int
    runs: int


def judge(successes: int, runs: int, demand: Demand) -> Verdict:
    """The verdict after all runs. A single run, or a demand of every run, is judged by what was seen alone."""
    share = wilson(successes, runs)
    if runs == 0:
        return Verdict("undecided", share, successes, runs)
    if runs == 1 or demand.probability in (0.0, 1.0):
        outcome: Outcome = "met" if demand.holds(share.estimate) else "not met"
        return Verdict(outcome, share, successes, runs)
    return Verdict(_side(share, demand) or "undecided", share, successes, runs)


def decided_early(successes: int, runs: int, demand: Demand, *, minimum: int = MINIMUM_RUNS) -> bool:
    """True when further runs are not needed."""
    if demand.probability == 1.0 and demand.comparison == ">=":
        return successes < runs
    return runs >= minimum and _side(wilson(successes, runs, Z_EARLY), demand) is not None


def _side(share: Interval, demand: Demand) -> Outcome | None:
    low, high = demand.holds(share.low), demand.holds(share.high)
    if low and high:
        return "met"
    if not low and not high:
        return "not met"
    return None
