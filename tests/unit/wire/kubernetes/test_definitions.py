"""Custom resources: served as soon as they are defined, filled, pruned, checked, shown, gone with their definition."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.wire.kubernetes.server import MERGE, Server

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
BOATS = "/apis/harbour.example.com/v1/namespaces/default/boats"
SPEC = {
    "type": "object",
    "required": ["length"],
    "properties": {
        "length": {"type": "integer", "minimum": 1},
        "flag": {"type": "string", "default": "white"},
        "rig": {"type": "object", "default": {}, "properties": {"masts": {"type": "integer", "default": 1}}},
    },
}


def definition(**version: Any) -> dict[str, Any]:
    schema = {
        "openAPIV3Schema": {
            "type": "object",
            "properties": {"spec": SPEC, "status": {"type": "object", "properties": {"afloat": {"type": "boolean"}}}},
        }
    }
    one = {"name": "v1", "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}, **version}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "boats.harbour.example.com"},
        "spec": {"group": "harbour.example.com", "scope": "Namespaced", "versions": [one],
                 "names": {"plural": "boats", "kind": "Boat"}},
    }  # fmt: skip


def boat(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "harbour.example.com/v1", "kind": "Boat", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def server() -> Server:
    made = Server()
    assert made.call("POST", DEFINITIONS, definition()).status == 201
    return made


def test_a_definition_is_established(server: Server) -> None:
    status = server.call("GET", f"{DEFINITIONS}/boats.harbour.example.com").body["status"]
    assert [(one["type"], one["status"]) for one in status["conditions"]] == [
        ("NamesAccepted", "True"),
        ("Established", "True"),
    ]
    assert server.call("GET", "/apis/harbour.example.com").body["versions"][0]["version"] == "v1"


def test_defaults_go_deep_and_unknown_fields_are_pruned(server: Server) -> None:
    made = server.call("POST", BOATS, boat("a", length=3, colour="blue"))
    assert made.body["spec"] == {"length": 3, "flag": "white", "rig": {"masts": 1}}
    assert made.header("warning") == ['299 - "unknown field \\"spec.colour\\""']


def test_the_schema_is_kept(server: Server) -> None:
    reply = server.call("POST", BOATS, boat("a", length=0))
    assert (reply.status, reply.body["details"]["causes"][0]["field"]) == (422, "spec.length")


def test_the_status_is_apart(server: Server) -> None:
    server.call("POST", BOATS, {**boat("a", length=1), "status": {"afloat": False}})
    assert "status" not in server.call("GET", f"{BOATS}/a").body
    server.call("PATCH", f"{BOATS}/a/status", {"status": {"afloat": True}, "spec": {"length": 9}}, headers=MERGE)
    shown = server.call("GET", f"{BOATS}/a").body
    assert (shown["status"], shown["spec"]["length"]) == ({"afloat": True}, 1)


def test_printer_columns_make_the_table() -> None:
    server = Server()
    columns = [{"name": "Length", "type": "integer", "jsonPath": ".spec.length"}]
    server.call("POST", DEFINITIONS, definition(additionalPrinterColumns=columns))
    server.call("POST", BOATS, boat("a", length=4))
    accept = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    table = server.call("GET", BOATS, headers=accept).body
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Length"]
    assert table["rows"][0]["cells"] == ["a", 4]


def test_strategic_patches_are_not_spoken(server: Server) -> None:
    server.call("POST", BOATS, boat("a", length=1))
    headers = {"content-type": "application/strategic-merge-patch+json"}
    assert server.call("PATCH", f"{BOATS}/a", {}, headers=headers).status == 415


def test_what_was_stored_is_read_through_the_newer_schema(server: Server) -> None:
    server.call("POST", BOATS, boat("a", length=1))
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/crew"
    change = [{"op": "add", "path": path, "value": {"type": "integer", "default": 2}}]
    headers = {"content-type": "application/json-patch+json"}
    assert server.call("PATCH", f"{DEFINITIONS}/boats.harbour.example.com", change, headers=headers).status == 200
    assert server.call("GET", f"{BOATS}/a").body["spec"]["crew"] == 2


def test_objects_go_with_their_definition(server: Server) -> None:
    server.call("POST", BOATS, boat("a", length=1))
    server.call("DELETE", f"{DEFINITIONS}/boats.harbour.example.com")
    server.call("GET", "/healthz")
    assert server.call("GET", f"{DEFINITIONS}/boats.harbour.example.com").status == 404
    assert server.call("GET", BOATS).status == 404
    assert server.live.store.list("harbour.example.com/Boat") == []
