"""From a Scenario and the node pools of Terraform files to the modelled world's own records, and what they assume."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from pilothouse.assemble.inputs import Inputs
from pilothouse.base.limits import LATENCY_SERIES_PER_POD_UP_TO
from pilothouse.engines import promql
from pilothouse.engines.terraform.instances import instances
from pilothouse.engines.terraform.node_pools import NodePool
from pilothouse.kinds.pilothouse.scenario import spec as asked
from pilothouse.kinds.pilothouse.scenario.inventory import mapping
from pilothouse.report.model import Assumption
from pilothouse.worlds.rehearsal import spec as world

ASSUMED_POOL = world.NodeGroup(
    instance_type="assumed",
    min=3,
    max=100,
    desired=3,
    cpu="3920m",
    memory="14.3Gi",
    zones=("zone-a", "zone-b", "zone-c"),
)
"""What a 4 CPU, 16 GiB machine leaves for pods."""


@dataclass(frozen=True, slots=True)
class Modelled:
    """The world and what it assumes."""

    spec: world.WorldSpec
    assumptions: list[Assumption] = field(default_factory=list)


def world_spec(inputs: Inputs) -> Modelled:
    """Deterministic: the same inputs give the same world."""
    services = {s.name: _service(inputs, s) for s in inputs.scenario.services}
    pull = inputs.scenario.cluster.image_pull
    spec = world.WorldSpec(
        services=services,
        cluster=_cluster(inputs),
        image_pull=None if pull is None else _spread(pull),
        metric_names=_metric_names(inputs),
    )
    made = {a.what for a in inputs.assumed}
    found = [_assumption(a, i) for i, a in enumerate(world.assumptions(spec)) if a.name not in made]
    return Modelled(spec, _large_world(inputs) + found)


def _large_world(inputs: Inputs) -> list[Assumption]:
    """What a very large world leaves out; judged by the replicas written, which is what it starts with."""
    written = [mapping(w.object.get("spec")).get("replicas", 1) for w in inputs.inventory.workloads]
    if sum(n for n in written if isinstance(n, int)) <= LATENCY_SERIES_PER_POD_UP_TO:
        return []
    return [
        Assumption(
            code="AM00",
            what="a very large world",
            value="series per service and version, controllers in rounds of five seconds",
            why=f"more than {LATENCY_SERIES_PER_POD_UP_TO:,} pods",
            change="rehearse fewer services at a time",
            effect="rules on single pods have nothing to fire on; everything reacts up to five seconds later",
        )
    ]


_WRITTEN = {"imagePull": "cluster.imagePull", "pod.memory.base": "pod.memory", "pod.service": "pod.service"}
"""Where a scenario says what the world calls otherwise."""

_EFFECTS = {
    "pod.service": "twice the work per request: about twice the pods at the same CPU target, and a longer p99",
    "pod.start": "a slower start: longer queues and more errors after every scale-up and node loss",
    "pod.readyAfter": "later readiness: rollouts and scale-ups take longer by as much",
    "pod.timeout": "a shorter timeout turns slow answers into errors sooner",
    "pod.workers": "more workers: less waiting before the CPU limit, the same limit beyond it",
    "pod.probes": "apart: overloaded pods stay ready and are not restarted by their liveness probe",
    "pod.memory.base": "more memory: nearer to the limit, HighMemoryUsage-like alerts and OOM kills come sooner",
    "good.errorRate": "a higher rate burns budget all day and hides small regressions",
    "balancing": "round-robin or least-connections: p99 two to four times lower at high load",
    "imagePull": "slower pulls delay the first pod of an image on every node",
    "cluster.nodeStart": "slower nodes: pods wait longer as Pending when a pool must grow",
    "hourly": "costs are left out",
}


def _assumption(found: world.Assumption, number: int) -> Assumption:
    written, effect = found.name, ""
    for ending, words in _EFFECTS.items():
        if found.name.endswith(ending):
            effect = words
            written = found.name.removesuffix(ending) + _WRITTEN.get(ending, ending)
    return Assumption(
        code=f"AM{number + 1:02d}",
        what=written,
        value=found.value,
        why=found.why,
        change=f"spec.{written} of the scenario",
        effect=effect,
    )


def cluster_words(inputs: Inputs) -> str:
    """The cluster in a line: "general 2-10 × m5.xlarge, …"; "" when it is assumed."""
    groups = _groups(inputs)
    words = ", ".join(f"{name} {g.min}-{g.max} × {g.instance_type or g.cpu + ' CPU'}" for name, g in groups.items())
    places = [str(p.place) for p in inputs.pools[:1]]
    return f"{words} ({places[0]})" if words and places else words


# -- services


def _service(inputs: Inputs, service: asked.Service) -> world.ServiceModel:
    workload = inputs.inventory.workload_of(service.name)
    return world.ServiceModel(
        namespace=(workload.namespace or "default") if workload is not None else "default",
        load=_load(service.load or asked.Load()),
        pod=_pod(service.pod or asked.Pod()),
        good=world.GoodSpec(error_rate=service.error_ratio),
        retries=_retries(service),
        balancing=service.balancing or None,
    )


def _load(load: asked.Load) -> world.LoadSpec:
    """The scenario's base is the quietest moment of a day, the world's is the mean."""
    mean = load.base_rps * (1 + load.ratio) / 2 if load.shape == "diurnal" else load.base_rps
    minutes = round(load.peak_s / 60) % 1440
    return world.LoadSpec(
        base=mean,
        shape=load.shape,
        peak_at=f"{minutes // 60:02d}:{minutes % 60:02d}",
        ratio=load.ratio if load.shape == "diurnal" else 1.0,
        arrivals=load.arrivals,
        points=load.points,
    )


def _pod(pod: asked.Pod) -> world.PodSpec:
    discipline: str | dict[str, int] = pod.discipline or "fifo"
    if pod.discipline == "pool":
        discipline = {"pool": pod.pool or 1}
    mean = None
    if pod.mean_s is not None:
        mean = world.Mean(mean=pod.mean_s, sigma=0.5 if pod.sigma is None else pod.sigma)
    share = 1.0
    if pod.cpu_s is not None:
        share = min(1.0, pod.cpu_s / (pod.mean_s or world.seconds(world.ASSUMED_SERVICE.mean, "service")))
    memory = world.MemorySpec(
        base=pod.memory or None, per_request=pod.memory_per_request or "256Ki", leak=pod.memory_leak
    )
    return world.PodSpec(
        service=mean,
        discipline=discipline,
        start=None if pod.start is None else _spread(pod.start),
        ready_after=pod.ready_after_s,
        timeout=pod.timeout_s,
        cpu_share=share,
        memory=memory,
        workers=pod.workers,
        probes=pod.probes or "queue",
        warmup=world.WarmupSpec(duration=pod.warmup_s or 0, factor=pod.warmup_factor or 1.0),
    )


def _spread(spread: asked.Spread) -> world.Spread:
    return world.Spread(median=spread.median_s, sigma=spread.sigma)


def _retries(service: asked.Service) -> world.RetrySpec:
    budget = 0.1 if service.retry_budget_ratio is None else service.retry_budget_ratio
    return world.RetrySpec(max=service.retries or 0, budget=budget)


# -- cluster


def _cluster(inputs: Inputs) -> world.ClusterSpec:
    start = inputs.scenario.cluster.node_start
    groups = _groups(inputs) or {"assumed": ASSUMED_POOL}
    return world.ClusterSpec(node_groups=groups, node_start=None if start is None else _spread(start))


def _groups(inputs: Inputs) -> dict[str, world.NodeGroup]:
    """Pools of the Terraform files, then what the scenario says of them or adds."""
    groups = {pool.name: _group_of(pool) for pool in inputs.pools}
    for group in inputs.scenario.cluster.groups:
        groups[group.name] = _merged(groups.get(group.name), group)
    return groups


def _group_of(pool: NodePool) -> world.NodeGroup:
    allocatable = pool.allocatable
    extended = {n: str(v) for n, v in allocatable.items() if n not in ("cpu", "memory", "pods")}
    return world.NodeGroup(
        instance_type=pool.instance_type,
        min=pool.min_size,
        max=pool.max_size,
        desired=pool.desired_size,
        hourly=pool.hourly_usd or None,
        cpu=f"{allocatable['cpu']}m",
        memory=str(allocatable["memory"]),
        pods=allocatable["pods"],
        zones=pool.zones or world.NodeGroup().zones,
        labels=dict(pool.labels),
        taints=tuple({"key": key, "value": value, "effect": effect} for key, value, effect in pool.taints),
        resources=extended,
    )


def _merged(known: world.NodeGroup | None, group: asked.NodeGroup) -> world.NodeGroup:
    """What the scenario writes wins; an instance type that it names brings that type's size and price."""
    base = known or world.NodeGroup(min=1, max=1, desired=1)
    machine = instances().get(group.instance_type)
    if machine is not None:
        allocatable = machine.allocatable()
        base = msgspec.structs.replace(
            base,
            instance_type=group.instance_type,
            cpu=f"{allocatable['cpu']}m",
            memory=str(allocatable["memory"]),
            pods=allocatable["pods"],
            hourly=machine.hourly_usd,
        )
    low = base.min if group.min_size is None else group.min_size
    high = max(base.max if group.max_size is None else group.max_size, low)
    desired = base.desired if group.desired_size is None else group.desired_size
    return msgspec.structs.replace(
        base,
        min=low,
        max=high,
        desired=min(max(desired, low), high),
        hourly=base.hourly if group.hourly_usd is None else group.hourly_usd,
        cpu=group.cpu or base.cpu,
        memory=group.memory or base.memory,
        zones=group.zones or base.zones,
        pods=group.pods or base.pods,
    )


# -- what is read


def _metric_names(inputs: Inputs) -> frozenset[str] | None:
    """The series that rules, expectations and autoscalers read; None when a query may read any."""
    names: set[str] = set()
    for query in _queries(inputs):
        if query is None:
            return None
        names |= query
    return frozenset(names)


def _queries(inputs: Inputs) -> list[frozenset[str] | None]:
    found = [rule.query.metric_names for group in inputs.groups for rule in group.rules]
    for expectation in inputs.scenario.expect:
        if isinstance(expectation.check, asked.Promql):
            found.append(promql.compile(expectation.check.query).metric_names)
    return found
