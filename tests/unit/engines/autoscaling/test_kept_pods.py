"""Pods that are kept between syncs answer as a fresh list of the same pods does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.engines.autoscaling.metrics import PodMetric
from pilothouse.engines.autoscaling.pods import KeptPods, PodFacts, Readiness, group
from pilothouse.engines.autoscaling.replicas import Tolerances, for_utilization

NOW_S = 10_000.0


def _pod(name: str, phase: str, ready: str, start_s: float | None, deleting: bool, cpu: int | None) -> PodFacts:
    requests = {"app": {} if cpu is None else {"cpu": cpu}}
    since_s = NOW_S - 20 if ready == "False" else NOW_S - 400
    return PodFacts(
        name, phase=phase, ready=ready, ready_since_s=since_s, start_s=start_s, deleting=deleting, containers=requests
    )


_PODS = st.lists(
    st.tuples(
        st.sampled_from(["Running", "Running", "Running", "Pending", "Failed"]),
        st.sampled_from(["True", "True", "True", "False", ""]),
        st.sampled_from([NOW_S - 5000, NOW_S - 300, NOW_S - 299, NOW_S - 20, None]),
        st.sampled_from([False, False, False, True]),
        st.sampled_from([100, 250, 250, None]),
        st.one_of(st.none(), st.integers(min_value=0, max_value=900)),
    ),
    max_size=6,
)


@given(_PODS, st.sampled_from(["cpu", "memory"]))
def test_kept_pods_answer_as_a_list_does(
    drawn: list[tuple[str, str, float | None, bool, int | None, int | None]], resource: str
) -> None:
    pods = [_pod(f"pod-{n}", *about[:5]) for n, about in enumerate(drawn)]
    metrics = {
        f"pod-{n}": PodMetric(about[5], NOW_S - 10, 15.0) for n, about in enumerate(drawn) if about[5] is not None
    }
    kept = KeptPods(pods)
    for _again in range(2):
        assert group(kept, metrics, resource, Readiness(), NOW_S) == group(pods, metrics, resource, Readiness(), NOW_S)
        asked = (3, 60, resource, "", metrics)
        how = (Tolerances(), Readiness(), NOW_S)
        assert for_utilization(*asked, kept, *how) == for_utilization(*asked, pods, *how)


def test_a_pod_counts_as_steady_once_its_first_minutes_are_over() -> None:
    young = KeptPods([_pod("a", "Running", "True", NOW_S - 100, False, 100)])
    assert young.steady_s(Readiness()) == NOW_S - 100 + 300
    assert KeptPods([_pod("a", "Pending", "True", NOW_S, False, 100)]).steady_s(Readiness()) == float("inf")
