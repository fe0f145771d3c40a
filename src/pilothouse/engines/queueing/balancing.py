"""Balancing policies as named models: what each does to the stream that one pod sees.

- random: kube-proxy picks an endpoint per connection; a pod sees a thinned stream, Poisson stays Poisson.
- round_robin: ingress-nginx's default; every n-th request, so gaps are sums of n gaps and n times smoother.
- least_connections: Envoy's and nginx' least_conn; the pods act almost as one pool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pilothouse.engines.queueing.waiting import Wait, join_shortest, single_queue

Policy = Literal["random", "round_robin", "least_connections"]
POLICIES: tuple[Policy, ...] = ("random", "round_robin", "least_connections")

_PODS_STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256)


@dataclass(frozen=True, slots=True)
class Front:
    """What stands before a pod: the policy, over how many ready pods, and the squared variation of all arrivals."""

    policy: Policy = "random"
    pods: int = 1
    arrival_scv: float = 1.0

    def wait(self, rho: float, servers: int, service_scv: float) -> Wait:
        """The wait in a pod of `servers` at utilisation `rho`, in units of the mean service time."""
        if self.policy == "least_connections":
            return join_shortest(rho, self.pods, servers, service_scv)
        return single_queue(rho, servers, service_scv, self.scv_per_pod)

    @property
    def scv_per_pod(self) -> float:
        if self.policy == "round_robin":
            return self.arrival_scv / self.pods
        return self.arrival_scv / self.pods + 1 - 1 / self.pods


def front(policy: Policy, pods: int, arrival_scv: float) -> Front:
    """The front for `pods` ready pods, with the count rounded to a step so that few tables exist.

    A random split of Poisson arrivals does not depend on the count at all.
    """
    if policy == "random" and arrival_scv == 1.0:
        return Front(policy, 1, 1.0)
    return Front(policy, min(_PODS_STEPS, key=lambda step: (abs(step - pods), step)), arrival_scv)
