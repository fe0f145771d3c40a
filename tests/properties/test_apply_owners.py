"""What holds after any sequence of applies and updates, over a kind with every sort of list and map."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.engines.apply import field_sets, server_side, shapes
from pilothouse.engines.apply.managers import Managed
from pilothouse.engines.apply.server_side import ApplyConflict, Writer
from pilothouse.engines.apply.typed_pairs import differences, merged
from pilothouse.engines.apply.typed_values import fields_of
from pilothouse.engines.schema import openapi

ITEM = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "x": {"type": "integer"}, "y": {"type": "integer"}},
}
PART = shapes.of_custom(
    {
        "type": "object",
        "properties": {
            "n": {"type": "integer"},
            "map": {"type": "object", "additionalProperties": {"type": "integer"}},
            "whole": {"type": "array", "items": {"type": "integer"}},
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "items": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": ITEM,
            },
        },
    },
    openapi.read_document("kubernetes-openapi/api_v1.json")["components"]["schemas"],
)
NUMBERS = st.integers(0, 2)
WORDS = st.sampled_from("abc")
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "n": NUMBERS,
        "map": st.dictionaries(WORDS, NUMBERS, min_size=1),
        "whole": st.lists(NUMBERS, max_size=2),
        "set": st.lists(WORDS, unique=True, min_size=1),
        "items": st.lists(
            st.fixed_dictionaries({"name": WORDS}, optional={"x": NUMBERS, "y": NUMBERS}),
            unique_by=lambda item: item["name"],
            min_size=1,
        ),
    },
)
WRITES = st.lists(st.tuples(st.sampled_from(["ann", "bob"]), st.booleans(), OBJECTS), min_size=1, max_size=6)


def contains(whole: Any, part: Any, shape: shapes.Part) -> bool:
    """Every field of the part has the same value in the whole."""
    found = differences(shape, whole, part)
    return not found.modified and not found.added


@given(OBJECTS, OBJECTS)
def test_differences_look_the_same_from_both_sides(old: dict[str, Any], new: dict[str, Any]) -> None:
    there, back = differences(PART, old, new), differences(PART, new, old)
    assert (there.removed, there.modified, there.added) == (back.added, back.modified, back.removed)
    assert not any(differences(PART, old, copy.deepcopy(old)))


@given(OBJECTS, OBJECTS)
def test_a_merge_holds_both_and_changes_neither(live: dict[str, Any], config: dict[str, Any]) -> None:
    before = copy.deepcopy((live, config))
    out = merged(PART, live, config)
    assert contains(out, config, PART)
    assert field_sets.difference(fields_of(PART, live), fields_of(PART, out)) == {}
    assert merged(PART, out, config) is out
    assert (live, config) == before


@given(WRITES)
def test_any_sequence_of_forced_writes(writes: list[tuple[str, bool, dict[str, Any]]]) -> None:
    live: dict[str, Any] = {"metadata": {"name": "x"}}
    managed: Managed = {}
    for number, (manager, applies, obj) in enumerate(writes):
        who = Writer(manager, "v1", f"2026-01-05T00:00:{number:02}Z")
        if not applies:
            new = {"metadata": {"name": "x"}, **obj}
            managed = server_side.updated(PART, live, new, managed, who)
            live = new
        else:
            result = server_side.applied(PART, live, obj, managed, who, force=True)
            live = live if result.object is None else dict(result.object)
            managed = result.managed
            assert contains(live, obj, PART)
            again = server_side.applied(PART, live, obj, managed, who)
            assert again.object is None
            assert again.managed == managed
        owned = [entry.fields for entry in managed.values()]
        assert all(owned)
        everything = fields_of(PART, live)
        # A map or list is a place that only an update owns by itself; all the rest is in the object.
        places: field_sets.FieldSet = {"f:map": {}, "f:set": {}, "f:items": {}}
        assert all(field_sets.difference(field_sets.difference(fields, everything), places) == {} for fields in owned)


@given(OBJECTS, OBJECTS)
def test_without_force_nothing_of_others_changes(first: dict[str, Any], second: dict[str, Any]) -> None:
    ann, bob = Writer("ann", "v1", "t"), Writer("bob", "v1", "t")
    made = server_side.applied(PART, {}, first, {}, ann)
    live = made.object or {}
    try:
        result = server_side.applied(PART, live, second, made.managed, bob)
    except ApplyConflict:
        assert not contains(live, second, PART)
        return
    after = live if result.object is None else result.object
    assert contains(after, first, PART)
    assert {owner: owned for owner, owned in result.managed.items() if owner.manager == "ann"} == made.managed
