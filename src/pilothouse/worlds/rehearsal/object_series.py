"""The series that kube-state-metrics makes of objects (2.17 names and labels): deployments, autoscalers, pods,
nodes, budgets.

A scrape looks at the objects that changed since the last one. Only families that somebody reads are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pilothouse.base import quantity
from pilothouse.base.actions import Object
from pilothouse.base.clock import parse_rfc3339
from pilothouse.engines.tsdb import ABSENT, Database, Labels, make_labels
from pilothouse.machinery.client import Client
from pilothouse.store.memory import Change

Series = Iterator[tuple[str, dict[str, str], float]]
"""(metric name, labels, value)."""

_CONDITION_STATUSES = ("true", "false", "unknown")


@dataclass(slots=True)
class _Known:
    """An object with series. number: how many came before it; columns: of its series."""

    kind: str
    number: int
    columns: dict[Labels, int]


class ObjectSeries:
    """Writes the series of all objects of the listed kinds into one frame."""

    def __init__(self, client: Client, database: Database, metric_names: Iterable[str] | None) -> None:
        self._frame = database.frame("rehearsal/kube-state-metrics")
        wanted = None if metric_names is None else frozenset(metric_names)
        self._kinds = [(kind, make) for kind, prefix, make in KINDS if _read(prefix, wanted)]
        self._wanted = wanted
        self._client = client
        self._known: dict[str, _Known] = {}
        self._gone: dict[str, None] = {}
        self._numbered = 0
        self._row = np.zeros(0)
        kinds = [kind for kind, _make in self._kinds]
        self._watch = client.watch(*kinds) if kinds else None
        self._fresh: dict[str, dict[str, Object]] = {
            kind: {_uid(kind, stored.object): stored.object for stored in client.list(kind)} for kind in kinds
        }

    def leave_out_pods(self) -> None:
        """There are too many pods for series of their own: those that exist end with the next record."""
        if self._watch is None or "Pod" not in self._fresh:
            return
        self._follow(self._watch.take())
        self._watch.close()
        del self._fresh["Pod"]
        self._kinds = [entry for entry in self._kinds if entry[0] != "Pod"]
        self._watch = self._client.watch(*self._fresh) if self._fresh else None
        self._gone.update((uid, None) for uid, known in self._known.items() if known.kind == "Pod")

    def record(self, time_ms: int) -> None:
        """One scrape."""
        if self._watch is not None:
            self._follow(self._watch.take())
        elif not self._gone:
            return
        for kind, make in self._kinds:
            fresh = self._fresh[kind]
            # In the order in which the objects were met, new ones last, so that columns do not depend on who wrote
            # first.
            for uid in sorted(fresh, key=self._number_of):
                known = self._known.get(uid)
                if known is None:
                    known = self._known[uid] = _Known(kind, self._numbered, {})
                    self._numbered += 1
                known.columns = self._update(make(fresh[uid]), known.columns)
            fresh.clear()
        for uid in sorted(self._gone, key=self._number_of):
            for column in self._known.pop(uid).columns.values():
                self._retire(column)
        self._gone.clear()
        self._frame.append(time_ms, self._fit())

    def _follow(self, changes: list[Change]) -> None:
        """Note what is new since the last scrape, and what is gone."""
        for change in changes:
            uid = _uid(change.kind, change.object)
            if change.new is not None:
                self._fresh[change.kind][uid] = change.new.object
                self._gone.pop(uid, None)
            else:
                self._fresh[change.kind].pop(uid, None)
                if uid in self._known:
                    self._gone[uid] = None

    def _number_of(self, uid: str) -> int:
        known = self._known.get(uid)
        return self._numbered if known is None else known.number

    def _update(self, series: Series, before: dict[Labels, int]) -> dict[Labels, int]:
        after: dict[Labels, int] = {}
        for name, pairs, value in series:
            if self._wanted is not None and name not in self._wanted:
                continue
            labels = make_labels({"job": "kube-state-metrics", "instance": "kube-state-metrics:8080", **pairs}, name)
            column = before.get(labels)
            if column is None:
                column = self._frame.add(labels)
            after[labels] = column
            row = self._fit()
            row[column] = value
        for labels, column in before.items():
            if labels not in after:
                self._retire(column)
        return after

    def _retire(self, column: int) -> None:
        self._frame.retire(column)
        self._row[column] = ABSENT

    def _fit(self) -> Any:
        """The row of present values, as wide as the frame."""
        missing = self._frame.width - len(self._row)
        if missing > 0:
            self._row = np.concatenate([self._row, np.full(missing, ABSENT)])
        return self._row


def _uid(kind: str, obj: Object) -> str:
    metadata = obj["metadata"]
    return metadata.get("uid") or f"{kind}/{metadata['name']}"


def _read(prefix: str, wanted: frozenset[str] | None) -> bool:
    return wanted is None or any(name.startswith(prefix) for name in wanted)


def _who(obj: Object, label: str) -> dict[str, str]:
    metadata = obj["metadata"]
    return {"namespace": metadata.get("namespace", ""), label: metadata["name"]}


def _conditions(name: str, labels: dict[str, str], obj: Object) -> Series:
    for condition in (obj.get("status") or {}).get("conditions") or ():
        for status in _CONDITION_STATUSES:
            value = 1.0 if condition["status"].lower() == status else 0.0
            yield name, {**labels, "condition": condition["type"], "status": status}, value


def _deployment(obj: Object) -> Series:
    labels, spec, status = _who(obj, "deployment"), obj.get("spec") or {}, obj.get("status") or {}
    yield "kube_deployment_spec_replicas", labels, float(spec.get("replicas", 1))
    yield "kube_deployment_spec_paused", labels, float(bool(spec.get("paused")))
    yield "kube_deployment_metadata_generation", labels, float(obj["metadata"].get("generation", 0))
    yield "kube_deployment_status_observed_generation", labels, float(status.get("observedGeneration", 0))
    for name, field in (
        ("replicas", "replicas"),
        ("replicas_ready", "readyReplicas"),
        ("replicas_available", "availableReplicas"),
        ("replicas_unavailable", "unavailableReplicas"),
        ("replicas_updated", "updatedReplicas"),
    ):
        yield f"kube_deployment_status_{name}", labels, float(status.get(field) or 0)
    yield from _conditions("kube_deployment_status_condition", labels, obj)


def _replica_set(obj: Object) -> Series:
    labels, status = _who(obj, "replicaset"), obj.get("status") or {}
    yield "kube_replicaset_spec_replicas", labels, float((obj.get("spec") or {}).get("replicas", 1))
    yield "kube_replicaset_status_replicas", labels, float(status.get("replicas") or 0)
    yield "kube_replicaset_status_ready_replicas", labels, float(status.get("readyReplicas") or 0)


def _autoscaler(obj: Object) -> Series:
    labels, spec, status = _who(obj, "horizontalpodautoscaler"), obj.get("spec") or {}, obj.get("status") or {}
    base = "kube_horizontalpodautoscaler"
    yield f"{base}_spec_min_replicas", labels, float(spec.get("minReplicas", 1))
    yield f"{base}_spec_max_replicas", labels, float(spec.get("maxReplicas", 0))
    yield f"{base}_status_current_replicas", labels, float(status.get("currentReplicas") or 0)
    yield f"{base}_status_desired_replicas", labels, float(status.get("desiredReplicas") or 0)
    yield from _conditions(f"{base}_status_condition", labels, obj)


def _pod(obj: Object) -> Series:
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    labels = {**_who(obj, "pod"), "uid": metadata.get("uid", "")}
    phase = status.get("phase", "Pending")
    for name in ("Pending", "Running", "Succeeded", "Failed", "Unknown"):
        yield "kube_pod_status_phase", {**labels, "phase": name}, float(name == phase)
    for name, type_ in (("kube_pod_status_ready", "Ready"), ("kube_pod_status_scheduled", "PodScheduled")):
        found = next((c for c in status.get("conditions") or () if c["type"] == type_), None)
        for value in _CONDITION_STATUSES if found else ():
            holds = found is not None and found["status"].lower() == value
            yield name, {**labels, "condition": value}, float(holds)
            if type_ == "PodScheduled" and value == "false" and holds:
                yield "kube_pod_status_unschedulable", labels, 1.0
    owner: dict[str, str] = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), {})
    about = {
        "node": spec.get("nodeName", ""),
        "pod_ip": status.get("podIP", ""),
        "created_by_kind": owner.get("kind", "<none>"),
        "created_by_name": owner.get("name", "<none>"),
    }
    yield "kube_pod_info", {**labels, **about}, 1.0
    if status.get("startTime"):
        yield "kube_pod_start_time", labels, parse_rfc3339(status["startTime"])
    for container in spec.get("containers") or ():
        yield from _resources(labels, about["node"], container)
    for state in status.get("containerStatuses") or ():
        yield from _container_state({**labels, "container": state["name"]}, state)


def _resources(labels: dict[str, str], node: str, container: dict[str, Any]) -> Series:
    for kind in ("requests", "limits"):
        for resource, amount in ((container.get("resources") or {}).get(kind) or {}).items():
            unit = "core" if resource == "cpu" else "byte" if resource.endswith(("memory", "storage")) else "integer"
            name = resource.replace(".", "_").replace("/", "_").replace("-", "_")
            value = quantity.milli(amount) / 1000 if unit == "core" else float(quantity.whole(amount))
            about = {**labels, "container": container["name"], "node": node, "resource": name, "unit": unit}
            yield f"kube_pod_container_resource_{kind}", about, value


def _container_state(labels: dict[str, str], state: dict[str, Any]) -> Series:
    now, last = state.get("state") or {}, (state.get("lastState") or {}).get("terminated")
    base = "kube_pod_container_status"
    yield f"{base}_restarts_total", labels, float(state.get("restartCount") or 0)
    yield f"{base}_ready", labels, float(bool(state.get("ready")))
    yield f"{base}_running", labels, float("running" in now)
    yield f"{base}_waiting", labels, float("waiting" in now)
    yield f"{base}_terminated", labels, float("terminated" in now)
    if "waiting" in now:
        yield f"{base}_waiting_reason", {**labels, "reason": now["waiting"].get("reason", "")}, 1.0
    if "terminated" in now:
        yield f"{base}_terminated_reason", {**labels, "reason": now["terminated"].get("reason", "")}, 1.0
    if last:
        yield f"{base}_last_terminated_reason", {**labels, "reason": last.get("reason", "")}, 1.0


def _node(obj: Object) -> Series:
    labels, spec, status = {"node": obj["metadata"]["name"]}, obj.get("spec") or {}, obj.get("status") or {}
    yield "kube_node_info", {**labels, "provider_id": spec.get("providerID", "")}, 1.0
    yield "kube_node_spec_unschedulable", labels, float(bool(spec.get("unschedulable")))
    yield from _conditions("kube_node_status_condition", labels, obj)
    for taint in spec.get("taints") or ():
        about = {"key": taint["key"], "value": taint.get("value", ""), "effect": taint["effect"]}
        yield "kube_node_spec_taint", {**labels, **about}, 1.0
    for kind in ("capacity", "allocatable"):
        for resource, amount in (status.get(kind) or {}).items():
            unit = "core" if resource == "cpu" else "integer" if resource == "pods" else "byte"
            value = quantity.milli(amount) / 1000 if unit == "core" else float(quantity.whole(amount))
            yield f"kube_node_status_{kind}", {**labels, "resource": resource, "unit": unit}, value


def _budget(obj: Object) -> Series:
    labels, status = _who(obj, "poddisruptionbudget"), obj.get("status") or {}
    for name, field in (
        ("current_healthy", "currentHealthy"),
        ("desired_healthy", "desiredHealthy"),
        ("pod_disruptions_allowed", "disruptionsAllowed"),
        ("expected_pods", "expectedPods"),
    ):
        yield f"kube_poddisruptionbudget_status_{name}", labels, float(status.get(field) or 0)


KINDS: tuple[tuple[str, str, Callable[[Object], Series]], ...] = (
    ("apps/Deployment", "kube_deployment_", _deployment),
    ("apps/ReplicaSet", "kube_replicaset_", _replica_set),
    ("autoscaling/HorizontalPodAutoscaler", "kube_horizontalpodautoscaler_", _autoscaler),
    ("Pod", "kube_pod_", _pod),
    ("Node", "kube_node_", _node),
    ("policy/PodDisruptionBudget", "kube_poddisruptionbudget_", _budget),
)
"""(kind, prefix of its metric names, what it makes)."""
