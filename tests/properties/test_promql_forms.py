"""A query evaluated step by step and in range form gives the same result, bit by bit — also across frames, gaps and
resets.

The database is generated: dense frames, frames with holes, NaN, staleness and late columns, and loose series at odd
times.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilothouse.engines import promql
from pilothouse.engines.tsdb import ABSENT, STALE, Database, chunks, frame, make_labels

STEP_MS = 15_000


@pytest.fixture(scope="module", autouse=True)
def _small_chunks() -> Iterator[None]:
    """Chunks of six rows, so that twenty rows cross borders, get packed and hand slots on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_ROWS", 6)
        patch.setattr(frame, "CHUNK_ROWS", 6)
        yield


QUERIES = [
    "a_total",
    "rate(a_total[1m])",
    "increase(a_total[90s])",
    "delta(a_total[2m])",
    "irate(a_total[1m])",
    "idelta(a_total[1m])",
    "sum(rate(a_total[1m]))",
    'sum by (job) (rate(a_total{i=~"0|1|2"}[1m])) / sum by (job) (rate(a_total[1m])) > 0.2',
    "avg_over_time(a_total[1m])",
    "sum_over_time(a_total[1m] offset 15s)",
    "min_over_time(a_total[1m]) or max_over_time(a_total[45s])",
    "stddev_over_time(a_total[1m])",
    "quantile_over_time(0.7, a_total[1m])",
    "changes(a_total[1m]) + resets(a_total[1m])",
    "deriv(a_total[1m])",
    "predict_linear(a_total[1m], 60)",
    "last_over_time(a_total[30s])",
    "count by (job) (a_total)",
    "avg by (job) (a_total)",
    "stddev(a_total)",
    "quantile by (job) (0.5, a_total)",
    "topk(2, a_total)",
    "bottomk by (job) (1, a_total)",
    'count_values("v", a_total)',
    "max(a_total) - min(a_total)",
    "a_total > 3",
    "a_total * on (i) group_left () b",
    "a_total unless on (i) b",
    "a_total and on (i) (b > 1)",
    "absent(b) or absent_over_time(a_total[30s])",
    "max_over_time(sum(rate(a_total[1m]))[2m:30s])",
    "timestamp(a_total)",
    'label_replace(a_total, "x", "$1", "i", "(.*)")',
    "histogram_quantile(0.9, sum by (le) (rate(h_bucket[1m])))",
    "scalar(b) + time()",
    "sort(a_total)",
    "hour() + b",
]

cells = st.sampled_from([0.0, 1.0, 2.5, 4.0, 7.0, -1.0, float("nan"), ABSENT, ABSENT, STALE, 1e300])
tame = st.floats(min_value=0, max_value=100).map(lambda value: round(value, 2))


@st.composite
def databases(draw: st.DrawFn) -> Database:
    database = Database()
    rows = draw(st.integers(4, 20))
    dense = database.frame("dense")
    for i in range(draw(st.integers(1, 4))):
        dense.add(make_labels({"i": str(i), "job": "ab"[i % 2]}, "a_total"))
    for le in ("0.1", "1", "+Inf"):
        dense.add(make_labels({"le": le}, "h_bucket"))
    for row in range(rows):
        values = draw(st.lists(tame, min_size=dense.width, max_size=dense.width))
        dense.append(row * STEP_MS, np.array(values))
    holed = database.frame("holed")
    columns = [holed.add(make_labels({"i": str(i), "job": "c"}, "a_total")) for i in range(5, 8)]
    for row in range(rows):
        if row == rows // 2:
            holed.add(make_labels({"i": "9", "job": "c"}, "a_total"))
            if draw(st.booleans()):
                holed.retire(columns[0])
        values = draw(st.lists(cells, min_size=holed.width, max_size=holed.width))
        holed.append(row * STEP_MS + 4_000, np.array(values))
    moment = 0
    for _ in range(draw(st.integers(0, 8))):
        moment += draw(st.integers(1, 40_000))
        database.append(make_labels({"i": "0"}, "b"), moment, draw(tame))
    return database


@pytest.mark.parametrize("query", QUERIES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(database=databases(), start=st.integers(-20_000, 120_000), step=st.sampled_from([1_000, 15_000, 33_000]))
def test_instant_and_range_form_agree(query: str, database: Database, start: int, step: int) -> None:
    plan = promql.compile(query)
    times = [start + step * i for i in range(6)]
    instants: list[promql.Answer | promql.EvalError] = []
    for moment in times:
        try:
            instants.append(plan.instant(database, moment))
        except promql.EvalError as problem:
            instants.append(problem)
    failed = [one for one in instants if isinstance(one, promql.EvalError)]
    if failed:
        with pytest.raises(promql.EvalError):
            plan.range(database, times[0], times[-1], step)
        return
    matrix = plan.range(database, times[0], times[-1], step)
    for index, instant in enumerate(instants):
        found = bits(dict(matrix.at(index)))
        if isinstance(instant, promql.Scalar):
            assert found == bits({(): instant.value})
        else:
            assert isinstance(instant, promql.Vector)
            assert found == bits(dict(instant))


def bits(values: dict[tuple[tuple[str, str], ...], float]) -> dict[tuple[tuple[str, str], ...], str]:
    """Values by their exact text, any NaN being one."""
    return {labels: value.hex() if value == value else "nan" for labels, value in values.items()}
