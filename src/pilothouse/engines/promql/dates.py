"""Calendar functions on Unix seconds (UTC), element-wise: the proleptic Gregorian calendar as Go's time package
counts it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pilothouse.engines.promql.grid import Floats

Moments = npt.NDArray[np.datetime64]


def _moments(seconds: Floats) -> Moments:
    with np.errstate(invalid="ignore"):
        whole = np.where(np.isfinite(seconds), np.trunc(seconds), 0.0)
        # Beyond numpy's calendar the year overflows; no dashboard reaches 2.9e11 years.
        return np.clip(whole, -(2.0**62), 2.0**62).astype(np.int64).astype("datetime64[s]")


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
