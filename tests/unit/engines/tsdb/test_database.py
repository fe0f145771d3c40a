"""The database: order of writes, slots and their reuse, selection by matchers, retention, limits."""

from __future__ import annotations

import numpy as np
import pytest

from pilothouse.base.errors import LimitExceeded
from pilothouse.engines.tsdb import (
    ABSENT,
    STALE,
    Database,
    InvalidPattern,
    Limits,
    Matcher,
    Outcome,
    is_absent,
    is_stale,
    make_labels,
    make_matcher,
    name_matcher,
)
from pilothouse.engines.tsdb.packing import pack


def select(database: Database, *matchers: Matcher) -> list[str]:
    """The `i` labels that the matchers find."""
    return [dict(labels).get("i", "") for labels in database.select(matchers).labels]


def test_rows_must_rise_and_refusals_say_how() -> None:
    frame = Database().frame("f")
    frame.add(make_labels({}, "x"))
    assert frame.append(1_000, [1.0]) is Outcome.STORED
    assert frame.append(1_000, [1.0]) is Outcome.REPEATED
    assert frame.append(1_000, [2.0]) is Outcome.DUPLICATE_TIMESTAMP
    assert frame.append(999, [2.0]) is Outcome.OUT_OF_ORDER
    assert frame.rows == 1
    with pytest.raises(ValueError, match="takes rows of 1 values"):
        frame.append(2_000, [1.0, 2.0])


def test_loose_samples_are_refused_alike() -> None:
    database = Database()
    labels = make_labels({}, "x")
    assert database.append(labels, 5, 1.0) is Outcome.STORED
    assert database.append(labels, 5, 1.0) is Outcome.REPEATED
    assert database.append(labels, 5, 2.0) is Outcome.DUPLICATE_TIMESTAMP
    assert database.append(labels, 4, 1.0) is Outcome.OUT_OF_ORDER
    assert database.append(labels, 6, STALE) is Outcome.STORED


def test_the_special_values_keep_their_bits() -> None:
    frame = Database().frame("f")
    for i in range(3):
        frame.add(make_labels({"i": str(i)}, "x"))
    frame.append(0, [ABSENT, STALE, float("nan")])
    row = frame.last_values()
    assert is_absent(row).tolist() == [True, False, False]
    assert is_stale(row).tolist() == [False, True, False]


def test_a_retired_slot_is_marked_and_used_again_only_in_a_new_chunk() -> None:
    frame = Database().frame("f")
    first = frame.add(make_labels({"i": "0"}, "x"))
    frame.add(make_labels({"i": "1"}, "x"))
    frame.append(0, [1.0, 1.0])
    frame.retire(first)
    frame.append(1, [7.0, 2.0])
    assert is_stale(frame.last_values()).tolist() == [True, False]
    frame.append(2, [7.0, 3.0])
    assert is_absent(frame.last_values()).tolist() == [True, False]
    assert frame.add(make_labels({"i": "2"}, "x")) == 2
    for row in range(3, 400):
        frame.append(row, np.ones(frame.width))
    assert frame.add(make_labels({"i": "3"}, "x")) == first
    assert frame.width == 3


def test_a_series_that_comes_back_at_once_goes_on_in_its_slot() -> None:
    database = Database()
    frame = database.frame("f")
    labels = make_labels({}, "x")
    column = frame.add(labels)
    frame.append(0, [1.0])
    frame.retire(column)
    frame.append(1, [ABSENT])
    assert frame.add(labels) == column
    frame.append(2, [3.0])
    part = database.select((name_matcher("x"),)).parts[0]
    block = part.block(0, 3)[:, 0].copy()
    assert is_stale(block).tolist() == [False, True, False]
    assert block[2] == 3.0


def test_the_generation_changes_only_with_the_set_of_series() -> None:
    database = Database()
    frame = database.frame("f")
    frame.add(make_labels({}, "x"))
    generation, selection = database.generation, database.select((name_matcher("x"),))
    frame.append(0, [1.0])
    assert database.generation == generation
    frame.add(make_labels({}, "y"))
    assert database.generation != generation
    assert database.select((name_matcher("x"),)) is selection


@pytest.mark.parametrize(
    ("matcher", "found"),
    [
        (make_matcher("i", "=", "b1"), ["b1"]),
        (make_matcher("i", "!=", "b1"), ["a1", "b2", ""]),
        (make_matcher("i", "=~", "a1|b2"), ["a1", "b2"]),
        (make_matcher("i", "=~", "b.*"), ["b1", "b2"]),
        (make_matcher("i", "=~", ".+1"), ["a1", "b1"]),
        (make_matcher("i", "=~", ".*"), ["a1", "b1", "b2", ""]),
        (make_matcher("i", "=~", ".+"), ["a1", "b1", "b2"]),
        (make_matcher("i", "!~", "b."), ["a1", ""]),
        (make_matcher("i", "=", ""), [""]),
        (make_matcher("i", "!=", ""), ["a1", "b1", "b2"]),
        (make_matcher("i", "=~", "(?i)A1"), ["a1"]),
        (make_matcher("i", "=~", "b"), []),
        (make_matcher("none", "=", ""), ["a1", "b1", "b2", ""]),
    ],
    ids=str,
)
def test_matchers_select_as_prometheus_does(matcher: Matcher, found: list[str]) -> None:
    database = Database()
    frame = database.frame("f")
    for value in ("a1", "b1", "b2", ""):
        frame.add(make_labels({"i": value}, "x"))
    frame.add(make_labels({"i": "b1"}, "y"))
    assert select(database, name_matcher("x"), matcher) == found


