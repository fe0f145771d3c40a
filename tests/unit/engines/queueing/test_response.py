"""The latency tables against requests simulated one by one. Errors allowed are those the tables claim, plus sampling
noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pilothouse.engines.queueing import reference as truth
from pilothouse.engines.queueing.balancing import Front, Policy, front
from pilothouse.engines.queueing.response import (
    DELAY_GRID_S,
    RHO_GRID,
    Discipline,
    delay_row_of,
    quantile_s,
    row_of,
    table,
)
from pilothouse.engines.queueing.service import Floats, ServiceTime

MEAN_S = 0.01
FINE = tuple(np.geomspace(0.001, 5, 300).tolist())
SERVICE = ServiceTime(MEAN_S, 0.5)


def model(
    rho: float, *, sigma: float = 0.5, servers: int = 1, before: Front | None = None, rule: str = "fifo"
) -> Floats:
    name, _, limit = rule.partition(":")
    t = table(ServiceTime(MEAN_S, sigma), FINE, servers, before or Front(), Discipline(name, int(limit or 0)))
    row = t.steady[row_of(np.array([rho]))[0]]
    return np.array([quantile_s(row, FINE, q) for q in (0.5, 0.95, 0.99)])


def simulated(rho: float, run: Callable[[Floats, Floats], Floats], *, pods: int = 1, count: int = 300_000) -> Floats:
    rng = np.random.default_rng(5)
    answer = run(truth.poisson_times(pods * rho / MEAN_S, count, rng), truth.draw(SERVICE, count, rng))
    return np.percentile(answer[count // 20 :], [50, 95, 99])


@pytest.mark.parametrize("rho", [0.2, 0.4, 0.6, 0.75, 0.88])
def test_one_server_is_within_three_and_five_percent(rho: float) -> None:
    error = model(rho) / simulated(rho, truth.fifo, count=1_000_000) - 1
    assert np.all(np.abs(error) <= [0.028, 0.028, 0.049])


def test_one_server_near_saturation() -> None:
    # A run of a million requests knows its own p99 only to some 3 % here.
    error = model(0.95) / simulated(0.95, truth.fifo, count=2_000_000) - 1
    assert np.all(np.abs(error) <= [0.05, 0.05, 0.06])


@pytest.mark.parametrize("rho", [0.4, 0.8, 0.9])
def test_several_servers(rho: float) -> None:
    def four(arrivals: Floats, services: Floats) -> Floats:
        return truth.fifo_many(arrivals, services, 4)

    error = model(rho, servers=4) / simulated(rho, four, pods=4, count=500_000) - 1
    assert np.all(np.abs(error) <= [0.05, 0.06, 0.08])


def _random(arrivals: Floats, services: Floats) -> Floats:
    return truth.split(arrivals, services, np.random.default_rng(8).integers(0, 10, len(arrivals)), 10)


def _in_turn(arrivals: Floats, services: Floats) -> Floats:
    return truth.split(arrivals, services, np.arange(len(arrivals)) % 10, 10)


def _least(arrivals: Floats, services: Floats) -> Floats:
    return truth.least_connections(arrivals, services, 10)


@pytest.mark.parametrize(
    ("policy", "run", "count"),
    [("random", _random, 600_000), ("round_robin", _in_turn, 600_000), ("least_connections", _least, 80_000)],
)
@pytest.mark.parametrize("rho", [0.5, 0.8])
def test_balancing_policies_over_ten_pods(
    policy: Policy, run: Callable[[Floats, Floats], Floats], count: int, rho: float
) -> None:
    error = model(rho, before=front(policy, 10, 1.0)) / simulated(rho, run, pods=10, count=count) - 1
    assert np.all(np.abs(error) <= [0.04, 0.06, 0.08])


def test_balancing_matters_as_much_as_load() -> None:
    """Ten pods at 80 %: 148, 55 and 37 ms at the 99th percentile."""
    p99 = {p: model(0.8, before=front(p, 10, 1.0))[2] for p in ("random", "round_robin", "least_connections")}
    assert p99["random"] / p99["round_robin"] == pytest.approx(148 / 55, rel=0.08)
    assert p99["random"] / p99["least_connections"] == pytest.approx(148 / 37, rel=0.08)


@pytest.mark.parametrize("rho", [0.6, 0.8])
def test_paced_arrivals_wait_far_less(rho: float) -> None:
    rng = np.random.default_rng(2)
    count = 300_000
    paced = truth.fifo(np.arange(count, dtype=np.float64) * (MEAN_S / rho), truth.draw(SERVICE, count, rng))
    got = model(rho, before=Front("round_robin", 1, 0.0))
    assert np.all(np.abs(got / np.percentile(paced, [50, 95, 99]) - 1) <= [0.03, 0.08, 0.12])
    assert got[2] < 0.5 * model(rho)[2]


@pytest.mark.parametrize(("rho", "rule", "pool"), [(0.6, "shared", None), (0.8, "shared", None), (0.6, "pool:4", 4)])
def test_sharing_disciplines(rho: float, rule: str, pool: int | None) -> None:
    def shared(arrivals: Floats, services: Floats) -> Floats:
        return truth.sharing(arrivals, services, 1, pool)

    error = model(rho, rule=rule) / simulated(rho, shared, count=200_000) - 1
    assert np.all(np.abs(error) <= [0.06, 0.08, 0.13])


def test_a_pool_of_one_is_a_line() -> None:
    assert model(0.7, rule="pool:1") == pytest.approx(model(0.7), rel=0.05)


def test_a_very_large_pool_shares() -> None:
    assert model(0.7, rule="pool:200") == pytest.approx(model(0.7, rule="shared"), rel=0.01)


def test_rows_are_probabilities_and_mean_grows() -> None:
    t = table(SERVICE, (0.005, 0.01, 0.025, 0.1))
    for rows in (t.steady, t.delayed):
        assert rows.min() >= 0
        assert np.allclose(rows.sum(axis=1), 1, atol=1e-9)
        assert np.all(np.diff(rows[:, 0]) <= 1e-12)
    assert np.all(np.diff(t.mean_s) > 0)
    assert t.mean_s[0] == pytest.approx(MEAN_S)


def test_tables_are_rounded_so_that_last_bits_do_not_matter() -> None:
    t = table(SERVICE, (0.005, 0.01, 0.025, 0.1))
    assert np.array_equal(t.steady, np.round(t.steady, 12))
    assert np.array_equal(t.delayed, np.round(t.delayed, 12))


def test_row_lookups_find_the_nearest_row() -> None:
    assert row_of(RHO_GRID).tolist() == list(range(len(RHO_GRID)))
    assert row_of(np.array([0.0, 2.0])).tolist() == [0, len(RHO_GRID) - 1]
    assert delay_row_of(DELAY_GRID_S).tolist() == list(range(len(DELAY_GRID_S)))
    assert delay_row_of(np.array([1e9])).tolist() == [len(DELAY_GRID_S) - 1]


def test_a_delay_moves_everyone() -> None:
    t = table(SERVICE, FINE)
    row = t.delayed[delay_row_of(np.array([2.0]))[0]]
    assert quantile_s(row, FINE, 0.5) == pytest.approx(2.01, rel=0.04)
    assert quantile_s(row, FINE, 0.01) > 1.9


def test_fixed_service_time() -> None:
    t = table(ServiceTime(0.01, 0.0), (0.009, 0.011, 1.0))
    assert t.steady[0].tolist() == [0.0, 1.0, 0.0, 0.0]


def test_disciplines_are_named() -> None:
    with pytest.raises(ValueError, match='"lifo" is not a discipline'):
        Discipline("lifo")
    with pytest.raises(ValueError, match="at least one worker"):
        Discipline("pool", 0)
