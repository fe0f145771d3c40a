"""From a Scenario (and the node pools of Terraform files) to the modelled world's own records, with what was assumed."""

from __future__ import annotations

from dataclasses import dataclass, field

from pilothouse.assemble.inputs import Inputs
from pilothouse.base.duration import format_span
from pilothouse.kinds.pilothouse.scenario import spec as asked
from pilothouse.report.model import Assumption
from pilothouse.worlds.rehearsal import spec as world

ASSUMED_POOL = world.NodeGroup(
    instance_type="assumed", min=3, max=100, desired=3, cpu="3920m", memory="14.3Gi", zones=("zone-a", "zone-b", "zone-c")
)
"""What a 4 CPU, 16 GiB machine leaves for pods."""


@dataclass(frozen=True, slots=True)
class Modelled:
    """The world and its assumptions; csv: {service: trace as `time,rps` text}."""

    spec: world.WorldSpec
    assumptions: list[Assumption] = field(default_factory=list)


def world_spec(inputs: Inputs) -> Modelled:
    """Deterministic: the same inputs give the same world."""
    services = {s.name: _service(inputs, s) for s in inputs.scenario.services}
    spec = world.WorldSpec(services=services, cluster=_cluster(inputs), metric_names=_metric_names(inputs))
    made = {a.what for a in inputs.assumed}
    return Modelled(spec, [_assumption(a, i) for i, a in enumerate(world.assumptions(spec)) if a.name not in made])


def _assumption(found: world.Assumption, number: int) -> Assumption:
    return Assumption(
        code=f"AM{number + 1:02d}",
        what=found.name,
        value=found.value,
        why=found.why,
        change=f"spec.{found.name} of the scenario",
        effect="",
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
    memory = world.MemorySpec(base=pod.memory or None, per_request=pod.memory_per_request or "256Ki")
    return world.PodSpec(
        service=mean,
        discipline=discipline,
        start=None if pod.start is None else _spread(pod.start),
        ready_after=pod.ready_after_s,
        timeout=pod.timeout_s,
        cpu_share=share,
        memory=memory,
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
    groups = {pool.name: pool.group for pool in inputs.pools}
    for group in inputs.scenario.cluster.groups:
        groups[group.name] = _merged(groups.get(group.name), group)
    return groups


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
    from pilothouse.engines import promql

    found = [rule.query.metric_names for group in inputs.groups for rule in group.rules]
    for expectation in inputs.scenario.expect:
        if isinstance(expectation.check, asked.Promql):
            found.append(promql.compile(expectation.check.query).metric_names)
    return found


__all__ = ["Modelled", "cluster_words", "format_span", "world_spec"]
