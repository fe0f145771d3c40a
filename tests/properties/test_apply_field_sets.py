"""The algebra of field sets against the obvious model: sets of paths."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.engines.apply import field_sets

Path = tuple[str, ...]
PATHS = st.frozensets(
    st.lists(st.sampled_from(["f:a", "f:b", 'k:{"n":1}', 'v:"x"']), min_size=1, max_size=3).map(tuple)
)


def as_set(paths: frozenset[Path]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for path in sorted(paths):
        node = out
        for step in path[:-1]:
            node = node.setdefault(step, {})
        node.setdefault(path[-1], {})
    return marked(out, (), paths)


def marked(node: dict[str, Any], above: Path, paths: frozenset[Path]) -> dict[str, Any]:
    """Steps that have something below them need a mark when they are in the set themselves."""
    out = {step: marked(below, (*above, step), paths) for step, below in node.items()}
    return {".": {}, **out} if out and above in paths else out


def as_paths(fields: Any) -> frozenset[Path]:
    return frozenset(field_sets.paths(fields))


@given(PATHS)
def test_sets_hold_their_paths(paths: frozenset[Path]) -> None:
    assert as_paths(as_set(paths)) == paths
    assert all(field_sets.has(as_set(paths), path) for path in paths)
    assert field_sets.in_order(as_set(paths)) == as_set(paths)
    assert field_sets.is_sound(as_set(paths))


@given(PATHS, PATHS)
def test_operations_equal_those_of_path_sets(left: frozenset[Path], right: frozenset[Path]) -> None:
    one, other = as_set(left), as_set(right)
    assert field_sets.union(one, other) == as_set(left | right)
    assert field_sets.difference(one, other) == as_set(left - right)
    assert field_sets.intersection(one, other) == as_set(left & right)
    kept = frozenset(path for path in left if not any(path[: len(gone)] == gone for gone in right))
    assert field_sets.recursive_difference(one, other) == as_set(kept)
    assert (one, other) == (as_set(left), as_set(right))
