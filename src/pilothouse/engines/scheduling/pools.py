"""How many nodes each pool should have: cluster-autoscaler's decisions as functions of what is seen.

Growing: pods that fit nowhere are packed onto imagined nodes of each pool; the pool that would waste least wins, within
its maximum. Shrinking: a node less than half used, whose pods all fit elsewhere and may be disturbed, goes after ten
minutes. After kubernetes/autoscaler 1.3x (core/scaleup, core/scaledown, expander/waste) with its default flags.
Called by the world every 10 s; it models how long nodes take to start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pilothouse.engines.scheduling import filters
from pilothouse.engines.scheduling.cluster import Cluster
from pilothouse.engines.scheduling.facts import HOSTNAME, ZONE, NodeFacts, PodNeeds, Taint
from pilothouse.engines.scheduling.placing import Placer

SCAN_PERIOD_S = 10.0
"""--scan-interval."""
UNNEEDED_S = 600.0
"""--scale-down-unneeded-time."""
DELAY_AFTER_ADD_S = 600.0
"""--scale-down-delay-after-add."""
UTILIZATION_THRESHOLD = 0.5
"""--scale-down-utilization-threshold, as a share."""
EMPTY_AT_ONCE = 10
"""--max-empty-bulk-delete."""
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"


@dataclass(frozen=True, slots=True)
class Pool:
    """A group of equal nodes. template: a node of it without name and zone; hourly_usd: the price of one."""

    name: str
    template: NodeFacts
    minimum: int
    maximum: int
    hourly_usd: float = 0.0
    zones: tuple[str, ...] = ()

    @staticmethod
    def of(
        name: str,
        allocatable: Mapping[str, int],
        *,
        minimum: int,
        maximum: int,
        labels: Mapping[str, str] | None = None,
        taints: Sequence[tuple[str, str, str]] = (),
        zones: tuple[str, ...] = (),
        hourly_usd: float = 0.0,
    ) -> Pool:
        """A pool from plain values; taints: (key, value, effect)."""
        template = NodeFacts(name, allocatable, labels or {}, tuple(Taint(*taint) for taint in taints))
        return Pool(name, template, minimum, maximum, hourly_usd, zones)

    def node(self, name: str, number: int) -> NodeFacts:
        """The node that the pool would start as its `number`-th: zones are taken in turn."""
        labels = {**self.template.labels, HOSTNAME: name}
        if self.zones:
            labels[ZONE] = self.zones[number % len(self.zones)]
        return NodeFacts(name, self.template.allocatable, labels, self.template.taints)


@dataclass(frozen=True, slots=True)
class Growth:
    """count more nodes for a pool.

    pods: how many waiting pods get a place; wasted: the share of the new nodes that stays empty (cpu and memory, 0..2);
    hourly_usd: what they cost.
    """

    pool: str
    count: int
    pods: int
    wasted: float
    hourly_usd: float
    reason: str


@dataclass(frozen=True, slots=True)
class GrowthPlan:
    """growth: at most one per look, as upstream; unhelped: pods that no pool can help, with the reason per pool."""

    growth: Growth | None
    unhelped: tuple[tuple[PodNeeds, Mapping[str, str]], ...] = ()


def grow(
    pending: Sequence[PodNeeds],
    pools: Sequence[Pool],
    sizes: Mapping[str, int],
    upcoming: Mapping[str, int] | None = None,
) -> GrowthPlan:
    """Which pool to grow for pods that fit on no node.

    sizes: nodes per pool, starting ones included; upcoming: nodes per pool that are starting: what fits there waits.
    """
    waiting = _left_after(pending, pools, upcoming or {})
    if not waiting:
        return GrowthPlan(None)
    options: list[Growth] = []
    reasons: list[dict[str, str]] = [{} for _needs in waiting]
    for pool in pools:
        room = pool.maximum - sizes.get(pool.name, 0)
        fitting = _fitting(pool, waiting, room, reasons)
        if fitting and room > 0:
            option = _packed(pool, fitting, room)
            if option is not None:
                options.append(option)
    unhelped = tuple((needs, why) for needs, why in zip(waiting, reasons, strict=True) if len(why) == len(pools))
    if not options:
        return GrowthPlan(None, unhelped)
    # Least waste; then more pods, then the written order.
    best = min(options, key=lambda option: (option.wasted, -option.pods))
    return GrowthPlan(best, unhelped)


def _left_after(pending: Sequence[PodNeeds], pools: Sequence[Pool], upcoming: Mapping[str, int]) -> list[PodNeeds]:
    """Pods that the nodes on their way will not hold."""
    cluster = Cluster()
    for pool in pools:
        for number in range(upcoming.get(pool.name, 0)):
            cluster.set_node(pool.node(f"{pool.name}-upcoming-{number}", number))
    if not cluster.rows:
        return list(pending)
    placer = Placer(cluster)
    left: list[PodNeeds] = []
    for index, needs in enumerate(pending):
        node = placer.place(needs).node
        if node:
            cluster.add_pod(str(index), needs, node)
        else:
            left.append(needs)
    return left


def _fitting(pool: Pool, waiting: Sequence[PodNeeds], room: int, reasons: list[dict[str, str]]) -> list[PodNeeds]:
    """Pods that an empty node of the pool would take; the others' reasons are noted."""
    empty = Cluster()
    empty.set_node(pool.node(pool.name, 0))
    known: dict[str, str] = {}
    out: list[PodNeeds] = []
    for needs, why in zip(waiting, reasons, strict=True):
        if needs.key not in known:
            known[needs.key] = _why_not(needs, pool, empty)
        if known[needs.key]:
            why[pool.name] = known[needs.key]
        elif room <= 0:
            why[pool.name] = f"pool is at its maximum of {pool.maximum}"
        else:
            out.append(needs)
    return out


