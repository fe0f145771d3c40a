"""The autoscaler against a real store and write path: its rhythm, its writes, its words when a write is refused."""

# ruff: noqa: ARG002 - the metrics reader keeps the signatures of its port

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from pilothouse.base.clock import ManualClock
from pilothouse.base.entropy import Entropy
from pilothouse.base.errors import Invalid, NotFound
from pilothouse.base.selectors import Selector
from pilothouse.kinds.apps.deployment.kind import KIND as DEPLOYMENT
from pilothouse.kinds.autoscaling.horizontalpodautoscaler.controller import INDEXES, KIND_NAME, HorizontalController
from pilothouse.kinds.autoscaling.horizontalpodautoscaler.kind import KIND, targets
from pilothouse.kinds.core.pod.kind import KIND as POD
from pilothouse.machinery.client import Client
from pilothouse.machinery.events import EventRecorder
from pilothouse.machinery.kind import Kinds
from pilothouse.machinery.ports import MetricValue, PodMetrics
from pilothouse.machinery.reconcile import ReconcileInput
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store


class Metrics:
    """Every pod uses this many cores."""

    def __init__(self, cores: float, clock: ManualClock) -> None:
        self.cores = cores
        self._clock = clock
        self.pods: list[str] = []

    def pod_metrics(self, namespace: str, selector: Selector) -> Sequence[PodMetrics]:
        return [
            PodMetrics(name, self._clock.time(), 15.0, {"main": {"cpu": self.cores, "memory": 1e8}})
            for name in self.pods
        ]

    def pods_metric(self, namespace: str, metric: str, pods: Selector, selector: Selector) -> Sequence[MetricValue]:
        return []

    def object_metric(
        self, namespace: str, kind: str, name: str, metric: str, selector: Selector
    ) -> MetricValue | None:
        return None

    def external_metric(self, namespace: str, metric: str, selector: Selector) -> Sequence[MetricValue]:
        return []


def container() -> dict[str, Any]:
    return {"name": "main", "image": "web:1", "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}}}


class World:
    """One namespace with a Deployment `web`, its ready pods, and an autoscaler."""

    def __init__(self, cores: float, replicas: int = 3, **hpa: Any) -> None:
        self.clock = ManualClock()
        self.path = WritePath(Store(INDEXES), Kinds([KIND, DEPLOYMENT, POD]), self.clock, Entropy(1))
        self.client = Client(self.path)
        self.events = EventRecorder(self.clock)
        self.metrics = Metrics(cores, self.clock)
        self.controller = HorizontalController(self.metrics)
        labels = {"app": "web"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container()]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        self.path.create("apps/Deployment", _object("apps/v1", "Deployment", "web", spec))
        for index in range(replicas):
            self._add_pod(f"web-{index}", labels)
        self.clock.advance(600)
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 10, "metrics": [_cpu(50)], **hpa}
        self.path.create(KIND_NAME, _object("autoscaling/v2", "HorizontalPodAutoscaler", "web", spec))

    def _add_pod(self, name: str, labels: dict[str, str]) -> None:
        pod = _object("v1", "Pod", name, {"containers": [container()]})
        self.path.create("Pod", {**pod, "metadata": {**pod["metadata"], "labels": labels}})
        now = "2026-01-05T00:00:00Z"
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
        self.path.put_status("Pod", "default", name, {"phase": "Running", "startTime": now, "conditions": [ready]})
        self.metrics.pods.append(name)

    def sync(self, failure: Exception | None = None) -> Any:
        view = ReconcileInput(self.client, "default", "web", self.clock.time(), failure, self.events)
        return self.controller.reconcile(view)

    def perform(self, decision: Any) -> None:
        """What the loop does with patches and the status."""
        for action in decision.actions:
            if hasattr(action, "patch"):
                asyncio.run(self.client.patch(action.kind, action.namespace, action.name, action.patch, "scale"))
        self.path.put_status(KIND_NAME, "default", "web", decision.status)

    @property
    def replicas(self) -> int:
        stored = self.client.get("apps/Deployment", "default", "web")
        assert stored is not None
        return int(stored.object["spec"]["replicas"])

    @property
    def autoscaler(self) -> Any:
        stored = self.client.get(KIND_NAME, "default", "web")
        assert stored is not None
        return stored.object


