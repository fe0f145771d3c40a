"""Why a figure or a verdict is what it is: the lines of the user's files that it rests on. Pure.

`Reasons` is made once per rehearsal; a figure's id or an expectation's check gives its list. What no file says is among
the report's assumptions instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pilothouse.assemble.found import spot
from pilothouse.assemble.inputs import Inputs
from pilothouse.base.duration import format_span
from pilothouse.base.manifests import Document
from pilothouse.kinds.pilothouse.scenario.inventory import mapping
from pilothouse.kinds.pilothouse.scenario.spec import (
    AlertFires,
    Apply,
    Bound,
    Check,
    Delete,
    Deploy,
    Event,
    Fault,
    LoadChange,
    Phase,
    Promql,
    Scale,
    Service,
)
from pilothouse.report.model import Why

_BY_FIGURE = {
    "requests": ("load",),
    "errors": ("errors", "limits", "replicas", "events"),
    "latency": ("work", "limits", "replicas"),
    "pods": ("replicas", "targets"),
    "budget": ("errors", "events"),
    "nodes": ("pools", "requests"),
    "cost": ("pools",),
}
_BY_MEASURE = {
    "budgetBurned": "budget",
    "replicas": "pods",
    "errorRatio": "errors",
    "p99": "latency",
    "costPerHour": "cost",
    "cost": "cost",
}


class Reasons:
    """Looks reasons up in the inputs."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._known: dict[str, list[Why]] = {}

    def of_figure(self, id: str) -> list[Why]:
        """For a figure such as `latency.p99` or `pods.ready.max.api` (the service last, when there are several)."""
        if id not in self._known:
            topics = _BY_FIGURE.get(id.partition(".")[0], ())
            services = [s for s in self._inputs.scenario.services if id.endswith(f".{s.name}")]
            self._known[id] = self._topics(topics, services or list(self._inputs.scenario.services))
        return self._known[id]

    def of_check(self, check: Check) -> list[Why]:
        """For what an expectation asks."""
        services = list(self._inputs.scenario.services)
        match check:
            case AlertFires():
                return list(self._rule(check.name)) + self._topics(("events",), services)
            case Phase():
                return self._topics(("strategy", "events"), services)
            case Bound():
                mine = [s for s in services if check.subject in ("", s.name)] or services
                return self._topics(_BY_FIGURE[_BY_MEASURE[check.measure]], mine)
            case Promql():
                return self._topics(("load", "events"), services)
            case _:
                return []

    def _topics(self, topics: tuple[str, ...], services: list[Service]) -> list[Why]:
        out: dict[Why, None] = {}
        for topic in topics:
            if topic in ("pools", "events"):
                found = self._pools() if topic == "pools" else self._events()
                out.update(dict.fromkeys(found))
                continue
            for service in services:
                out.update(dict.fromkeys(self._of_service(topic, service)))
        return list(out)

    # -- one topic each

    def _of_service(self, topic: str, service: Service) -> Iterator[Why]:
        workload = self._inputs.inventory.workload_of(service.name)
        if topic == "load" and service.load is not None and service.load.at.file:
            shape = f"{service.load.base_rps:g} req/s" if not service.load.points else "a recorded curve"
            yield Why(text=f"load of {service.name}: {shape}, {service.load.shape}", at=spot(service.load.at))
        elif topic == "errors" and service.error_ratio is not None:
            yield Why(text=f"the healthy version fails {service.error_ratio:.2%}", at=spot(service.at))
        elif topic == "work" and service.pod is not None and service.pod.mean_s and service.pod.at.file:
            yield Why(text=f"a request takes {service.pod.mean_s * 1000:g} ms of work", at=spot(service.pod.at))
        elif workload is not None:
            yield from self._of_workload(topic, workload)

    def _of_workload(self, topic: str, workload: Document) -> Iterator[Why]:
        spec = mapping(workload.object.get("spec"))
        hpa = self._inputs.inventory.autoscaler_of(workload)
        if topic == "replicas":
            if hpa is not None:
                bounds = mapping(hpa.object.get("spec"))
                text = f"{hpa.name} keeps {bounds.get('minReplicas', 1)} to {bounds.get('maxReplicas')} pods"
                yield Why(text=text, at=spot(hpa.place_of(("spec", "maxReplicas"))))
            else:
                text = f"{workload.name} has {spec.get('replicas', 1)} pods"
                yield Why(text=text, at=spot(workload.place_of(("spec", "replicas"))))
        elif topic == "targets" and hpa is not None:
            metrics = mapping(hpa.object.get("spec")).get("metrics")
            for index, metric in enumerate(metrics if isinstance(metrics, list) else []):
                yield Why(text=f"target {_target(metric)}", at=spot(hpa.place_of(("spec", "metrics", index))))
        elif topic in ("limits", "requests"):
            yield from _resources(workload, topic)
        elif topic == "strategy":
            rolling = mapping(mapping(spec.get("strategy")).get("rollingUpdate"))
            words = ", ".join(f"{key} {value}" for key, value in rolling.items()) or "the default strategy"
            yield Why(text=f"{workload.name} rolls with {words}", at=spot(workload.place_of(("spec", "strategy"))))

    def _rule(self, name: str) -> Iterator[Why]:
        for group in self._inputs.groups:
            for rule in group.alerting_rules():
                if rule.name == name:
                    every = f"every {(group.interval_ms or 60_000) / 1000:g} s"
                    text = f"{name} must hold for {rule.for_ms / 1000:g} s, looked at {every}"
                    yield Why(text=text, at=spot(rule.place))

    def _pools(self) -> Iterator[Why]:
        for pool in self._inputs.pools:
            price = f" at ${pool.hourly_usd:g} an hour" if pool.hourly_usd else ""
            text = f"{pool.name}: {pool.min_size} to {pool.max_size} × {pool.instance_type}{price}"
            yield Why(text=text, at=spot(pool.place))
        for group in self._inputs.scenario.cluster.groups:
            yield Why(text=f"{group.name}, as the scenario says", at=spot(group.at))

    def _events(self) -> Iterator[Why]:
        for event in self._inputs.scenario.events:
            if event.at.file:
                yield Why(text=f"{_words(event)} at {format_span(event.at_s)}", at=spot(event.at))


def _words(event: Event) -> str:
    match event:
        case Deploy():
            return f"deploy of {event.image.rpartition('/')[2]}"
        case Fault():
            return event.kind
        case LoadChange():
            return f"{event.rps:g} req/s" if event.rps is not None else f"{event.times:g}x the load"
        case Scale():
            return f"{event.name} set to {event.replicas} pods"
        case Apply():
            return f"apply of {event.file}"
        case Delete():
            return f"delete of {event.file or event.name}"


def _resources(workload: Document, part: str) -> Iterator[Why]:
    containers = mapping(mapping(mapping(workload.object.get("spec")).get("template")).get("spec")).get("containers")
    for index, container in enumerate(containers if isinstance(containers, list) else []):
        amounts = mapping(mapping(mapping(container).get("resources")).get(part))
        if amounts:
            words = ", ".join(f"{name} {amount}" for name, amount in amounts.items())
            path = ("spec", "template", "spec", "containers", index, "resources", part)
            yield Why(text=f"{part} of a pod: {words}", at=spot(workload.place_of(path)))


def _target(metric: Any) -> str:
    body = next((mapping(v) for k, v in mapping(metric).items() if k != "type"), {})
    name = body.get("name") or mapping(body.get("metric")).get("name", "")
    values = {k: v for k, v in mapping(body.get("target")).items() if k != "type"}
    return f"{name} " + ", ".join(f"{k} {v}" for k, v in values.items())
