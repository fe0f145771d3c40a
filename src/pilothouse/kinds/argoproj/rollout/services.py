"""The Services of a Rollout: whose pods each of them selects.

A Service is pointed at a ReplicaSet by the pod hash in its selector, and only at one that can carry traffic.
Source: argo-rollouts 1.9 (9f8d111d8) `rollout/service.go`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pilothouse.base.actions import Action, Object, Patch
from pilothouse.kinds.argoproj.rollout.reading import HASH_LABEL, MANAGED_BY, Member, Rollout
from pilothouse.kinds.argoproj.rollout.run import Pass


def hash_of(service: Object | None) -> str:
    return str((((service or {}).get("spec") or {}).get("selector") or {}).get(HASH_LABEL) or "")


def is_managed(service: Object) -> bool:
    return MANAGED_BY in (service["metadata"].get("annotations") or {})


def switch(run: Pass, service: Object, to: str) -> bool:
    """Points a Service at the pods with this hash; True when it was pointed elsewhere before."""
    name, before = service["metadata"]["name"], hash_of(service)
    if before == to and is_managed(service):
        return False
    patch: dict[str, Any] = {"spec": {"selector": {HASH_LABEL: to}}}
    if not is_managed(service):
        patch["metadata"] = {"annotations": {MANAGED_BY: run.rollout.name}}
    run.patch("Service", name, patch)
    run.emit("SwitchService", f"Switched selector for service '{name}' from '{before}' to '{to}'")
    return True


def ensure_targets(run: Pass, name: str | None, member: Member | None, *, check: bool) -> None:
    """Points the Service at the set when that set can serve: wholly available to take over a Service for the first
    time, one pod available afterwards. check: False points it there in any case."""
    if not name or member is None:
        return
    service = run.observed.find("Service", name)
    if service is None or hash_of(service) == member.hash:
        return
    if check and not is_managed(service) and not (0 < member.replicas <= member.available):
        return
    if check and member.available == 0:
        return
    switch(run, service, member.hash)


def rolling_back_dynamically(rollout: Rollout, new: Member) -> str:
    """The hash that the router still sends to while a dynamically scaled stable set grows back; "" at other times."""
    if not rollout.fully_promoted or rollout.routing is None or not rollout.dynamic or rollout.weights is None:
        return ""
    current = str((rollout.weights.get("canary") or {}).get("podTemplateHash", ""))
    if current == new.hash or new.available >= rollout.replicas:
        return ""
    return current


def reconcile_canary(run: Pass) -> None:
    """The stable Service to the stable set, the canary Service to the new one (to the stable one after an abort)."""
    spec = run.rollout.strategy
    ensure_targets(run, spec.get("stableService"), run.stable, check=True)
    if run.pauses.aborted and run.rollout.routing is None:
        ensure_targets(run, spec.get("canaryService"), run.stable, check=True)
    elif run.pauses.aborted and not ((run.rollout.weights or {}).get("canary") or {}).get("weight"):
        # `traffic` has sent it back to the stable set with the last of the weight; it stays there.
        return
    elif not rolling_back_dynamically(run.rollout, run.new):
        ensure_targets(run, spec.get("canaryService"), run.new, check=True)


def release(services: Iterable[Object], wanted: Iterable[str]) -> list[Action]:
    """Services that were managed and are no longer named select by their own labels again."""
    names = [name for name in wanted if name]
    patch = {"metadata": {"annotations": {MANAGED_BY: None}}, "spec": {"selector": {HASH_LABEL: None}}}
    return [
        Patch("Service", s["metadata"].get("namespace", ""), s["metadata"]["name"], patch)
        for s in services
        if s["metadata"]["name"] not in names
    ]
