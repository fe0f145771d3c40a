"""The cluster as columns: nodes as rows, amounts as int64 vectors, counts of pods kept up to date as pods come and go.

Owned by whoever schedules (the scheduler loop, a what-if of a node pool). Nothing here decides; `placing` reads it.
Every change leaves a mark in `dirty`, so that what was computed for all nodes is repaired for a few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilothouse.base.selectors import Selector
from pilothouse.engines.scheduling.facts import HOSTNAME, ZONE, NodeFacts, PodNeeds, PodTerm, Port

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
NOWHERE = -1
"""The domain code of a node that lacks the topology's label."""
DIRTY_MARKS_KEPT = 200_000
"""Marks of changed rows kept for readers that lag behind; beyond it they compute all rows anew, which is cheaper."""
OWNER_COLUMNS_KEPT = 512
"""Controllers whose pods are counted per node as a column (8 bytes a node each); others are counted when needed."""
_FIRST_ROWS = 16
_BASE_RESOURCES = ("cpu", "memory", "pods", "ephemeral-storage")


class Topology:
    """A label key as a column: the domain code of every row, codes given in order of first appearance."""

    def __init__(self, key: str, rows: int) -> None:
        self.key = key
        self.codes: Ints = np.full(rows, NOWHERE, np.int64)
        self.names: dict[str, int] = {}

    def set(self, row: int, node: NodeFacts) -> None:
        value = node.labels.get(self.key, node.name if self.key == HOSTNAME else None)
        self.codes[row] = NOWHERE if value is None else self.names.setdefault(value, len(self.names))


class Count:
    """How many pods of some sort run on each row, and per domain of the topologies that were asked for."""

    def __init__(self, rows: int) -> None:
        self.per_row: Ints = np.zeros(rows, np.int64)
        self.total = 0
        self._per_domain: dict[str, Ints] = {}

    def add(self, row: int, amount: int, topologies: Mapping[str, Topology]) -> None:
        self.per_row[row] += amount
        self.total += amount
        for key, counts in self._per_domain.items():
            code = int(topologies[key].codes[row])
            if code == NOWHERE:
                continue
            if code >= len(counts):
                counts = self._per_domain[key] = _grown(counts, code + 1, 0)
            counts[code] += amount

    def per_domain(self, topology: Topology) -> Ints:
        """Pods per domain code of the topology; pods on nodes without the label are in none."""
        counts = self._per_domain.get(topology.key)
        if counts is None:
            counts = self._per_domain[topology.key] = self._counted(topology)
        if len(counts) < len(topology.names):
            counts = self._per_domain[topology.key] = _grown(counts, len(topology.names), 0)
        return counts

    def _counted(self, topology: Topology) -> Ints:
        placed = topology.codes >= 0
        size = len(topology.names)
        return np.bincount(topology.codes[placed], weights=self.per_row[placed], minlength=size).astype(np.int64)

    def forget_domains(self) -> None:
        """Rows changed their labels: count the domains anew when asked."""
        self._per_domain.clear()

    def grow(self, rows: int) -> None:
        self.per_row = _grown(self.per_row, rows, 0)


def _grown(values: Ints, size: int, fill: int) -> Ints:
    if len(values) >= size:
        return values
    out = np.full(max(size, 2 * len(values)), fill, values.dtype)
    out[: len(values)] = values
    return out


@dataclass(slots=True)
class Bound:
    """A pod that a node carries."""

    needs: PodNeeds
    row: int


@dataclass(frozen=True, slots=True)
class Matching:
    """Pods of these namespaces (None: those that `namespace_selector` finds) whose labels fit every selector."""

    terms: tuple[PodTerm, ...] = ()
    namespace: str = ""
    selector: Selector | None = None

    def handle(self) -> tuple[str, str] | None:
        """A label that every such pod carries, to find this sort quickly from a pod; None when there is none."""
        selector = self.selector if self.selector is not None else self.terms[0].selector
        for requirement in selector.requirements:
            if requirement.operator == "In" and len(requirement.values) == 1:
                return requirement.key, requirement.values[0]
        return None


