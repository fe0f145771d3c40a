"""Durations beyond all measure are refused with a place; they once overflowed on their way to milliseconds."""

from __future__ import annotations

import pytest

from pilothouse.engines import promql


@pytest.mark.parametrize("query", ["x[1e301]", "x[1e300:1m]", "x offset -1e305", "x offset 1e308", "x[999999999y]"])
def test_an_absurd_duration_is_out_of_range(query: str) -> None:
    with pytest.raises(promql.ParseError, match="duration out of range"):
        promql.compile(query)