def _why_not(needs: PodNeeds, pool: Pool, empty: Cluster) -> str:
    nodes = [pool.node(pool.name, number) for number in range(max(len(pool.zones), 1))]
    reasons = [filters.node_reason(needs, node) for node in nodes]
    if all(reasons):
        return reasons[0]
    return ", ".join(filters.shortage(needs, empty, 0).reasons)


def _packed(pool: Pool, fitting: Sequence[PodNeeds], room: int) -> Growth | None:
    """How many nodes hold these pods: the largest first, each onto the first nodes before a new one is started."""
    size = pool.template.allocatable
    cluster = Cluster()
    placer = Placer(cluster)
    placed = 0
    for index, needs in enumerate(sorted(fitting, key=lambda needs: -_weight(needs, size))):
        node = placer.place(needs).node if cluster.rows else ""
        while not node and len(cluster.rows) < room:
            number = len(cluster.rows)
            cluster.set_node(pool.node(f"{pool.name}-{number}", number))
            node = placer.place(needs).node
            if not node and number + 1 >= max(len(pool.zones), 1):
                break
        if node:
            cluster.add_pod(str(index), needs, node)
            placed += 1
    count = sum(1 for row in cluster.rows.values() if cluster.on_row[row])
    if not placed:
        return None
    wasted = _wasted(cluster, count, size)
    reason = f"{placed} pod{'s' if placed > 1 else ''} that fit nowhere need{'' if placed > 1 else 's'} {count} more"
    return Growth(pool.name, count, placed, wasted, count * pool.hourly_usd, reason)


def _weight(needs: PodNeeds, size: Mapping[str, int]) -> float:
    """How large a pod is against a node: its shares of cpu and memory together."""
    return sum(needs.request(name) / size[name] for name in ("cpu", "memory") if size.get(name))


def _wasted(cluster: Cluster, count: int, size: Mapping[str, int]) -> float:
    """Empty share of cpu plus empty share of memory (expander/waste)."""
    out = 0.0
    for name in ("cpu", "memory"):
        total = count * size.get(name, 0)
        if total:
            out += 1 - int(cluster.used[cluster.resources[name]].sum()) / total
    return out


@dataclass(frozen=True, slots=True)
class Mobility:
    """What evicting a pod would mean. blocked: why it must stay, "" when it may go; stays: it belongs to its node
    (DaemonSet, static pod) and does not count; budgets: PodDisruptionBudgets that cover it."""

    blocked: str = ""
    stays: bool = False
    budgets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Removal:
    """A node to take away. moves: pod uid and the node it would go to; the real scheduler decides in the end."""

    node: str
    pool: str
    reason: str
    moves: tuple[tuple[str, str], ...] = ()
    hourly_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class ShrinkPlan:
    """removals: nodes to drain now; unneeded: node → since when (Unix seconds), to pass to the next look; kept: node →
    why it stays, for nodes below the threshold."""

    removals: tuple[Removal, ...] = ()
    unneeded: Mapping[str, float] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)


