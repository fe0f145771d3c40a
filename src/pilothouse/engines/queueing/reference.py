"""The truth that tests measure the formulas against: requests one by one. Slow on purpose; no world calls it.

Every function takes a numpy Generator and gives response times in seconds, one per request.
"""

from __future__ import annotations

import heapq
from collections import deque

import numpy as np

from pilothouse.engines.queueing.service import Floats, ServiceTime


def draw(service: ServiceTime, count: int, rng: np.random.Generator) -> Floats:
    """`count` service times."""
    return np.exp(service.mu + service.sigma * rng.standard_normal(count))


def poisson_times(rate: float, count: int, rng: np.random.Generator) -> Floats:
    """Arrival times of a Poisson stream."""
    return np.cumsum(rng.exponential(1 / rate, count))


def fifo(arrivals: Floats, services: Floats) -> Floats:
    """One server, first come first served (Lindley's recursion, vectorised)."""
    gaps = services[:-1] - np.diff(arrivals)
    walk = np.concatenate([[0.0], np.cumsum(gaps)])
    waits: Floats = walk - np.minimum.accumulate(np.minimum(walk, 0.0))
    return waits + services


def fifo_many(arrivals: Floats, services: Floats, servers: int) -> Floats:
    """Several servers behind one line."""
    free = [0.0] * servers
    out = np.empty(len(arrivals))
    for i, (at, work) in enumerate(zip(arrivals.tolist(), services.tolist())):
        start = max(at, heapq.heappop(free))
        heapq.heappush(free, start + work)
        out[i] = start + work - at
    return out


def split(arrivals: Floats, services: Floats, pod: np.ndarray, pods: int) -> Floats:
    """`pods` single-server pods, request i going to `pod[i]`."""
    out = np.empty(len(arrivals))
    for p in range(pods):
        mine = np.flatnonzero(pod == p)
        out[mine] = fifo(arrivals[mine], services[mine])
    return out


def least_connections(arrivals: Floats, services: Floats, pods: int) -> Floats:
    """Each request joins the pod with fewest requests, ties in turn."""
    present: list[deque[float]] = [deque() for _ in range(pods)]
    out = np.empty(len(arrivals))
    for i, (at, work) in enumerate(zip(arrivals.tolist(), services.tolist())):
        fewest, best = len(arrivals), 0
        for turn in range(pods):
            p = (i + turn) % pods
            queue = present[p]
            while queue and queue[0] <= at:
                queue.popleft()
            if len(queue) < fewest:
                fewest, best = len(queue), p
        queue = present[best]
        done = max(at, queue[-1] if queue else at) + work
        queue.append(done)
        out[i] = done - at
    return out


def sharing(arrivals: Floats, services: Floats, servers: int = 1, pool: int | None = None) -> Floats:
    """Requests share `servers` evenly (none gets more than one); beyond `pool` they wait in line."""
    out = np.empty(len(arrivals))
    line: deque[int] = deque()
    active: list[tuple[float, int]] = []
    shared = now = 0.0
    work = services.tolist()
    times = arrivals.tolist()
    following = 0
    while following < len(times) or active:
        speed = min(1.0, servers / len(active)) if active else 1.0
        ends = now + (active[0][0] - shared) / speed if active else np.inf
        if following < len(times) and times[following] <= ends:
            shared += (times[following] - now) * speed if active else 0.0
            now = times[following]
            if pool is None or len(active) < pool:
                heapq.heappush(active, (shared + work[following], following))
            else:
                line.append(following)
            following += 1
            continue
        shared, done = heapq.heappop(active)
        now = float(ends)
        out[done] = now - times[done]
        if line:
            waiting = line.popleft()
            heapq.heappush(active, (shared + work[waiting], waiting))
    return out
