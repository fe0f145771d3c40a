"""The store keeps versions, indexes and history; nothing is copied and nothing goes back."""

from __future__ import annotations

import msgspec
import pytest

from pilothouse.base.errors import Gone
from pilothouse.store.memory import ADDED, DELETED, MODIFIED, Store, controller_uid


def thing(name: str, namespace: str = "a", **more: object) -> dict[str, object]:
    return {"metadata": {"namespace": namespace, "name": name, **more}, "spec": {"size": 1}}


def owner(uid: str, *, controller: bool = True) -> list[dict[str, object]]:
    return [{"uid": uid, "kind": "X", "name": "x", "controller": controller}]


class Meta(msgspec.Struct):
    name: str


class NameView(msgspec.Struct):
    metadata: Meta


class SpecView(msgspec.Struct):
    spec: dict[str, int]


def test_a_write_shares_what_it_does_not_change() -> None:
    store = Store()
    obj = thing("one")
    stored = store.put("Thing", obj)
    assert stored.object["spec"] is obj["spec"]
    assert stored.object["metadata"]["resourceVersion"] == "1"
    assert "resourceVersion" not in obj["metadata"]  # type: ignore[operator]


def test_objects_list_in_creation_order_even_after_updates() -> None:
    store = Store()
    for name in ("b", "a", "c"):
        store.put("Thing", thing(name))
    store.put("Thing", thing("b"))
    store.put("Thing", thing("d", "other"))
    assert [s.object["metadata"]["name"] for s in store.list("Thing")] == ["b", "a", "c", "d"]
    assert [s.object["metadata"]["name"] for s in store.list("Thing", "other")] == ["d"]
    assert store.count("Thing") == 4
    assert store.list("Nothing") == []


def test_revisions_rise_with_every_write_and_deletion() -> None:
    store = Store()
    store.put("Thing", thing("a"))
    store.remove("Thing", "a", "a")
    assert store.put("Thing", thing("a")).resource_version == 3
    assert store.remove("Thing", "a", "nobody") is None
    assert store.revision == 3


def test_owned_follows_the_controlling_owner() -> None:
    store = Store()
    store.put("Thing", thing("x", ownerReferences=owner("u1")))
    store.put("Thing", thing("y", ownerReferences=owner("u1", controller=False)))
    assert [s.object["metadata"]["name"] for s in store.owned("Thing", "u1")] == ["x"]
    assert [s.object["metadata"]["name"] for _, s in store.dependents("u1")] == ["x", "y"]
    store.put("Thing", thing("x", ownerReferences=owner("u2")))
    assert store.owned("Thing", "u1") == []
    assert controller_uid(store.owned("Thing", "u2")[0].object) == "u2"
    store.remove("Thing", "a", "x")
    assert store.owned("Thing", "u2") == []
    assert store.dependents("u2") == []


def test_owned_gives_the_newest_version() -> None:
    store = Store()
    references = owner("u1")
    store.put("Thing", thing("x", ownerReferences=references))
    newest = store.put("Thing", thing("x", ownerReferences=references, labels={"a": "b"}))
    assert store.owned("Thing", "u1") == [newest]


def test_named_indexes_move_objects_as_they_change() -> None:
    store = Store({"Thing": {"team": lambda obj: obj["metadata"].get("labels", {}).values()}})
    store.put("Thing", thing("x", labels={"team": "red"}))
    store.put("Thing", thing("x", labels={"team": "blue"}))
    assert store.indexed("Thing", "team", "red") == []
    assert len(store.indexed("Thing", "team", "blue")) == 1
    with pytest.raises(KeyError, match="no index 'colour'"):
        store.indexed("Thing", "colour", "red")


def test_a_view_is_made_once_per_version() -> None:
    store = Store()
    stored = store.put("Thing", thing("x"))
    assert stored.view(NameView) is stored.view(NameView)
    assert stored.view(SpecView) is stored.view(SpecView)
    assert stored.view(SpecView).spec == {"size": 1}
    assert store.put("Thing", thing("x")).view(NameView) is not stored.view(NameView)


def test_json_bytes_are_made_once() -> None:
    stored = Store().put("Thing", thing("x"))
    assert stored.json() is stored.json()
    assert b'"resourceVersion":"1"' in stored.json()


def test_a_watch_sees_changes_of_its_kinds_in_commit_order() -> None:
    store = Store()
    some, everything = store.watch("A", "B"), store.watch()
    store.put("B", thing("1"))
    store.put("C", thing("2"))
    store.put("A", thing("3"))
    store.put("B", thing("1"))
    store.remove("B", "a", "1")
    seen = [(c.type, c.kind, c.revision) for c in some.take()]
    assert seen == [(ADDED, "B", 1), (ADDED, "A", 3), (MODIFIED, "B", 4), (DELETED, "B", 5)]
    assert [c.kind for c in everything.take()] == ["B", "C", "A", "B", "B"]
    assert some.take() == []


def test_all_watchers_get_the_same_change() -> None:
    store = Store()
    first, second = store.watch("A"), store.watch("A")
    store.put("A", thing("1"))
    assert first.take()[0] is second.take()[0]


def test_a_watch_resumes_after_a_revision() -> None:
    store = Store()
    store.put("A", thing("1"))
    store.put("B", thing("2"))
    store.put("A", thing("3"))
    assert [c.revision for c in store.watch("A", since=1).take()] == [3]
    assert [c.revision for c in store.watch(since=0).take()] == [1, 2, 3]
    assert store.watch("A", since=3).take() == []


def test_history_that_is_gone_says_so() -> None:
    store = Store(history=2)
    for number in range(4):
        store.put("A", thing(str(number)))
    assert [c.revision for c in store.watch("A", since=2).take()] == [3, 4]
    with pytest.raises(Gone, match="too old resource version: 1"):
        store.watch("A", since=1)
