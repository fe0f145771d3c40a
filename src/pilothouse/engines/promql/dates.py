"""Calendar functions on Unix seconds (UTC), element-wise: the proleptic Gregorian calendar as Go's time package
counts it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pilothouse.engines.promql.grid import Floats

Moments = npt.NDArray[np.datetime64]


_UNREPRESENTABLE = np.iinfo(np.int64).max
"""What has no int64 becomes the least one on amd64, which Go's calendar wraps around to the end of time (the year
292277026596): numpy reads the least one as no time at all, so its neighbour beyond the wrap stands for it."""


def _moments(seconds: Floats) -> Moments:
    fits = np.abs(seconds) < 2.0**63
    whole = np.where(fits, seconds, 0.0).astype(np.int64)
    return np.where(fits, whole, _UNREPRESENTABLE).astype("datetime64[s]")


def _year(at: Moments) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = at.astype("datetime64[Y]").astype(np.int64) + 1970
    return found


def _month(at: Moments) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = at.astype("datetime64[M]").astype(np.int64) % 12 + 1
    return found


def _day_of_month(at: Moments) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = (
        at.astype("datetime64[D]") - at.astype("datetime64[M]").astype("datetime64[D]")
    ).astype(np.int64) + 1
    return found


def _day_of_year(at: Moments) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = (
        at.astype("datetime64[D]") - at.astype("datetime64[Y]").astype("datetime64[D]")
    ).astype(np.int64) + 1
    return found


def _day_of_week(at: Moments) -> npt.NDArray[np.int64]:
    # The epoch was a Thursday.
    found: npt.NDArray[np.int64] = (at.astype("datetime64[D]").astype(np.int64) + 4) % 7
    return found


def _days_in_month(at: Moments) -> npt.NDArray[np.int64]:
    month = at.astype("datetime64[M]")
    found: npt.NDArray[np.int64] = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(
        np.int64
    )
    return found


def _hour(at: Moments) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = at.astype("datetime64[h]").astype(np.int64) % 24
    return found


def _minute(at: Moments) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = at.astype("datetime64[m]").astype(np.int64) % 60
    return found


_PARTS: dict[str, Callable[[Moments], npt.NDArray[np.int64]]] = {
    "year": _year,
    "month": _month,
    "day_of_month": _day_of_month,
    "day_of_year": _day_of_year,
    "day_of_week": _day_of_week,
    "days_in_month": _days_in_month,
    "hour": _hour,
    "minute": _minute,
}

NAMES = frozenset(_PARTS)


def part_of(name: str, seconds: Floats) -> Floats:
    """The named part of each moment, e.g. part_of("hour", …)."""
    return _PARTS[name](_moments(seconds)).astype(np.float64)
