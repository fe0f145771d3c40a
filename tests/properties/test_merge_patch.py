"""Merge patches: the one between two objects leads from the first to the second; nothing is changed in place."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.engines.apply.merge_patch import apply_merge_patch, merge_patch_between

VALUES = st.recursive(
    st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@settings(max_examples=300, deadline=None)
@given(OBJECTS, OBJECTS)
def test_the_patch_between_two_objects_leads_there(old: dict[str, Any], new: dict[str, Any]) -> None:
    before = copy.deepcopy(old)
    patch = merge_patch_between(old, new)
    assert apply_merge_patch(old, patch) == new
    assert old == before
    if patch == {}:
        assert apply_merge_patch(old, patch) is old