def shrink(
    cluster: Cluster,
    pools: Sequence[Pool],
    pool_of: Mapping[str, str],
    unneeded: Mapping[str, float],
    now_s: float,
    *,
    mobility: Callable[[str], Mobility],
    budgets: Mapping[str, int] | None = None,
    last_growth_s: float | None = None,
) -> ShrinkPlan:
    """Which nodes may go. The cluster is left as it is.

    pool_of: node → pool; unneeded: as the last look gave it; mobility: by pod uid; budgets: how many disruptions each
    PodDisruptionBudget allows now; last_growth_s: when a pool grew last.
    """
    sizes: dict[str, int] = {}
    for pool_name in pool_of.values():
        sizes[pool_name] = sizes.get(pool_name, 0) + 1
    candidates = [(node, pool) for node, pool in _candidates(cluster, pools, pool_of, mobility) if node in cluster.rows]
    if not candidates:
        return ShrinkPlan()
    trial = cluster.copy()
    allowed = dict(budgets or {})
    since: dict[str, float] = {}
    kept: dict[str, str] = {}
    removals: list[Removal] = []
    for node, pool in candidates:
        if sizes[pool.name] <= pool.minimum:
            kept[node] = f"pool {pool.name} is at its minimum of {pool.minimum}"
            continue
        moves = _moves(trial, node, mobility, allowed)
        if isinstance(moves, str):
            kept[node] = moves
            continue
        since[node] = unneeded.get(node, now_s)
        if _is_too_early(since[node], now_s, last_growth_s):
            continue
        if (moves and removals) or len(removals) >= EMPTY_AT_ONCE:
            # Nodes with pods go one at a time; the next look sees what became of them.
            continue
        sizes[pool.name] -= 1
        share = utilization(cluster, node, mobility)
        reason = f"unneeded for {int(now_s - since[node])} s at {share:.0%} of its requests"
        removals.append(Removal(node, pool.name, reason, moves, pool.hourly_usd))
        if moves:
            break
    return ShrinkPlan(tuple(removals), since, kept)


def _is_too_early(since_s: float, now_s: float, last_growth_s: float | None) -> bool:
    if now_s - since_s < UNNEEDED_S:
        return True
    return last_growth_s is not None and now_s - last_growth_s < DELAY_AFTER_ADD_S


def _candidates(
    cluster: Cluster, pools: Sequence[Pool], pool_of: Mapping[str, str], mobility: Callable[[str], Mobility]
) -> list[tuple[str, Pool]]:
    """Nodes below the threshold, the emptiest first; equal ones in the order of names."""
    by_name = {pool.name: pool for pool in pools}
    found = [
        (utilization(cluster, node, mobility), node, by_name[pool])
        for node, pool in pool_of.items()
        if pool in by_name and node in cluster.rows
    ]
    below = sorted((share, node) for share, node, _pool in found if share < UTILIZATION_THRESHOLD)
    pool_by_node = {node: pool for _share, node, pool in found}
    return [(node, pool_by_node[node]) for _share, node in below]


def utilization(cluster: Cluster, node: str, mobility: Callable[[str], Mobility]) -> float:
    """The larger of the requested shares of cpu and memory (of GPUs, where there are some), pods that stay aside."""
    row = cluster.rows[node]
    gpu = cluster.resources.get("nvidia.com/gpu")
    names = ("nvidia.com/gpu",) if gpu is not None and cluster.allocatable[gpu, row] else ("cpu", "memory")
    shares: list[float] = []
    for name in names:
        index = cluster.resources[name]
        staying = sum(cluster.pods[uid].needs.request(name) for uid in cluster.on_row[row] if mobility(uid).stays)
        has = int(cluster.allocatable[index, row]) - staying
        shares.append((int(cluster.used[index, row]) - staying) / has if has > 0 else 0.0)
    return max(shares)


def _moves(
    trial: Cluster, node: str, mobility: Callable[[str], Mobility], allowed: dict[str, int]
) -> tuple[tuple[str, str], ...] | str:
    """Where the node's pods would go, or why they cannot. When they can, the trial cluster has them there already."""
    row = trial.rows[node]
    leaving = [uid for uid in trial.on_row[row] if not mobility(uid).stays]
    taken: dict[str, int] = {}
    for uid in leaving:
        pod = mobility(uid)
        if pod.blocked:
            return pod.blocked
        for budget in pod.budgets:
            taken[budget] = taken.get(budget, 0) + 1
            if taken[budget] > allowed.get(budget, 0):
                return f"PodDisruptionBudget {budget} allows no more disruptions"
    facts = trial.nodes[row]
    assert facts is not None
    carried = {uid: trial.pods[uid].needs for uid in trial.on_row[row]}
    trial.remove_node(node)
    placer = Placer(trial)
    moves: list[tuple[str, str]] = []
    for uid in leaving:
        target = placer.place(carried[uid]).node
        if not target:
            for moved, _target in moves:
                trial.remove_pod(moved)
            trial.set_node(facts)
            for back, needs in carried.items():
                trial.add_pod(back, needs, node)
            return "its pods fit on no other node"
        trial.add_pod(uid, carried[uid], target)
        moves.append((uid, target))
    for budget, count in taken.items():
        allowed[budget] -= count
    return tuple(moves)
