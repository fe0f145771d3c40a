"""How much a pod likes each node that can take it: kube-scheduler 1.36's default score plugins and weights.

Every function gives one number from 0 to 100 per row, as integers where upstream cuts to integers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pilothouse.engines.scheduling.cluster import NOWHERE, Bools, Cluster, Count, Ints, Matching
from pilothouse.engines.scheduling.facts import HOSTNAME, ZONE, PodNeeds, Spread

MAXIMUM = 100
SYSTEM_SPREAD = ((HOSTNAME, 3), (ZONE, 5))
"""The default constraints of pods that name none: (topology, max skew), ScheduleAnyway."""


def resources(needs: PodNeeds, cluster: Cluster, rows: Ints | slice) -> Ints:
    """LeastAllocated of cpu and memory, plus BalancedAllocation (weights 1 and 1)."""
    allocatable = cluster.allocatable[:2, rows]
    room = allocatable - cluster.score_used[:, rows]
    room[0] -= needs.score_cpu_milli
    room[1] -= needs.score_memory_bytes
    np.maximum(room, 0, out=room)
    room *= MAXIMUM
    sized = np.maximum(allocatable, 1)
    room //= sized
    least: Ints = (room[0] + room[1]) // 2
    cpu, memory = needs.request("cpu"), needs.request("memory")
    if not cpu and not memory:
        return least
    shares = (cluster.used[:2, rows] + np.array([[cpu], [memory]])) / sized
    np.minimum(shares, 1.0, out=shares)
    # The standard deviation of two numbers is half their distance.
    apart = np.abs(shares[0] - shares[1])
    balanced = ((1.0 - apart / 2) * MAXIMUM).astype(np.int64)
    return np.asarray(least + balanced)


def resources_of_one(needs: PodNeeds, cluster: Cluster, row: int, cpu: int, memory: int) -> int:
    """`resources` of a single row with plain numbers, quicker than vectors of one. cpu, memory: the requests."""
    cpu_size, memory_size = cluster.allocatable[:2, row].tolist()
    cpu_taken, memory_taken = cluster.score_used[:, row].tolist()
    cpu_size, memory_size = max(cpu_size, 1), max(memory_size, 1)
    cpu_room = max(cpu_size - cpu_taken - needs.score_cpu_milli, 0) * MAXIMUM // cpu_size
    memory_room = max(memory_size - memory_taken - needs.score_memory_bytes, 0) * MAXIMUM // memory_size
    least = int(cpu_room + memory_room) // 2
    if not cpu and not memory:
        return least
    cpu_used, memory_used = cluster.used[:2, row].tolist()
    apart = abs(min((cpu_used + cpu) / cpu_size, 1.0) - min((memory_used + memory) / memory_size, 1.0))
    return least + int((1.0 - apart / 2) * MAXIMUM)


def normalized(raw: Ints, *, reverse: bool = False) -> Ints | int:
    """Scaled so that the largest is 100; reverse: so that nothing is 100 and the largest nothing."""
    largest = int(raw.max()) if len(raw) else 0
    if largest == 0:
        return MAXIMUM if reverse else 0
    scaled = raw * MAXIMUM // largest
    return MAXIMUM - scaled if reverse else scaled


def spread(needs: PodNeeds, cluster: Cluster, rows: Ints) -> Ints | int:
    """PodTopologySpread: few pods of the same sort in the node's domains."""
    if needs.spreads:
        soft = [(c.topology_key, c.max_skew, _counted(needs, cluster, c)) for c in needs.spreads if not c.hard]
    else:
        count = cluster.owner_count(needs.owner)
        soft = [(key, skew, count) for key, skew in SYSTEM_SPREAD] if count.total else []
    if not soft:
        return 0
    raw = np.zeros(len(rows))
    ignored: Bools | None = None
    for key, max_skew, count in soft:
        missing = _add_domain_score(raw, cluster, key, max_skew, count, rows)
        # A pod's own constraints pass over nodes without the label; the default ones take what there is.
        if missing is not None and needs.spreads:
            ignored = missing if ignored is None else ignored | missing
    return _spread_scale(np.rint(raw, out=raw).astype(np.int64), ignored)


def _counted(needs: PodNeeds, cluster: Cluster, constraint: Spread) -> Count:
    return cluster.count(Matching(namespace=needs.namespace, selector=constraint.selector))


def _add_domain_score(
    raw: NDArray[np.float64], cluster: Cluster, key: str, max_skew: int, count: Count, rows: Ints
) -> Bools | None:
    """Adds count x log(domains + 2) + (max skew - 1) to rows with the label; gives the others, if any."""
    if key == HOSTNAME:
        if not count.total:
            raw += max_skew - 1
        else:
            raw += count.per_row[rows] * math.log(len(rows) + 2) + (max_skew - 1)
        return None
    topology = cluster.topology(key)
    codes = topology.codes[rows]
    present = np.bincount(codes + 1, minlength=len(topology.names) + 1)
    domains = int(np.count_nonzero(present[1:]))
    # One entry more than domains: code -1, no label, finds it at the end and adds nothing.
    table = np.zeros(len(topology.names) + 1)
    table[:-1] = count.per_domain(topology)[: len(topology.names)] * math.log(domains + 2) + (max_skew - 1)
    raw += table[codes]
    return codes == NOWHERE if present[0] else None


def _spread_scale(raw: Ints, ignored: Bools | None) -> Ints | int:
    """Turned round: the emptiest domain gets 100."""
    counted = raw if ignored is None else raw[~ignored]
    if not len(counted):
        return 0
    most, fewest = int(counted.max()), int(counted.min())
    if most == fewest:
        return MAXIMUM if ignored is None else np.where(ignored, 0, MAXIMUM)
    raw = MAXIMUM * (most + fewest - raw) // most
    return raw if ignored is None else np.where(ignored, 0, raw)


def neighbours(needs: PodNeeds, cluster: Cluster, rows: Ints) -> Ints | int:
    """InterPodAffinity: the pod's preferred terms, and those of placed pods that speak of it."""
    raw = np.zeros(len(rows), np.int64)
    touched = False
    for weight, term in needs.preferred_pods:
        count = cluster.count(Matching((term,)))
        touched |= _attract(raw, weight, cluster, term.topology_key, count, rows)
    for carried in cluster.weighted.values():
        if carried.count.total and cluster.term_fits(carried.term, needs):
            touched |= _attract(raw, carried.weight, cluster, carried.term.topology_key, carried.count, rows)
    if not touched:
        return 0
    most, fewest = int(raw.max()), int(raw.min())
    if most == fewest:
        return 0
    return (MAXIMUM * (raw - fewest) / (most - fewest)).astype(np.int64)


def _attract(raw: Ints, weight: int, cluster: Cluster, key: str, count: Count, rows: Ints) -> bool:
    if not count.total:
        return False
    topology = cluster.topology(key)
    counts, codes = count.per_domain(topology), topology.codes[rows]
    if len(counts):
        raw += np.where(codes == NOWHERE, 0, weight * counts[codes])
    return True
