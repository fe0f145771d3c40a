"""Random writes against the plainest model: a dict of objects and a list of what happened."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.store.memory import Store

NAMES = st.sampled_from(["a", "b", "c"])
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "remove"]),
        st.sampled_from(["K", "L"]),
        NAMES,
        NAMES,
        st.sampled_from(["", "u", "v"]),
    ),
    max_size=40,
)


def made(namespace: str, name: str, owner: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"namespace": namespace, "name": name, "labels": {"own": owner}}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "kind": "O", "name": "o", "controller": owner == "u"}]
    return {"metadata": metadata}


def bare(obj: Any) -> Any:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    return {**obj, "metadata": metadata}


@settings(max_examples=200, deadline=None)
@given(OPERATIONS)
def test_store_equals_the_plain_model(operations: list[tuple[str, str, str, str, str]]) -> None:
    store = Store({"K": {"own": lambda obj: [obj["metadata"]["labels"]["own"]]}})
    watch = store.watch()
    model: dict[tuple[str, str, str], dict[str, Any]] = {}
    replayed: dict[tuple[str, str, str], Any] = {}
    revisions = [0]
    for verb, kind, namespace, name, owner in operations:
        if verb == "put":
            obj = made(namespace, name, owner)
            store.put(kind, obj)
            model[(kind, namespace, name)] = obj
        else:
            store.remove(kind, namespace, name)
            model.pop((kind, namespace, name), None)
    for change in watch.take():
        metadata = change.object["metadata"]
        key = (change.kind, metadata["namespace"], metadata["name"])
        assert change.revision > revisions[-1]
        revisions.append(change.revision)
        assert (change.old.object if change.old else None) == replayed.get(key)
        if change.new is None:
            del replayed[key]
        else:
            replayed[key] = change.new.object
    assert {key: bare(value) for key, value in replayed.items()} == model
    for kind in ("K", "L"):
        here = [value for key, value in model.items() if key[0] == kind]
        assert [bare(s.object) for s in store.list(kind)] == here
        for uid in ("u", "v"):
            refers = [v for v in here if any(r["uid"] == uid for r in v["metadata"].get("ownerReferences", ()))]
            names = sorted(s.object["metadata"]["name"] for k, s in store.dependents(uid) if k == kind)
            assert names == sorted(v["metadata"]["name"] for v in refers)
            assert len(store.owned(kind, uid)) == (len(refers) if uid == "u" else 0)
    for owner in ("", "u", "v"):
        expected = sorted(
            str(v["metadata"]["name"])
            for k, v in model.items()
            if k[0] == "K" and v["metadata"]["labels"]["own"] == owner
        )
        assert sorted(s.object["metadata"]["name"] for s in store.indexed("K", "own", owner)) == expected
