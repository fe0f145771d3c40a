"""spec.restartAt: pods older than that moment are evicted, a few at a time, until none is left.

Source: argo-rollouts 1.9 (9f8d111d8) `rollout/restart.go`.
"""

from __future__ import annotations

from pilothouse.base.actions import Delete
from pilothouse.base.clock import parse_rfc3339
from pilothouse.engines.rolling.views import PodView
from pilothouse.kinds.argoproj.rollout.run import Pass

CHECK_AGAIN_S = 30.0


def reconcile(run: Pass) -> int:
    """Evicts what may go now and gives how many; the status says restartedAt once all pods are new."""
    at = run.rollout.spec.get("restartAt")
    if not at or at == run.rollout.status.get("restartedAt"):
        return 0
    at_s = parse_rfc3339(at)
    if run.now_s < at_s:
        run.look_again(at_s - run.now_s)
        return 0
    pods = _pods(run)
    old = [pod for pod in pods if parse_rfc3339(pod.metadata.creationTimestamp) < at_s]
    may_go = _allowance(run, pods)
    restarted = 0
    for pod in old:
        if may_go - restarted <= 0:
            break
        if pod.metadata.deletionTimestamp is None and run.observed.may_evict(pod):
            meta = pod.metadata
            run.actions.append(Delete("Pod", meta.namespace, meta.name, uid=meta.uid))
            restarted += 1
    if len(old) > restarted:
        run.look_again(CHECK_AGAIN_S)
    else:
        run.status["restartedAt"] = at
    return restarted


def _pods(run: Pass) -> list[PodView]:
    """Pods of the stable set first, then of the new one, then of all others."""

    def rank(name: str) -> int:
        names = [m.name for m in (run.stable, run.new_or_none) if m is not None]
        return names.index(name) if name in names else len(names)

    members = sorted(run.members, key=lambda m: (rank(m.name), m.age_key))
    return [pod for m in members for pod in run.observed.pods_of(m.view.metadata.uid)]


def _allowance(run: Pass, pods: list[PodView]) -> int:
    """How many may go: as many as maxUnavailable allows, at least one, counted from what is available."""
    rollout = run.rollout
    ready_s = int(rollout.spec.get("minReadySeconds") or 0)
    staying = [pod for pod in pods if pod.metadata.deletionTimestamp is None]
    available = sum(pod.available(ready_s, run.now_s) for pod in staying)
    total = max(rollout.replicas, sum(m.replicas for m in run.members))
    return available - (total - max(rollout.unavailable, 1))
