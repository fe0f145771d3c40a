"""From a proposal to a size: windows that hold, policies that slow down, bounds that end it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.engines.autoscaling.behavior import (
    DEFAULT_DOWN,
    DEFAULT_UP,
    History,
    Policy,
    Recommendation,
    Rules,
    ScaleEvent,
    UpLimit,
    limit,
    limit_with_rules,
    record_scaling,
    stabilize,
    stabilize_with_rules,
)

NOW_S = 1000.0


def log(*entries: tuple[int, float]) -> tuple[Recommendation, ...]:
    return tuple(Recommendation(replicas, NOW_S - age) for replicas, age in entries)


def test_without_behavior_the_highest_recent_recommendation_holds() -> None:
    assert stabilize(log((9, 100.0), (5, 10.0)), 3, 300.0, NOW_S)[0] == 9
    assert stabilize(log((9, 301.0), (5, 10.0)), 3, 300.0, NOW_S)[0] == 5
    assert stabilize(None, 3, 300.0, NOW_S) == (3, (Recommendation(3, NOW_S),))


def test_an_outdated_entry_gives_up_its_slot() -> None:
    _, after = stabilize(log((9, 400.0), (5, 10.0)), 3, 300.0, NOW_S)
    assert [entry.replicas for entry in after] == [3, 5]


def test_both_windows_pull_towards_the_current_size() -> None:
    recent = log((4, 30.0), (8, 20.0))
    # Growing waits for the lowest of its window, shrinking for the highest of its own.
    assert stabilize_with_rules(recent, 5, 10, 60.0, 300.0, NOW_S)[0] == 5
    assert stabilize_with_rules(recent, 5, 2, 60.0, 300.0, NOW_S)[0] == 5
    assert stabilize_with_rules(recent, 9, 2, 60.0, 300.0, NOW_S)[0] == 8
    assert stabilize_with_rules(recent, 2, 10, 60.0, 0.0, NOW_S)[0] == 4


@pytest.mark.parametrize(
    ("current", "wanted", "expected"),
    [
        (5, 7, (7, "DesiredWithinRange")),
        (1, 100, (4, "ScaleUpLimit")),
        (10, 100, (20, "ScaleUpLimit")),
        (30, 100, (50, "TooManyReplicas")),
        (5, 1, (2, "TooFewReplicas")),
    ],
)
def test_without_behavior_growth_doubles_at_most(current: int, wanted: int, expected: tuple[int, str]) -> None:
    limited = limit(current, wanted, 2, 50, UpLimit())
    assert (limited.replicas, limited.reason) == expected


def rated(current: int, wanted: int, up: Rules = DEFAULT_UP, down: Rules = DEFAULT_DOWN, **history: object) -> object:
    past = History((), **history)  # type: ignore[arg-type]
    limited = limit_with_rules(current, wanted, 1, 100, up, down, past, NOW_S)
    return limited.replicas, limited.reason


def test_policies_limit_what_happens_within_their_period() -> None:
    four = Rules((Policy("Pods", 4, 60),))
    assert rated(3, 20, four) == (7, "ScaleUpLimit")
    # Three of the four were used up 30 s ago; what was taken away since counts in favour.
    assert rated(6, 20, four, ups=(ScaleEvent(3, NOW_S - 30),)) == (7, "ScaleUpLimit")
    assert rated(5, 20, four, ups=(ScaleEvent(3, NOW_S - 30),), downs=(ScaleEvent(1, NOW_S - 10),)) == (
        7,
        "ScaleUpLimit",
    )
    assert rated(6, 20, four, ups=(ScaleEvent(3, NOW_S - 60),)) == (10, "ScaleUpLimit")


def test_the_chosen_policy_and_percentages() -> None:
    both = (Policy("Pods", 4, 60), Policy("Percent", 50, 60))
    assert rated(20, 99, Rules(both)) == (30, "ScaleUpLimit")
    assert rated(20, 99, Rules(both, "Min")) == (24, "ScaleUpLimit")
    assert rated(20, 99, Rules(both, "Disabled")) == (20, "ScaleUpLimit")
    ten = Rules((Policy("Percent", 10, 60),))
    assert rated(3, 99, ten) == (4, "ScaleUpLimit")
    assert rated(15, 1, down=ten) == (13, "ScaleDownLimit")
    assert rated(15, 1, down=Rules(both, "Min")) == (11, "ScaleDownLimit")


def test_an_exhausted_budget_holds_the_size_and_never_turns_it() -> None:
    one = Rules((Policy("Pods", 1, 60),))
    assert rated(10, 20, one, ups=(ScaleEvent(5, NOW_S - 5),)) == (10, "ScaleUpLimit")
    assert rated(10, 2, down=one, downs=(ScaleEvent(5, NOW_S - 5),)) == (10, "ScaleDownLimit")


def test_scale_events_are_remembered_by_direction() -> None:
    rules = Rules((Policy("Pods", 4, 60),))
    grown = record_scaling(History(()), 3, 7, rules, rules, NOW_S)
    assert (grown.ups, grown.downs) == ((ScaleEvent(4, NOW_S),), ())
    shrunk = record_scaling(grown, 7, 5, rules, rules, NOW_S + 61)
    assert shrunk.downs == (ScaleEvent(2, NOW_S + 61),)
    again = record_scaling(shrunk, 5, 6, rules, rules, NOW_S + 62)
    assert again.ups == (ScaleEvent(1, NOW_S + 62),)


@given(st.integers(0, 200), st.integers(0, 400), st.integers(1, 50), st.integers(50, 300))
def test_a_limited_size_lies_between_where_it_is_and_where_it_wants_to_be(
    current: int, wanted: int, minimum: int, maximum: int
) -> None:
    limited = limit_with_rules(current, wanted, minimum, maximum, DEFAULT_UP, DEFAULT_DOWN, History(()), NOW_S)
    if minimum <= wanted <= maximum and minimum <= current <= maximum:
        assert min(current, wanted) <= limited.replicas <= max(current, wanted)
    assert (limited.reason == "DesiredWithinRange") == (limited.replicas == wanted)
