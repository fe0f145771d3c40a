"""Each kind's example is accepted, applying it twice changes nothing, and its columns read as kubectl's."""

from __future__ import annotations

from importlib import resources
from typing import Any

import pytest
import yaml
from tests.unit.machinery.world import KINDS, World, config, pod

from pilothouse.base.errors import Invalid
from pilothouse.machinery.kind import Kind

FOLDERS = {"": "core", "monitoring.coreos.com": "monitoring"}
NOW_S = 1_767_571_200.0 + 90


def example(kind: Kind) -> Any:
    path = resources.files("pilothouse").joinpath("kinds", FOLDERS[kind.group], kind.kind.lower(), "example.yaml")
    return yaml.safe_load(path.read_text())


def row(kind: str, obj: Any, *, wide: bool = False) -> list[Any]:
    return [column.value(obj, NOW_S) for column in KINDS[kind].columns if wide or not column.wide]


@pytest.mark.parametrize("kind", list(KINDS), ids=lambda kind: str(kind.name))
def test_the_example_is_accepted(kind: Kind) -> None:
    world = World()
    found = KINDS.of_object(example(kind))
    assert found is kind
    inspection = world.write_path.inspect(kind.name, example(kind))
    assert (inspection.unknown, inspection.causes) == ((), ())
    made = world.write_path.create(kind.name, example(kind))
    assert len(row(kind.name, made, wide=True)) == len(kind.columns)
    again = world.write_path.patch(
        kind.name, made["metadata"].get("namespace", ""), made["metadata"]["name"], example(kind)
    )
    assert again["metadata"]["resourceVersion"] == "1"


def test_pod_columns() -> None:
    world = World()
    made = world.write_path.create("Pod", pod())
    assert row("Pod", made) == ["p", "0/1", "Pending", "0", "90s"]
    status = {
        "phase": "Running",
        "podIP": "10.0.0.1",
        "containerStatuses": [
            {
                "name": "c",
                "ready": False,
                "restartCount": 3,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-05T00:00:30Z"}},
            }
        ],
    }
    made = world.write_path.put_status("Pod", "default", "p", status)
    assert row("Pod", made) == ["p", "0/1", "CrashLoopBackOff", "3 (60s ago)", "90s"]
    assert row("Pod", made, wide=True)[5:] == ["10.0.0.1", "<none>", "<none>", "<none>"]


def test_an_initialising_pod_says_how_far_it_is() -> None:
    world = World()
    inits = [{"name": "one", "image": "web:1"}, {"name": "two", "image": "web:1"}]
    world.write_path.create("Pod", pod(initContainers=inits))
    done: dict[str, Any] = {"terminated": {"exitCode": 0}}
    going: dict[str, Any] = {"running": {}}
    statuses = [{"name": "one", "state": done}, {"name": "two", "state": going}]
    made = world.write_path.put_status("Pod", "default", "p", {"phase": "Pending", "initContainerStatuses": statuses})
    assert row("Pod", made)[2] == "Init:1/2"
    statuses[1]["state"] = {"terminated": {"exitCode": 2}}
    made = world.write_path.put_status(
        "Pod", "default", "p", {"phase": "Pending", "initContainerStatuses": [*statuses]}
    )
    assert row("Pod", made)[2] == "Init:ExitCode:2"


def test_service_columns() -> None:
    world = World()
    spec = {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"port": 80}]}
    made = world.write_path.create("Service", {"metadata": {"name": "s"}, "spec": spec})
    port = made["spec"]["ports"][0]["nodePort"]
    assert 30_000 <= port <= 32_767
    assert row("Service", made, wide=True) == [
        "s",
        "NodePort",
        made["spec"]["clusterIP"],
        "<none>",
        f"80:{port}/TCP",
        "90s",
        "a=b",
    ]


def test_node_columns() -> None:
    world = World()
    world.write_path.create("Node", {"metadata": {"name": "n", "labels": {"node-role.kubernetes.io/worker": ""}}})
    world.write_path.patch("Node", "", "n", {"spec": {"unschedulable": True}})
    made = world.write_path.put_status("Node", "", "n", {"conditions": [{"type": "Ready", "status": "True"}]})
    assert row("Node", made)[:3] == ["n", "Ready,SchedulingDisabled", "worker"]


def test_a_service_keeps_its_address_and_every_service_has_its_own() -> None:
    world = World()
    specs = {"ports": [{"port": 80}], "type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    made = [
        world.write_path.create("Service", {"metadata": {"name": f"s{n}"}, "spec": specs})["spec"] for n in range(50)
    ]
    assert len({spec["clusterIP"] for spec in made}) == 50
    ports = [spec["ports"][0]["nodePort"] for spec in made] + [spec["healthCheckNodePort"] for spec in made]
    assert len(set(ports)) == 100
    replaced = world.write_path.replace(
        "Service", {"metadata": {"name": "s7"}, "spec": {**specs, "selector": {"a": "b"}}}
    )
    assert replaced["spec"]["clusterIP"] == made[7]["clusterIP"]
    assert replaced["spec"]["ports"] == made[7]["ports"]
    with pytest.raises(Invalid, match="may not change once set"):
        world.write_path.patch("Service", "default", "s7", {"spec": {"clusterIP": "10.96.0.10"}})


def test_the_address_depends_on_the_name_alone() -> None:
    spec = {"ports": [{"port": 80}]}
    first, second = World(seed=1), World(seed=2)
    second.write_path.create("Service", {"metadata": {"name": "other"}, "spec": spec})
    made = [w.write_path.create("Service", {"metadata": {"name": "s"}, "spec": spec})["spec"] for w in (first, second)]
    assert made[0] == made[1]


def test_immutable_configuration_stays() -> None:
    world = World()
    world.write_path.create("ConfigMap", {**config(), "immutable": True})
    with pytest.raises(Invalid, match="field is immutable when `immutable` is set"):
        world.write_path.patch("ConfigMap", "default", "c", {"data": {"k": "w"}})
    world.write_path.patch("ConfigMap", "default", "c", {"metadata": {"labels": {"a": "b"}}})


def test_pods_may_change_images_and_add_tolerations() -> None:
    world = World()
    made = world.write_path.create("Pod", pod())
    more = [*made["spec"]["tolerations"], {"key": "a", "operator": "Exists"}]
    patched = world.write_path.patch("Pod", "default", "p", {"spec": {"tolerations": more}})
    assert len(patched["spec"]["tolerations"]) == 3
    with pytest.raises(Invalid, match="existing toleration can not be modified"):
        world.write_path.patch("Pod", "default", "p", {"spec": {"tolerations": []}})
    with pytest.raises(Invalid, match="pod updates may not change fields"):
        world.write_path.patch("Pod", "default", "p", {"spec": {"restartPolicy": "Never"}})


def test_the_type_of_a_secret_stays() -> None:
    world = World()
    world.write_path.create("Secret", {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    with pytest.raises(Invalid, match='type: Invalid value: "other": field is immutable'):
        world.write_path.patch("Secret", "default", "s", {"type": "other"})
