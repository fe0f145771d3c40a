"""Waiting before service: how probable it is, and how long it lasts for those who wait.

Sources: Erlang's C formula; Allen-Cunneen's two-moment mean wait (Allen, Probability, Statistics and Queueing Theory,
1990); Kraemer and Langenbach-Belz' corrections of mean and probability for arrivals smoother or burstier than Poisson
(1976) and the spread of the wait, both as given in Whitt, The Queueing Network Analyzer, 1983; Marchal's mean wait
(1976), which is the better one for smooth arrivals at high load.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wait:
    """probability that a request waits; of those who do, the mean in units of the mean service time and the squared
    coefficient of variation (1: exponential)."""

    probability: float
    mean_if_waiting: float
    scv_if_waiting: float = 1.0

    def survival_terms(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """P(wait > t) as a sum of two (weight, mean) exponentials with the three moments' shape; weights may be
        negative.

        Less spread than exponential: two exponential stages in a row; more: a mixture with balanced means.
        """
        p, m, scv = self.probability, self.mean_if_waiting, min(max(self.scv_if_waiting, 0.55), 20.0)
        if p <= 0 or m <= 0:
            return (0.0, 1.0), (0.0, 1.0)
        if scv < 0.999:
            root = math.sqrt(2 * scv - 1)
            long, short = m * (1 + root) / 2, m * (1 - root) / 2
            return (p * long / (long - short), long), (-p * short / (long - short), short)
        share = (1 + math.sqrt(max(scv - 1, 0.0) / (scv + 1))) / 2
        return (p * share, m / (2 * share)), (p * (1 - share), m / (2 * (1 - share)))


def erlang_c(servers: int, load: float) -> float:
    """P(all busy) in M/M/servers at `load` = arrival rate x mean service time < servers."""
    blocking = 1.0
    for k in range(1, servers + 1):
        blocking = load * blocking / (k + load * blocking)
    rho = load / servers
    return blocking / (1 - rho + rho * blocking)


def single_queue(rho: float, servers: int, service_scv: float, arrival_scv: float) -> Wait:
    """One queue in front of `servers`, utilisation `rho` in [0, 1)."""
    if rho <= 0:
        return Wait(0.0, 0.0)
    busy = erlang_c(servers, rho * servers)
    mean = busy / (servers * (1 - rho)) * _variability(rho, arrival_scv, service_scv)
    probability = min(1.0, busy * _klb_probability(rho, arrival_scv, service_scv) / rho)
    if probability <= 1e-12 or mean <= 0:
        return Wait(0.0, 0.0)
    return Wait(probability, mean / probability, _wait_scv(rho, service_scv))


def join_shortest(rho: float, pods: int, servers: int, service_scv: float) -> Wait:
    """Each request joins the pod with fewest requests: `pods` queues of `servers` each.

    Between one pooled queue (an idle server is always found) and separate ones (who waits, waits for one certain
    server). The two exponents are fitted on the discrete-event reference for 3 to 20 pods, sigma 0.3 to 1, rho 0.5 to
    0.95.
    """
    if rho <= 0:
        return Wait(0.0, 0.0)
    if pods == 1:
        return single_queue(rho, servers, service_scv, 1.0)
    everyone = pods * servers
    spread = 1 + 0.5 * -math.expm1(-(pods - 1) / 8)
    probability = erlang_c(everyone, rho * everyone) ** spread
    if probability <= 1e-12:
        return Wait(0.0, 0.0)
    residual = (1 + service_scv) / 2
    bound = residual / servers * (1 - 1 / pods) ** 2 * (1 - 0.35 * rho**4)
    pooled = residual / (everyone * (1 - rho))
    scv = (pooled**2 + bound**2 * _wait_scv(0.0, service_scv)) / (pooled + bound) ** 2
    return Wait(probability, pooled + bound, scv)


def _wait_scv(rho: float, service_scv: float) -> float:
    """Spread of the wait of those who wait; the third moment is the log-normal's, (1 + scv) cubed."""
    return 2 * rho - 1 + 4 * (1 - rho) * (1 + service_scv) / 3


def _variability(rho: float, arrival_scv: float, service_scv: float) -> float:
    """Mean wait relative to the same queue with exponential service and Poisson arrivals."""
    klb = (arrival_scv + service_scv) / 2 * _klb_mean(rho, arrival_scv, service_scv)
    if arrival_scv >= 1:
        return klb
    marchal = (1 + service_scv) / (1 + rho * rho * service_scv) * (arrival_scv + rho * rho * service_scv) / 2
    # Against the reference, the first is right for smooth arrivals at rho 0.5 and the second at 0.8 and above.
    return (1 - rho) * klb + rho * marchal


def _klb_mean(rho: float, arrival_scv: float, service_scv: float) -> float:
    total = arrival_scv + service_scv
    if arrival_scv < 1 and total > 0:
        return math.exp(-2 * (1 - rho) / (3 * rho) * (1 - arrival_scv) ** 2 / total)
    if arrival_scv > 1:
        return math.exp(-(1 - rho) * (arrival_scv - 1) / (arrival_scv + 4 * service_scv))
    return 1.0


def _klb_probability(rho: float, arrival_scv: float, service_scv: float) -> float:
    """P(wait) of GI/G/1; equals rho for Poisson arrivals."""
    if arrival_scv <= 1:
        shape = (1 + arrival_scv + rho * service_scv) / (
            1 + rho * (service_scv - 1) + rho * rho * (4 * arrival_scv + service_scv)
        )
    else:
        shape = 4 * rho / (arrival_scv + rho * rho * (4 * arrival_scv + service_scv))
    return min(max(rho + (arrival_scv - 1) * rho * (1 - rho) * shape, 0.0), 1.0)
