"""Watches: what is there, what changes, what leaves a selection, where they begin and how they end."""

from __future__ import annotations

import pytest
from tests.unit.wire.kubernetes.server import CONFIG_MAPS, MERGE, Server, config_map


@pytest.fixture
def server() -> Server:
    return Server()


def watched(server: Server, query: str, headers: dict[str, str] | None = None) -> list[tuple[str, str]]:
    reply = server.call("GET", f"{CONFIG_MAPS}?watch=1&timeoutSeconds=1&{query}", headers=headers)
    assert reply.status == 200
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in reply.lines]


def now(server: Server) -> str:
    revision: str = server.call("GET", CONFIG_MAPS).body["metadata"]["resourceVersion"]
    return revision


def test_it_begins_with_what_is_there(server: Server) -> None:
    for name in ("b", "a"):
        server.call("POST", CONFIG_MAPS, config_map(name))
    assert watched(server, "") == [("ADDED", "a"), ("ADDED", "b")]


def test_it_resumes_after_a_version(server: Server) -> None:
    since = now(server)
    server.call("POST", CONFIG_MAPS, config_map("a"))
    server.call("PATCH", f"{CONFIG_MAPS}/a", {"data": {"k": "1"}}, headers=MERGE)
    server.call("DELETE", f"{CONFIG_MAPS}/a")
    assert watched(server, f"resourceVersion={since}") == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_a_deleted_object_carries_the_version_of_its_deletion(server: Server) -> None:
    server.call("POST", CONFIG_MAPS, config_map("a"))
    since = now(server)
    server.call("DELETE", f"{CONFIG_MAPS}/a")
    reply = server.call("GET", f"{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion={since}")
    assert int(reply.lines[0]["object"]["metadata"]["resourceVersion"]) > int(since)


def test_leaving_a_selection_looks_like_a_deletion(server: Server) -> None:
    server.call("POST", CONFIG_MAPS, config_map("a", labels={"x": "1"}))
    since = now(server)
    server.call("PATCH", f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"x": "2"}}}, headers=MERGE)
    server.call("PATCH", f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"x": "1"}}}, headers=MERGE)
    assert watched(server, f"resourceVersion={since}&labelSelector=x%3D1") == [("DELETED", "a"), ("ADDED", "a")]


def test_initial_events_end_with_a_bookmark(server: Server) -> None:
    server.call("POST", CONFIG_MAPS, config_map("a"))
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    assert watched(server, query) == [("ADDED", "a"), ("BOOKMARK", "")]


def test_too_old_a_version_is_told_in_the_stream(server: Server) -> None:
    since = now(server)
    for number in range(4_200):
        server.live.write_path.patch("Namespace", "", "default", {"metadata": {"annotations": {"n": str(number)}}})
    reply = server.call("GET", f"{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion={since}")
    assert reply.status == 200
    assert (reply.lines[0]["type"], reply.lines[0]["object"]["code"]) == ("ERROR", 410)


def test_metadata_alone_can_be_watched(server: Server) -> None:
    server.call("POST", CONFIG_MAPS, config_map("a", {"k": "v"}))
    accept = {"accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
    reply = server.call("GET", f"{CONFIG_MAPS}?watch=1&timeoutSeconds=1", headers=accept)
    assert reply.lines[0]["object"]["kind"] == "PartialObjectMetadata"
    assert "data" not in reply.lines[0]["object"]
