"""Which nodes can take a pod, and in upstream's words why the others cannot (kube-scheduler 1.36 filter plugins).

Filters run in upstream's order and a node keeps the reasons of the first one that refuses it. Those that look at the
node alone are kept per class of pods (`placing.PodClass`); those that look at other pods are computed for one pod.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pilothouse.engines.scheduling.cluster import NOWHERE, Bools, Cluster, Ints, Matching
from pilothouse.engines.scheduling.facts import (
    HOSTNAME,
    UNSCHEDULABLE_TAINT,
    NodeFacts,
    PodNeeds,
    PodTerm,
    Spread,
    Taint,
)

UNSCHEDULABLE = "node(s) were unschedulable"
WRONG_NAME = "node(s) didn't match the requested node name"
TAINTED = "node(s) had untolerated taint(s)"
"""Since 1.34.2 the taint itself is left out: it may be confidential."""
WRONG_NODE = "node(s) didn't match Pod's node affinity/selector"
PORTS_TAKEN = "node(s) didn't have free ports for the requested pod ports"
TOO_MANY_PODS = "Too many pods"
SPREAD_LABEL = "node(s) didn't match pod topology spread constraints (missing required label)"
SPREAD = "node(s) didn't match pod topology spread constraints"
AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING_ANTI_AFFINITY = "node(s) didn't satisfy existing pods anti-affinity rules"

HOPELESS = frozenset((UNSCHEDULABLE, WRONG_NAME, TAINTED, WRONG_NODE, SPREAD_LABEL, AFFINITY))
"""Reasons that evicting pods cannot change."""


def node_reason(needs: PodNeeds, node: NodeFacts) -> str:
    """Why this node alone refuses the pod, "" when it does not."""
    if node.unschedulable and not _tolerates(needs, Taint(UNSCHEDULABLE_TAINT, "", "NoSchedule")):
        return UNSCHEDULABLE
    if needs.node_name and needs.node_name != node.name:
        return WRONG_NAME
    if untolerated(needs, node) is not None:
        return TAINTED
    return "" if fits_affinity(needs, node) else WRONG_NODE


def _tolerates(needs: PodNeeds, taint: Taint) -> bool:
    return any(toleration.covers(taint) for toleration in needs.tolerations)


def untolerated(needs: PodNeeds, node: NodeFacts) -> Taint | None:
    """The first taint that keeps the pod away."""
    for taint in node.taints:
        if taint.effect != "PreferNoSchedule" and not _tolerates(needs, taint):
            return taint
    return None


def fits_affinity(needs: PodNeeds, node: NodeFacts) -> bool:
    """nodeSelector and required node affinity."""
    if not all(requirement.matches(node.labels) for requirement in needs.node_selector):
        return False
    required = needs.required_nodes
    return required is None or any(term.matches(node) for term in required)


def soft_taints(needs: PodNeeds, node: NodeFacts) -> int:
    """How many PreferNoSchedule taints the pod does not tolerate."""
    return sum(1 for taint in node.taints if taint.effect == "PreferNoSchedule" and not _tolerates(needs, taint))


def fits_resources(needs: PodNeeds, cluster: Cluster, rows: Ints | slice) -> Bools:
    """Whether the free amounts of these rows hold the pod's requests."""
    fits: Bools | None = None
    for name, amount in needs.requests:
        if not amount:
            continue
        index = cluster.resources.get(name)
        if index is None:
            return np.zeros(len(cluster.alive[rows]), np.bool_)
        part = cluster.used[index, rows] + amount <= cluster.allocatable[index, rows]
        fits = part if fits is None else fits & part
    return np.ones(len(cluster.alive[rows]), np.bool_) if fits is None else fits


class Shortage(NamedTuple):
    """reasons: what is short on a node; hopeless: even an empty node would be too small."""

    reasons: list[str]
    hopeless: bool


def shortage(needs: PodNeeds, cluster: Cluster, row: int) -> Shortage:
    """What this node has too little of."""
    reasons, hopeless = [], False
    ordered = sorted(needs.requests, key=lambda request: _RESOURCE_ORDER.get(request[0], len(_RESOURCE_ORDER)))
    for name, amount in ordered:
        index = cluster.resources.get(name)
        has, used = (0, 0) if index is None else (int(cluster.allocatable[index, row]), int(cluster.used[index, row]))
        if amount and used + amount > has:
            reasons.append(TOO_MANY_PODS if name == "pods" else f"Insufficient {name}")
            hopeless = hopeless or amount > has
    return Shortage(reasons, hopeless)


