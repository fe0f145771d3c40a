"""Splits, sizes and limits of a canary, and what measurements add up to."""

from __future__ import annotations

import pytest

from pilothouse.engines.delivery.assessment import beyond_limits, metric_phase
from pilothouse.engines.delivery.counts import Limits, Routed, SetSize, basic, routed
from pilothouse.engines.delivery.metrics import faults, next_due_s
from pilothouse.engines.delivery.split import weighted


@pytest.mark.parametrize(
    ("replicas", "weight", "surge", "expected"),
    [(10, 10, 0, (1, 9)), (10, 5, 1, (1, 10)), (1, 49, 0, (0, 1)), (3, 50, 0, (2, 1)), (0, 50, 1, (0, 0))],
)
def test_the_nearest_split(replicas: int, weight: int, surge: int, expected: tuple[int, int]) -> None:
    assert weighted(replicas, weight, 100, surge) == expected


def test_a_canary_grows_within_surge_before_the_stable_set_shrinks() -> None:
    assert basic(Limits(10, 3, 0), 30, 100, SetSize(0, 0), SetSize(10, 10), 0) == (3, 10)


def test_old_sets_go_before_anything_else_shrinks() -> None:
    assert basic(Limits(10, 0, 2), 20, 100, SetSize(2, 2), SetSize(8, 8), older=2) == (2, 8)


def test_the_stable_set_shrinks_with_the_traffic_only_when_asked() -> None:
    assert routed(Routed(10, 30)) == (3, 10)
    assert routed(Routed(10, 30, dynamic=True, actual=(10, 90))) == (3, 9)


def test_limits_decide_a_metric() -> None:
    metric = {"name": "m", "interval": "1m", "failureLimit": 1}
    bad = {"phase": "Failed"}
    result = {"phase": "Running", "failed": 1, "count": 1, "measurements": [bad]}
    assert metric_phase(metric, result, terminating=False) == "Running"
    assert metric_phase(metric, {**result, "failed": 2}, terminating=False) == "Failed"
    assert beyond_limits(metric, {"consecutiveError": 5})[0] == "Error"


def test_a_metric_without_a_provider_or_interval_is_refused() -> None:
    assert faults([]) == "no metrics specified"
    assert faults([{"name": "m"}]) == "metrics[0]: no provider specified"
    two = {"name": "m", "count": 2, "provider": {"web": {}}}
    assert faults([two]) == "metrics[0]: interval must be specified when count > 1"


def test_an_error_is_retried_sooner_than_the_interval() -> None:
    metric = {"name": "m", "interval": "5m"}
    last = {"phase": "Error", "finishedAt": "2026-01-05T00:00:00Z"}
    due_s = next_due_s(metric, {"measurements": [last]}, 0.0, 0.0)
    assert due_s == 1_767_571_200.0 + 10.0
