"""Choosing a node for a pod, as kube-scheduler 1.36 does: filter, score, take the best; or say why none fits.

Pods whose specs ask the same of nodes form a class. A class keeps its masks over all nodes and repairs them only for
the rows that changed since: one more pod of the class costs a few vector operations on the nodes that upstream scores.
Ties are broken by visiting order, where upstream draws lots: the same input gives the same place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pilothouse.engines.scheduling import filters, scores
from pilothouse.engines.scheduling.cluster import Bools, Cluster, Ints
from pilothouse.engines.scheduling.facts import PodNeeds, PodTerm, Spread

CLASSES_KEPT = 1024
"""Classes of pods whose masks are kept (2 bytes a node each); the one used longest ago goes first."""
SMALL_CLUSTER = 100
"""Up to so many nodes every one is looked at (minFeasibleNodesToFind)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a pod goes. node "": nowhere, `message` says why as the condition and the Event do.

    reasons: reason → how many nodes; a node may have several.
    """

    node: str
    message: str = ""
    reasons: Mapping[str, int] = field(default_factory=dict)


class PodClass:
    """What is known about all nodes for pods of one class."""

    __slots__ = (
        "blocker_terms",
        "blockers",
        "capacity",
        "cpu",
        "eligible",
        "epoch",
        "fits",
        "liking",
        "memory",
        "needs",
        "node_mark",
        "score",
        "static",
        "used_mark",
    )

    def __init__(self, needs: PodNeeds) -> None:
        self.needs = needs
        self.cpu, self.memory = needs.request("cpu"), needs.request("memory")
        self.capacity = 0
        self.epoch = -1
        self.static: Bools = np.zeros(0, np.bool_)
        """Nodes that refuse nothing for reasons of their own."""
        self.fits: Bools = np.zeros(0, np.bool_)
        """Of those, nodes with room."""
        self.score: Ints = np.zeros(0, np.int64)
        """The resources' part of the score."""
        self.liking: Ints | None = None
        """Per row: preferred node affinity's weight and minus the soft taints; None when no node has any."""
        self.node_mark = self.used_mark = 0
        self.eligible: dict[Spread, Bools] = {}
        self.blockers: list[PodTerm] = []
        self.blocker_terms = -1


