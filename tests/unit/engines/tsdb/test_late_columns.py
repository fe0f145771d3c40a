"""A series that joins a frame late, after its chunk was read, has no samples before it came."""

from __future__ import annotations

import numpy as np
import pytest

from pilothouse.engines import promql
from pilothouse.engines.tsdb import ABSENT, Database, make_labels

STEP_MS = 15_000


@pytest.mark.parametrize("read_before", [False, True], ids=["unread", "read before"])
@pytest.mark.parametrize("newcomers", [1, 40])
def test_a_late_series_has_a_rate_from_its_own_samples_only(read_before: bool, newcomers: int) -> None:
    database = Database()
    frame = database.frame("pods")
    frame.add(make_labels({"__name__": "requests_total", "pod": "first"}))
    plan = promql.compile("sum(rate(requests_total[5m]))")
    for row in range(1, 8):
        frame.append(row * STEP_MS, [row * 15.0])
    if read_before:
        plan.instant(database, 7 * STEP_MS)
    for number in range(newcomers):
        frame.add(make_labels({"__name__": "requests_total", "pod": f"late-{number}"}))
    for row in range(8, 21):
        values = np.full(frame.width, ABSENT)
        values[:] = (row - 7) * 15.0
        values[0] = row * 15.0
        frame.append(row * STEP_MS, values)
    answer = plan.instant(database, 20 * STEP_MS)
    assert isinstance(answer, promql.Vector)
    # 1/s from the first pod; each newcomer 180 in 300 s, stretched by half a step before its first sample.
    expected = 1.0 + newcomers * (180 * (187.5 / 180) / 300)
    assert next(iter(answer))[1] == pytest.approx(expected, rel=1e-6)
