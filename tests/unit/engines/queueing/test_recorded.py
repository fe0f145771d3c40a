"""The latency tables against recorded simulations (tests/cases/models/response-times.txt), over more ground than can be
simulated in every test run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pilothouse.engines.queueing.balancing import POLICIES, front
from pilothouse.engines.queueing.response import quantile_s, row_of, table
from pilothouse.engines.queueing.service import ServiceTime

CASES = Path(__file__).parents[3] / "cases" / "models" / "response-times.txt"
FINE = tuple(np.geomspace(0.001, 5, 300).tolist())
TOLERANCES = (0.08, 0.07, 0.10)
"""Relative, for p50, p95 and p99. The worst are least-connections over three pods and round-robin over twenty at rho
0.8."""


def cases() -> list[list[str]]:
    lines = CASES.read_text().splitlines()
    return [line.split() for line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("case", cases(), ids=lambda c: "-".join(c[:5]))
def test_the_table_agrees_with_the_recorded_simulation(case: list[str]) -> None:
    policy = next(p for p in POLICIES if p == case[0])
    pods, servers, rho, sigma = int(case[1]), int(case[2]), float(case[3]), float(case[4])
    made = table(ServiceTime(0.01, sigma), FINE, servers, front(policy, pods, 1.0))
    row = made.steady[row_of(np.array([rho]))[0]]
    got = [1000 * quantile_s(row, FINE, q) for q in (0.5, 0.95, 0.99)]
    for value, expected, tolerance in zip(got, case[5:], TOLERANCES):
        assert value == pytest.approx(float(expected), rel=tolerance)