@dataclass(slots=True)
class _Carried:
    """A term that pods on nodes carry, and where they are."""

    term: PodTerm
    count: Count
    weight: int = 0
    users: int = 0


class Cluster:
    """Nodes and the pods on them. Rows of removed nodes are used again."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.nodes: list[NodeFacts | None] = []
        self.resources: dict[str, int] = {name: index for index, name in enumerate(_BASE_RESOURCES)}
        self.capacity = _FIRST_ROWS
        self.allocatable: Ints = np.zeros((len(self.resources), _FIRST_ROWS), np.int64)
        self.used: Ints = np.zeros((len(self.resources), _FIRST_ROWS), np.int64)
        self.score_used: Ints = np.zeros((2, _FIRST_ROWS), np.int64)
        """cpu and memory as scores count them: containers without a request have a nominal one."""
        self.alive: Bools = np.zeros(_FIRST_ROWS, np.bool_)
        self.topologies: dict[str, Topology] = {}
        self.pods: dict[str, Bound] = {}
        self.on_row: list[dict[str, None]] = []
        self.ports: dict[int, list[tuple[str, Port]]] = {}
        self.namespaces: dict[str, Mapping[str, str]] = {}
        self.matches: dict[Matching, Count] = {}
        self._by_handle: dict[tuple[str, str] | None, list[Matching]] = {}
        self._owned: dict[str, dict[int, int]] = {}
        self._owner_counts: dict[str, Count] = {}
        self.anti: dict[PodTerm, _Carried] = {}
        self.weighted: dict[tuple[int, PodTerm], _Carried] = {}
        self.dirty: list[int] = []
        """Rows whose free amounts changed, in order; readers remember how far they have read."""
        self.dirty_nodes: list[int] = []
        """Rows whose node itself (labels, taints, size) changed or went."""
        self.epoch = 0
        """Rises when the dirty lists were emptied: readers start over."""
        self.capacity_version = 0
        """Rises when room may have appeared: a node came or grew, a pod went."""
        self._free_rows: list[int] = []
        self._order: Ints | None = None

    # Nodes

    def set_node(self, node: NodeFacts) -> None:
        """A node came or changed."""
        row = self.rows.get(node.name)
        if row is None:
            row = self._new_row(node.name)
            self._order = None
        else:
            old = self.nodes[row]
            if old == node:
                return
            if old is not None and old.labels != node.labels:
                self._order = None
        for name in node.allocatable:
            self._resource(name)
        self.allocatable[:, row] = 0
        for name, amount in node.allocatable.items():
            self.allocatable[self.resources[name], row] = amount
        self.nodes[row] = node
        self.alive[row] = True
        for topology in self.topologies.values():
            topology.set(row, node)
        for count in self._counts():
            count.forget_domains()
        self._soil(self.dirty_nodes, row)
        self.capacity_version += 1

    def remove_node(self, name: str) -> None:
        """A node went, and its pods with it."""
        row = self.rows.pop(name, None)
        if row is None:
            return
        for uid in [*self.on_row[row]]:
            self.remove_pod(uid)
        self.nodes[row] = None
        self.alive[row] = False
        self.allocatable[:, row] = 0
        for topology in self.topologies.values():
            topology.codes[row] = NOWHERE
        for count in self._counts():
            count.forget_domains()
        self._free_rows.append(row)
        self._order = None
        self._soil(self.dirty_nodes, row)

    def _soil(self, marks: list[int], row: int) -> None:
        marks.append(row)
        if len(marks) > DIRTY_MARKS_KEPT:
            self.dirty.clear()
            self.dirty_nodes.clear()
            self.epoch += 1

    def _new_row(self, name: str) -> int:
        if self._free_rows:
            row = self._free_rows.pop()
        else:
            row = len(self.nodes)
            self.nodes.append(None)
            self.on_row.append({})
            if row >= self.capacity:
                self._grow(2 * self.capacity)
        self.rows[name] = row
        return row

    def _grow(self, capacity: int) -> None:
        more = ((0, 0), (0, capacity - self.capacity))
        self.allocatable = np.pad(self.allocatable, more)
        self.used = np.pad(self.used, more)
        self.score_used = np.pad(self.score_used, more)
        self.alive = np.pad(self.alive, more[1])
        for topology in self.topologies.values():
            topology.codes = np.pad(topology.codes, more[1], constant_values=NOWHERE)
        for count in self._counts():
            count.grow(capacity)
        self.capacity = capacity

    def _counts(self) -> Iterable[Count]:
        yield from self.matches.values()
        yield from self._owner_counts.values()
        yield from (carried.count for carried in self.anti.values())
        yield from (carried.count for carried in self.weighted.values())

    def _resource(self, name: str) -> int:
        index = self.resources.get(name)
        if index is None:
            index = self.resources[name] = len(self.resources)
            self.allocatable = np.pad(self.allocatable, ((0, 1), (0, 0)))
            self.used = np.pad(self.used, ((0, 1), (0, 0)))
        return index

    @property
    def order(self) -> Ints:
        """Live rows, one zone after the other by turns, as the scheduler visits nodes (backend/cache node tree)."""
        if self._order is None:
            zones: dict[tuple[str, str], list[int]] = {}
            for row in self.rows.values():
                node = self.nodes[row]
                assert node is not None
                region = node.labels.get("topology.kubernetes.io/region", "")
                zones.setdefault((region, node.labels.get(ZONE, "")), []).append(row)
            longest = max((len(rows) for rows in zones.values()), default=0)
            turns = [rows[turn] for turn in range(longest) for rows in zones.values() if turn < len(rows)]
            self._order = np.array(turns, np.int64)
        return self._order

    def topology(self, key: str) -> Topology:
        """The column of a label key, made when first asked for."""
        topology = self.topologies.get(key)
        if topology is None:
            topology = self.topologies[key] = Topology(key, self.capacity)
            for row in self.rows.values():
                node = self.nodes[row]
                assert node is not None
                topology.set(row, node)
        return topology

    # Pods

    def add_pod(self, uid: str, needs: PodNeeds, node: str) -> bool:
        """Account for a pod on a node; False when the node is unknown. Adding it again moves nothing."""
        row = self.rows.get(node)
        if row is None:
            return False
        if uid in self.pods:
            if self.pods[uid].row == row:
                return True
            self.remove_pod(uid)
        self.pods[uid] = Bound(needs, row)
        self.on_row[row][uid] = None
        self._account(needs, row, 1)
        for port in needs.ports:
            self.ports.setdefault(row, []).append((uid, port))
        return True

    def remove_pod(self, uid: str) -> None:
        """A pod went or ended."""
        bound = self.pods.pop(uid, None)
        if bound is None:
            return
        self.on_row[bound.row].pop(uid, None)
        self._account(bound.needs, bound.row, -1)
        if bound.needs.ports:
            self.ports[bound.row] = [entry for entry in self.ports[bound.row] if entry[0] != uid]
        self.capacity_version += 1

    def _account(self, needs: PodNeeds, row: int, sign: int) -> None:
        used = self.used
        for name, amount in needs.requests:
            index = self.resources.get(name)
            if index is None:
                index = self._resource(name)
                used = self.used
            used[index, row] += sign * amount
        self.score_used[0, row] += sign * needs.score_cpu_milli
        self.score_used[1, row] += sign * needs.score_memory_bytes
        self._soil(self.dirty, row)
        if needs.owner:
            self._account_owner(needs.owner, row, sign)
        if self.matches:
            for matching in self._candidates(needs):
                if self.is_match(matching, needs):
                    self.matches[matching].add(row, sign, self.topologies)
        if needs.anti_affinity or needs.affinity or needs.preferred_pods:
            self._account_terms(needs, row, sign)

    def _account_terms(self, needs: PodNeeds, row: int, sign: int) -> None:
        """The terms that the pod carries to its node."""
        for term in needs.anti_affinity:
            self._carry(self.anti.setdefault(term, _Carried(term, Count(self.capacity))), row, sign)
        for term in needs.affinity:
            # Existing pods' required affinity pulls softly, too (hardPodAffinityWeight 1).
            self._carry_weighted(1, term, row, sign)
        for weight, term in needs.preferred_pods:
            self._carry_weighted(weight, term, row, sign)

    def _account_owner(self, owner: str, row: int, sign: int) -> None:
        rows = self._owned.setdefault(owner, {})
        left = rows[row] = rows.get(row, 0) + sign
        if not left:
            del rows[row]
            if not rows:
                del self._owned[owner]
        count = self._owner_counts.get(owner)
        if count is not None:
            count.add(row, sign, self.topologies)

    def _candidates(self, needs: PodNeeds) -> Iterable[Matching]:
        """The kept sorts that may speak of this pod."""
        yield from self._by_handle.get(None, ())
        for label in needs.labels.items():
            yield from self._by_handle.get(label, ())

    def _carry_weighted(self, weight: int, term: PodTerm, row: int, sign: int) -> None:
        key = (weight, term)
        carried = self.weighted.get(key)
        if carried is None:
            carried = self.weighted[key] = _Carried(term, Count(self.capacity), weight)
        self._carry(carried, row, sign)

    def _carry(self, carried: _Carried, row: int, sign: int) -> None:
        self.topology(carried.term.topology_key)
        carried.count.add(row, sign, self.topologies)

    # Counting

    def count(self, matching: Matching) -> Count:
        """The kept count of pods of this sort; made by one pass over the pods when first asked for."""
        count = self.matches.get(matching)
        if count is None:
            count = Count(self.capacity)
            for bound in self.pods.values():
                if self.is_match(matching, bound.needs):
                    count.add(bound.row, 1, self.topologies)
            self.matches[matching] = count
            self._by_handle.setdefault(matching.handle(), []).append(matching)
        return count

    def owner_count(self, owner: str) -> Count:
        """Pods of one controller; only the counts asked for last are kept as columns."""
        count = self._owner_counts.pop(owner, None)
        if count is None:
            count = Count(self.capacity)
            for row, amount in self._owned.get(owner, {}).items():
                count.add(row, amount, self.topologies)
            if len(self._owner_counts) >= OWNER_COLUMNS_KEPT:
                del self._owner_counts[next(iter(self._owner_counts))]
        self._owner_counts[owner] = count
        return count

    def is_match(self, matching: Matching, needs: PodNeeds) -> bool:
        if matching.selector is not None:
            return needs.namespace == matching.namespace and matching.selector.matches(needs.labels)
        return all(self.term_fits(term, needs) for term in matching.terms)

    def term_fits(self, term: PodTerm, needs: PodNeeds) -> bool:
        """Whether a pod is one that the term speaks of."""
        if needs.namespace not in term.namespaces:
            chosen = term.namespace_selector
            if chosen is None or not chosen.matches(self.namespaces.get(needs.namespace, {})):
                return False
        return term.selector.matches(needs.labels)

    def copy(self) -> Cluster:
        """A cluster that can be played with: the columns are its own, what never changes is shared."""
        twin = Cluster()
        twin.rows, twin.nodes, twin.resources = dict(self.rows), list(self.nodes), dict(self.resources)
        twin.capacity, twin.alive = self.capacity, self.alive.copy()
        twin.allocatable, twin.used, twin.score_used = (
            self.allocatable.copy(),
            self.used.copy(),
            self.score_used.copy(),
        )
        twin.pods, twin.namespaces = dict(self.pods), self.namespaces
        twin.on_row = [dict(pods) for pods in self.on_row]
        twin.ports = {row: list(ports) for row, ports in self.ports.items()}
        twin._owned = {owner: dict(rows) for owner, rows in self._owned.items()}
        twin._free_rows = list(self._free_rows)
        for bound in self.pods.values():
            needs = bound.needs
            if needs.affinity or needs.anti_affinity or needs.preferred_pods:
                twin._account_terms(needs, bound.row, 1)
        return twin
