"""CronJobs in a whole cluster: when Jobs start, overlap, missed runs, history. The clock begins on Monday at midnight
UTC."""

from __future__ import annotations

from typing import Any

from tests.unit.kinds.workloads import Cluster, example, in_cluster


def cron(run_s: float = 1, code: int = 0, **spec: Any) -> dict[str, Any]:
    obj = example("batch/cronjob")
    template = obj["spec"]["jobTemplate"]["spec"]["template"]
    template["metadata"] = {"annotations": {"test/exit": str(code), "test/run-s": str(run_s)}}
    job = {"backoffLimit": 0, "template": template}
    obj["spec"] = {"schedule": "* * * * *", "jobTemplate": {"spec": job}, **spec}
    return obj


def jobs(cluster: Cluster) -> list[str]:
    """When the Jobs that are there were due, as hour:minute in UTC."""
    stamps = [
        stored.object["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
        for stored in cluster.client.list("batch/Job")
    ]
    return [stamp[11:16] for stamp in stamps]


def active(cluster: Cluster) -> int:
    return len(cluster.status("batch/CronJob", "backup").get("active", ()))


def told(cluster: Cluster, reason: str) -> list[str]:
    return [text for text in cluster.said if text.startswith(f"CronJob {reason}:")]


def test_a_job_starts_each_minute_and_only_some_history_is_kept() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/CronJob", cron(successfulJobsHistoryLimit=2))
        await cluster.settle(5 * 60 + 30)
        assert jobs(cluster) == ["00:04", "00:05"]
        status = cluster.status("batch/CronJob", "backup")
        assert status["lastScheduleTime"] == "2026-01-05T00:05:00Z"
        assert status["lastSuccessfulTime"] > "2026-01-05T00:05:00Z"
        assert len(told(cluster, "SawCompletedJob")) == 5
        assert told(cluster, "SuccessfulDelete")[0].endswith("Deleted job backup-29459521")

    in_cluster(story)


def test_a_run_that_is_still_going_is_left_joined_or_replaced() -> None:
    async def story(cluster: Cluster, policy: str, seen: tuple[list[str], int]) -> None:
        await cluster.create("batch/CronJob", cron(run_s=150, concurrencyPolicy=policy))
        await cluster.settle(2 * 60 + 30)
        assert (jobs(cluster), active(cluster)) == seen

    in_cluster(lambda cluster: story(cluster, "Allow", (["00:01", "00:02"], 2)))
    in_cluster(lambda cluster: story(cluster, "Forbid", (["00:01"], 1)))
    in_cluster(lambda cluster: story(cluster, "Replace", (["00:02"], 1)))


def test_a_forbidden_overlap_is_told() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/CronJob", cron(run_s=90, concurrencyPolicy="Forbid"))
        await cluster.settle(2 * 60 + 10)
        assert told(cluster, "JobAlreadyActive") == [
            "CronJob JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is "
            "Forbid"
        ]

    in_cluster(story)


def test_the_zone_decides_the_hour() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/CronJob", cron(schedule="30 9 * * *", timeZone="Asia/Seoul"))
        await cluster.settle(3600)
        stored = cluster.client.list("batch/Job")[0].object
        stamp = stored["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
        assert stamp == "2026-01-05T09:30:00+09:00"

    in_cluster(story)


def test_after_a_pause_the_latest_missed_run_starts_unless_it_is_too_late() -> None:
    async def story(cluster: Cluster, deadline_s: int | None, seen: list[str]) -> None:
        spec: dict[str, Any] = {} if deadline_s is None else {"startingDeadlineSeconds": deadline_s}
        await cluster.create("batch/CronJob", cron(schedule="0 * * * *", suspend=True, **spec))
        await cluster.settle(3 * 3600 + 600)
        await cluster.patch("batch/CronJob", "backup", suspend=False)
        await cluster.settle(5)
        assert jobs(cluster) == seen

    in_cluster(lambda cluster: story(cluster, None, ["03:00"]))
    in_cluster(lambda cluster: story(cluster, 900, ["03:00"]))
    in_cluster(lambda cluster: story(cluster, 300, []))


def test_failed_jobs_have_a_limit_of_their_own() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/CronJob", cron(code=1, failedJobsHistoryLimit=0))
        await cluster.settle(3 * 60 + 30)
        assert jobs(cluster) == []
        assert "lastSuccessfulTime" not in cluster.status("batch/CronJob", "backup")

    in_cluster(story)


def test_a_job_of_the_same_name_that_is_somebody_elses_is_not_touched() -> None:
    async def story(cluster: Cluster) -> None:
        other = example("batch/job")
        other["metadata"]["name"] = "backup-29459521"
        await cluster.create("batch/Job", other)
        await cluster.create("batch/CronJob", cron())
        await cluster.settle(90)
        assert told(cluster, "SuccessfulCreate") == []
        assert active(cluster) == 0

    in_cluster(story)


def test_a_deleted_job_is_missed_and_the_next_one_still_starts() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/CronJob", cron(run_s=600, concurrencyPolicy="Forbid"))
        await cluster.settle(90)
        await cluster.delete("batch/Job", "backup-29459521")
        await cluster.settle(60)
        assert told(cluster, "MissingJob") == ["CronJob MissingJob: Active job went missing: backup-29459521"]
        assert jobs(cluster) == ["00:02"]

    in_cluster(story)


def test_what_can_never_run_is_told_and_stops_nobody() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("batch/CronJob", cron(schedule="0 0 31 2 *"))
        await cluster.settle(120)
        assert told(cluster, "InvalidSchedule") == [
            "CronJob InvalidSchedule: invalid schedule: 0 0 31 2 * : time difference between two schedules is less "
            "than 1 second"
        ]

    in_cluster(story)
