"""Sets of indexes, back-off, policies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.engines.jobs import indexes, policies
from pilothouse.engines.jobs.backoff import Streak

SOME = st.sets(st.integers(0, 60), max_size=40)


@given(SOME, SOME)
def test_a_set_of_indexes_is_a_set(first: set[int], second: set[int]) -> None:
    joined = indexes.Indexes().plus(sorted(first)).plus(sorted(second))
    assert sorted(joined) == sorted(first | second)
    assert len(joined) == len(first | second)
    assert all((index in joined) == (index in first | second) for index in range(62))
    assert indexes.parse(str(joined), 100) == joined


@pytest.mark.parametrize(
    ("text", "completions", "shown"),
    [
        ("0-2,5", 10, "0-2,5"),
        ("0-9", 4, "0-3"),
        ("1,2,3", 10, "1-3"),
        ("1,2", 10, "1,2"),
        ("x,3,-1,7-", 10, "3,7"),
        ("", 3, ""),
        (None, 3, ""),
    ],
)
def test_indexes_are_read_as_far_as_they_can_be(text: str | None, completions: int, shown: str) -> None:
    assert str(indexes.parse(text, completions)) == shown


def test_the_lowest_free_indexes_come_first() -> None:
    taken = indexes.parse("0-2,4", 10)
    assert indexes.first_free(taken, 3, 10) == [3, 5, 6]
    assert indexes.first_free(taken, 3, 4) == [3]


def test_waits_double_up_to_ten_minutes() -> None:
    waits = [Streak(failures, 100.0).wait_s(100.0) for failures in (0, 1, 2, 3, 6, 7, 1000)]
    assert waits == [0, 10, 20, 40, 320, 600, 600]
    assert Streak(2, 100.0).wait_s(115.0) == 5
    assert Streak(2, 100.0).wait_s(500.0) == 0


def test_a_success_ends_the_streak_but_not_for_later_failures() -> None:
    streak = Streak(3, 50.0)
    assert streak.after([], [60.0, 70.0]) == Streak(5, 70.0)
    assert streak.after([80.0], []) == Streak()
    assert streak.after([80.0], [70.0, 90.0]) == Streak(1, 90.0)


def _pod(code: int, *conditions: str) -> dict[str, Any]:
    ended = {"state": {"terminated": {"exitCode": code}}}
    status = {
        "containerStatuses": [{"name": "main", **ended}, {"name": "side", "state": {"running": {}}}],
        "conditions": [{"type": name, "status": "True"} for name in conditions],
    }
    return {"metadata": {"name": "p", "namespace": "n"}, "status": status}


def _rule(action: str, **what: Any) -> dict[str, Any]:
    return {"action": action, **what}


def _codes(operator: str, *values: int, name: str | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"operator": operator, "values": list(values)}
    return {"onExitCodes": rule if name is None else {**rule, "containerName": name}}


@pytest.mark.parametrize(
    ("rules", "pod", "action", "counts"),
    [
        ([_rule("FailJob", **_codes("In", 42))], _pod(42), "FailJob", True),
        ([_rule("FailJob", **_codes("In", 42))], _pod(1), "", True),
        ([_rule("FailJob", **_codes("NotIn", 42))], _pod(1), "FailJob", True),
        ([_rule("FailJob", **_codes("NotIn", 42))], _pod(0), "", True),
        ([_rule("FailJob", **_codes("In", 42, name="side"))], _pod(42), "", True),
        ([_rule("Ignore", onPodConditions=[{"type": "Evicted"}])], _pod(137, "Evicted"), "Ignore", False),
        ([_rule("Ignore", onPodConditions=[{"type": "X", "status": "False"}])], _pod(1, "X"), "", True),
        ([_rule("Count", **_codes("In", 1)), _rule("FailJob", **_codes("In", 1))], _pod(1), "Count", True),
    ],
)  # fmt: skip
def test_the_first_rule_that_matches_decides(
    rules: list[dict[str, Any]], pod: dict[str, Any], action: str, counts: bool
) -> None:
    verdict = policies.judge({"rules": rules}, pod)
    assert (verdict.action, verdict.counts) == (action, counts)


def test_a_failed_job_says_which_container_and_which_rule() -> None:
    rules = [_rule("Count", **_codes("In", 3)), _rule("FailJob", **_codes("In", 42))]
    told = policies.judge({"rules": rules}, _pod(42)).message
    assert told == "Container main for pod n/p failed with exit code 42 matching FailJob rule at index 1"
    condition = [_rule("FailJob", onPodConditions=[{"type": "ConfigIssue", "status": "True"}])]
    told = policies.judge({"rules": condition}, _pod(1, "ConfigIssue")).message
    assert told == "Pod n/p has condition ConfigIssue matching FailJob rule at index 0"


@pytest.mark.parametrize(
    ("rule", "succeeded", "met"),
    [
        ({"succeededIndexes": "0"}, "0", True),
        ({"succeededIndexes": "0,2"}, "0,1", False),
        ({"succeededIndexes": "0-4", "succeededCount": 2}, "1,3", True),
        ({"succeededCount": 3}, "0-1", False),
        ({"succeededCount": 2}, "0-1", True),
    ],
)
def test_a_success_policy(rule: dict[str, Any], succeeded: str, met: bool) -> None:
    policy = {"rules": [{"succeededCount": 99}, rule]}
    why = policies.success(policy, indexes.parse(succeeded, 100), 100)
    assert why == ("Matched rules at index 1" if met else "")
