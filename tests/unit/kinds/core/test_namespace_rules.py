"""What a namespace gives and allows: quotas, limits, the default account; and the two old kinds beside them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.kinds.workloads import Cluster, example, in_cluster

from pilothouse.base.errors import ForbiddenWrite


def pod(name: str, **resources: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "x", "resources": resources}
    return {"metadata": {"name": name, "labels": {"app": "web"}}, "spec": {"containers": [container]}}


async def refused(cluster: Cluster, kind: str, obj: dict[str, Any]) -> str:
    with pytest.raises(ForbiddenWrite) as refusal:
        await cluster.create(kind, obj)
    return refusal.value.message


def quota(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "q"}, "spec": spec}


def limits(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "l"}, "spec": {"limits": list(entries)}}


def test_a_quota_counts_what_pods_ask_for() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("ResourceQuota", quota(hard={"requests.cpu": "1", "limits.memory": "1Gi"}))
        asked = {"requests": {"cpu": "600m"}, "limits": {"memory": "512Mi"}}
        await cluster.create("Pod", pod("a", **asked))
        assert await refused(cluster, "Pod", pod("b", **asked)) == (
            'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, '
            "limited: requests.cpu=1"
        )
        assert await refused(cluster, "Pod", pod("c", requests={"cpu": "1m"})) == (
            'pods "c" is forbidden: failed quota: q: must specify limits.memory for: c'
        )
        await cluster.settle(1)
        assert cluster.status("ResourceQuota", "q")["used"] == {"requests.cpu": "600m", "limits.memory": "512Mi"}
        await cluster.end(cluster.pods()[0], 0)
        await cluster.create("Pod", pod("b", **asked))

    in_cluster(story)


def test_a_quota_counts_objects_of_any_kind() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("ResourceQuota", quota(hard={"count/jobs.batch": "1", "services.nodeports": "0"}))
        await cluster.create("batch/Job", example("batch/job"))
        second = example("batch/job")
        second["metadata"]["name"] = "second"
        assert "count/jobs.batch=1" in await refused(cluster, "batch/Job", second)
        service = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
        assert "services.nodeports=1" in await refused(cluster, "Service", service)

    in_cluster(story)


def test_scopes_choose_the_pods_of_a_quota() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("ResourceQuota", quota(hard={"pods": "1"}, scopes=["BestEffort"]))
        await cluster.create("Pod", pod("a"))
        assert "exceeded quota" in await refused(cluster, "Pod", pod("b"))
        await cluster.create("Pod", pod("c", requests={"cpu": "1m"}))

    in_cluster(story)


def test_limits_fill_in_what_containers_leave_open_and_say_so() -> None:
    async def story(cluster: Cluster) -> None:
        entry = {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}}
        await cluster.create("LimitRange", limits({**entry, "max": {"cpu": "1"}}))
        made = await cluster.create("Pod", pod("a"))
        resources = made["spec"]["containers"][0]["resources"]
        assert resources == {"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}}
        assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
            "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
        )
        assert await refused(cluster, "Pod", pod("b", limits={"cpu": "2"})) == (
            'pods "b" is forbidden: maximum cpu usage per Container is 1, but limit is 2'
        )

    in_cluster(story)


def test_limits_of_a_whole_pod_of_a_ratio_and_of_a_claim() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("LimitRange", limits(
            {"type": "Pod", "max": {"memory": "1Gi"}},
            {"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}},
            {"type": "PersistentVolumeClaim", "max": {"storage": "5Gi"}},
        ))  # fmt: skip
        fine = {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}
        await cluster.create("Pod", pod("a", **fine))
        wide = {**fine, "limits": {"cpu": "3", "memory": "1Gi"}}
        assert (await refused(cluster, "Pod", pod("b", **wide))).endswith(
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"
        )
        assert (await refused(cluster, "Pod", pod("c", **{**fine, "limits": {"cpu": "2"}}))).endswith(
            "maximum memory usage per Pod is 1Gi.  No limit is specified"
        )
        assert (await refused(cluster, "PersistentVolumeClaim", example("core/persistentvolumeclaim"))).endswith(
            "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 10Gi"
        )

    in_cluster(story)


def test_every_namespace_has_its_default_account_again_and_again() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("Namespace", {"metadata": {"name": "team"}})
        await cluster.settle(1)
        first = cluster.client.get("ServiceAccount", "team", "default")
        assert first is not None
        await cluster.client.delete("ServiceAccount", "team", "default")
        await cluster.settle(1)
        again = cluster.client.get("ServiceAccount", "team", "default")
        assert again is not None
        assert again.object["metadata"]["uid"] != first.object["metadata"]["uid"]
        await cluster.client.delete("Namespace", "", "team")
        await cluster.settle(5)
        assert cluster.client.list("ServiceAccount", "team") == []

    in_cluster(story)


def test_endpoints_follow_the_pods_of_a_service() -> None:
    def addresses(cluster: Cluster, key: str) -> list[str]:
        stored = cluster.client.get("Endpoints", "default", "web")
        assert stored is not None
        return [a["ip"] for subset in stored.object.get("subsets") or () for a in subset.get(key) or ()]

    async def story(cluster: Cluster) -> None:
        await cluster.add_node("a")
        service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
        await cluster.create("Service", service)
        cluster.ready = lambda made: made["metadata"]["name"] != "two"
        for name in ("one", "two"):
            await cluster.create("Pod", pod(name))
            await cluster.settle(2)
        assert (addresses(cluster, "addresses"), addresses(cluster, "notReadyAddresses")) == (
            ["10.0.0.1"],
            ["10.0.0.2"],
        )
        await cluster.delete("Pod", "one")
        await cluster.settle(2)
        assert addresses(cluster, "addresses") == []
        await cluster.delete("Service", "web")
        await cluster.settle(2)
        assert cluster.client.get("Endpoints", "default", "web") is None

    in_cluster(story)


def test_a_replication_controller_keeps_its_number_and_adopts() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("Pod", pod("stray"))
        await cluster.create("ReplicationController", example("core/replicationcontroller"))
        await cluster.settle()
        assert len(cluster.pods()) == 2
        assert "stray" in cluster.names()
        assert cluster.status("ReplicationController", "web")["readyReplicas"] == 2
        await cluster.delete("Pod", "stray")
        await cluster.settle()
        assert len(cluster.pods()) == 2
        await cluster.patch("ReplicationController", "web", replicas=0)
        await cluster.settle()
        assert cluster.pods() == []
        reasons = {text.partition(":")[0] for text in cluster.said}
        assert reasons == {"ReplicationController SuccessfulCreate", "ReplicationController SuccessfulDelete"}

    in_cluster(story)


def test_a_replication_controller_says_why_it_has_too_few_pods() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.create("ResourceQuota", quota(hard={"pods": "1"}))
        await cluster.create("ReplicationController", example("core/replicationcontroller"))
        await cluster.settle()
        assert cluster.reasons("ReplicationController", "web") == ["ReplicaFailure=True FailedCreate"]
        await cluster.client.delete("ResourceQuota", "default", "q")
        await asyncio.sleep(60)
        assert cluster.reasons("ReplicationController", "web") == []

    in_cluster(story)