class Placer:
    """The scheduler's memory between pods. Tell the cluster (`add_pod`) after a placement is kept."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._classes: dict[tuple[object, ...], PodClass] = {}
        self._start = 0

    def place(self, needs: PodNeeds) -> Placement:
        """The best node for a pod, or the reasons why there is none. Nothing is reserved."""
        cluster = self.cluster
        if not cluster.rows:
            return Placement("", "no nodes available to schedule pods")
        pod_class = self._class_of(needs)
        rows = self._candidates(pod_class, needs)
        if not len(rows):
            return explain(needs, cluster, pod_class.blockers, lambda c: self._eligible(pod_class, c))
        row = int(rows[0]) if len(rows) == 1 else int(rows[self._score(pod_class, needs, rows).argmax()])
        node = cluster.nodes[row]
        assert node is not None
        return Placement(node.name)

    # Classes

    def _class_of(self, needs: PodNeeds) -> PodClass:
        cluster = self.cluster
        key: tuple[object, ...] = (needs.key,)
        if cluster.anti:
            key = (needs.key, tuple(sorted(needs.labels.items())))
        pod_class = self._classes.pop(key, None)
        if pod_class is None:
            pod_class = PodClass(needs)
            if len(self._classes) >= CLASSES_KEPT:
                del self._classes[next(iter(self._classes))]
        self._classes[key] = pod_class
        self._refresh(pod_class)
        return pod_class

    def _refresh(self, pod_class: PodClass) -> None:
        cluster = self.cluster
        if pod_class.epoch != cluster.epoch or pod_class.capacity != cluster.capacity:
            self._rebuild(pod_class)
            return
        if pod_class.node_mark < len(cluster.dirty_nodes):
            changed = dict.fromkeys(cluster.dirty_nodes[pod_class.node_mark :])
            pod_class.node_mark = len(cluster.dirty_nodes)
            pod_class.eligible.clear()
            self._look_at(pod_class, changed)
            self._room(pod_class, np.fromiter(changed, np.int64, len(changed)))
        if pod_class.used_mark < len(cluster.dirty):
            behind = cluster.dirty[pod_class.used_mark :]
            pod_class.used_mark = len(cluster.dirty)
            if len(behind) == 1:
                self._room_of_one(pod_class, behind[0])
            else:
                self._room(pod_class, np.unique(np.array(behind, np.int64)))

    def _rebuild(self, pod_class: PodClass) -> None:
        cluster = self.cluster
        pod_class.capacity, pod_class.epoch = cluster.capacity, cluster.epoch
        pod_class.static = np.zeros(cluster.capacity, np.bool_)
        pod_class.fits = np.zeros(cluster.capacity, np.bool_)
        pod_class.score = np.zeros(cluster.capacity, np.int64)
        pod_class.liking = None
        pod_class.eligible.clear()
        pod_class.node_mark, pod_class.used_mark = len(cluster.dirty_nodes), len(cluster.dirty)
        self._look_at(pod_class, cluster.rows.values())
        self._room(pod_class, slice(None))

    def _look_at(self, pod_class: PodClass, rows: Iterable[int]) -> None:
        """What nodes say by themselves."""
        needs, nodes = pod_class.needs, self.cluster.nodes
        for row in rows:
            node = nodes[row]
            pod_class.static[row] = node is not None and not filters.node_reason(needs, node)
            if node is None:
                continue
            preference = sum(weight for weight, term in needs.preferred_nodes if term.matches(node))
            soft = filters.soft_taints(needs, node) if node.taints else 0
            if pod_class.liking is None and (preference or soft):
                pod_class.liking = np.zeros((2, self.cluster.capacity), np.int64)
            if pod_class.liking is not None:
                pod_class.liking[:, row] = (preference, soft)

    def _room(self, pod_class: PodClass, rows: Ints | slice) -> None:
        fits = filters.fits_resources(pod_class.needs, self.cluster, rows)
        pod_class.fits[rows] = fits & pod_class.static[rows]
        pod_class.score[rows] = scores.resources(pod_class.needs, self.cluster, rows)

    def _room_of_one(self, pod_class: PodClass, row: int) -> None:
        """The common case, one pod placed since: plain numbers are quicker than vectors of one."""
        if not pod_class.static[row]:
            return
        cluster, needs = self.cluster, pod_class.needs
        used, allocatable = cluster.used[:, row].tolist(), cluster.allocatable[:, row].tolist()
        fits = True
        for name, amount in needs.requests:
            index = cluster.resources.get(name)
            if amount and (index is None or used[index] + amount > allocatable[index]):
                fits = False
                break
        pod_class.fits[row] = fits
        pod_class.score[row] = scores.resources_of_one(needs, cluster, row, pod_class.cpu, pod_class.memory)

    def _eligible(self, pod_class: PodClass, constraint: Spread) -> Bools:
        mask = pod_class.eligible.get(constraint)
        if mask is None:
            mask = pod_class.eligible[constraint] = filters.eligible_rows(pod_class.needs, self.cluster, constraint)
        return mask

    # One pod

    def _candidates(self, pod_class: PodClass, needs: PodNeeds) -> Ints:
        """The first so many nodes that can take the pod, from where the last search stopped."""
        cluster = self.cluster
        mask = pod_class.fits
        if cluster.anti and pod_class.blocker_terms != len(cluster.anti):
            pod_class.blockers = [term for term in cluster.anti if cluster.term_fits(term, needs)]
            pod_class.blocker_terms = len(cluster.anti)
        if needs.affinity or needs.anti_affinity or pod_class.blockers or any(c.hard for c in needs.spreads):
            mask = mask.copy()
            refusals = filters.other_pods(needs, cluster, pod_class.blockers, lambda c: self._eligible(pod_class, c))
            for refused, _reason in refusals:
                mask &= ~refused
        order = cluster.order
        found = self._visit(mask, order, nodes_to_find(len(order)))
        if needs.ports:
            free = [row for row in found.tolist() if not filters.ports_taken(needs, cluster, row)]
            if not free:
                everywhere = [
                    row for row in order[mask[order]].tolist() if not filters.ports_taken(needs, cluster, row)
                ]
                free = everywhere[: nodes_to_find(len(order))]
            found = np.array(free, np.int64)
        return found

    def _visit(self, mask: Bools, order: Ints, enough: int) -> Ints:
        total = len(order)
        if enough >= total:
            return order[mask[order]]
        start = self._start % total
        for stop in (start + 2 * enough, total):
            # Most often the near half is enough; a full cluster needs the whole round.
            rows = order[start:stop]
            first = mask[rows].nonzero()[0][:enough]
            if len(first) == enough:
                self._start = (start + int(first[-1]) + 1) % total
                return rows[first]
        found, rest = rows[first], order[:start]
        second = mask[rest].nonzero()[0][: enough - len(found)]
        if len(second) == enough - len(found):
            self._start = (int(second[-1]) + 1) % total
        return np.concatenate((found, rest[second]))

    def _score(self, pod_class: PodClass, needs: PodNeeds, rows: Ints) -> Ints:
        cluster = self.cluster
        total: Ints = pod_class.score[rows]
        if pod_class.liking is not None:
            total = total + 2 * scores.normalized(pod_class.liking[0, rows])
            total = total + 3 * scores.normalized(pod_class.liking[1, rows], reverse=True)
        if needs.owner or needs.spreads:
            total = total + 2 * scores.spread(needs, cluster, rows)
        if needs.preferred_pods or cluster.weighted:
            total = total + 2 * scores.neighbours(needs, cluster, rows)
        return total


def nodes_to_find(total: int) -> int:
    """How many feasible nodes are enough: all up to 100, then 50 % falling to 5 % (numFeasibleNodesToFind, 1.36)."""
    if total < SMALL_CLUSTER:
        return total
    percent = max(5, 50 - total // 125)
    return max(SMALL_CLUSTER, total * percent // 100)


def explain(needs: PodNeeds, cluster: Cluster, blockers: list[PodTerm], eligible: filters.EligibleRows) -> Placement:
    """Why no node takes the pod, in the words of kube-scheduler 1.36 (framework/types.go FitError)."""
    refusals = filters.other_pods(needs, cluster, blockers, eligible)
    reasons: Counter[str] = Counter()
    hopeless = 0
    for row in cluster.rows.values():
        words, stuck = _refused(needs, cluster, row, refusals)
        reasons.update(words)
        hopeless += stuck
    total = len(cluster.rows)
    text = f"0/{total} nodes are available: {_listed(reasons)}."
    if not needs.preempts:
        return Placement("", f"{text} preemption: not eligible due to preemptionPolicy=Never.", dict(reasons))
    outlook = Counter(
        {
            "No preemption victims found for incoming pod": total - hopeless,
            "Preemption is not helpful for scheduling": hopeless,
        }
    )
    after = f"preemption: 0/{total} nodes are available: {_listed(+outlook)}."
    return Placement("", f"{text} {after}", dict(reasons))


def _refused(needs: PodNeeds, cluster: Cluster, row: int, refusals: list[filters.Refusal]) -> tuple[list[str], bool]:
    """The reasons of one node, and whether evicting pods could not help."""
    node = cluster.nodes[row]
    assert node is not None
    alone = filters.node_reason(needs, node)
    if alone:
        return [alone], True
    if filters.ports_taken(needs, cluster, row):
        return [filters.PORTS_TAKEN], False
    short = filters.shortage(needs, cluster, row)
    if short.reasons:
        return short.reasons, short.hopeless
    for mask, reason in refusals:
        if mask[row]:
            return [reason], reason in filters.HOPELESS
    return [], False


def _listed(reasons: Counter[str]) -> str:
    """`1 Insufficient cpu, 2 node(s) …`, sorted as text."""
    return ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
