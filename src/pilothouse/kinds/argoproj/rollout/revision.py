"""Revisions of a Rollout: the set of the current template and its annotations, and how many old sets are kept.

Source: argo-rollouts 1.9 (9f8d111d8) `rollout/sync.go`, `utils/annotations`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Delete
from pilothouse.engines.rolling.views import controller_reference
from pilothouse.kinds.argoproj.rollout import ephemeral
from pilothouse.kinds.argoproj.rollout.reading import (
    API_VERSION,
    DESIRED,
    EPHEMERAL,
    HASH_LABEL,
    REVISION,
    SET_KIND,
    WORKLOAD_GENERATION,
    Rollout,
)
from pilothouse.kinds.argoproj.rollout.run import Pass

_HISTORY = "rollout.argoproj.io/revision-history"
_NOT_COPIED = frozenset(
    {"kubectl.kubernetes.io/last-applied-configuration", REVISION, _HISTORY, DESIRED, WORKLOAD_GENERATION}
)


def _copied(rollout: Rollout, have: Mapping[str, str]) -> dict[str, str]:
    """Annotations of the Rollout that the set lacks."""
    return {
        key: value
        for key, value in (rollout.metadata.get("annotations") or {}).items()
        if key not in _NOT_COPIED and have.get(key) != value
    }


def _next(run: Pass) -> int:
    return max((m.revision for m in run.older), default=0) + 1


def sync(run: Pass) -> None:
    """Brings annotations of the new set and the Rollout's own revision up to date."""
    new, rollout = run.new, run.rollout
    changes = _copied(rollout, new.annotations)
    wanted = _next(run)
    if new.revision < wanted:
        changes[REVISION] = str(wanted)
        if new.revision:
            past = new.annotations.get(_HISTORY)
            changes[_HISTORY] = f"{past},{new.revision}" if past else str(new.revision)
    ready_s = int(rollout.spec.get("minReadySeconds") or 0)
    patch: dict[str, Any] = {}
    if changes:
        new.annotations.update(changes)
        patch["metadata"] = {"annotations": changes}
    if new.view.spec.minReadySeconds != ready_s:
        patch["spec"] = {"minReadySeconds": ready_s}
    if patch:
        run.patch(SET_KIND, new.name, patch)
    set_own(run, str(new.revision))


def set_own(run: Pass, number: str) -> None:
    if run.rollout.revision == number:
        return
    run.patch_self({"metadata": {"annotations": {REVISION: number}}})
    annotations = {**(run.rollout.metadata.get("annotations") or {}), REVISION: number}
    run.rollout.metadata = {**run.rollout.metadata, "annotations": annotations}
    run.emit("RolloutUpdated", f"Rollout updated to revision {number}")


def new_set(run: Pass) -> dict[str, Any]:
    """The ReplicaSet of the current template, without pods yet."""
    rollout, hash_ = run.rollout, run.rollout.template_hash()
    ready_s = int(rollout.spec.get("minReadySeconds") or 0)
    extra = ephemeral.of_new(run) if run.stable is not None else ephemeral.of_stable(run)
    template = ephemeral.added_to(rollout.template, extra)
    metadata = template["metadata"]
    labels = {**((rollout.template.get("metadata") or {}).get("labels") or {}), HASH_LABEL: hash_}
    template = {**template, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), HASH_LABEL: hash_}}}
    affinity = _affinity(rollout, template, hash_)
    if affinity is not None:
        template = {**template, "spec": {**template["spec"], "affinity": affinity}}
    annotations = {**_copied(rollout, {}), REVISION: str(_next(run)), DESIRED: str(rollout.replicas)}
    if extra:
        annotations[EPHEMERAL] = json.dumps(extra, separators=(",", ":"))
    selector = rollout.selector or {}
    spec: dict[str, Any] = {
        "replicas": 0,
        "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: hash_}},
        "template": template,
    }
    if ready_s:
        spec["minReadySeconds"] = ready_s
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{rollout.name}-{hash_}",
            "namespace": rollout.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [
                controller_reference(API_VERSION, "Rollout", rollout.name, rollout.metadata.get("uid", ""))
            ],
        },
        "spec": spec,
    }


def _affinity(rollout: Rollout, template: Mapping[str, Any], hash_: str) -> dict[str, Any] | None:
    """The pods' affinity with antiAffinity added: new pods keep away from nodes of stable ones. None: leave it."""
    wanted = rollout.strategy.get("antiAffinity") or {}
    kinds = ("requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution")
    kind = next((k for k in kinds if wanted.get(k) is not None), None)
    if kind is None or rollout.stable_hash in ("", hash_):
        return None
    term: dict[str, Any] = {
        "labelSelector": {"matchExpressions": [{"key": HASH_LABEL, "operator": "In", "values": [rollout.stable_hash]}]},
        "namespaces": [rollout.namespace],
        "topologyKey": "kubernetes.io/hostname",
    }
    if kind == kinds[1]:
        term = {"weight": wanted[kind].get("weight", 100), "podAffinityTerm": term}
    affinity = dict(template["spec"].get("affinity") or {})
    anti = dict(affinity.get("podAntiAffinity") or {})
    anti[kind] = [*(anti.get(kind) or ()), term]
    return {**affinity, "podAntiAffinity": anti}


def forget_old_sets(run: Pass) -> None:
    """Deletes the oldest empty sets beyond revisionHistoryLimit; sets with pods wait."""
    alive = [m for m in run.others if m.view.metadata.deletionTimestamp is None]
    excess = len(alive) - run.rollout.history_limit
    for member in sorted(alive, key=lambda m: m.age_key)[: max(excess, 0)]:
        view = member.view
        if not (member.replicas or view.status.replicas) and view.metadata.generation <= view.status.observedGeneration:
            run.actions.append(Delete(SET_KIND, run.rollout.namespace, member.name, uid=view.metadata.uid))
