from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pilothouse.base.clock import DEFAULT_EPOCH_S, rfc3339
from pilothouse.engines.rolling import ranking
from pilothouse.engines.rolling.views import PodView

NOW_S = DEFAULT_EPOCH_S


def pod(
    name: str,
    *,
    node: str = "n1",
    phase: str = "Running",
    ready_s: float | None = 1000,
    age_s: float = 2000,
    cost: str = "",
    restarts: int = 0,
    uid: str = "",
) -> PodView:
    conditions: list[dict[str, Any]] = []
    if ready_s is not None:
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": rfc3339(NOW_S - ready_s)}]
    obj = {
        "metadata": {
            "name": name,
            "uid": uid or name,
            "creationTimestamp": rfc3339(NOW_S - age_s),
            "annotations": {ranking.DELETION_COST: cost} if cost else {},
        },
        "spec": {"nodeName": node},
        "status": {
            "phase": phase,
            "conditions": conditions,
            "containerStatuses": [{"name": "app", "restartCount": restarts}],
        },
    }
    return msgspec.convert(obj, PodView)


def first(*pods: PodView, related: list[PodView] | None = None) -> str:
    chosen = ranking.choose(pods, related if related is not None else pods, 1, NOW_S)
    # Whatever the order in which they come.
    assert ranking.choose(pods[::-1], related if related is not None else pods, 1, NOW_S) == chosen
    return chosen[0].metadata.name


@pytest.mark.parametrize(
    "goes",
    [
        pod("x", node="", phase="Pending", ready_s=None),
        pod("x", phase="Pending", ready_s=None),
        pod("x", phase="Unknown"),
        pod("x", ready_s=None),
        pod("x", cost="-1"),
        pod("x", ready_s=10),
        pod("x", restarts=3),
        pod("x", age_s=1001),
    ],
    ids=["unassigned", "pending", "unknown", "unready", "cheap", "lately-ready", "restarted", "young"],
)
def test_what_is_worth_less_goes_first(goes: PodView) -> None:
    assert first(pod("stays"), goes, pod("stays too")) == "x"


def test_an_earlier_rule_outweighs_all_later_ones() -> None:
    assert first(pod("dear but unready", ready_s=None, cost="100"), pod("cheap", cost="-100")) == "dear but unready"


def test_a_pod_among_many_of_its_kind_on_a_node_goes_first() -> None:
    alone, crowded = pod("alone", node="n1"), pod("crowded", node="n2")
    siblings = [pod("s", node="n2"), pod("t", node="n2")]
    assert first(alone, crowded, related=[alone, crowded, *siblings]) == "crowded"


def test_ages_of_one_magnitude_are_alike_and_the_uid_decides() -> None:
    older, younger = pod("older", ready_s=1000, uid="a"), pod("younger", ready_s=900, uid="b")
    assert first(older, younger) == "older"


def test_taking_all_needs_no_choice() -> None:
    pods = [pod("a"), pod("b")]
    assert ranking.choose(pods, [], 5, NOW_S) == pods


@pytest.mark.parametrize(
    ("text", "cost"), [("7", 7), ("-7", -7), ("+7", 0), ("07", 0), ("-0", 0), ("x", 0), ("0", 0), ("99999999999", 0)]
)
def test_only_a_plain_int32_is_a_deletion_cost(text: str, cost: int) -> None:
    assert ranking.deletion_cost({ranking.DELETION_COST: text}) == cost
