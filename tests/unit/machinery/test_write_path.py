"""The one way in: what it fills, what it refuses and in whose words, and when nothing is written at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.machinery.world import World, config, owned_by, pod

from pilothouse.base.actions import Object
from pilothouse.base.clock import ManualClock
from pilothouse.base.entropy import Entropy
from pilothouse.base.errors import AlreadyExists, ApiError, BadRequest, Conflict, ForbiddenWrite, Invalid, NotFound
from pilothouse.machinery.admission import Request, namespace_lifecycle
from pilothouse.machinery.kind import Inline, Kind, Kinds, Strategy
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store


def test_create_fills_what_the_server_owns() -> None:
    world = World()
    made = world.write_path.create("Pod", pod(uid="ignored"))
    metadata = made["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["creationTimestamp"] == "2026-01-05T00:00:00Z"
    assert metadata["generation"] == 1
    assert metadata["resourceVersion"] == "1"
    assert metadata["uid"][14] == "4"
    assert (made["apiVersion"], made["kind"]) == ("v1", "Pod")


def test_generated_names_are_unique_and_repeatable() -> None:
    first, second = World(seed=7), World(seed=7)
    names = [
        first.write_path.create("ConfigMap", {"metadata": {"generateName": "x-"}})["metadata"]["name"] for _ in "abc"
    ]
    again = [
        second.write_path.create("ConfigMap", {"metadata": {"generateName": "x-"}})["metadata"]["name"] for _ in "abc"
    ]
    assert names == again
    assert len(dict.fromkeys(names)) == 3
    assert all(name.startswith("x-") and len(name) == 7 for name in names)


def test_a_generated_name_that_is_taken_is_drawn_again() -> None:
    first, second = World(seed=7), World(seed=7)
    nameless = {"metadata": {"generateName": "x-"}}
    taken = first.write_path.create("ConfigMap", nameless)["metadata"]["name"]
    second.write_path.create("ConfigMap", config(taken))
    assert second.write_path.create("ConfigMap", nameless)["metadata"]["name"] != taken


def test_long_generated_names_are_cut() -> None:
    made = World().write_path.create("ConfigMap", {"metadata": {"generateName": "x" * 80}})
    assert len(made["metadata"]["name"]) == 63


def test_creating_twice_is_refused() -> None:
    world = World()
    world.write_path.create("ConfigMap", config())
    with pytest.raises(AlreadyExists, match='configmaps "c" already exists'):
        world.write_path.create("ConfigMap", config())


def test_a_dry_run_stores_nothing() -> None:
    world = World()
    made = world.write_path.create("ConfigMap", config(), dry_run=True)
    assert made["metadata"]["uid"]
    assert world.store.revision == 0
    world.write_path.create("ConfigMap", config())
    world.write_path.patch("ConfigMap", "default", "c", {"data": {"k": "2"}}, dry_run=True)
    world.write_path.delete("ConfigMap", "default", "c", dry_run=True)
    stored = world.store.get("ConfigMap", "default", "c")
    assert stored is not None
    assert stored.object["data"] == {"k": "v"}


def test_updates_that_change_nothing_write_nothing() -> None:
    world = World()
    made = world.write_path.create("Pod", pod())
    world.write_path.patch("Pod", "default", "p", {"metadata": {"labels": None}, "spec": {"restartPolicy": "Always"}})
    world.write_path.replace("Pod", {**pod(), "metadata": {"name": "p", "namespace": "default"}})
    world.write_path.patch("Pod", "default", "p", {"status": {"phase": "Pending"}}, subresource="status")
    assert world.store.revision == 1
    assert made["metadata"]["resourceVersion"] == "1"


def test_generation_rises_with_the_spec_only() -> None:
    world = World()
    world.write_path.create("Pod", pod())
    patch = world.write_path.patch
    assert patch("Pod", "default", "p", {"metadata": {"labels": {"a": "b"}}})["metadata"]["generation"] == 1
    image = {"spec": {"containers": [{"name": "c", "image": "web:2"}]}}
    assert patch("Pod", "default", "p", image)["metadata"]["generation"] == 2
    status = patch("Pod", "default", "p", {"status": {"phase": "Running"}}, subresource="status")
    assert status["metadata"]["generation"] == 2


def test_the_main_resource_never_touches_the_status() -> None:
    world = World()
    made = world.write_path.create("Pod", {**pod(), "status": {"phase": "Running"}})
    assert made["status"]["phase"] == "Pending"
    patched = world.write_path.patch(
        "Pod", "default", "p", {"status": {"phase": "Failed"}, "metadata": {"labels": {"a": "b"}}}
    )
    assert patched["status"] == made["status"]


def test_the_status_subresource_touches_nothing_else() -> None:
    world = World()
    made = world.write_path.create("Pod", pod())
    patch = {"spec": {"restartPolicy": "Never"}, "status": {"phase": "Running"}}
    patched = world.write_path.patch("Pod", "default", "p", patch, subresource="status")
    assert patched["spec"] is made["spec"]
    assert patched["status"] == {"phase": "Running", "qosClass": "BestEffort"}


def test_a_replaced_status_keeps_the_quality_of_service() -> None:
    world = World()
    world.write_path.create("Pod", pod())
    assert (
        world.write_path.put_status("Pod", "default", "p", {"phase": "Running"})["status"]["qosClass"] == "BestEffort"
    )


def test_kinds_without_status_have_no_status_subresource() -> None:
    world = World()
    world.write_path.create("ConfigMap", config())
    with pytest.raises(NotFound):
        world.write_path.patch("ConfigMap", "default", "c", {"status": {}}, subresource="status")


STALE: dict[str, Callable[[WritePath], Any]] = {
    "argument": lambda path: path.patch("ConfigMap", "default", "c", {"data": {"k": "3"}}, resource_version="1"),
    "patch": lambda path: path.patch("ConfigMap", "default", "c", {"metadata": {"resourceVersion": "1"}}),
    "replace": lambda path: path.replace("ConfigMap", config(resourceVersion="1")),
    "delete": lambda path: path.delete("ConfigMap", "default", "c", resource_version="1"),
}


@pytest.mark.parametrize("way", list(STALE))
def test_an_old_version_conflicts(way: str) -> None:
    world = World()
    world.write_path.create("ConfigMap", config())
    world.write_path.patch("ConfigMap", "default", "c", {"data": {"k": "2"}})
    with pytest.raises(Conflict, match="Operation cannot be fulfilled on configmaps") as refusal:
        STALE[way](world.write_path)
    assert refusal.value.retryable


def test_another_uid_conflicts() -> None:
    world = World()
    world.write_path.create("ConfigMap", config())
    with pytest.raises(Conflict, match="Precondition failed: UID in precondition: u"):
        world.write_path.replace("ConfigMap", config(uid="u"))
    with pytest.raises(Conflict, match="does not match the UID in record"):
        world.write_path.delete("ConfigMap", "default", "c", uid="u")


def test_immutable_metadata_is_refused_or_kept() -> None:
    world = World()
    made = world.write_path.create("ConfigMap", config())
    with pytest.raises(Invalid, match=r"metadata\.uid: Invalid value: .*: field is immutable"):
        world.write_path.patch("ConfigMap", "default", "c", {"metadata": {"uid": "x"}})
    patched = world.write_path.patch(
        "ConfigMap", "default", "c", {"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}, "data": {"k": "2"}}
    )
    assert patched["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]


def test_unknown_fields_are_dropped_and_reported() -> None:
    world = World()
    sent = {**pod(), "extra": 1}
    sent["spec"]["containers"][0]["imagePolicy"] = "Never"
    assert "extra" not in world.write_path.create("Pod", sent)
    found = world.write_path.inspect("Pod", sent)
    assert found.unknown == ("spec.containers[0].imagePolicy", "extra")
    assert found.causes == ()


def test_wrong_types_are_bad_requests_with_the_field() -> None:
    world = World()
    with pytest.raises(BadRequest) as refusal:
        world.write_path.create("Pod", pod(terminationGracePeriodSeconds="x"))
    assert refusal.value.message == (
        'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field '
        "PodSpec.spec.terminationGracePeriodSeconds of type int64"
    )
    (cause,) = world.write_path.inspect("Pod", pod(terminationGracePeriodSeconds="x")).causes
    assert cause.field == "spec.terminationGracePeriodSeconds"


def test_unknown_kinds_and_objects_are_refused() -> None:
    world = World()
    with pytest.raises(BadRequest, match='no kind "Pods" is registered'):
        world.write_path.create("Pods", pod())
    with pytest.raises(NotFound, match='pods "nobody" not found'):
        world.write_path.patch("Pod", "default", "nobody", {})
    with pytest.raises(NotFound):
        world.write_path.replace("Pod", pod())


def test_custom_resources_keep_to_their_definition() -> None:
    world = World()
    name = "monitoring.coreos.com/ServiceMonitor"
    with pytest.raises(Invalid) as refusal:
        world.write_path.create(name, {"metadata": {"name": "m"}, "spec": {"endpoints": [{"port": 3}]}})
    assert [(c.reason, c.field) for c in refusal.value.causes] == [
        ("FieldValueRequired", "spec.selector"),
        ("FieldValueTypeInvalid", "spec.endpoints[0].port"),
    ]
    spec = {"selector": {}, "endpoints": [{"port": "web", "notThere": 1}]}
    made = world.write_path.create(name, {"metadata": {"name": "m"}, "spec": spec})
    assert made["spec"]["endpoints"] == [{"port": "web"}]
    with pytest.raises(Invalid, match=r"metadata\.resourceVersion: Invalid value: 0: must be specified for an update"):
        world.write_path.replace(name, {"metadata": {"name": "m"}, "spec": spec})


def test_hooks_change_and_refuse() -> None:
    def stamp(request: Request, _store: Store) -> Object:
        labels = {**request.object["metadata"].get("labels", {}), "by": request.operation}
        return {**request.object, "metadata": {**request.object["metadata"], "labels": labels}}

    def guard(request: Request, store: Store) -> Object:
        if store.count(request.kind.name):
            raise ForbiddenWrite("one is enough")
        return request.object

    world = World((stamp, guard))
    assert world.write_path.create("ConfigMap", config())["metadata"]["labels"] == {"by": "CREATE"}
    with pytest.raises(ForbiddenWrite, match="one is enough"):
        world.write_path.create("ConfigMap", config("d"))


def test_what_a_hook_adds_is_validated() -> None:
    def spoil(request: Request, _store: Store) -> Object:
        return {**request.object, "metadata": {**request.object["metadata"], "labels": {"bad key": "x"}}}

    with pytest.raises(Invalid, match=r"metadata\.labels"):
        World((spoil,)).write_path.create("ConfigMap", config())


def test_namespaces_must_exist_and_stay() -> None:
    world = World((namespace_lifecycle,))
    with pytest.raises(NotFound, match='namespaces "team" not found'):
        world.write_path.create("ConfigMap", config(namespace="team"))
    world.write_path.create("Namespace", {"metadata": {"name": "team"}})
    world.write_path.create("ConfigMap", config(namespace="team"))
    world.write_path.delete("Namespace", "", "team")
    with pytest.raises(ForbiddenWrite, match="because it is being terminated"):
        world.write_path.create("ConfigMap", config("late", namespace="team"))


def test_a_pod_is_bound_once() -> None:
    world = World()
    world.write_path.create("Pod", pod())
    bound = world.write_path.patch("Pod", "default", "p", {"target": {"name": "n1"}}, subresource="binding")
    assert bound["spec"]["nodeName"] == "n1"
    assert [(c["type"], c["status"]) for c in bound["status"]["conditions"]] == [("PodScheduled", "True")]
    with pytest.raises(Conflict, match='pod p is already assigned to node "n1"'):
        world.write_path.patch("Pod", "default", "p", {"target": {"name": "n2"}}, subresource="binding")
    with pytest.raises(Invalid, match="pod updates may not change fields"):
        world.write_path.patch("Pod", "default", "p", {"spec": {"nodeName": "n2"}})


def test_pods_of_one_template_share_one_spec() -> None:
    world = World()
    template = world.write_path.create("Pod", pod("first"))["spec"]
    pods = [world.write_path.create("Pod", {"metadata": {"generateName": "p-"}, "spec": template}) for _ in range(3)]
    assert all(made["spec"] is template for made in pods)


def test_owner_references_are_checked() -> None:
    world = World()
    owner = world.write_path.create("ConfigMap", config("owner"))
    two: list[Any] = [*owned_by(owner), {**owned_by(owner)[0], "name": "other", "uid": "z"}]
    with pytest.raises(Invalid, match="Only one reference can have Controller set to true"):
        world.write_path.create("ConfigMap", config(ownerReferences=two))
    with pytest.raises(ApiError, match=r"metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"):
        world.write_path.create("ConfigMap", config(ownerReferences=[{**owned_by(owner)[0], "uid": ""}]))


def test_scale_changes_replicas_only() -> None:
    shape = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"replicas": {"type": "integer"}}}},
    }
    widget = Kind("example.com", "v1", "Widget", "widgets", Inline(lambda: shape), strategy=Strategy(scale=True))
    path = WritePath(Store(), Kinds([widget]), ManualClock(), Entropy(1))
    path.create("example.com/Widget", {"metadata": {"name": "w"}, "spec": {"replicas": 1}})
    patch = {"spec": {"replicas": 4, "colour": "red"}}
    scaled = path.patch("example.com/Widget", "default", "w", patch, subresource="scale")
    assert scaled["spec"] == {"replicas": 4}
    assert scaled["metadata"]["generation"] == 2
    with pytest.raises(Invalid, match=r"\.spec\.replicas: Invalid value: -1: should be a non-negative integer"):
        path.patch("example.com/Widget", "default", "w", {"spec": {"replicas": -1}}, subresource="scale")
    with pytest.raises(NotFound):
        path.patch("example.com/Widget", "default", "w", {}, subresource="eviction")