_RESOURCE_ORDER = {"pods": 0, "cpu": 1, "memory": 2, "ephemeral-storage": 3}


def ports_taken(needs: PodNeeds, cluster: Cluster, row: int) -> bool:
    taken = cluster.ports.get(row, ())
    return any(port.clashes(other) for port in needs.ports for _uid, other in taken)


class Refusal(NamedTuple):
    """rows (as a mask over all rows) that a filter refuses, and its words."""

    mask: Bools
    reason: str


def other_pods(needs: PodNeeds, cluster: Cluster, blockers: Sequence[PodTerm], eligible: EligibleRows) -> list[Refusal]:
    """What the pods already placed forbid: ports, spread, affinity and anti-affinity, in upstream's order.

    blockers: anti-affinity terms that placed pods carry against pods like this one.
    """
    refusals: list[Refusal] = []
    for constraint in needs.spreads:
        if constraint.hard:
            refusals.extend(_spread(needs, constraint, cluster, eligible(constraint)))
    if needs.affinity:
        refusals.append(Refusal(_unattracted(needs, cluster), AFFINITY))
    for term in needs.anti_affinity:
        repelled = _crowded(cluster, term.topology_key, cluster.count(Matching((term,))).per_domain)
        refusals.append(Refusal(repelled, ANTI_AFFINITY))
    for term in blockers:
        count = cluster.anti[term].count
        if count.total:
            refusals.append(Refusal(_crowded(cluster, term.topology_key, count.per_domain), EXISTING_ANTI_AFFINITY))
    return refusals


EligibleRows = Callable[[Spread], Bools]
"""The nodes that a spread constraint counts: those that the pod's affinity, and if asked taints, let it on."""


def _crowded(cluster: Cluster, topology_key: str, per_domain: Callable[..., Ints]) -> Bools:
    """Rows in a domain that holds at least one."""
    topology = cluster.topology(topology_key)
    counts = per_domain(topology)
    if not len(counts):
        return np.zeros(cluster.capacity, np.bool_)
    crowded: Bools = (topology.codes != NOWHERE) & (counts[topology.codes] > 0)
    return crowded


def _unattracted(needs: PodNeeds, cluster: Cluster) -> Bools:
    """Rows where a required affinity term finds no pod.

    When no pod anywhere fits all terms and the pod fits them itself, it may be the first of its group.
    """
    count = cluster.count(Matching(needs.affinity))
    is_first = count.total == 0 and all(cluster.term_fits(term, needs) for term in needs.affinity)
    refused = np.zeros(cluster.capacity, np.bool_)
    for term in needs.affinity:
        topology = cluster.topology(term.topology_key)
        refused |= topology.codes == NOWHERE
        if not is_first:
            refused |= ~_crowded(cluster, term.topology_key, count.per_domain)
    return refused


def _spread(needs: PodNeeds, constraint: Spread, cluster: Cluster, eligible: Bools) -> list[Refusal]:
    """Rows where one more pod would stretch the skew beyond the constraint."""
    topology = cluster.topology(constraint.topology_key)
    nowhere = topology.codes == NOWHERE
    count = cluster.count(Matching(namespace=needs.namespace, selector=constraint.selector))
    chosen = eligible & ~nowhere & cluster.alive
    codes = topology.codes[chosen]
    if not len(codes):
        return [Refusal(nowhere, SPREAD_LABEL)]
    size = len(topology.names)
    per_domain = np.bincount(codes, weights=count.per_row[chosen], minlength=size).astype(np.int64)
    present = np.bincount(codes, minlength=size) > 0
    fewest = int(per_domain[present].min()) if int(present.sum()) >= constraint.min_domains else 0
    itself = 1 if constraint.selector.matches(needs.labels) else 0
    skewed = per_domain[topology.codes] + itself - fewest > constraint.max_skew
    return [Refusal(nowhere, SPREAD_LABEL), Refusal(skewed & ~nowhere, SPREAD)]


def eligible_rows(needs: PodNeeds, cluster: Cluster, constraint: Spread) -> Bools:
    """The mask of nodes that count for a constraint."""
    mask = np.zeros(cluster.capacity, np.bool_)
    keys = [c.topology_key for c in needs.spreads if c.hard == constraint.hard]
    for row in cluster.rows.values():
        node = cluster.nodes[row]
        assert node is not None
        if not all(key in node.labels or key == HOSTNAME for key in keys):
            continue
        if constraint.honor_affinity and not fits_affinity(needs, node):
            continue
        if constraint.honor_taints and (node.unschedulable or untolerated(needs, node) is not None):
            continue
        mask[row] = True
    return mask