def test_a_broken_pattern_says_what_is_wrong() -> None:
    with pytest.raises(InvalidPattern, match="missing argument to repetition operator"):
        make_matcher("i", "=~", "*a")


def test_retention_drops_whole_chunks_and_series_without_samples() -> None:
    database = Database()
    frame = database.frame("f")
    old = frame.add(make_labels({"i": "old"}, "x"))
    frame.add(make_labels({"i": "new"}, "x"))
    for row in range(100):
        frame.append(row, [1.0, 1.0])
    frame.retire(old)
    for row in range(100, 700):
        frame.append(row, [1.0, 1.0])
    database.append(make_labels({"i": "loose"}, "x"), 5, 1.0)
    assert database.series_count == 3
    database.drop_before(600)
    assert frame.times[0] == 600
    assert select(database, name_matcher("x")) == ["new"]
    assert database.label_values("i") == ["new"]
    assert frame.append(701, np.ones(frame.width)) is Outcome.STORED


def test_limits_name_themselves() -> None:
    database = Database(Limits(series=1, labels_per_series=2))
    database.append(make_labels({}, "x"), 0, 1.0)
    with pytest.raises(LimitExceeded, match="series=1"):
        database.append(make_labels({}, "y"), 0, 1.0)
    other = Database(Limits(labels_per_series=2, label_value_bytes=3))
    with pytest.raises(LimitExceeded, match="labels_per_series=2"):
        other.append(make_labels({"a": "1", "b": "2"}, "x"), 0, 1.0)
    with pytest.raises(LimitExceeded, match="label_value_bytes=3"):
        other.append(make_labels({"a": "1234"}, "x"), 0, 1.0)


def test_a_series_may_live_in_two_frames_one_after_the_other() -> None:
    database = Database()
    labels = make_labels({"i": "a"}, "x")
    first, second = database.frame("old target"), database.frame("new target")
    first.add(labels)
    first.append(0, [1.0])
    second.add(labels)
    second.append(15_000, [2.0])
    selection = database.select((name_matcher("x"),))
    assert selection.size == 1
    assert [(t, v) for t, v, _, _ in selection.odd[0].samples(-1, 15_000)] == [(0, 1.0), (15_000, 2.0)]


def test_many_rows_at_once_equal_single_rows() -> None:
    database = Database()
    one, many = database.frame("one"), database.frame("many")
    for frame in (one, many):
        for i in range(3):
            frame.add(make_labels({"i": str(i), "f": frame.name}, "x"))
    block = np.arange(1_800, dtype=np.float64).reshape(600, 3)
    for row in range(600):
        one.append(row, block[row])
    assert many.extend(np.arange(600), block) is Outcome.STORED
    assert many.extend([5], block[:1]) is Outcome.OUT_OF_ORDER
    for mine, theirs in zip(one.chunks, many.chunks):
        assert np.array_equal(mine.values, theirs.values)


AWKWARD = (
    0.0,
    -0.0,
    1.0,
    65_535.0,
    65_536.0,
    2.0**40,
    2.0**53,
    2.0**53 + 2,
    -5.0,
    0.1,
    1e300,
    np.nan,
    np.inf,
    ABSENT,
    STALE,
)


def test_packing_a_chunk_gives_every_value_back_bit_by_bit() -> None:
    values = np.array([[AWKWARD[(row * step + start) % len(AWKWARD)] for start in range(15) for step in (0, 1, 4)]
                       for row in range(50)])  # fmt: skip
    values = np.concatenate([values, np.arange(50.0)[:, None] * 70_000], axis=1)
    packed = pack(values)
    assert {form.cells.dtype.name for form in packed.forms if form.cells.size} == {"uint16", "uint32", "float64"}
    found = packed.read(slice(0, 50), slice(0, 46))
    assert np.array_equal(found.view(np.int64), values.view(np.int64))
    some = np.array([44, 3, 17])
    assert np.array_equal(packed.read(slice(7, 9), some).view(np.int64), values[7:9][:, some].view(np.int64))


def test_a_query_between_adding_a_column_and_its_first_row_finds_nothing_there() -> None:
    database = Database()
    frame = database.frame("f")
    frame.add(make_labels({"i": "0"}, "x"))
    for row in range(250):
        frame.append(row, np.ones(frame.width))
        if row % 7 == 0:
            frame.add(make_labels({"i": str(row + 1)}, "x"))
            part = database.select((name_matcher("x"),)).parts[0]
            assert is_absent(np.ascontiguousarray(part.row(row))[0, -1:]).all()
    part = database.select((name_matcher("x"),)).parts[0]
    present = ~is_absent(np.ascontiguousarray(part.block(0, 250)))
    assert present.sum(axis=0).tolist()[:3] == [250, 249, 242]
