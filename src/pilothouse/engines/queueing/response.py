"""Response times as tables: for each utilisation, the probability of each latency bucket.

A world asks `table(...)` once per kind of pod and number of peers, then looks rows up: `row_of(rho)` for a steady
queue, `delay_row_of(seconds)` for requests that first wait for a backlog. Everything is rounded to 12 digits before
use, so that processors whose `exp` differs in the last bit still draw the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pilothouse.engines.queueing.balancing import Front
from pilothouse.engines.queueing.service import Floats, ServiceTime
from pilothouse.engines.queueing.sharing import extra_cdf, stretch_mean
from pilothouse.engines.queueing.waiting import Wait, single_queue

RHO_MAX = 0.995
ROWS = 256
_STEP = -math.log1p(-RHO_MAX) / (ROWS - 1)
RHO_GRID: Floats = -np.expm1(-_STEP * np.arange(ROWS))
"""Rows are equal steps of 1/(1-rho), because waiting is: 2 % each, 1 % after rounding to the nearest."""

DELAY_ROWS = 256
_DELAY_MIN_S, _DELAY_MAX_S = 1e-4, 600.0
_DELAY_STEP = math.log(_DELAY_MAX_S / _DELAY_MIN_S) / (DELAY_ROWS - 2)
DELAY_GRID_S: Floats = np.concatenate([[0.0], _DELAY_MIN_S * np.exp(_DELAY_STEP * np.arange(DELAY_ROWS - 1))])

DIGITS = 12


@dataclass(frozen=True, slots=True)
class Discipline:
    """fifo: one request per server, the rest in line; shared: all present share; pool: at most `limit` share."""

    name: str = "fifo"
    limit: int = 0

    def __post_init__(self) -> None:
        if self.name not in ("fifo", "shared", "pool"):
            raise ValueError(f'"{self.name}" is not a discipline: use fifo, shared or pool')
        if self.name == "pool" and self.limit < 1:
            raise ValueError("a pool needs at least one worker")


FIFO = Discipline()


@dataclass(frozen=True, slots=True, eq=False)
class ResponseTable:
    """Bucket probabilities of response times.

    edges_s: upper bucket edges, ascending, without infinity (B-1 of them); columns are the B buckets, the last above
    all edges. steady[row, bucket], mean_s[row]: rows of RHO_GRID. delayed[row, bucket]: after waiting
    DELAY_GRID_S[row] for a backlog.
    """

    edges_s: tuple[float, ...]
    service: ServiceTime
    steady: Floats
    mean_s: Floats
    delayed: Floats


def row_of(rho: Floats) -> NDArray[np.intp]:
    """The nearest row of RHO_GRID for each utilisation; above RHO_MAX the last one."""
    clipped = np.minimum(rho, RHO_MAX)
    return (np.log1p(-clipped) * (-1 / _STEP) + 0.5).astype(np.intp)


def delay_row_of(delay_s: Floats) -> NDArray[np.intp]:
    """The nearest row of DELAY_GRID_S for each delay in seconds."""
    inside = np.clip(delay_s, _DELAY_MIN_S / 2, _DELAY_MAX_S)
    return np.maximum(np.log(inside / _DELAY_MIN_S) * (1 / _DELAY_STEP) + 1.5, 0).astype(np.intp)


@lru_cache(maxsize=4096)
def table(
    service: ServiceTime,
    edges_s: tuple[float, ...],
    servers: int = 1,
    front: Front = Front(),  # noqa: B008 -- frozen
    discipline: Discipline = FIFO,
) -> ResponseTable:
    """The table of one kind of pod; cached, because most pods of a run share it."""
    waits = [_wait(float(rho), service, servers, front, discipline) for rho in RHO_GRID]
    stretch = np.array([_stretch(float(rho), servers, discipline) for rho in RHO_GRID])
    mean = service.mean_s * (1 + stretch + np.array([w.probability * w.mean_if_waiting for w in waits]))
    if discipline.name == "fifo":
        cdf = _fifo_cdf(service, edges_s, waits)
    else:
        cdf = _sharing_cdf(service, edges_s, waits, stretch)
    late = service.cdf(np.subtract.outer(-DELAY_GRID_S, -np.array(edges_s)))
    return ResponseTable(edges_s, service, _buckets(cdf), np.round(mean, DIGITS), _buckets(late))


def quantile_s(values: Floats, edges_s: tuple[float, ...], q: float) -> float:
    """The q-quantile of a row of bucket counts or probabilities, straight lines inside buckets; NaN when empty."""
    total = float(values.sum())
    if total <= 0:
        return math.nan
    rank, below = q * total, 0.0
    for i, upper in enumerate(edges_s):
        count = float(values[i])
        if below + count >= rank and count > 0:
            lower = edges_s[i - 1] if i else 0.0
            return lower + (upper - lower) * (rank - below) / count
        below += count
    return edges_s[-1]


def _wait(rho: float, service: ServiceTime, servers: int, front: Front, discipline: Discipline) -> Wait:
    if discipline.name == "shared" or rho <= 0:
        return Wait(0.0, 0.0)
    if discipline.name == "fifo":
        return front.wait(rho, servers, service.scv)
    line = single_queue(rho, servers, service.scv, front.scv_per_pod)
    slots = max(discipline.limit / servers, 1.0)
    return Wait(line.probability * math.pow(rho, slots - 1), line.mean_if_waiting)


def _stretch(rho: float, servers: int, discipline: Discipline) -> float:
    if discipline.name == "fifo":
        return 0.0
    return stretch_mean(rho, servers, discipline.limit if discipline.name == "pool" else None)


def _fifo_cdf(service: ServiceTime, edges_s: tuple[float, ...], waits: list[Wait]) -> Floats:
    """F[row, edge]: service plus, for those who wait, a wait made of two exponentials."""
    terms = np.array([w.survival_terms() for w in waits])
    cdf = np.empty((len(waits), len(edges_s)))
    served = service.cdf(np.array(edges_s))
    for column, edge in enumerate(edges_s):
        times, weights = service.nodes_below(edge)
        left = (edge - times) / service.mean_s
        cdf[:, column] = served[column]
        for term in (0, 1):
            still = np.exp(-np.minimum(left / terms[:, term, 1, None], 700)) @ weights
            cdf[:, column] -= terms[:, term, 0] * still
    return cdf


_EVERY = 5
"""Sharing tables are computed at every fifth row (255 = 5 x 51) and drawn straight between: 10 % in 1/(1-rho) apart."""


_WAIT_LEFT = np.array([1, 0.8, 0.6, 0.45, 0.3, 0.2, 0.12, 0.07, 0.035, 0.015, 0.005, 0])
_WAIT_SHARES: Floats = -np.diff(_WAIT_LEFT)
_WAIT_STEPS: Floats = -np.diff(_WAIT_LEFT * (1 - np.log(np.maximum(_WAIT_LEFT, 1e-300)))) / _WAIT_SHARES
"""An exponential wait as eleven strata, thinner towards the tail: their shares, and the mean wait within each."""


def _sharing_cdf(service: ServiceTime, edges_s: tuple[float, ...], waits: list[Wait], stretch: Floats) -> Floats:
    """F[row, edge]: service, stretched by sharing, plus a wait in line where the pool is limited."""
    rows = np.arange(0, ROWS, _EVERY)
    extra = stretch[rows][:, None]
    in_line = np.array([waits[r].probability for r in rows])
    line = np.array([waits[r].mean_if_waiting for r in rows])
    coarse = np.empty((len(rows), len(edges_s)))
    for column, edge in enumerate(edges_s):
        times, weights = service.nodes_below(edge)
        size = times / service.mean_s
        spare = (edge - times) / service.mean_s
        coarse[:, column] = extra_cdf(spare[None, :], size[None, :], extra) @ weights
        if in_line.any():
            later = spare[None, None, :] - (line[:, None] * _WAIT_STEPS)[:, :, None]
            queued = (extra_cdf(later, size[None, None, :], extra[:, :, None]) @ weights) @ _WAIT_SHARES
            coarse[:, column] += in_line * (queued - coarse[:, column])
    everywhere = np.arange(ROWS)
    cdf: Floats = np.stack([np.interp(everywhere, rows, coarse[:, c]) for c in range(len(edges_s))], axis=1)
    return cdf


def _buckets(cdf: Floats) -> Floats:
    """Rows of probabilities that sum to exactly at most one, from a distribution at the edges."""
    rising = np.maximum.accumulate(np.clip(np.round(cdf, DIGITS), 0, 1), axis=1)
    ends = np.ones((len(rising), 1))
    full = np.concatenate([np.zeros((len(rising), 1)), rising, ends], axis=1)
    buckets: Floats = np.round(full[:, 1:] - full[:, :-1], DIGITS)
    return buckets
