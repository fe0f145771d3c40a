"""Evaluation on frames: what callers rely on beyond the language cases in tests/cases/promql."""

from __future__ import annotations

import numpy as np
import pytest

from pilothouse.engines import promql
from pilothouse.engines.tsdb import ABSENT, STALE, Database, Labels, make_labels

MINUTE_MS = 60_000


def found_by(answer: promql.Answer) -> dict[Labels, float]:
    """A vector's samples by labels, in the order listed."""
    assert isinstance(answer, promql.Vector)
    return dict(answer)


def counters(rows: int = 21) -> Database:
    """Two jobs with two instances each, rising by 15, 30, 45 and 60 a row of 15 s."""
    database = Database()
    frame = database.frame("target")
    for index in range(4):
        frame.add(make_labels({"job": "ab"[index // 2], "i": str(index)}, "x_total"))
    for row in range(rows):
        frame.append(row * 15_000, 15.0 * row * np.arange(1, 5))
    return database


def test_a_plan_follows_series_that_come_and_go() -> None:
    database = counters()
    plan = promql.compile("count(x_total)")
    assert found_by(plan.instant(database, 300_000)) == {(): 4.0}
    other = database.frame("other")
    column = other.add(make_labels({"job": "c"}, "x_total"))
    other.append(300_000, [1.0])
    assert found_by(plan.instant(database, 300_000)) == {(): 5.0}
    other.retire(column)
    other.append(315_000, [ABSENT])
    assert found_by(plan.instant(database, 315_000)) == {(): 4.0}


def test_one_plan_serves_several_databases() -> None:
    plan = promql.compile("sum by (job) (rate(x_total[5m]))")
    first, second = counters(), counters(rows=41)
    for database in (first, second, first):
        found = found_by(plan.instant(database, 300_000))
        assert found == pytest.approx({(("job", "a"),): 3.0, (("job", "b"),): 7.0})


def test_a_selector_reaches_over_many_frames() -> None:
    database = Database()
    for target in range(50):
        frame = database.frame(f"target-{target}")
        frame.add(make_labels({"instance": str(target)}, "up"))
        frame.append(1_000 + target, [1.0])
        frame.append(16_000 + target, [float(target % 2)])
    assert found_by(promql.compile("sum(up)").instant(database, 20_000)) == {(): 25.0}
    assert found_by(promql.compile("sum(changes(up[1m]))").instant(database, 20_000)) == {(): 25.0}


def test_a_counter_that_restarts_within_a_chunk_or_at_its_border_is_corrected() -> None:
    database = Database()
    frame = database.frame("target")
    frame.add(make_labels({}, "x_total"))
    values = [float(row % 250) for row in range(600)]
    for row, value in enumerate(values):
        frame.append(row * 15_000, [value])
    plan = promql.compile("increase(x_total[1h])")
    found = found_by(plan.instant(database, 599 * 15_000))[()]
    # 239 steps inside the window; the restart from 249 to 0 adds nothing but the lost step.
    assert found == pytest.approx(238 * 3600 / (239 * 15), rel=1e-9)


def test_a_value_stays_when_later_rows_come() -> None:
    database = Database()
    frame = database.frame("f")
    frame.add(make_labels({}, "x_total"))
    plan = promql.compile("rate(x_total[2m])")
    for row in range(20):
        frame.append(row * 15_000, [float(row * row)])
    before = found_by(plan.instant(database, 200_000))
    for row in range(20, 300):
        frame.append(row * 15_000, [float(row)])
    assert found_by(plan.instant(database, 200_000)) == before


def test_topk_lists_the_largest_first_and_ranges_sort_by_labels() -> None:
    database = counters()
    vector = promql.compile("topk(3, x_total)").instant(database, 300_000)
    assert list(found_by(vector).values()) == [1200.0, 900.0, 600.0]
    matrix = promql.compile("topk(3, x_total)").range(database, 0, 300_000, MINUTE_MS)
    assert matrix.labels == sorted(matrix.labels)


def test_warnings_point_into_the_query() -> None:
    vector = promql.compile("quantile(1.5, x_total)").instant(counters(), 300_000)
    assert vector.warnings == ["PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)"]
    info = promql.compile("rate(gauge[1m])")
    database = Database()
    frame = database.frame("f")
    frame.add(make_labels({}, "gauge"))
    for row in range(5):
        frame.append(row * 15_000, [1.0 + row])
    assert info.instant(database, 60_000).infos == [
        'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "gauge" (1:6)'
    ]


def test_errors_of_evaluation_are_typed_and_change_nothing() -> None:
    database = counters()
    plan = promql.compile("x_total + on (job) x_total")
    with pytest.raises(promql.EvalError, match="many-to-many matching not allowed"):
        plan.instant(database, 300_000)
    with pytest.raises(promql.EvalError, match="same labelset"):
        promql.compile('label_replace(x_total, "i", "", "", "")').instant(database, 300_000)
    with pytest.raises(promql.EvalError, match="step"):
        promql.compile("x_total").range(database, 0, 10, 0)


def test_stale_ends_a_series_at_once_and_a_gap_after_the_lookback() -> None:
    database = Database()
    frame = database.frame("f")
    frame.add(make_labels({"i": "a"}, "x"))
    frame.add(make_labels({"i": "b"}, "x"))
    frame.append(0, [1.0, 1.0])
    frame.append(15_000, [STALE, ABSENT])
    plan = promql.compile("x")
    assert [dict(labels)["i"] for labels in found_by(plan.instant(database, 15_000))] == ["b"]
    assert [dict(labels)["i"] for labels in found_by(plan.instant(database, 299_999))] == ["b"]
    assert found_by(plan.instant(database, 300_000)) == {}
    short = promql.compile("x", lookback_ms=MINUTE_MS)
    assert found_by(short.instant(database, 60_000)) == {}


def test_a_range_query_of_a_scalar_is_one_unlabelled_series() -> None:
    matrix = promql.compile("time() * 2").range(Database(), 0, 2_000, 1_000)
    assert matrix.labels == [()]
    assert matrix.series(0) == [(0, 0.0), (1_000, 2.0), (2_000, 4.0)]


def test_an_instant_query_for_a_range_gives_the_samples() -> None:
    found = promql.compile('x_total{i="0"}[30s]').instant(counters(), 300_000)
    assert isinstance(found, promql.RangeVector)
    assert found.samples == [[(285_000, 285.0, None), (300_000, 300.0, None)]]
