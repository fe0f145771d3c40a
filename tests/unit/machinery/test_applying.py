"""The write path for those who apply and patch: who owns what is stored, and what is refused in whose words."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.machinery.world import KINDS, World, config, pod

from pilothouse.base.actions import Object
from pilothouse.base.clock import ManualClock
from pilothouse.base.entropy import Entropy
from pilothouse.base.errors import ApiError, BadRequest, Conflict, Invalid, NotFound
from pilothouse.machinery import refusals
from pilothouse.machinery.kind import Component, Inline, Kind, Kinds, Strategy
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store

DEPLOYMENT = Kind(
    "apps",
    "v1",
    "Deployment",
    "deployments",
    Component("apis_apps_v1.json", "io.k8s.api.apps.v1.Deployment"),
    strategy=Strategy(scale=True),
)
WIDGET_SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
    },
}
WIDGET = Kind("example.com", "v1", "Widget", "widgets", Inline(lambda: WIDGET_SCHEMA))


class Path:
    """A write path that keeps owners, with short calls for one object of each kind."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = Store()
        kinds = Kinds([*KINDS, DEPLOYMENT, WIDGET])
        self.write = WritePath(self.store, kinds, self.clock, Entropy(1), managed_fields=True)

    def apply(self, kind: str, manifest: Any, manager: str = "ann", name: str = "x", **options: Any) -> Object:
        self.clock.advance(1)
        return self.write.apply(kind, "default", name, manifest, manager=manager, **options)

    def stored(self, kind: str) -> Object:
        found = self.store.get(kind, "default", "x")
        assert found is not None
        return found.object


def config_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data}


def deployment(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": spec}


def widget(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "x"}, **fields}


def owners(obj: Object) -> dict[str, Any]:
    """manager, operation and subresource → fields."""
    return {
        " ".join(filter(None, (entry["manager"], entry["operation"], entry.get("subresource", "")))): entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", ())
    }


def test_apply_creates_and_then_changes() -> None:
    path = Path()
    made = path.apply("ConfigMap", config_map(a="1", b="1"))
    assert made["metadata"]["namespace"] == "default"
    assert owners(made) == {"ann Apply": {"f:data": {"f:a": {}, "f:b": {}}}}
    changed = path.apply("ConfigMap", config_map(a="2"))
    assert changed["data"] == {"a": "2"}
    assert path.stored("ConfigMap") is changed


def test_a_second_apply_writes_nothing() -> None:
    path = Path()
    first = path.apply("apps/Deployment", deployment(replicas=2))
    revision = path.store.revision
    assert path.apply("apps/Deployment", deployment(replicas=2)) is first
    assert path.store.revision == revision


def test_a_conflict_names_the_field_and_force_takes_it() -> None:
    path = Path()
    path.apply("ConfigMap", config_map(a="1"))
    with pytest.raises(Conflict) as refusal:
        path.apply("ConfigMap", config_map(a="2"), "bob")
    assert refusal.value.message == 'Apply failed with 1 conflict: conflict with "ann": .data.a'
    assert refusal.value.details["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "ann"', "field": ".data.a"}
    ]
    assert path.stored("ConfigMap")["data"] == {"a": "1"}
    forced = path.apply("ConfigMap", config_map(a="2"), "bob", force=True)
    assert owners(forced) == {"bob Apply": {"f:data": {"f:a": {}}}}


def test_sharing_a_value_is_a_write_of_owners_only() -> None:
    path = Path()
    first = path.apply("ConfigMap", config_map(a="1"))
    second = path.apply("ConfigMap", config_map(a="1"), "bob")
    assert list(owners(second)) == ["bob Apply", "ann Apply"]
    assert second["data"] is first["data"]
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])


def test_a_dry_run_stores_nothing() -> None:
    path = Path()
    assert path.apply("ConfigMap", config_map(a="1"), dry_run=True)["data"] == {"a": "1"}
    assert path.store.revision == 0
    path.apply("ConfigMap", config_map(a="1"))
    assert path.apply("ConfigMap", config_map(a="2"), dry_run=True)["data"] == {"a": "2"}
    assert path.stored("ConfigMap")["data"] == {"a": "1"}


def test_a_status_has_owners_of_its_own() -> None:
    path = Path()
    path.apply("example.com/Widget", widget(spec={"size": 1}))
    path.apply("example.com/Widget", widget(spec={"size": 9}, status={"phase": "Ready"}), "ctl", subresource="status")
    stored = path.stored("example.com/Widget")
    assert (stored["spec"], stored["status"]) == ({"size": 1}, {"phase": "Ready"})
    assert owners(stored) == {
        "ctl Apply status": {"f:status": {"f:phase": {}}},
        "ann Apply": {"f:spec": {"f:size": {}}},
    }
    path.write.put_status("example.com/Widget", "default", "x", {"phase": "Gone"})
    assert "kube-controller-manager Update status" in owners(path.stored("example.com/Widget"))
    with pytest.raises(NotFound):
        Path().apply("example.com/Widget", widget(status={}), subresource="status")


