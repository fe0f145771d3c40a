"""StatefulSets in a whole cluster: order, updates, storage, revisions."""

from __future__ import annotations

from typing import Any

from tests.unit.kinds.workloads import Cluster, example, in_cluster


def db(**spec: Any) -> dict[str, Any]:
    obj = example("apps/statefulset")
    obj["spec"].update(spec)
    return obj


def image(text: str) -> dict[str, Any]:
    """A patch of the template: another image."""
    spec = db()["spec"]["template"]["spec"]
    return {"template": {"spec": {"containers": [{**spec["containers"][0], "image": text}]}}}


def revisions(cluster: Cluster) -> list[int]:
    return sorted(s.object["revision"] for s in cluster.client.list("apps/ControllerRevision"))


def images(cluster: Cluster) -> list[str]:
    pods = sorted(cluster.pods(), key=lambda pod: str(pod["metadata"]["name"]))
    return [pod["spec"]["containers"][0]["image"] for pod in pods]


def test_pods_start_one_after_the_other_and_the_first_that_is_not_ready_stops_the_rest() -> None:
    async def story(cluster: Cluster) -> None:
        cluster.ready = lambda pod: pod["metadata"]["name"] != "db-1"
        await cluster.create("apps/StatefulSet", db())
        await cluster.settle()
        assert cluster.names() == ["db-0", "db-1"]
        pod = cluster.client.get("Pod", "default", "db-1")
        assert pod is not None
        await cluster.write_status(pod.object, "Running", ready=True)
        await cluster.settle()
        assert cluster.names() == ["db-0", "db-1", "db-2"]

    in_cluster(story)


def test_a_pod_has_its_name_its_index_and_its_claim() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("apps/StatefulSet", db(replicas=1))
        await cluster.settle()
        pod = cluster.pods()[0]
        labels, spec = pod["metadata"]["labels"], pod["spec"]
        assert (labels["apps.kubernetes.io/pod-index"], spec["hostname"], spec["subdomain"]) == ("0", "db-0", "db")
        assert spec["volumes"][0] == {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}
        claim = cluster.client.get("PersistentVolumeClaim", "default", "data-db-0")
        assert claim is not None
        assert claim.object["metadata"]["labels"] == {"app": "db"}
        assert "ownerReferences" not in claim.object["metadata"]

    in_cluster(story)


def test_a_claim_outlives_its_pod_unless_the_policy_gives_it_up() -> None:
    async def story(cluster: Cluster, policy: str, left: list[str]) -> None:
        retention = {"whenDeleted": "Retain", "whenScaled": policy}
        await cluster.create("apps/StatefulSet", db(replicas=2, persistentVolumeClaimRetentionPolicy=retention))
        await cluster.settle()
        await cluster.patch("apps/StatefulSet", "db", replicas=1)
        await cluster.settle()
        claims = [s.object["metadata"]["name"] for s in cluster.client.list("PersistentVolumeClaim")]
        assert (cluster.names(), claims) == (["db-0"], left)

    in_cluster(lambda cluster: story(cluster, "Retain", ["data-db-0", "data-db-1"]))
    in_cluster(lambda cluster: story(cluster, "Delete", ["data-db-0"]))


def test_claims_go_with_the_set_when_the_policy_says_so() -> None:
    async def story(cluster: Cluster) -> None:
        retention = {"whenDeleted": "Delete", "whenScaled": "Retain"}
        await cluster.create("apps/StatefulSet", db(replicas=2, persistentVolumeClaimRetentionPolicy=retention))
        await cluster.settle()
        await cluster.delete("apps/StatefulSet", "db")
        await cluster.settle()
        assert cluster.names() == []
        assert cluster.client.list("PersistentVolumeClaim") == []
        assert revisions(cluster) == []

    in_cluster(story)


