"""Reads what a HorizontalPodAutoscaler's sync needs, every 15 seconds, and remembers what the sync wants remembered.

The memory is the history of recommendations and scale events per autoscaler, lost with the process as upstream's is.
Watches only autoscalers: a sync reads pods, the target and metrics as they are when its time comes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pilothouse.base import selectors
from pilothouse.base.actions import Decision, Object
from pilothouse.base.errors import ApiError
from pilothouse.base.selectors import EVERYTHING, Selector
from pilothouse.engines.autoscaling.behavior import History
from pilothouse.engines.autoscaling.metrics import PodMetric, PodUsage
from pilothouse.engines.autoscaling.pods import KeptPods, PodFacts, facts_of
from pilothouse.engines.autoscaling.replicas import Failure
from pilothouse.engines.rolling.cells import selector_text
from pilothouse.engines.rolling.lookup import keys_by_labels
from pilothouse.kinds.autoscaling.horizontalpodautoscaler.decide import (
    DEFAULTS,
    SYNC_PERIOD_S,
    Options,
    Scale,
    decide,
    refused,
)
from pilothouse.kinds.autoscaling.horizontalpodautoscaler.sources import Answer
from pilothouse.machinery.client import Client
from pilothouse.machinery.ports import MetricsReader, MetricValue, PodMetrics
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule
from pilothouse.store.memory import Change, IndexFunction, Key, Records, Stored

KIND_NAME = "autoscaling/HorizontalPodAutoscaler"
LABELS = "labels"
INDEXES: dict[str, dict[str, IndexFunction]] = {"Pod": {LABELS: keys_by_labels}}
"""The indexes that the store must have for this controller."""
CUSTOM_WINDOW_S = 60.0
"""The window of a custom metric that states none (metricServerDefaultMetricWindow)."""
_LATE_S = 1e-6
"""Timers fire this exactly; an earlier reconcile comes from a change."""


class _PodView(msgspec.Struct):
    """The parts of a Pod that a sync reads; `facts` is worked out when first asked for."""

    metadata: dict[str, Any]
    spec: dict[str, Any] = {}
    status: dict[str, Any] = {}
    facts: Any = None


@dataclass(slots=True)
class _Attempt:
    """A write of the scale that may still fail: what to say then, and what to remember instead."""

    current: int
    wanted: int
    why: str
    otherwise: History


@dataclass(slots=True)
class _Seen:
    """What was worked out of records; it holds as long as they are the same ones."""

    target: Stored | None = None
    scale: Scale | None = None
    pods: Records = field(default_factory=list)
    facts: KeptPods = field(default_factory=KeptPods)
    labels: tuple[tuple[tuple[str, str], ...], ...] = ()


@dataclass(slots=True)
class _Memory:
    due_s: float
    history: History = field(default_factory=History)
    attempt: _Attempt | None = None
    selector_text: str = ""
    selector: Selector | None = None
    seen: _Seen = field(default_factory=_Seen)


class HorizontalController:
    """Scales what HorizontalPodAutoscalers point at (kube-controller-manager's horizontal-pod-autoscaler)."""

    name = "horizontal-pod-autoscaler"

    def __init__(self, metrics: MetricsReader, options: Options = DEFAULTS) -> None:
        self._metrics = metrics
        self._options = options
        self._memories: dict[Key, _Memory] = {}
        self._rivals_of: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[str, ...]] = {}
        self.watches = (WatchRule(KIND_NAME, _keys),)

    def reconcile(self, view: ReconcileInput) -> Decision:
        key = (view.namespace, view.name)
        stored = view.client.get(KIND_NAME, *key)
        if stored is None:
            if self._memories.pop(key, None) is not None:
                self._rivals_of.clear()
            return Decision()
        memory = self._memories.get(key)
        if memory is None:
            # The first sync comes a period after the autoscaler, as upstream's queue has it.
            memory = self._memories[key] = _Memory(view.now_s + SYNC_PERIOD_S)
        if memory.attempt is not None and isinstance(view.last_failure, ApiError):
            attempt, memory.attempt = memory.attempt, None
            memory.history = attempt.otherwise
            said = refused(
                stored.object, attempt.current, attempt.wanted, attempt.why, view.last_failure.message, view.now_s
            )
            return Decision(said.actions, said.status, max(memory.due_s - view.now_s, 0.0))
        if view.now_s < memory.due_s - _LATE_S:
            return Decision(requeue_s=memory.due_s - view.now_s)
        return self._sync(view, stored.object, memory)

    def _sync(self, view: ReconcileInput, hpa: Object, memory: _Memory) -> Decision:
        scale = read_scale(view.client, view.namespace, hpa["spec"]["scaleTargetRef"], memory.seen)
        pods: Sequence[PodFacts] = ()
        answers: list[Answer] = [None] * len(hpa["spec"].get("metrics") or ())
        rivals: Sequence[str] = ()
        if isinstance(scale, Scale) and scale.selector:
            selector = self._selector(memory, scale.selector)
            pods = _pods(view.client, view.namespace, selector, memory.seen)
            rivals = self._rivals(view.namespace, memory.seen.labels)
            if scale.spec_replicas or self._options.scale_to_zero:
                usage: list[Sequence[PodMetrics]] = []
                answers = [self._answer(metric, view.namespace, selector, usage) for metric in hpa["spec"]["metrics"]]
        sync = decide(hpa, scale, pods, answers, memory.history, view.now_s, self._options, rivals=rivals)
        memory.history = sync.history
        memory.due_s = view.now_s + SYNC_PERIOD_S
        memory.attempt = None
        if sync.replicas is not None and isinstance(scale, Scale):
            memory.attempt = _Attempt(scale.spec_replicas, sync.replicas, sync.why, sync.history_if_refused)
        return sync.decision

    # Other autoscalers over the same pods

    def _selector(self, memory: _Memory, text: str) -> Selector:
        """The target's selector, read when it is another one than at the last sync."""
        if memory.selector is None or memory.selector_text != text:
            memory.selector_text, memory.selector = text, selectors.parse(text)
            self._rivals_of.clear()
        return memory.selector

    def _rivals(self, namespace: str, label_sets: Sequence[tuple[tuple[str, str], ...]]) -> Sequence[str]:
        """All autoscalers whose selectors find one of the pods with these labels."""
        found: dict[str, None] = {}
        for labels in label_sets:
            known = self._rivals_of.get((namespace, labels))
            if known is None:
                mapping = dict(labels)
                known = self._rivals_of[(namespace, labels)] = tuple(
                    f"{where}/{name}"
                    for (where, name), memory in self._memories.items()
                    if where == namespace and memory.selector is not None and memory.selector.matches(mapping)
                )
            found.update(dict.fromkeys(known))
        return tuple(found)

    # Metrics

    def _answer(
        self, metric: Mapping[str, Any], namespace: str, pods: Selector, usage: list[Sequence[PodMetrics]]
    ) -> Answer:
        """Ask the metrics API that this metric reads; `usage` keeps the answer that all resources of a sync share."""
        reader = self._metrics
        match metric.get("type"):
            case "Resource" | "ContainerResource" as kind:
                if not usage:
                    usage.append(reader.pod_metrics(namespace, pods))
                resource = metric["resource" if kind == "Resource" else "containerResource"]["name"]
                if kind == "Resource" and usage[0]:
                    return _values(usage[0], resource)
                return [_usage(entry, resource) for entry in usage[0]]
            case "Pods":
                identifier = metric["pods"]["metric"]
                values = reader.pods_metric(namespace, identifier["name"], pods, _selector(identifier))
                return {v.object: PodMetric(_milli(v), v.time_s, CUSTOM_WINDOW_S) for v in values}
            case "Object":
                identifier, described = metric["object"]["metric"], metric["object"]["describedObject"]
                value = reader.object_metric(
                    namespace, described["kind"], described["name"], identifier["name"], _selector(identifier)
                )
                return None if value is None else _milli(value)
            case "External":
                identifier = metric["external"]["metric"]
                series = reader.external_metric(namespace, identifier["name"], _selector(identifier))
                return tuple(_milli(value) for value in series)
        return None