def test_the_main_resource_does_not_own_the_status() -> None:
    path = Path()
    made = path.apply("example.com/Widget", widget(spec={"size": 1}, status={"phase": "Ready"}))
    assert "status" not in made
    assert owners(made) == {"ann Apply": {"f:spec": {"f:size": {}}}}


def test_scale_takes_the_replicas_over() -> None:
    path = Path()
    path.apply("apps/Deployment", deployment(replicas=2, paused=True))
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "x"}, "spec": {"replicas": 5}}
    path.write.patch(
        "apps/Deployment", "default", "x", {"spec": {"replicas": 3}}, subresource="scale", manager="scaler"
    )
    stored = path.stored("apps/Deployment")
    assert owners(stored)["scaler Update scale"] == {"f:spec": {"f:replicas": {}}}
    assert owners(stored)["ann Apply"] == {"f:spec": {"f:paused": {}}}
    with pytest.raises(Conflict, match='"scaler" with subresource "scale" using autoscaling/v1'):
        path.apply("apps/Deployment", scale, "hpa", subresource="scale")
    path.apply("apps/Deployment", scale, "hpa", subresource="scale", force=True)
    assert path.stored("apps/Deployment")["spec"]["replicas"] == 5
    assert "hpa Apply scale" in owners(path.stored("apps/Deployment"))
    ops = [{"op": "replace", "path": "/spec/replicas", "value": 7}]
    path.write.patch("apps/Deployment", "default", "x", ops, patch_type="json", subresource="scale")
    assert path.stored("apps/Deployment")["spec"]["replicas"] == 7


