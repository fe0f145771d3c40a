"""How many replicas one metric asks for: ratios, guesses about silent pods, readiness, and the edges."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.engines.autoscaling.metrics import INT64_MAX, PodMetric, PodUsage, Unavailable, resource_values
from pilothouse.engines.autoscaling.pods import PodFacts, Readiness, facts_of
from pilothouse.engines.autoscaling.replicas import (
    Failure,
    Proposal,
    Tolerances,
    for_average,
    for_total,
    for_total_per_pod,
    for_utilization,
)

NOW_S = 10_000.0
CALM = Tolerances()
READINESS = Readiness()


def pods(count: int, **facts: object) -> list[PodFacts]:
    requests = {"main": {"cpu": 1000}}
    defaults: dict[str, object] = {"containers": requests, "start_s": 0.0, "ready_since_s": 5.0}
    return [PodFacts(f"p{i}", **{**defaults, **facts}) for i in range(count)]  # type: ignore[arg-type]


def usage(*values: int, at_s: float = NOW_S) -> dict[str, PodMetric]:
    return {f"p{i}": PodMetric(value, at_s, 60.0) for i, value in enumerate(values)}


def utilization(current: int, target: int, values: dict[str, PodMetric], found: list[PodFacts]) -> Proposal | Failure:
    return for_utilization(current, target, "cpu", "", values, found, CALM, READINESS, NOW_S)


def test_the_ratio_of_usage_to_target_scales_the_ready_pods() -> None:
    assert utilization(3, 50, usage(1000, 1000, 1000), pods(3)) == Proposal(6, 1000, 100)


def test_within_tolerance_nothing_moves() -> None:
    assert utilization(3, 100, usage(1090, 1090, 1090), pods(3)) == Proposal(3, 1090, 109)


def test_missing_pods_are_taken_as_idle_when_growing_and_as_full_when_shrinking() -> None:
    # Two of three report 300 %: with the third idle the mean is 200 %.
    assert utilization(3, 100, usage(3000, 3000), pods(3)) == Proposal(6, 3000, 300)
    # Two of three report 40 %: with the third at 100 % the mean is 60 %.
    assert utilization(3, 100, usage(400, 400), pods(3)) == Proposal(2, 400, 40)


def test_guesses_never_turn_the_direction() -> None:
    assert utilization(3, 50, usage(600), pods(3)) == Proposal(3, 600, 60)


def test_a_starting_pod_counts_once_it_was_ready_for_a_window() -> None:
    young = pods(1, start_s=NOW_S - 100, ready_since_s=NOW_S - 30)
    assert isinstance(utilization(1, 50, usage(1000), young), Failure)
    old_enough = pods(1, start_s=NOW_S - 100, ready_since_s=NOW_S - 60)
    assert utilization(1, 50, usage(1000), old_enough) == Proposal(2, 1000, 100)


def test_an_old_pod_that_lost_readiness_still_counts_one_that_never_had_it_does_not() -> None:
    lost = pods(1, ready="False", ready_since_s=5_000.0)
    assert utilization(1, 50, usage(1000), lost) == Proposal(2, 1000, 100)
    never = pods(1, ready="False", ready_since_s=10.0)
    assert utilization(1, 50, usage(1000), never) == Failure(
        "did not receive metrics for targeted pods (pods might be unready)"
    )


def test_deleted_and_failed_pods_do_not_exist() -> None:
    found = [*pods(2), PodFacts("gone", deleting=True, containers={"main": {"cpu": 1000}})]
    values = {**usage(1000, 1000), "gone": PodMetric(9000, NOW_S, 60.0)}
    assert utilization(2, 50, values, found) == Proposal(4, 1000, 100)


def test_a_container_without_a_request_is_named() -> None:
    found = [PodFacts("p0", containers={"main": {"cpu": 100}, "side": {}}, start_s=0.0, ready_since_s=5.0)]
    assert utilization(1, 50, usage(100), found) == Failure("missing request for cpu in container side of Pod p0")
    assert utilization(1, 50, usage(100), []) == Failure("no pods returned by selector while calculating replica count")


def test_averages_do_not_look_at_requests() -> None:
    result = for_average(3, 100_000, "", usage(200_000, 200_000, 200_000), pods(3), CALM, READINESS, NOW_S)
    assert result == Proposal(6, 200_000)


def test_totals_scale_ready_pods_and_wake_from_nothing() -> None:
    assert for_total(3, 10_000, 20_000, pods(3), CALM) == Proposal(6, 20_000)
    assert for_total(0, 10_000, 25_000, [], CALM) == Proposal(3, 25_000)
    assert isinstance(for_total(3, 10_000, 20_000, [], CALM), Failure)
    assert for_total_per_pod(3, 10_000, 65_000, CALM) == Proposal(7, 21_667)
    assert for_total_per_pod(0, 10_000, 65_000, CALM) == Proposal(7, INT64_MAX)


def test_the_resource_api_answers_per_container_or_in_sum() -> None:
    answer = [
        PodUsage("a", 1.0, 15.0, {"main": {"cpu": 5}, "side": {"cpu": 7}}),
        PodUsage("b", 1.0, 15.0, {"main": {}}),
    ]
    assert resource_values(answer, "cpu") == {"a": PodMetric(12, 1.0, 15.0)}
    assert resource_values(answer, "cpu", "side") == Unavailable("container side not present in metrics for pod b")
    assert resource_values([], "cpu") == Unavailable("no metrics returned from resource metrics API")


def test_facts_of_a_pod_include_sidecars_and_pod_level_requests() -> None:
    pod = {
        "metadata": {"name": "p", "labels": {"a": "b"}},
        "spec": {
            "containers": [{"name": "main", "resources": {"requests": {"cpu": "250m"}}}],
            "initContainers": [
                {"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}},
                {"name": "setup"},
            ],
        },
        "status": {"phase": "Running", "startTime": "2026-01-05T00:00:00Z", "conditions": []},
    }
    facts = facts_of(pod)
    assert facts.request("cpu") == 350
    assert facts.request("cpu", "proxy") == 100
    assert facts.request("cpu", "setup") == "container setup not found in Pod p"
    assert facts.ready == ""
    whole = facts_of({**pod, "spec": {**pod["spec"], "resources": {"requests": {"cpu": "1"}}}})  # type: ignore[dict-item]
    assert whole.request("cpu") == 1000


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=30),
    st.integers(1, 1000),
    st.integers(0, 10),
    st.integers(0, 60),
)
def test_a_proposal_moves_with_the_usage_and_never_below_nothing(
    values: list[int], target: int, missing: int, current: int
) -> None:
    result = utilization(current, target, usage(*values), pods(len(values) + missing))
    assert isinstance(result, Proposal)
    assert result.replicas >= 0
    share = result.utilization_percent
    assert share is not None
    if share > target and result.replicas != current and missing == 0:
        assert result.replicas >= len(values)
    if share < target and result.replicas != current and missing == 0:
        assert result.replicas <= len(values)
