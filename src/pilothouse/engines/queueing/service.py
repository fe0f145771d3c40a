"""Service times: how long one request keeps a server busy when nobody else is there. Log-normal, by mean and sigma."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NODES = 64
"""Gauss-Legendre nodes per integral: enough that bucket probabilities are good to 1e-6 for sigma up to 2."""
_Z_LOW = -6.0


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """A log-normal service time: `mean_s` > 0 seconds, `sigma` >= 0 of the logarithm (0: always the same)."""

    mean_s: float
    sigma: float

    @property
    def mu(self) -> float:
        """Mean of the logarithm, so that the mean of the service time is `mean_s`."""
        return math.log(self.mean_s) - self.sigma * self.sigma / 2

    @property
    def scv(self) -> float:
        """Squared coefficient of variation."""
        return math.expm1(self.sigma * self.sigma)

    def cdf(self, at_s: Floats) -> Floats:
        """P(service <= t) for each t, zero for t <= 0."""
        return np.array([self._cdf_one(t) for t in np.ravel(at_s).tolist()]).reshape(np.shape(at_s))

    def _cdf_one(self, at_s: float) -> float:
        if at_s <= 0:
            return 0.0
        if at_s == math.inf:
            return 1.0
        if self.sigma == 0:
            return 1.0 if at_s >= self.mean_s else 0.0
        return 0.5 * math.erfc(-(math.log(at_s) - self.mu) / (self.sigma * math.sqrt(2)))

    def nodes_below(self, at_s: float) -> tuple[Floats, Floats]:
        """Quadrature of the service time on (0, at_s]: times and weights, weights summing to about P(service <=
        at_s)."""
        if self.sigma == 0:
            inside = at_s >= self.mean_s
            return np.full(1, self.mean_s), np.full(1, 1.0 if inside else 0.0)
        top = (math.log(at_s) - self.mu) / self.sigma if at_s > 0 else _Z_LOW
        top = min(max(top, _Z_LOW), -_Z_LOW)
        x, w = _legendre(_NODES)
        z = _Z_LOW + (top - _Z_LOW) * (x + 1) / 2
        weight = w * (top - _Z_LOW) / 2 * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return np.exp(self.mu + self.sigma * z), weight


@lru_cache(maxsize=4)
def _legendre(count: int) -> tuple[Floats, Floats]:
    x, w = np.polynomial.legendre.leggauss(count)
    return x, w
