"""The fluid backlog against a discrete simulation: rho 0.6, one minute at 1.3, then 0.6 again."""

from __future__ import annotations

import numpy as np
import pytest

from pilothouse.engines.queueing import reference as truth
from pilothouse.engines.queueing.overload import step
from pilothouse.engines.queueing.response import row_of, table
from pilothouse.engines.queueing.service import Floats, ServiceTime

SERVICE = ServiceTime(0.01, 0.5)


def load(at_s: float) -> float:
    return 1.3 if 60 <= at_s < 120 else 0.6


def simulated(seeds: int) -> Floats:
    """Mean response per 15 s, over `seeds` runs of 240 s."""
    rows = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        marks = [truth.poisson_times(100 * load(t), 2000 * 15, rng) for t in range(0, 240, 15)]
        times = np.concatenate([t + m[m < 15] for t, m in zip(range(0, 240, 15), marks)])
        answer = truth.fifo(times, truth.draw(SERVICE, len(times), rng))
        bins = (times // 15).astype(int)
        rows.append(np.bincount(bins, answer) / np.bincount(bins))
    mean: Floats = np.mean(rows, axis=0)
    return mean


def fluid(dt_s: float) -> Floats:
    t = table(SERVICE, (1.0,))
    backlog, out = np.zeros(1), []
    capacity, limit = np.full(1, 100 * dt_s), np.full(1, np.inf)
    for at in np.arange(0, 240, dt_s):
        rho = load(float(at))
        flow = step(backlog, capacity * rho, capacity, limit)
        delay = (backlog + flow.backlog) / 2 / 100 * flow.busy_share
        steady = t.mean_s[row_of(np.array([min(rho, 0.98)]))[0]]
        out.append(float(delay[0] + flow.busy_share[0] * 0.01 + (1 - flow.busy_share[0]) * steady))
        backlog = flow.backlog
    quarters: Floats = np.array(out).reshape(16, -1).mean(axis=1)
    return quarters


def test_growth_and_drain_follow_the_discrete_simulation() -> None:
    real, model = simulated(12), fluid(1.0)
    growing, draining = slice(4, 8), slice(8, 10)
    assert model[growing] == pytest.approx(real[growing], rel=0.05)
    assert model[draining] == pytest.approx(real[draining], rel=0.07)
    assert model[:4] == pytest.approx(real[:4], rel=0.12)


def test_fifteen_second_steps_tell_the_same_story() -> None:
    # Coarse steps are for quiet times; even so the peak is within 4 % of one-second steps.
    assert fluid(15.0)[4:8] == pytest.approx(fluid(1.0)[4:8], rel=0.04)


def test_the_queue_limit_refuses_the_rest() -> None:
    flow = step(np.array([90.0]), np.array([50.0]), np.array([10.0]), np.array([100.0]))
    assert (flow.backlog[0], flow.refused[0], flow.busy_share[0]) == (100.0, 30.0, 1.0)


def test_a_drained_backlog_was_busy_for_part_of_the_step() -> None:
    flow = step(np.array([10.0]), np.array([60.0]), np.array([100.0]), np.array([1e9]))
    assert (flow.backlog[0], flow.busy_share[0]) == (0.0, 0.25)
