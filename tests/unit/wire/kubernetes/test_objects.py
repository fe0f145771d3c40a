"""Objects over the wire: created, read, listed, changed and deleted as kube-apiserver does."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.wire.kubernetes.server import CONFIG_MAPS, MERGE, Server, config_map


@pytest.fixture
def server() -> Server:
    return Server()


def test_an_object_comes_back_as_it_was_stored(server: Server) -> None:
    made = server.call("POST", CONFIG_MAPS, config_map("a", {"k": "v"}))
    assert made.status == 201
    assert made.body["metadata"]["managedFields"][0]["fieldsV1"] == {"f:data": {".": {}, "f:k": {}}}
    assert server.call("GET", f"{CONFIG_MAPS}/a").body == made.body


def test_a_second_create_is_refused(server: Server) -> None:
    server.call("POST", CONFIG_MAPS, config_map("a"))
    again = server.call("POST", CONFIG_MAPS, config_map("a"))
    assert (again.status, again.body["reason"]) == (409, "AlreadyExists")


def test_items_of_lists_carry_no_type_and_stand_in_order(server: Server) -> None:
    for name in ("b", "a", "a.b", "a-1"):
        server.call("POST", CONFIG_MAPS, config_map(name))
    listed = server.call("GET", CONFIG_MAPS).body
    assert listed["kind"] == "ConfigMapList"
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "a-1", "a.b", "b"]
    assert "kind" not in listed["items"][0]


def test_pages_show_the_list_as_it_was_when_it_began(server: Server) -> None:
    for name in ("a", "b", "c"):
        server.call("POST", CONFIG_MAPS, config_map(name))
    first = server.call("GET", f"{CONFIG_MAPS}?limit=2").body
    assert first["metadata"]["remainingItemCount"] == 1
    server.call("POST", CONFIG_MAPS, config_map("d"))
    server.call("DELETE", f"{CONFIG_MAPS}/c")
    rest = server.call("GET", f"{CONFIG_MAPS}?limit=2&continue={first['metadata']['continue']}").body
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c"]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert "continue" not in rest["metadata"]


def test_an_exact_version_shows_the_past(server: Server) -> None:
    server.call("POST", CONFIG_MAPS, config_map("a", {"k": "1"}))
    then = server.call("GET", CONFIG_MAPS).body["metadata"]["resourceVersion"]
    server.call("PATCH", f"{CONFIG_MAPS}/a", {"data": {"k": "2"}}, headers=MERGE)
    past = server.call("GET", f"{CONFIG_MAPS}?resourceVersion={then}&resourceVersionMatch=Exact").body
    assert past["items"][0]["data"] == {"k": "1"}


def test_a_version_of_the_future_times_out_with_advice(server: Server) -> None:
    reply = server.call("GET", f"{CONFIG_MAPS}?resourceVersion=99999999")
    assert reply.status == 504
    assert reply.header("retry-after") == ["1"]


def test_an_unchanged_put_keeps_its_version(server: Server) -> None:
    made = server.call("POST", CONFIG_MAPS, config_map("a", {"k": "v"})).body
    put = server.call("PUT", f"{CONFIG_MAPS}/a", config_map("a", {"k": "v"})).body
    assert put["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_a_stale_put_conflicts(server: Server) -> None:
    made = server.call("POST", CONFIG_MAPS, config_map("a")).body
    server.call("PATCH", f"{CONFIG_MAPS}/a", {"data": {"k": "2"}}, headers=MERGE)
    reply = server.call("PUT", f"{CONFIG_MAPS}/a", {**made, "data": {"k": "3"}})
    assert (reply.status, reply.body["reason"]) == (409, "Conflict")


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_dry_run_changes_nothing(server: Server, verb: str) -> None:
    if verb != "POST":
        server.call("POST", CONFIG_MAPS, config_map("a", {"k": "v"}))
    before = server.call("GET", CONFIG_MAPS).body
    path = CONFIG_MAPS if verb == "POST" else f"{CONFIG_MAPS}/a"
    body: Any = None if verb == "DELETE" else config_map("a", {"k": "other"})
    reply = server.call(verb, f"{path}?dryRun=All", body, headers=MERGE if verb == "PATCH" else None)
    assert reply.status in (200, 201)
    assert server.call("GET", CONFIG_MAPS).body == before


def test_strict_validation_names_what_is_unknown_and_what_stands_twice(server: Server) -> None:
    text = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","no":1},"data":{"a":"1"},"data":{"b":"2"}}'
    strict = server.call("POST", f"{CONFIG_MAPS}?fieldValidation=Strict", text)
    assert strict.status == 400
    assert strict.body["message"].endswith('duplicate field "data", unknown field "metadata.no"')
    warned = server.call("POST", CONFIG_MAPS, text)
    assert warned.header("warning") == ['299 - "duplicate field \\"data\\""', '299 - "unknown field \\"metadata.no\\""']
    assert warned.body["data"] == {"a": "1", "b": "2"}
    assert not server.call("PUT", f"{CONFIG_MAPS}/a?fieldValidation=Ignore", text).header("warning")


def test_a_deleted_config_map_answers_success_and_a_pod_itself(server: Server) -> None:
    server.call("POST", CONFIG_MAPS, config_map("a"))
    gone = server.call("DELETE", f"{CONFIG_MAPS}/a").body
    assert (gone["kind"], gone["status"], gone["details"]["kind"]) == ("Status", "Success", "configmaps")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    server.call("POST", "/api/v1/namespaces/default/pods", pod)
    assert server.call("DELETE", "/api/v1/namespaces/default/pods/p").body["kind"] == "Pod"


def test_a_collection_goes_by_selector(server: Server) -> None:
    for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
        server.call("POST", CONFIG_MAPS, config_map(name, labels={"color": color}))
    gone = server.call("DELETE", f"{CONFIG_MAPS}?labelSelector=color%3Dred").body
    assert [item["metadata"]["name"] for item in gone["items"]] == ["a", "c"]
    left = server.call("GET", CONFIG_MAPS).body["items"]
    assert [item["metadata"]["name"] for item in left] == ["b"]


def test_deletion_honours_preconditions(server: Server) -> None:
    server.call("POST", CONFIG_MAPS, config_map("a"))
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "another"}}
    assert server.call("DELETE", f"{CONFIG_MAPS}/a", body).status == 409


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("metadata.name=a", ["a"]),
        ("metadata.name!=a", ["b"]),
        ("metadata.name==b,metadata.namespace=default", ["b"]),
    ],
)
def test_fields_select(server: Server, selector: str, names: list[str]) -> None:
    for name in ("a", "b"):
        server.call("POST", CONFIG_MAPS, config_map(name))
    found = server.call("GET", f"{CONFIG_MAPS}?fieldSelector={selector.replace('=', '%3D')}").body["items"]
    assert [item["metadata"]["name"] for item in found] == names


def test_an_unknown_field_selector_is_refused(server: Server) -> None:
    reply = server.call("GET", f"{CONFIG_MAPS}?fieldSelector=data.k%3D1")
    assert reply.status == 400
    assert "is not a known field selector" in reply.body["message"]


def test_a_scale_is_a_view_of_its_object(server: Server) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    server.call("POST", path, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec})
    scale = server.call("GET", f"{path}/d/scale").body
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"]["selector"] == "a=b"
    server.call("PATCH", f"{path}/d/scale", {"spec": {"replicas": 5}}, headers=MERGE)
    deployment = server.call("GET", f"{path}/d").body
    assert (deployment["spec"]["replicas"], deployment["metadata"]["generation"]) == (5, 2)
    assert (
        server.call("PUT", f"{path}/d/scale", {**scale, "metadata": {"name": "d"}, "spec": {"replicas": -1}}).status
        == 422
    )


def test_server_side_apply_conflicts_and_takes_over(server: Server) -> None:
    headers = {"content-type": "application/apply-patch+yaml"}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "1"}}
    assert server.call("PATCH", f"{CONFIG_MAPS}/a?fieldManager=one", body, headers=headers).status == 201
    other = {**body, "data": {"k": "2"}}
    refused = server.call("PATCH", f"{CONFIG_MAPS}/a?fieldManager=two", other, headers=headers)
    assert refused.status == 409
    assert refused.body["details"]["causes"][0]["field"] == ".data.k"
    taken = server.call("PATCH", f"{CONFIG_MAPS}/a?fieldManager=two&force=true", other, headers=headers).body
    assert taken["data"] == {"k": "2"}
    assert [entry["manager"] for entry in taken["metadata"]["managedFields"]] == ["two"]


def test_an_event_is_served_in_both_groups(server: Server) -> None:
    event = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "message": "hello",
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}, "type": "Normal", "reason": "R",
    }  # fmt: skip
    server.call("POST", "/api/v1/namespaces/default/events", event)
    shown = server.call("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e").body
    assert (shown["note"], shown["regarding"]["name"]) == ("hello", "p")
