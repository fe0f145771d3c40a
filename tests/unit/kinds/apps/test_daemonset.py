"""DaemonSets in a whole cluster: which nodes get a pod, and how pods are replaced."""

from __future__ import annotations

from typing import Any

from tests.unit.kinds.workloads import Cluster, example, in_cluster

TAINT = {"key": "team", "value": "ml", "effect": "NoSchedule"}


def logs(**spec: Any) -> dict[str, Any]:
    obj = example("apps/daemonset")
    obj["spec"].update(spec)
    return obj


def steps(**values: Any) -> dict[str, Any]:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": values}}


def new_image() -> dict[str, Any]:
    containers = logs()["spec"]["template"]["spec"]["containers"]
    return {"template": {"spec": {"containers": [{**containers[0], "image": "fluent-bit:4"}]}}}


def places(cluster: Cluster) -> list[str]:
    return sorted(pod["spec"].get("nodeName", "") for pod in cluster.pods(app="logs"))


def counts(cluster: Cluster) -> tuple[int, ...]:
    status = cluster.status("apps/DaemonSet", "logs")
    names = ("desiredNumberScheduled", "currentNumberScheduled", "numberMisscheduled", "numberAvailable")
    return tuple(status.get(name, 0) for name in names)


def test_every_node_that_fits_has_one_pod_also_those_that_come_later() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.add_node("a")
        await cluster.add_node("b", taints=[TAINT])
        await cluster.add_node("c", unschedulable=True, taints=[
            {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}])  # fmt: skip
        await cluster.create("apps/DaemonSet", logs())
        await cluster.settle()
        assert places(cluster) == ["a", "c"]
        await cluster.add_node("d")
        await cluster.settle()
        assert (places(cluster), counts(cluster)) == (["a", "c", "d"], (3, 3, 0, 3))

    in_cluster(story)


def test_a_taint_keeps_new_pods_away_and_only_no_execute_sends_old_ones_off() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.add_node("a")
        await cluster.create("apps/DaemonSet", logs())
        await cluster.settle()
        await cluster.client.patch("Node", "", "a", {"spec": {"taints": [TAINT]}})
        await cluster.settle()
        assert (places(cluster), counts(cluster)) == (["a"], (0, 0, 1, 0))
        await cluster.client.patch("Node", "", "a", {"spec": {"taints": [{**TAINT, "effect": "NoExecute"}]}})
        await cluster.settle()
        assert places(cluster) == []

    in_cluster(story)


def test_a_node_selector_moves_the_pods() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.add_node("a", labels={"disk": "ssd"})
        await cluster.add_node("b")
        await cluster.create("apps/DaemonSet", logs())
        await cluster.settle()
        await cluster.patch("apps/DaemonSet", "logs", template={"spec": {"nodeSelector": {"disk": "ssd"}}})
        await cluster.settle()
        assert (places(cluster), counts(cluster)) == (["a"], (1, 1, 0, 1))

    in_cluster(story)


def test_an_update_takes_no_more_pods_than_may_be_missing() -> None:
    async def story(cluster: Cluster) -> None:
        for name in "abcde":
            await cluster.add_node(name)
        await cluster.create("apps/DaemonSet", logs(**steps(maxUnavailable=2)))
        await cluster.settle()
        await cluster.patch("apps/DaemonSet", "logs", **new_image())
        least = 5
        for _ in range(100):
            await cluster.settle(0.1)
            ready = [p for p in cluster.pods() if (p["status"].get("conditions") or [{}])[0].get("status") == "True"]
            least = min(least, sum("deletionTimestamp" not in p["metadata"] for p in ready))
        images = {pod["spec"]["containers"][0]["image"] for pod in cluster.pods()}
        assert (least, images, len(cluster.pods())) == (3, {"fluent-bit:4"}, 5)
        assert cluster.status("apps/DaemonSet", "logs")["updatedNumberScheduled"] == 5
        numbers = [s.object["revision"] for s in cluster.client.list("apps/ControllerRevision")]
        assert numbers == [1, 2]

    in_cluster(story)


def test_with_surge_the_new_pod_stands_beside_the_old_until_it_serves() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.add_node("a")
        await cluster.create("apps/DaemonSet", logs(**steps(maxSurge=1, maxUnavailable=0)))
        await cluster.settle()
        old = cluster.names()
        cluster.ready = lambda _pod: False
        await cluster.patch("apps/DaemonSet", "logs", **new_image())
        await cluster.settle()
        assert len(cluster.names()) == 2
        newest = cluster.pods()[-1]
        await cluster.write_status(newest, "Running", ready=True)
        await cluster.settle()
        assert cluster.names() == [newest["metadata"]["name"]] != old

    in_cluster(story)


def test_on_delete_leaves_outdated_pods_alone() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.add_node("a")
        await cluster.create("apps/DaemonSet", logs(updateStrategy={"type": "OnDelete"}))
        await cluster.settle()
        await cluster.patch("apps/DaemonSet", "logs", **new_image())
        await cluster.settle()
        assert cluster.pods()[0]["spec"]["containers"][0]["image"] == "fluent-bit:3.1"
        await cluster.delete("Pod", cluster.names()[0])
        await cluster.settle()
        assert cluster.pods()[0]["spec"]["containers"][0]["image"] == "fluent-bit:4"

    in_cluster(story)


def test_a_failed_daemon_is_killed_and_made_again_ever_more_slowly() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.add_node("a")
        await cluster.create("apps/DaemonSet", logs())
        gaps = []
        for _ in range(4):
            await cluster.settle(0.5)
            failed = cluster.pods()[-1]
            await cluster.end(failed, 1)
            begin_s = cluster.clock.time()
            while failed["metadata"]["name"] in cluster.names():
                await cluster.settle(0.05)
            gaps.append(cluster.clock.time() - begin_s)
        # It fails again half a second after its predecessor was killed: waits of 1 s, 2 s, 4 s have that much left.
        assert [round(gap * 2) / 2 for gap in gaps] == [0, 0.5, 1.5, 3.5]
        assert any(text.startswith("DaemonSet FailedDaemonPod: Found failed daemon pod") for text in cluster.said)

    in_cluster(story)


def test_two_pods_on_a_node_become_one() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.add_node("a")
        stray = {"metadata": {"name": "older", "labels": {"app": "logs"}}, "spec": {
            "nodeName": "a", "containers": [{"name": "c", "image": "x"}]}}  # fmt: skip
        await cluster.create("Pod", stray)
        await cluster.settle()
        await cluster.create("apps/DaemonSet", logs(updateStrategy={"type": "OnDelete"}))
        await cluster.settle()
        assert cluster.names() == ["older"]

    in_cluster(story)