def _keys(change: Change) -> Iterable[Key]:
    """The autoscaler itself when it comes, goes or is changed by somebody else; its own status writes are no news."""
    if change.new is not None and change.old is not None and change.new.object["spec"] is change.old.object["spec"]:
        return ()
    metadata = change.object["metadata"]
    return ((metadata["namespace"], metadata["name"]),)


def _selector(identifier: Mapping[str, Any]) -> Selector:
    """The metric's own selector; none selects every series."""
    raw = identifier.get("selector")
    return EVERYTHING if raw is None else selectors.from_object(raw)


def _usage(entry: PodMetrics, resource: str) -> PodUsage:
    """What a pod uses of one resource. Usage comes in cores and bytes; like quantities, thousandths are rounded up."""
    containers: dict[str, dict[str, int]] = {}
    for container, usage in entry.usage.items():
        value = usage.get(resource)
        containers[container] = {} if value is None else {resource: _thousandths(value)}
    return PodUsage(entry.name, entry.time_s, entry.window_s, containers)


def _values(entries: Sequence[PodMetrics], resource: str) -> dict[str, PodMetric]:
    """What each pod uses of one resource, all containers together; without pods of which one does not tell."""
    out: dict[str, PodMetric] = {}
    for entry in entries:
        total = 0
        for usage in entry.usage.values():
            value = usage.get(resource)
            if value is None:
                break
            total += _thousandths(value)
        else:
            if entry.usage:
                out[entry.name] = PodMetric(total, entry.time_s, entry.window_s)
    return out


