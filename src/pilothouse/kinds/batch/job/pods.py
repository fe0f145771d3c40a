"""Pods of a Job: how a new one is made, and which of several is given up first.

Source: `manageJob`, `activePodsForRemoval`, `addCompletionIndexEnvVariables`, Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.engines.jobs import policies
from pilothouse.engines.rolling import ranking
from pilothouse.engines.rolling.views import controller_reference
from pilothouse.kinds.batch.job.views import (
    FAILURES,
    FINALIZER,
    IGNORED_FAILURES,
    INDEX,
    NO_INDEX,
    JobPod,
    JobView,
)

_ENV = "JOB_COMPLETION_INDEX"
_NAME_BASE = 58
"""Characters that a generated name has room for before its random end."""


def new_pod(job: JobView, index: int = NO_INDEX, failed_before: JobPod | None = None) -> Object:
    """The pod to create. index: its completion index; failed_before: the last failed pod of that index."""
    meta, template = job.metadata, job.spec.template
    of_template = template.get("metadata") or {}
    finalizers = [*(of_template.get("finalizers") or ())]
    metadata: dict[str, Any] = {
        "generateName": f"{meta.name}-",
        "namespace": meta.namespace,
        "labels": of_template.get("labels") or {},
        "finalizers": finalizers if FINALIZER in finalizers else [*finalizers, FINALIZER],
        "ownerReferences": [controller_reference("batch/v1", "Job", meta.name, meta.uid)],
    }
    annotations = dict(of_template.get("annotations") or {})
    spec = template["spec"]
    if index != NO_INDEX:
        end = f"-{index}-"
        metadata["generateName"] = f"{meta.name[: _NAME_BASE - len(end)]}{end}"
        metadata["labels"] = {**metadata["labels"], INDEX: str(index)}
        annotations[INDEX] = str(index)
        if job.per_index:
            annotations.update(_failure_counts(job, failed_before))
        spec = {**_with_index_variable(spec), "hostname": f"{meta.name}-{index}"}
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _failure_counts(job: JobView, before: JobPod | None) -> dict[str, str]:
    """Annotations that count the failures of an index; the last failure adds to one of them."""
    if before is None:
        return {FAILURES: "0"}
    counted = policies.judge(job.spec.podFailurePolicy, before.object).counts
    failures, all_failures = before.failures(ignored=False), before.failures()
    ignored = all_failures - failures + (not counted)
    out = {FAILURES: str(failures + counted)}
    return {**out, IGNORED_FAILURES: str(ignored)} if ignored else out


def _with_index_variable(spec: Any) -> dict[str, Any]:
    out = dict(spec)
    for key in ("initContainers", "containers"):
        if spec.get(key):
            out[key] = [_with_variable(container) for container in spec[key]]
    return out


def _with_variable(container: Any) -> Any:
    given = container.get("env") or []
    if any(variable["name"] == _ENV for variable in given):
        return container
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    return {**container, "env": [*given, {"name": _ENV, "valueFrom": source}]}


def surplus(job: JobView, active: Sequence[JobPod], count: int, now_s: float) -> list[JobPod]:
    """At least `count` active pods to delete; with indexes, also all that share one or have none that is valid."""
    remove: list[JobPod] = []
    left = list(active)
    if job.indexed:
        remove, left = _doubles(job, left, now_s)
    if len(remove) < count:
        remove += _first_choice(left, count - len(remove), now_s)
    return remove


def _doubles(job: JobView, pods: Sequence[JobPod], now_s: float) -> tuple[list[JobPod], list[JobPod]]:
    by_index: dict[int, list[JobPod]] = {}
    for pod in sorted(pods, key=lambda p: p.index):
        by_index.setdefault(pod.index, []).append(pod)
    remove: list[JobPod] = []
    left: list[JobPod] = []
    for index, same in by_index.items():
        valid = 0 <= index < (job.spec.completions or 0)
        given_up = _first_choice(same, len(same) - valid, now_s)
        remove += given_up
        left += [pod for pod in same if pod not in given_up]
    return remove, left


def _first_choice(pods: Sequence[JobPod], count: int, now_s: float) -> list[JobPod]:
    by_uid = {pod.uid: pod for pod in pods}
    chosen = ranking.choose([pod.view for pod in pods], (), count, now_s)
    return [by_uid[view.metadata.uid] for view in chosen]
