"""Jobs in a whole cluster: counting, failures, policies, suspension, deletion."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from tests.unit.kinds.workloads import Cluster, example, in_cluster

from pilothouse.base.clock import parse_rfc3339

FAIL_ON_42 = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}
IGNORE_DISRUPTION = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}


def job(exit_code: int | None = 0, run_s: float = 1, **spec: Any) -> dict[str, Any]:
    """A Job whose pods end with a code after some seconds, or by hand (None)."""
    obj = example("batch/job")
    obj["spec"] = {"template": obj["spec"]["template"], **spec}
    if exit_code is not None:
        annotations = {"test/exit": str(exit_code), "test/run-s": str(run_s)}
        obj["spec"]["template"]["metadata"] = {"annotations": annotations}
    return obj


def running(cluster: Cluster) -> list[Any]:
    return [pod for pod in cluster.pods() if pod["status"]["phase"] in ("Pending", "Running")]


def test_no_more_pods_run_than_the_parallelism_and_each_is_counted_once() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/Job", job(completions=7, parallelism=3))
        most = 0
        for _ in range(200):
            await cluster.settle(0.1)
            most = max(most, len(running(cluster)))
        status = cluster.status("batch/Job", "migrate")
        assert (most, len(cluster.pods()), status["succeeded"]) == (3, 7, 7)
        assert cluster.reasons("batch/Job", "migrate") == [
            "SuccessCriteriaMet=True CompletionsReached",
            "Complete=True CompletionsReached",
        ]
        assert status["uncountedTerminatedPods"] == {}
        assert all("finalizers" not in pod["metadata"] for pod in cluster.pods())

    in_cluster(story)


def test_failures_in_a_row_wait_longer_each_time() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/Job", job(1, backoffLimit=3))
        await cluster.settle(200)
        births = [parse_rfc3339(pod["metadata"]["creationTimestamp"]) for pod in cluster.pods()]
        gaps = [round(later - earlier) for earlier, later in pairwise(births)]
        # The pod's own second, and up to a second until its end is looked at.
        assert [gap - wait for gap, wait in zip(gaps, (10, 20, 40), strict=True)] == [1, 1, 1]
        assert cluster.reasons("batch/Job", "migrate")[-1] == "Failed=True BackoffLimitExceeded"

    in_cluster(story)


def test_a_matching_exit_code_fails_the_job_and_stops_the_other_pods() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/Job", job(None, completions=3, parallelism=3, podFailurePolicy=FAIL_ON_42))
        await cluster.settle(3)
        await cluster.end(cluster.pods()[1], 42)
        await cluster.settle()
        assert running(cluster) == []
        assert cluster.reasons("batch/Job", "migrate")[-1] == "Failed=True PodFailurePolicy"
        assert cluster.status("batch/Job", "migrate")["failed"] == 3

    in_cluster(story)


def test_an_ignored_failure_is_replaced_and_not_counted() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/Job", job(None, backoffLimit=0, podFailurePolicy=IGNORE_DISRUPTION))
        await cluster.settle(3)
        pod = cluster.pods()[0]
        conditions = [{"type": "DisruptionTarget", "status": "True"}, {"type": "Ready", "status": "False"}]
        await cluster.write_status(pod, "Failed", ready=False, conditions=conditions)
        await cluster.settle(20)
        assert len(running(cluster)) == 1
        await cluster.end(running(cluster)[0], 0)
        await cluster.settle()
        status = cluster.status("batch/Job", "migrate")
        assert (status["succeeded"], status.get("failed", 0)) == (1, 0)

    in_cluster(story)


def test_indexed_pods_know_their_index_and_a_success_policy_ends_early() -> None:
    async def story(cluster: Cluster) -> None:
        policy = {"rules": [{"succeededIndexes": "1", "succeededCount": 1}]}
        spec: dict[str, Any] = {
            "completions": 3,
            "parallelism": 3,
            "completionMode": "Indexed",
            "successPolicy": policy,
        }
        await cluster.create("batch/Job", job(None, **spec))
        await cluster.settle(3)
        hostnames = [pod["spec"]["hostname"] for pod in cluster.pods()]
        assert hostnames == ["migrate-0", "migrate-1", "migrate-2"]
        variable = cluster.pods()[2]["spec"]["containers"][0]["env"][0]
        assert variable["name"] == "JOB_COMPLETION_INDEX"
        await cluster.end(cluster.pods()[1], 0)
        await cluster.settle()
        status = cluster.status("batch/Job", "migrate")
        assert (status["completedIndexes"], status["succeeded"]) == ("1", 1)
        assert cluster.reasons("batch/Job", "migrate")[-1] == "Complete=True SuccessPolicy"
        assert running(cluster) == []

    in_cluster(story)


def test_an_index_has_a_back_off_of_its_own_and_its_failures_do_not_stop_the_others() -> None:
    async def story(cluster: Cluster) -> None:
        spec: dict[str, Any] = {
            "completions": 2,
            "parallelism": 2,
            "completionMode": "Indexed",
            "backoffLimitPerIndex": 1,
        }
        await cluster.create("batch/Job", job(None, **spec))
        await cluster.settle(3)
        bad, good = cluster.pods()
        await cluster.end(bad, 1)
        await cluster.settle(20)
        again = running(cluster)[-1]
        annotation = again["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"]
        assert (again["spec"]["hostname"], annotation) == ("migrate-0", "1")
        await cluster.end(again, 1)
        await cluster.settle(5)
        assert cluster.status("batch/Job", "migrate")["failedIndexes"] == "0"
        await cluster.end(good, 0)
        await cluster.settle()
        assert cluster.reasons("batch/Job", "migrate")[-1] == "Failed=True FailedIndexes"

    in_cluster(story)


def test_a_suspended_job_has_no_pods_and_its_deadline_begins_anew() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/Job", job(None, activeDeadlineSeconds=30))
        await cluster.settle(20)
        await cluster.patch("batch/Job", "migrate", suspend=True)
        await cluster.settle()
        assert cluster.pods() == []
        assert "failed" not in cluster.status("batch/Job", "migrate")
        await cluster.patch("batch/Job", "migrate", suspend=False)
        await cluster.settle(20)
        assert len(running(cluster)) == 1
        await cluster.settle(20)
        assert cluster.reasons("batch/Job", "migrate")[-1] == "Failed=True DeadlineExceeded"
        assert [text for text in cluster.said if "ended" in text or "sumed" in text] == [
            "Job Suspended: Job suspended",
            "Job Resumed: Job resumed",
        ]

    in_cluster(story)


def test_a_deleted_job_leaves_no_pod_behind() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/Job", job(None, completions=2, parallelism=2))
        await cluster.settle(3)
        assert all(pod["metadata"]["finalizers"] for pod in cluster.pods())
        await cluster.delete("batch/Job", "migrate")
        await cluster.settle()
        assert cluster.pods() == []

    in_cluster(story)


def test_an_ended_job_goes_when_its_time_is_over() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/Job", job(ttlSecondsAfterFinished=30))
        await cluster.settle(25)
        assert cluster.status("batch/Job", "migrate")["succeeded"] == 1
        await cluster.settle(15)
        assert cluster.client.list("batch/Job") == []
        assert cluster.pods() == []

    in_cluster(story)


def test_a_job_of_another_controller_is_left_alone() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/Job", job(managedBy="example.com/queue"))
        await cluster.settle()
        assert (cluster.pods(), cluster.status("batch/Job", "migrate")) == ([], {})

    in_cluster(story)


def test_pods_that_a_quota_refuses_come_when_there_is_room() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("ResourceQuota", {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}})
        await cluster.create("batch/Job", job(run_s=5, completions=2, parallelism=2))
        await cluster.settle(3)
        assert cluster.status("batch/Job", "migrate")["active"] == 1
        assert any("exceeded quota: q" in text for text in cluster.said)
        await cluster.settle(60)
        assert cluster.status("batch/Job", "migrate")["succeeded"] == 2

    in_cluster(story)


def test_a_pod_that_somebody_deletes_counts_as_failed() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/Job", job(run_s=8))
        await cluster.settle(3)
        await cluster.delete("Pod", cluster.names()[0])
        await cluster.settle(40)
        status = cluster.status("batch/Job", "migrate")
        assert (status["failed"], status["succeeded"]) == (1, 1)

    in_cluster(story)


def test_without_completions_the_first_success_ends_the_work_of_all() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/Job", job(None, parallelism=3))
        await cluster.settle(3)
        first, *others = cluster.pods()
        await cluster.end(first, 0)
        await cluster.settle(5)
        assert len(cluster.pods()) == 3
        await asyncio.gather(*(cluster.end(pod, 0) for pod in others))
        await cluster.settle(5)
        assert cluster.reasons("batch/Job", "migrate")[-1] == "Complete=True CompletionsReached"

    in_cluster(story)
