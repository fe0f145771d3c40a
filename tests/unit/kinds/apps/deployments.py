"""Builders of what a Deployment's decision sees."""

from __future__ import annotations

from typing import Any

import msgspec

from pilothouse.base.actions import Decision
from pilothouse.base.clock import DEFAULT_EPOCH_S, rfc3339
from pilothouse.engines.rolling.views import ReplicaSetView, controller_reference
from pilothouse.kinds.apps.deployment.decide import decide
from pilothouse.kinds.apps.deployment.views import DESIRED_REPLICAS, MAX_REPLICAS, REVISION, DeploymentView, Observed

NOW_S = DEFAULT_EPOCH_S
OWNER = controller_reference("apps/v1", "Deployment", "web", "uid-web")


def template(image: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web", **labels}}, "spec": {"containers": [{"name": "app", "image": image}]}}


def deployment(
    *, status: dict[str, Any] | None = None, annotations: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    spec = {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": template("web:now"),
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        **spec,
    }
    metadata = {"name": "web", "namespace": "shop", "uid": "uid-web", "generation": 1, "annotations": annotations or {}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec, "status": status or {}}


def replica_set(
    name: str,
    size: int,
    available: int,
    *,
    age_s: float = 0.0,
    image: str = "",
    counted: int | None = None,
    revision: int | None = 1,
    desired: int = 3,
    surge: int = 1,
    **status: Any,
) -> dict[str, Any]:
    """A set owned by `deployment()`; without an image it is of another template than the present one."""
    annotations = {DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(desired + surge)}
    if revision is not None:
        annotations[REVISION] = str(revision)
    counts = {
        "replicas": size if counted is None else counted,
        "readyReplicas": available,
        "availableReplicas": available,
    }
    labels = {"app": "web", "pod-template-hash": name}
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "generation": 1,
            "creationTimestamp": rfc3339(NOW_S - 3600 - age_s),
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [OWNER],
        },
        "spec": {
            "replicas": size,
            "selector": {},
            "template": template(image or f"web:{name}", **{"pod-template-hash": name}),
        },
        "status": {**counts, "terminatingReplicas": 0, "observedGeneration": 1, **status},
    }


def decision(obj: dict[str, Any], *sets: dict[str, Any], now_s: float = NOW_S, **observed: Any) -> Decision:
    owned = [msgspec.convert(s, ReplicaSetView) for s in sets]
    return decide(obj, msgspec.convert(obj, DeploymentView), Observed(owned=owned, **observed), now_s)