def test_every_ordinary_write_owns_what_it_changes() -> None:
    path = Path()
    path.write.create("ConfigMap", config_map(a="1", b="1", c="1"), manager="m1")
    path.write.replace("ConfigMap", config_map(a="2", b="1", c="1"), manager="m2")
    path.write.patch("ConfigMap", "default", "x", {"data": {"b": "2"}}, manager="m3")
    path.write.patch("ConfigMap", "default", "x", {"data": {"c": "2"}}, patch_type="strategic", manager="m4")
    ops = [{"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}]
    path.write.patch("ConfigMap", "default", "x", ops, patch_type="json", manager="m5")
    assert owners(path.stored("ConfigMap")) == {
        "m1 Update": {"f:data": {}},
        "m2 Update": {"f:data": {"f:a": {}}},
        "m3 Update": {"f:data": {"f:b": {}}},
        "m4 Update": {"f:data": {"f:c": {}}},
        "m5 Update": {"f:metadata": {"f:labels": {".": {}, "f:x": {}}}},
    }


def test_owners_can_be_reset_and_start_with_the_next_apply() -> None:
    path = Path()
    path.write.create("ConfigMap", config_map(a="1"), manager="m1")
    path.write.patch("ConfigMap", "default", "x", {"metadata": {"managedFields": [{}]}})
    assert "managedFields" not in path.stored("ConfigMap")["metadata"]
    path.write.patch("ConfigMap", "default", "x", {"data": {"b": "1"}}, manager="m2")
    assert "managedFields" not in path.stored("ConfigMap")["metadata"]
    path.apply("ConfigMap", config_map(a="1"))
    assert list(owners(path.stored("ConfigMap"))) == ["ann Apply", "before-first-apply Update"]


def test_owners_that_a_client_made_up_and_cannot_be_read_are_ignored() -> None:
    path = Path()
    path.apply("ConfigMap", config_map(a="1"))
    broken = [{"manager": "x", "operation": "Guess"}]
    path.write.patch("ConfigMap", "default", "x", {"metadata": {"managedFields": broken}, "data": {"b": "1"}})
    assert list(owners(path.stored("ConfigMap"))) == ["ann Apply", "kube-controller-manager Update"]


def test_a_path_that_keeps_no_owners_keeps_none() -> None:
    world = World()
    world.write_path.create("ConfigMap", config(), manager="m")
    world.write_path.patch("ConfigMap", "default", "c", {"data": {"k": "2"}}, manager="m")
    stored = world.store.get("ConfigMap", "default", "c")
    assert stored is not None
    assert "managedFields" not in stored.object["metadata"]


@pytest.mark.parametrize(
    ("manifest", "options", "refusal", "text"),
    [
        (config_map(), {"manager": ""}, Invalid, "fieldManager: Required value: is required for apply patch"),
        (config_map(), {"manager": "m" * 129}, Invalid, "fieldManager: Too long: may not be more than 128 bytes"),
        ([], {}, BadRequest, "error decoding YAML"),
        ({"metadata": {"name": "x"}}, {}, BadRequest, "invalid object type: /, Kind="),
        ({**config_map(), "kind": "Secret"}, {}, BadRequest, "invalid object type: /v1, Kind=Secret"),
        (config_map(), {"name": "y"}, BadRequest, "the name of the object (x) does not match the name on the URL (y)"),
        ({**config_map(), "metadata": {"managedFields": []}}, {}, BadRequest, "metadata.managedFields must be nil"),
        (
            {**config_map(), "metadata": {"name": "x", "namespace": "z"}},
            {},
            BadRequest,
            "the namespace of the provided",
        ),
        ({**config_map(), "metadata": {}}, {}, BadRequest, "the name of the object (x based on URL)"),
        ({**config_map(), "metadata": {"name": "x", "uid": "u"}}, {}, Conflict, "uid mismatch"),
        (config_map(), {"subresource": "status"}, NotFound, 'configmaps "x" not found'),
        ({**config_map(), "nope": 1}, {}, refusals.PlainInternal, "(/x; /v1, Kind=ConfigMap): .nope: field not"),
        ({**config_map(), "data": []}, {}, refusals.PlainInternal, ".data: expected map, got &{[]}"),
    ],
)
def test_what_apply_refuses(manifest: Any, options: dict[str, Any], refusal: type[ApiError], text: str) -> None:
    path = Path()
    with pytest.raises(refusal) as caught:
        path.apply("ConfigMap", manifest, **options)
    assert text in caught.value.message
    assert path.store.revision == 0


def test_an_apply_that_names_a_version_needs_that_version() -> None:
    path = Path()
    first = path.apply("ConfigMap", config_map(a="1"))
    path.apply("ConfigMap", config_map(a="2"))
    stale = {**config_map(a="3"), "metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}}
    with pytest.raises(Conflict, match="the object has been modified"):
        path.apply("ConfigMap", stale)


def test_patches_merge_lists_where_the_type_says_so() -> None:
    path = Path()
    path.write.create("Pod", {**pod(), "metadata": {"name": "x"}})
    patch = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    path.write.patch("Pod", "default", "x", patch, patch_type="strategic", subresource="status")
    patch = {"status": {"conditions": [{"type": "Initialized", "status": "True"}]}}
    path.write.patch("Pod", "default", "x", patch, patch_type="strategic", subresource="status")
    conditions = path.stored("Pod")["status"]["conditions"]
    assert [condition["type"] for condition in conditions] == ["Initialized", "Ready"]


@pytest.mark.parametrize(
    ("patch_type", "patch", "code", "text"),
    [
        (
            "merge",
            {"data": {"a": 1}},
            422,
            "cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        ("merge", {"kind": "Job"}, 422, 'no kind "Job" is registered for version "v1"'),
        ("merge", {"kind": "Pod"}, 422, "converting (v1.Pod) to (core.ConfigMap): unknown conversion"),
        ("merge", {"apiVersion": []}, 422, "couldn't get version/kind"),
        ("strategic", {"data": {"a": 1}}, 422, 'patch: Invalid value: "map[data:map[a:1]]": json: cannot unmarshal'),
        ("strategic", {"metadata": {"$patch": "no"}}, 500, "unknown patch type: no in map: map[$patch:no]"),
        ("strategic", {"metadata": {"$retainKeys": 1}}, 400, "invalid patch format of retainKeys"),
        ("strategic", [], 400, "cannot unmarshal array"),
        ("json", [{"op": "remove", "path": "/data/z"}], 422, "the server rejected our request due to an error"),
        ("json", {}, 400, "cannot unmarshal object"),
        ("json", [{"op": "replace", "path": "", "value": 1}], 422, "json parse error"),
        ("json", [{"op": "remove", "path": "/kind"}], 422, 'no kind "" is registered for version "v1"'),
    ],
)
def test_what_patches_refuse(patch_type: str, patch: Any, code: int, text: str) -> None:
    path = Path()
    path.write.create("ConfigMap", config_map(a="1"))
    with pytest.raises(ApiError) as caught:
        path.write.patch("ConfigMap", "default", "x", patch, patch_type=patch_type)
    assert (caught.value.code, text in caught.value.message) == (code, True), caught.value.message
    assert path.stored("ConfigMap")["data"] == {"a": "1"}


def test_custom_resources_take_no_strategic_patch() -> None:
    path = Path()
    path.write.create("example.com/Widget", widget(spec={"size": 1}))
    with pytest.raises(BadRequest, match="strategic merge patch format is not supported"):
        path.write.patch("example.com/Widget", "default", "x", {"spec": {"size": 2}}, patch_type="strategic")
