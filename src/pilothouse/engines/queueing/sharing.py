"""Servers that share their time among all requests present (threads, event loops that interleave), and pools of n.

Sources: processor sharing's mean response x / (1 - rho) for any service time (Kleinrock 1967), its variance given x
from Coffman, Muntz and Trotter (1970) for exponential service, used here for all; limited sharing's mean from
Avi-Itzhak and Halfin (1988): with at most n sharing, a part rho^n of the work waits in line and the rest shares.
"""

from __future__ import annotations

import math

import numpy as np

from pilothouse.engines.queueing.service import Floats
from pilothouse.engines.queueing.waiting import erlang_c


def stretch_mean(rho: float, servers: int, pool: int | None) -> float:
    """Mean extra time through sharing, per unit of service; `pool` is the most requests that share (None: all)."""
    if rho <= 0:
        return 0.0
    extra = erlang_c(servers, rho * servers) / (servers * (1 - rho))
    if pool is None:
        return extra
    slots = max(pool / servers, 1.0)
    return extra * max(0.0, 1 - math.pow(rho, slots - 1))


def extra_cdf(spare: Floats, service: Floats, stretch: Floats) -> Floats:
    """P(extra time <= spare) of a request of length `service` (units of the mean service time), elementwise."""
    stretch = np.maximum(stretch, 1e-9)
    rho = stretch / (1 + stretch)
    mean = stretch * service
    free = 1 - rho
    variance = 2 * rho / free**3 * (service + np.expm1(-free * service) / free)
    variance = np.maximum(variance, 1e-12 * mean * mean)
    shape = mean * mean / variance
    short = _empty_or_exponential(spare, mean, variance)
    return np.where(spare < 0, 0.0, np.where(shape < 1, short, _gamma(spare, mean, shape)))


def _empty_or_exponential(spare: Floats, mean: Floats, variance: Floats) -> Floats:
    """Short requests: either nobody else is there or a geometric number; matched on two moments."""
    second = variance + mean * mean
    present = np.minimum(2 * mean * mean / second, 1.0)
    return 1 - present * np.exp(-np.clip(present / mean * spare, 0, 700))


def _gamma(spare: Floats, mean: Floats, shape: Floats) -> Floats:
    """Long requests: gamma by Wilson and Hilferty's cube root, good to half a percent for shape >= 1."""
    ratio = np.cbrt(np.maximum(spare, 0) / mean)
    z = (ratio - (1 - 1 / (9 * shape))) * 3 * np.sqrt(shape)
    return normal_cdf(z)


def normal_cdf(z: Floats) -> Floats:
    """The standard normal distribution, to 1e-7 (Abramowitz and Stegun 26.2.17)."""
    t = 1 / (1 + 0.2316419 * np.abs(z))
    poly = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    upper = np.exp(-np.minimum(z * z / 2, 700)) / math.sqrt(2 * math.pi) * poly
    return np.where(z >= 0, 1 - upper, upper)