def _object(api_version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _cpu(percent: int) -> dict[str, Any]:
    return {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}},
    }


def test_the_first_sync_comes_after_one_period() -> None:
    world = World(cores=0.25)
    assert world.sync().requeue_s == 15.0
    world.clock.advance(10)
    assert world.sync().requeue_s == 5.0
    world.clock.advance(5)
    decision = world.sync()
    assert [type(a).__name__ for a in decision.actions] == ["Patch", "Emit"]
    assert decision.requeue_s == 15.0


def test_it_scales_the_deployment_and_tells_why() -> None:
    world = World(cores=0.25)
    world.sync()
    world.clock.advance(15)
    decision = world.sync()
    world.perform(decision)
    assert world.replicas == 6
    assert (
        decision.actions[-1].message
        == "New size: 6; reason: cpu resource utilization (percentage of request) above target"
    )
    assert world.autoscaler["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"] == 100
    assert targets(world.autoscaler, 0.0) == "cpu: 100%/50%"


def test_a_refused_write_is_said_once_and_tried_again() -> None:
    world = World(cores=0.25)
    world.sync()
    world.clock.advance(15)
    world.sync()
    said = world.sync(NotFound('deployments.apps "web" not found'))
    assert said.actions[0].message == (
        "New size: 6; reason: cpu resource utilization (percentage of request) above target; "
        'error: deployments.apps "web" not found'
    )
    able = said.status["conditions"][0]
    assert (able["type"], able["status"], able["reason"]) == ("AbleToScale", "False", "FailedUpdateScale")
    assert said.requeue_s == pytest.approx(15.0)
    world.clock.advance(15)
    assert [type(a).__name__ for a in world.sync().actions] == ["Patch", "Emit"]


def test_a_target_that_is_not_there_is_a_condition() -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"}
    world = World(cores=0.25, scaleTargetRef=target)
    world.sync()
    world.clock.advance(15)
    decision = world.sync()
    assert decision.actions[0].message == 'deployments.apps "other" not found'
    assert decision.status["conditions"][0]["reason"] == "FailedGetScale"


def test_two_autoscalers_over_the_same_pods_stop_each_other() -> None:
    world = World(cores=0.25)
    world.sync()
    second = {**world.autoscaler["spec"]}
    world.path.create(KIND_NAME, _object("autoscaling/v2", "HorizontalPodAutoscaler", "also", second))
    view = ReconcileInput(world.client, "default", "also", world.clock.time(), None, world.events)
    world.controller.reconcile(view)
    world.clock.advance(15)
    world.controller.reconcile(ReconcileInput(world.client, "default", "also", world.clock.time(), None, world.events))
    decision = world.sync()
    assert decision.actions[0].reason == "AmbiguousSelector"
    assert decision.actions[0].message == (
        "pods by selector app=web are controlled by multiple HPAs: [default/web default/also]"
    )


def test_defaults_are_the_api_servers() -> None:
    world = World(cores=0.1, metrics=[], behavior={"scaleDown": {"stabilizationWindowSeconds": 60}})
    spec = world.autoscaler["spec"]
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
    assert spec["behavior"]["scaleDown"] == {
        "stabilizationWindowSeconds": 60,
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    }
    assert spec["behavior"]["scaleUp"]["policies"][0] == {"type": "Pods", "value": 4, "periodSeconds": 15}
    assert world.autoscaler["status"] == {"desiredReplicas": 0, "currentMetrics": None}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"maxReplicas": 0}, "spec.maxReplicas: Invalid value: 0: must be greater than 0"),
        ({"minReplicas": 0}, "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1"),
        ({"minReplicas": 20}, "must be greater than or equal to `minReplicas`"),
        ({"metrics": [_cpu(0)]}, "averageUtilization: Invalid value: 0: must be greater than 0"),
        (
            {"behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 60}]}}},
            "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
        ),
        (
            {"metrics": [{"type": "Pods", "resource": _cpu(1)["resource"]}]},
            "spec.metrics[0].pods: Required value: must populate information for the given metric source",
        ),
    ],
)
def test_what_cannot_be_is_refused_at_the_write(change: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid) as refusal:
        World(cores=0.1, **change)
    assert words in str(refusal.value)
