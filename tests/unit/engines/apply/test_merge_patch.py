"""RFC 7386, its appendix's own examples in our words, and what is shared."""

from __future__ import annotations

from typing import Any

import pytest

from pilothouse.engines.apply.merge_patch import apply_merge_patch, merge_patch_between


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, {"a": True}, {"a": True}),
    ],
)
def test_merges_as_the_standard_says(target: Any, patch: Any, expected: Any) -> None:
    assert apply_merge_patch(target, patch) == expected


def test_untouched_parts_are_the_same_objects() -> None:
    target: Any = {"keep": {"x": [1]}, "change": {"y": 1, "deep": {"z": 2}}}
    out = apply_merge_patch(target, {"change": {"y": 2}})
    assert out["keep"] is target["keep"]
    assert out["change"]["deep"] is target["change"]["deep"]
    assert apply_merge_patch(target, {"change": {"y": 1, "deep": {"none": None}}}) is target


def test_the_patch_between_names_only_what_differs() -> None:
    old = {"a": 1, "b": {"c": 1, "d": 2}, "e": [1]}
    assert merge_patch_between(old, {"a": 1, "b": {"c": 1, "d": 3}}) == {"b": {"d": 3}, "e": None}
