"""RFC 6902 as the API server applies it: every operation, what is shared, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from pilothouse.engines.apply.json_patch import OPERATIONS_LIMIT, PatchError, apply_json_patch


def op(name: str, path: str, **more: Any) -> dict[str, Any]:
    return {"op": name, "path": path, **more}


@pytest.mark.parametrize(
    ("target", "operation", "expected"),
    [
        ({"a": 1}, op("add", "/b", value=2), {"a": 1, "b": 2}),
        ({"a": [1, 3]}, op("add", "/a/1", value=2), {"a": [1, 2, 3]}),
        ({"a": [1]}, op("add", "/a/-", value=2), {"a": [1, 2]}),
        ({"a": [1, 2]}, op("add", "/a/2", value=3), {"a": [1, 2, 3]}),
        ({"a": [1, 2]}, op("replace", "/a/-1", value=3), {"a": [1, 3]}),
        ({"a": {"b": 1}}, op("replace", "/a/b", value=2), {"a": {"b": 2}}),
        ({"a": {}}, op("replace", "/a/new", value=2), {"a": {"new": 2}}),
        ({"a": 1}, op("replace", "", value=2), 2),
        ({"a": 1, "b": 2}, op("remove", "/a"), {"b": 2}),
        ({"a": [{"b": 1}, 2]}, op("remove", "/a/0/b"), {"a": [{}, 2]}),
        ({"a": [1, 2]}, op("remove", "/a/0"), {"a": [2]}),
        ({"a/b": 1, "c~d": 2}, op("remove", "/a~1b"), {"c~d": 2}),
        ({"a": 1}, op("copy", "/b", **{"from": "/a"}), {"a": 1, "b": 1}),
        ({"a": 1}, op("move", "/b", **{"from": "/a"}), {"b": 1}),
        ({"a": None}, op("test", "/a", value=None), {"a": None}),
        ({}, op("test", "/a", value=None), {}),
    ],
)
def test_operations(target: Any, operation: dict[str, Any], expected: Any) -> None:
    assert apply_json_patch(target, [operation]) == expected


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (op("remove", "/zz"), "missing path"),
        (op("remove", "/list/9"), "list index 9 is out of bounds"),
        (op("add", "/list/01", value=1), "is not a list index"),
        (op("add", "/list/²", value=1), "is not a list index"),
        (op("add", "/no/where", value=1), "missing path"),
        (op("add", "/a/b", value=1), "missing path"),
        (op("add", "a", value=1), "a path begins with '/'"),
        (op("add", "/b"), "missing value"),
        (op("test", "/a", value=2), "testing value /a failed"),
        (op("test", "/a", value=True), "testing value /a failed"),
        (op("copy", "/b"), "missing from"),
        (op("copy", "/b", **{"from": "/a/x"}), "missing path"),
        (op("move", "/map/x", **{"from": "/map"}), "cannot go into itself"),
        (op("swap", "/a"), "unexpected kind: swap"),
        ({"op": "add"}, "operation 0 has no path"),
    ],
)
def test_refusals(operation: dict[str, Any], message: str) -> None:
    with pytest.raises(PatchError, match=message):
        apply_json_patch({"a": 1, "list": [1], "map": {}}, [operation])


def test_what_is_not_touched_is_shared() -> None:
    target: Any = {"keep": {"x": 1}, "list": [{"y": 1}, {"z": 1}]}
    out = apply_json_patch(target, [op("add", "/list/0/w", value=2)])
    assert out["keep"] is target["keep"]
    assert out["list"][1] is target["list"][1]
    assert target["list"][0] == {"y": 1}


def test_a_patch_has_a_limit() -> None:
    with pytest.raises(PatchError, match="maximum operations"):
        apply_json_patch({}, [op("add", "/a", value=1)] * (OPERATIONS_LIMIT + 1))
