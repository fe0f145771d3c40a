"""A pod's life on a modelled node, in exact virtual time: pull 1 s, start 2 s, healthy 1 s later unless a test says
otherwise."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from tests.unit.worlds.rehearsal.town import Town, one_service, play

from pilothouse.worlds.rehearsal.faults import BadVersion, PodCrashLoop, PodKill
from pilothouse.worlds.rehearsal.world import StartFault


def http_probe(**fields: Any) -> dict[str, Any]:
    return {"httpGet": {"path": "/health", "port": 8080}, **fields}


def test_a_pod_is_pulled_started_and_ready() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p")
        await town.wait(0.5)
        assert town.state("p") == "Waiting ContainerCreating"
        assert town.pod("p")["status"]["phase"] == "Pending"
        await town.wait(0.6)
        assert town.state("p") == "Running ready"

    town = play(one_service(), story)
    status = town.pod("p")["status"]
    assert status["phase"] == "Running"
    assert status["podIP"] == "10.0.0.2"
    assert {c["type"]: c["status"] for c in status["conditions"]} == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
    )
    assert town.said("p") == [
        'Pulling: Pulling image "api:v1"',
        'Pulled: Successfully pulled image "api:v1" in 1s (1s including waiting).',
        "Created: Container created",
        "Started: Container started",
    ]


def test_a_second_pod_finds_the_image_on_its_node() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("a")
        await town.wait(2)
        await town.add_pod("b")
        await town.wait(0.1)
        assert town.state("b").startswith("Running")

    town = play(one_service(), story)
    assert town.said("b")[0].endswith("already present on machine and can be accessed by the pod")


@pytest.mark.parametrize(
    ("probe", "ready_at"),
    [
        # Started at 1 s, healthy at 4 s; probed every period from the pod's arrival at 0 s, once initialDelay is over.
        ({"periodSeconds": 1}, 4.0),
        ({"periodSeconds": 5}, 5.0),
        ({"periodSeconds": 5, "initialDelaySeconds": 10}, 15.0),
        ({"periodSeconds": 3, "successThreshold": 2}, 9.0),
    ],
)
def test_readiness_is_noticed_at_the_exact_probe(probe: dict[str, Any], ready_at: float) -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", readinessProbe=http_probe(**probe))
        await town.wait(ready_at - 0.01)
        assert town.state("p") == "Running"
        assert town.condition("p", "Ready") == "False"
        await town.wait(0.02)
        assert town.state("p") == "Running ready"

    play(one_service(), story)


def test_a_failed_readiness_probe_is_said_once_per_change() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", readinessProbe=http_probe(periodSeconds=1))
        await town.wait(20)

    said = play(one_service(), story).said("p")
    assert said[-1] == (
        'Unhealthy: Readiness probe failed: Get "http://10.0.0.2:8080/health": dial tcp 10.0.0.2:8080: '
        "connect: connection refused"
    )


def test_liveness_kills_a_pod_that_starts_too_slowly() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", livenessProbe=http_probe(initialDelaySeconds=5, periodSeconds=5, failureThreshold=3))
        # Started at 1 s; probed at 10, 15 and 20 s.
        await town.wait(19.9)
        assert town.state("p").startswith("Running")
        await town.wait(1.2)
        assert town.pod("p")["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137

    town = play(one_service(start={"median": "60s", "sigma": 0}), story)
    assert "Killing: Container c failed liveness probe, will be restarted" in town.said("p")


def test_a_startup_probe_holds_the_others_back() -> None:
    async def story(town: Town) -> None:
        await town.add_pod(
            "p",
            startupProbe=http_probe(periodSeconds=10, failureThreshold=30),
            livenessProbe=http_probe(periodSeconds=1, failureThreshold=1),
            readinessProbe=http_probe(periodSeconds=60),
        )
        await town.wait(69.9)
        assert town.state("p") == "Running"
        # Healthy at 62 s, noticed at 70 s, and readiness is asked at once.
        await town.wait(0.2)
        assert town.state("p") == "Running ready"
        assert town.pod("p")["status"]["containerStatuses"][0]["restartCount"] == 0

    play(one_service(start={"median": "60s", "sigma": 0}), story)


def test_crash_loops_wait_longer_each_time_up_to_five_minutes() -> None:
    starts: list[float] = []

    async def story(town: Town) -> None:
        town.world.apply(StartFault(PodCrashLoop(image="*:v1", after=4)))
        town.events.subscribe(lambda e: starts.append(round(town.loop.time(), 3)) if e.reason == "Started" else None)
        await town.add_pod("p")
        await town.wait(7)
        assert town.state("p") == "Running ready"
        await town.wait(5)
        assert town.state("p") == "Waiting CrashLoopBackOff"
        await town.wait(1000)

    town = play(one_service(), story)
    gaps = [b - a - 4 for a, b in pairwise(starts)]
    assert gaps[:7] == pytest.approx([1, 10, 20, 40, 80, 160, 300])
    uid = town.pod("p")["metadata"]["uid"]
    assert f"BackOff: Back-off restarting failed container c in pod p_default({uid})" in town.said("p")
    assert town.pod("p")["status"]["containerStatuses"][0]["restartCount"] == len(starts) - 1


def test_a_container_over_its_memory_limit_is_killed() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", resources={"limits": {"memory": "128Mi", "cpu": "1"}})
        await town.wait(120)

    # 100 MiB at rest and 60 MiB a minute: over the limit after half a minute.
    town = play(one_service("1rps", memory={"base": "100Mi", "perRequest": "0", "leak": "60MiB/min"}), story)
    status = town.pod("p")["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert status["lastState"]["terminated"]["exitCode"] == 137
    assert status["restartCount"] >= 1


def test_deletion_waits_for_the_hook_and_the_process() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", lifecycle={"preStop": {"exec": {"command": ["sh", "-c", "sleep 5"]}}})
        await town.wait(5)
        await town.client.delete("Pod", "default", "p")
        await town.wait(0.01)
        assert not town.world.pods.ready.any()
        await town.wait(5.9)
        assert town.pod("p") is not None
        await town.wait(0.2)
        assert town.pod("p") is None
        assert len(town.world.pods) == 0

    assert "Killing: Stopping container c" in play(one_service(), story).said("p")


def test_deletion_is_never_longer_than_the_grace_period() -> None:
    async def story(town: Town) -> None:
        hook = {"preStop": {"sleep": {"seconds": 300}}}
        await town.add_pod("p", spec={"terminationGracePeriodSeconds": 7}, lifecycle=hook)
        await town.wait(5)
        await town.client.delete("Pod", "default", "p")
        await town.wait(7.1)
        assert town.pod("p") is None

    play(one_service(), story)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "conf", "key": "k"}}, 'configmap "conf" not found'),
        ({"secretKeyRef": {"name": "sec", "key": "k"}}, 'secret "sec" not found'),
        ({"configMapKeyRef": {"name": "there", "key": "no"}}, "couldn't find key no in ConfigMap default/there"),
    ],
)
def test_missing_references_stop_the_container(source: dict[str, Any], message: str) -> None:
    async def story(town: Town) -> None:
        await town.client.create(
            "ConfigMap", {"metadata": {"name": "there", "namespace": "default"}, "data": {"k": "v"}}
        )
        await town.add_pod("p", env=[{"name": "X", "valueFrom": source}])
        await town.wait(5)
        assert town.state("p") == "Waiting CreateContainerConfigError"
        assert f"Failed: Error: {message}" in town.said("p")

    play(one_service(), story)


def test_the_container_starts_once_its_reference_is_there() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", envFrom=[{"configMapRef": {"name": "conf"}}])
        await town.wait(5)
        await town.client.create("ConfigMap", {"metadata": {"name": "conf", "namespace": "default"}, "data": {}})
        await town.wait(10)
        assert town.state("p") == "Running ready"

    play(one_service(), story)


def test_a_missing_volume_keeps_the_pod_creating() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", spec={"volumes": [{"name": "v", "configMap": {"name": "conf"}}]})
        await town.wait(5)
        assert town.state("p") == "Waiting ContainerCreating"
        assert town.said("p") == ['FailedMount: MountVolume.SetUp failed for volume "v" : configmap "conf" not found']

    play(one_service(), story)


def test_an_image_that_nobody_has_backs_off() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", image="gone:v9")
        await town.wait(0.5)
        assert town.state("p") == "Waiting ErrImagePull"
        await town.wait(3)
        assert town.state("p") == "Waiting ImagePullBackOff"

    town = play({**one_service(), "missingImages": ["gone:*"]}, story)
    assert 'BackOff: Back-off pulling image "gone:v9"' in town.said("p")


def test_a_version_that_never_becomes_ready() -> None:
    async def story(town: Town) -> None:
        town.world.apply(StartFault(BadVersion(image="*:v2", never_ready=True)))
        await town.add_pod("good", readinessProbe=http_probe(periodSeconds=1))
        await town.add_pod("bad", image="api:v2", readinessProbe=http_probe(periodSeconds=1))
        await town.wait(600)
        assert town.state("good") == "Running ready"
        assert town.state("bad") == "Running"

    play(one_service(), story)


def test_pod_kill_takes_pods_without_grace() -> None:
    async def story(town: Town) -> None:
        for name in ("a", "b", "c"):
            await town.add_pod(name)
        await town.wait(10)
        town.world.apply(StartFault(PodKill(service="api", count=2)))
        await town.wait(0.01)
        assert sum(town.state(n) == "gone" for n in ("a", "b", "c")) == 2

    play(one_service(), story)


def test_overload_makes_health_checks_late() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", readinessProbe=http_probe(periodSeconds=5), resources={"limits": {"cpu": "1"}})
        await town.wait(60)
        assert town.state("p") == "Running"
        assert any("Client.Timeout exceeded" in line for line in town.said("p"))

    # 50 requests a second can be served; 100 come. The queue delays health checks beyond their second.
    play(one_service("100rps", probes="queue"), story)


def test_health_checks_apart_from_requests_do_not_care() -> None:
    async def story(town: Town) -> None:
        await town.add_pod("p", readinessProbe=http_probe(periodSeconds=5), resources={"limits": {"cpu": "1"}})
        await town.wait(60)
        assert town.state("p") == "Running ready"

    play(one_service("100rps", probes="apart"), story)