def test_an_update_goes_from_the_last_pod_to_the_partition() -> None:
    async def story(cluster: Cluster) -> None:
        steps = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
        await cluster.create("apps/StatefulSet", db(updateStrategy=steps))
        await cluster.settle()
        await cluster.patch("apps/StatefulSet", "db", **image("postgres:18"))
        await cluster.settle(20)
        assert images(cluster) == ["postgres:17", "postgres:18", "postgres:18"]
        status = cluster.status("apps/StatefulSet", "db")
        assert (status["currentReplicas"], status["updatedReplicas"]) == (1, 2)
        assert status["currentRevision"] != status["updateRevision"]
        # A pod below the partition comes back as it was.
        await cluster.delete("Pod", "db-0")
        await cluster.settle()
        assert images(cluster)[0] == "postgres:17"

    in_cluster(story)


def test_max_unavailable_takes_several_pods_at_once() -> None:
    async def story(cluster: Cluster) -> None:
        steps = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}
        await cluster.create("apps/StatefulSet", db(updateStrategy=steps, podManagementPolicy="Parallel", replicas=4))
        await cluster.settle()
        await cluster.patch("apps/StatefulSet", "db", **image("postgres:18"))
        await cluster.settle(0.1)
        going = [p["metadata"]["name"] for p in cluster.pods() if "deletionTimestamp" in p["metadata"]]
        assert going == ["db-2", "db-3"]
        await cluster.settle(20)
        assert images(cluster) == ["postgres:18"] * 4

    in_cluster(story)


def test_on_delete_waits_for_somebody_to_delete() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("apps/StatefulSet", db(updateStrategy={"type": "OnDelete"}))
        await cluster.settle()
        await cluster.patch("apps/StatefulSet", "db", **image("postgres:18"))
        await cluster.settle()
        assert images(cluster) == ["postgres:17"] * 3
        await cluster.delete("Pod", "db-1")
        await cluster.settle()
        assert images(cluster) == ["postgres:17", "postgres:18", "postgres:17"]

    in_cluster(story)


def test_going_back_renumbers_the_old_revision_and_old_history_is_forgotten() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("apps/StatefulSet", db(replicas=1, revisionHistoryLimit=1))
        for text in ("postgres:18", "postgres:17", "postgres:19", "postgres:20"):
            await cluster.settle()
            await cluster.patch("apps/StatefulSet", "db", **image(text))
        await cluster.settle()
        # 17 was revision 1 and became 3; 18 (2) and 17 (3) are gone: one of the past is kept beside the present.
        assert revisions(cluster) == [4, 5]

    in_cluster(story)


def test_a_failed_pod_is_replaced_and_a_refused_one_is_told() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("apps/StatefulSet", db(replicas=2))
        await cluster.settle()
        first = cluster.pods()[0]
        await cluster.end(first, 1)
        await cluster.settle()
        assert cluster.pods()[-1]["metadata"]["uid"] != first["metadata"]["uid"]
        assert sorted(cluster.names()) == ["db-0", "db-1"]
        quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}}
        await cluster.create("ResourceQuota", quota)
        await cluster.patch("apps/StatefulSet", "db", replicas=3)
        await cluster.settle()
        told = [text for text in cluster.said if "FailedCreate" in text]
        assert told[0] == (
            "StatefulSet FailedCreate: Create Pod db-2 in StatefulSet db failed error: "
            'pods "db-2" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
        )
        assert cluster.status("apps/StatefulSet", "db")["observedGeneration"] == 2

    in_cluster(story)


def test_a_pod_of_another_name_is_let_go() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("apps/StatefulSet", db(replicas=1))
        pod = {"metadata": {"name": "stray", "labels": {"app": "db"}}, "spec": db()["spec"]["template"]["spec"]}
        pod["spec"] = {"containers": [{"name": "c", "image": "x"}]}
        await cluster.create("Pod", pod)
        await cluster.settle()
        assert sorted(cluster.names()) == ["db-0", "stray"]
        assert cluster.status("apps/StatefulSet", "db")["replicas"] == 1

    in_cluster(story)
