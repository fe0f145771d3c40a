"""Verdicts: when a share of runs settles an expectation, and that stopping early does not cheat."""

from __future__ import annotations

import numpy as np
import pytest

from pilothouse.engines.statistics.verdict import Demand, decided_early, judge


@pytest.mark.parametrize(
    ("successes", "runs", "demand", "outcome"),
    [
        (500, 500, Demand(">=", 0.99), "met"),
        (486, 500, Demand(">=", 0.95), "met"),
        (478, 500, Demand(">=", 0.95), "undecided"),
        (400, 500, Demand(">=", 0.95), "not met"),
        (3, 500, Demand("<=", 0.05), "met"),
        (1, 1, Demand(">=", 0.99), "met"),
        (0, 1, Demand(">=", 0.5), "not met"),
        (50, 50, Demand(), "met"),
        (49, 50, Demand(), "not met"),
        (0, 0, Demand(), "undecided"),
    ],
)
def test_judge(successes: int, runs: int, demand: Demand, outcome: str) -> None:
    assert judge(successes, runs, demand).outcome == outcome


def test_one_failure_settles_a_demand_of_every_run() -> None:
    assert decided_early(6, 7, Demand())
    assert not decided_early(7, 7, Demand())


def test_nothing_is_settled_before_the_minimum() -> None:
    assert not decided_early(0, 49, Demand(">=", 0.9))
    assert decided_early(0, 50, Demand(">=", 0.9))


def test_looking_after_every_run_is_wrong_less_than_one_time_in_twenty() -> None:
    demand = Demand(">=", 0.9)
    wins = np.cumsum(np.random.default_rng(5).random((300, 500)) < 0.899, axis=1)
    wrong = 0
    for row in wins.tolist():
        for runs in range(50, 501, 5):
            if decided_early(row[runs - 1], runs, demand):
                wrong += row[runs - 1] / runs >= 0.9
                break
    assert wrong / 300 < 0.05
