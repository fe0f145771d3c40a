from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.engines.rolling.proportion import Share, shares


def test_growth_is_shared_by_size_and_the_rest_goes_to_the_largest() -> None:
    sets = [Share("old", 8, 0, 13), Share("new", 5, 1, 13)]
    assert shares(sets, 15, 3, 13) == [("old", 11), ("new", 7)]


def test_of_equal_sets_the_newer_grows_and_the_older_shrinks_first() -> None:
    sets = [Share("old", 5, 0, 10), Share("new", 5, 1, 10)]
    assert shares(sets, 11, 0, 10)[0][0] == "new"
    assert shares(sets, 9, 0, 10)[0][0] == "old"


def test_without_an_annotation_the_counted_pods_are_the_base() -> None:
    assert shares([Share("a", 6, 0, None), Share("b", 4, 1, None)], 20, 0, 10) == [("a", 12), ("b", 8)]


def test_without_any_base_only_the_largest_changes() -> None:
    assert shares([Share("a", 6, 0, None), Share("b", 4, 1, None)], 12, 0, 0) == [("a", 8), ("b", 4)]


@given(st.lists(st.integers(1, 60), min_size=2, max_size=6), st.integers(0, 200), st.integers(0, 20))
def test_the_sizes_always_add_up_to_what_is_allowed(sizes: list[int], desired: int, surge: int) -> None:
    sets = [Share(f"rs{n}", size, n, sum(sizes)) for n, size in enumerate(sizes)]
    wanted = shares(sets, desired, surge, sum(sizes))
    assert sum(size for _, size in wanted) == (desired + surge if desired else 0)
    assert all(size >= 0 for _, size in wanted)