def _milli(value: MetricValue) -> int:
    return _thousandths(value.value)


def _thousandths(value: float) -> int:
    """Thousandths, rounded up; what is above a whole number by less than a binary fraction's error is that number."""
    scaled = value * 1000
    up = math.ceil(scaled)
    return up if up - scaled < 1 - 2e-6 else math.ceil(round(scaled, 6))


def _pods(client: Client, namespace: str, selector: Selector, seen: _Seen) -> KeptPods:
    """The selected pods; the last answer when they are the same ones, unchanged."""
    found = client.selected("Pod", namespace, selector)
    if found != seen.pods:
        seen.pods, seen.facts = found, KeptPods(_facts(stored) for stored in found)
        seen.labels = tuple({tuple(sorted(pod.labels.items())): None for pod in seen.facts})
    return seen.facts


def _facts(stored: Stored) -> PodFacts:
    view = stored.view(_PodView)
    if view.facts is None:
        view.facts = facts_of(stored.object)
    facts: PodFacts = view.facts
    return facts


def read_scale(client: Client, namespace: str, reference: Mapping[str, Any], seen: _Seen) -> Scale | Failure:
    """The scale subresource of a target, or why there is none in the API server's words; the last answer when the
    target is the same one, unchanged."""
    api_version, word, name = reference.get("apiVersion") or "", reference["kind"], reference["name"]
    kind = client.kinds.of_type(api_version, word)
    if kind is None:
        group = api_version.rpartition("/")[0]
        return Failure(f'no matches for kind "{word}" in group "{group}"')
    stored = client.get(kind.name, namespace, name)
    if stored is None:
        return Failure(f'{kind.resource} "{name}" not found')
    if stored is seen.target and seen.scale is not None:
        return seen.scale
    if not kind.strategy.scale:
        return Failure("the server could not find the requested resource")
    spec, status = stored.object.get("spec") or {}, stored.object.get("status") or {}
    replicas = spec.get("replicas")
    seen.target = stored
    seen.scale = Scale(
        kind.name,
        namespace,
        name,
        1 if replicas is None else int(replicas),
        int(status.get("replicas") or 0),
        _selector_of(spec.get("selector")),
    )
    return seen.scale


def _selector_of(selector: Mapping[str, Any] | None) -> str:
    """A workload's selector in text form; a ReplicationController's is a plain map."""
    if not selector:
        return ""
    if "matchLabels" in selector or "matchExpressions" in selector:
        return selector_text(selector)
    return selector_text({"matchLabels": selector})
