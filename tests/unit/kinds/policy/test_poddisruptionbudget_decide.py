"""How many pods a budget lets go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pilothouse.base.actions import Decision, Emit
from pilothouse.base.clock import DEFAULT_EPOCH_S, rfc3339
from pilothouse.engines.rolling.views import PodView, controller_reference
from pilothouse.kinds.policy.poddisruptionbudget.decide import BudgetView, Scale, decide

NOW_S = DEFAULT_EPOCH_S
SELECTOR = {"matchLabels": {"app": "web"}}


def budget(*, status: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    meta = {"name": "b", "namespace": "shop", "uid": "uid-b", "generation": 2}
    return {"metadata": meta, "spec": {"selector": SELECTOR, **spec}, "status": status or {}}


def pods(ready: int, unready: int = 0, *, owner: str | None = "rs", **metadata: Any) -> list[PodView]:
    owners = [controller_reference("apps/v1", "ReplicaSet", owner, f"uid-{owner}")] if owner else []
    out = []
    for number in range(ready + unready):
        condition = {"type": "Ready", "status": "True" if number < ready else "False"}
        meta = {"name": f"{owner}-{number}", "namespace": "shop", "ownerReferences": owners, **metadata}
        out.append(msgspec.convert({"metadata": meta, "status": {"conditions": [condition]}}, PodView))
    return out


def decided(obj: dict[str, Any], selected: list[PodView], scales: dict[str, int] | None = None) -> Decision:
    wanted = scales or {"uid-rs": 10}

    def scale_of(reference: Mapping[str, Any]) -> Scale | None:
        uid = reference["uid"]
        return Scale(uid, wanted[uid]) if uid in wanted else None

    return decide(obj, msgspec.convert(obj, BudgetView), selected, scale_of, NOW_S)


@pytest.mark.parametrize(
    ("spec", "ready", "allowed", "desired", "expected"),
    [
        ({"maxUnavailable": 3}, 10, 3, 7, 10),
        ({"maxUnavailable": 3}, 8, 1, 7, 10),
        ({"maxUnavailable": 3}, 5, 0, 7, 10),
        ({"maxUnavailable": "25%"}, 10, 3, 7, 10),
        ({"maxUnavailable": "100%"}, 10, 10, 0, 10),
        ({"minAvailable": "55%"}, 10, 4, 6, 10),
        ({"minAvailable": 4}, 9, 5, 4, 9),
        ({}, 9, 0, 0, 0),
    ],
)
def test_the_budget_counts_from_what_controllers_want(
    spec: dict[str, Any], ready: int, allowed: int, desired: int, expected: int
) -> None:
    status = decided(budget(**spec), pods(ready)).status
    assert status is not None
    assert (status["disruptionsAllowed"], status["desiredHealthy"], status["expectedPods"]) == (
        allowed,
        desired,
        expected,
    )
    assert status["currentHealthy"] == ready
    (condition,) = status["conditions"]
    assert condition["reason"] == ("SufficientPods" if allowed else "InsufficientPods")


def test_each_controller_counts_once() -> None:
    both = pods(4, owner="a") + pods(4, owner="b")
    status = decided(budget(maxUnavailable=2), both, {"uid-a": 4, "uid-b": 5}).status
    assert status is not None
    assert status["expectedPods"] == 9


def test_pods_that_go_or_are_about_to_go_are_not_healthy() -> None:
    going = pods(1, owner="gone", deletionTimestamp=rfc3339(NOW_S))
    promised = {"disruptedPods": {"rs-0": rfc3339(NOW_S - 20), "rs-1": rfc3339(NOW_S - 200), "other": rfc3339(NOW_S)}}
    made = decided(budget(minAvailable=1, status=promised), pods(3) + going)
    assert made.status is not None
    assert made.status["currentHealthy"] == 2
    assert made.status["disruptedPods"] == {"rs-0": rfc3339(NOW_S - 20)}
    assert made.requeue_s == pytest.approx(100.001)


def test_an_unknown_controller_closes_the_budget() -> None:
    open_ = decided(budget(maxUnavailable=3), pods(10)).status
    made = decided(budget(maxUnavailable=3, status=open_), pods(1, owner="stranger"))
    assert made.status is not None
    assert made.status["disruptionsAllowed"] == 0
    assert made.status["expectedPods"] == 10
    (condition,) = made.status["conditions"]
    assert (condition["reason"], condition["message"]) == ("SyncFailed", 'found no controllers for pod "stranger-0"')
    (event,) = made.actions
    assert isinstance(event, Emit)
    assert event.reason == "CalculateExpectedPodCountFailed"
    # Said once: the same failure in the status says nothing new.
    again = decided(budget(maxUnavailable=3, status=made.status), pods(1, owner="stranger"))
    assert again.actions == ()


def test_pods_without_a_controller_are_told_once() -> None:
    made = decided(budget(maxUnavailable=1), pods(2, owner=None))
    (event,) = made.actions
    assert isinstance(event, Emit)
    assert event.reason == "UnmanagedPods"
    assert "selector: &LabelSelector{MatchLabels:map[string]string{app: web,}," in event.message
    assert decided(budget(maxUnavailable=1, status=made.status), pods(2, owner=None)).actions == ()


def test_the_time_of_the_condition_moves_only_with_its_value() -> None:
    first = decided(budget(maxUnavailable=3), pods(10)).status
    assert first is not None
    old = {**first["conditions"][0], "lastTransitionTime": "2020-01-01T00:00:00Z"}
    same = decided(budget(maxUnavailable=3, status={**first, "conditions": [old]}), pods(9)).status
    closed = decided(budget(maxUnavailable=3, status={**first, "conditions": [old]}), pods(5)).status
    assert same is not None
    assert closed is not None
    assert same["conditions"][0]["lastTransitionTime"] == "2020-01-01T00:00:00Z"
    assert closed["conditions"][0]["lastTransitionTime"] == rfc3339(NOW_S)
