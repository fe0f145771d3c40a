"""The algebra of FieldsV1 sets where steps with and without themselves meet, and how steps are written and shown."""

from __future__ import annotations

from typing import Any

import pytest

from pilothouse.engines.apply import field_sets
from pilothouse.engines.apply.field_sets import (
    difference,
    in_order,
    intersection,
    is_sound,
    key_step,
    paths,
    recursive_difference,
    union,
    value_step,
)

LEAF: dict[str, Any] = {}
PARENT: dict[str, Any] = {"f:a": LEAF}
CHILD: dict[str, Any] = {"f:a": {"f:b": LEAF}}
BOTH: dict[str, Any] = {"f:a": {".": LEAF, "f:b": LEAF}}


def test_a_parent_is_a_field_of_its_own() -> None:
    assert union(PARENT, CHILD) == BOTH == union(CHILD, PARENT)
    assert difference(BOTH, PARENT) == CHILD
    assert difference(BOTH, CHILD) == PARENT
    assert difference(CHILD, PARENT) == CHILD
    assert difference(PARENT, CHILD) == PARENT
    assert intersection(BOTH, PARENT) == PARENT
    assert intersection(BOTH, CHILD) == CHILD
    assert intersection(PARENT, CHILD) == {}


def test_recursive_difference_takes_what_lies_below() -> None:
    assert recursive_difference(CHILD, PARENT) == {}
    assert recursive_difference(BOTH, CHILD) == PARENT
    assert recursive_difference({**BOTH, "f:c": LEAF}, PARENT) == {"f:c": LEAF}


def test_results_share_what_did_not_change() -> None:
    assert difference(BOTH, {"f:z": LEAF}) is BOTH
    assert union(BOTH, {}) is BOTH
    assert union({}, BOTH) is BOTH
    assert intersection(BOTH, BOTH) is BOTH


def test_paths_name_fields_before_what_lies_below_them() -> None:
    found = list(paths({"f:b": {"f:x": LEAF, ".": LEAF}, "f:a": {"f:y": LEAF}, "f:c": LEAF}))
    assert found == [("f:b",), ("f:c",), ("f:a", "f:y"), ("f:b", "f:x")]
    assert all(field_sets.has(BOTH, path) for path in paths(BOTH))
    assert not field_sets.has(CHILD, ("f:a",))
    assert not field_sets.has(CHILD, ("f:z", "f:b"))


def test_steps_are_written_as_json_and_shown_as_upstream_shows_them() -> None:
    assert key_step(("port", "protocol"), (80, "TCP")) == 'k:{"port":80,"protocol":"TCP"}'
    assert key_step(("on",), (True,)) == 'k:{"on":true}'
    assert key_step(("on",), (1,)) == 'k:{"on":1}'
    assert key_step(("n",), ("<a&b>",)) == 'k:{"n":"\\u003ca\\u0026b\\u003e"}'
    assert value_step("a/b") == 'v:"a/b"'
    shown = field_sets.path_text(("f:spec", 'k:{"port":80,"protocol":"TCP"}', 'v:"x"', "i:3"))
    assert shown == '.spec[port=80,protocol="TCP"][="x"][3]'


def test_sets_are_written_in_order() -> None:
    written = in_order({"k:{}": LEAF, "f:b": {"f:z": LEAF, ".": LEAF}, "f:a": LEAF})
    assert [*written, *written["f:b"]] == ["f:a", "f:b", "k:{}", ".", "f:z"]


@pytest.mark.parametrize("fields", [[], "f:a", {"a": {}}, {"f:a": 1}, {"f:a": {"x:b": {}}}])
def test_unreadable_sets(fields: Any) -> None:
    assert not is_sound(fields)
