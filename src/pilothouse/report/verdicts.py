"""From how each run ended to the verdict table and the outcome of the whole. Pure; called by `assemble`.

A demand of a probability is judged by `engines.statistics.verdict.judge`; without one, every run must hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pilothouse.engines.statistics.verdict import Comparison, Demand, judge
from pilothouse.report.model import Ending, Mark, Outcome, Record, Spot, Verdict, Why, rounded

EVERY_RUN = "every run"


class Asked(Record, frozen=True, kw_only=True):
    """An expectation as the table needs it. probability None: every run must hold; else 0..1 with its comparison."""

    name: str
    asked: str
    at: Spot | None
    comparison: Comparison = ">="
    probability: float | None = None


def decide(
    asked: Asked,
    endings: Sequence[tuple[int, Ending]],
    *,
    mark: Mark = "assumed",
    why: Sequence[Why] = (),
    hint: str = "",
) -> Verdict:
    """The verdict over (seed, ending) pairs, in the order of the seeds.

    A run that could not be told counts neither way; when that leaves nothing, or when no run fails but some could
    not be told, the verdict is undecided.
    """
    told = [(seed, e) for seed, e in endings if e.holds is not None]
    held = sum(1 for _seed, e in told if e.holds)
    demand = Demand(asked.comparison, 1.0 if asked.probability is None else asked.probability)
    judged = judge(held, len(told), demand)
    outcome: Outcome = judged.outcome
    if outcome == "met" and len(told) < len(endings):
        outcome = "undecided"
    failing_is_good = asked.comparison.startswith("<")
    failing = [seed for seed, e in told if e.holds is failing_is_good]
    shown = _shown(endings, failing)
    if outcome == "undecided" and told and not hint:
        hint = _more_runs(demand)
    return Verdict(
        name=asked.name,
        asked=asked.asked,
        outcome=outcome,
        at=asked.at,
        held=held,
        runs=len(told),
        probability=rounded(judged.share.estimate) if told else None,
        low=rounded(judged.share.low) if told else None,
        high=rounded(judged.share.high) if told else None,
        wanted=EVERY_RUN if asked.probability is None else f"{asked.comparison} {asked.probability:g}",
        seen=shown.seen if shown else "nothing was run",
        first_failing_seed=failing[0] if failing else None,
        mark=mark,
        why=list(why),
        hint=hint,
    )


def _shown(endings: Sequence[tuple[int, Ending]], failing: Sequence[int]) -> Ending | None:
    """What the table tells: the first run that failed, else the first that could not be told, else the first."""
    for seed, ending in endings:
        if failing and seed == failing[0]:
            return ending
    unknown = [e for _seed, e in endings if e.holds is None]
    return unknown[0] if unknown else endings[0][1] if endings else None


def _more_runs(demand: Demand) -> str:
    """How many runs without a failure would show the share: the Wilson bound solved for the number of runs."""
    wanted = demand.probability if demand.comparison.startswith(">") else 1 - demand.probability
    if not 0 < wanted < 1:
        return ""
    needed = math.ceil(1.96**2 * wanted / (1 - wanted))
    return f"more runs would decide it: at least --runs {needed}"


def overall(verdicts: Sequence[Verdict], *, usable: bool = True) -> Outcome:
    """The outcome of the rehearsal: unusable, else the worst of its verdicts (met when nothing was expected)."""
    if not usable:
        return "unusable"
    outcomes = [v.outcome for v in verdicts]
    return "not met" if "not met" in outcomes else "undecided" if "undecided" in outcomes else "met"
