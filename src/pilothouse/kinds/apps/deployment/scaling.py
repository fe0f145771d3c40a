"""How many replicas each ReplicaSet should have: the numbers of a rollout, without the writing.

Every function gives `(member, new size)` pairs in the order in which they are to be written.
Source: deployment controller `rolling.go`, `recreate.go`, `sync.go` (`scale`), Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.engines.rolling.proportion import Share, shares
from pilothouse.kinds.apps.deployment.views import DESIRED_REPLICAS, MAX_REPLICAS, DeploymentView, Member

Sizes = list[tuple[Member, int]]


def size_of_new(deployment: DeploymentView, total: int, current: int) -> int:
    """How large the new set may be (`NewRSNewReplicas`); total: the sizes of all sets together, current: its own."""
    wanted = deployment.spec.replicas
    if not deployment.rolling or current > wanted:
        return wanted
    room = wanted + deployment.surge - total
    return current + min(room, wanted - current) if room > 0 else current


def active(members: Sequence[Member]) -> list[Member]:
    return [m for m in members if m.replicas > 0]


def shrink_old(deployment: DeploymentView, new: Member, old: Sequence[Member]) -> Sizes:
    """What a rolling update takes from old sets: unhealthy pods first, then as far as availability allows.

    maxUnavailable counts unavailable pods of the new set too, so a new version that does not come up stops the removal.
    """
    olds = sorted(active(old), key=lambda m: m.age_key)
    if not olds:
        return []
    floor = deployment.spec.replicas - deployment.unavailable
    new_available = new.view.status.availableReplicas
    total = sum(m.replicas for m in olds) + new.replicas
    most = total - floor - (new.replicas - new_available)
    if most <= 0:
        return []
    left = {m.name: m.replicas for m in olds}
    sizes: Sizes = []
    cleaned = 0
    for member in olds:
        healthy = member.view.status.availableReplicas
        if cleaned >= most:
            break
        if healthy == member.replicas:
            continue
        take = min(most - cleaned, member.replicas - healthy)
        if take < 0:
            # The set's status still counts pods that it already gives up: upstream drops the whole step and waits.
            return sizes
        left[member.name] -= take
        cleaned += take
        sizes.append((member, left[member.name]))
    return sizes + _shrink_available(olds, left, new_available, floor)


def _shrink_available(olds: Sequence[Member], left: dict[str, int], new_available: int, floor: int) -> Sizes:
    spare = sum(m.view.status.availableReplicas for m in olds) + new_available - floor
    sizes: Sizes = []
    for member in olds:
        if spare <= 0:
            break
        take = min(left[member.name], spare)
        if take:
            left[member.name] -= take
            spare -= take
            sizes.append((member, left[member.name]))
    return sizes


def is_scaling(deployment: DeploymentView, members: Sequence[Member]) -> bool:
    """Whether spec.replicas changed since the sets were last scaled (`isScalingEvent`)."""
    wanted = deployment.spec.replicas
    return any(m.number(DESIRED_REPLICAS) not in (None, wanted) for m in members if m.replicas > 0)


def rescale(deployment: DeploymentView, new: Member | None, old: Sequence[Member]) -> Sizes:
    """The sizes after a change of spec.replicas, or while paused: one active set takes all, several share (`scale`)."""
    members = [*old, new] if new is not None else list(old)
    if not members:
        return []
    wanted = deployment.spec.replicas
    running = active(members)
    if len(running) <= 1:
        only = running[0] if running else new or max(old, key=lambda m: m.age_key)
        return [(only, wanted)] if only.replicas != wanted else []
    if new is not None and _saturated(deployment, new):
        return [(m, 0) for m in active(old)]
    return _in_proportion(deployment, running) if deployment.rolling else []


def _saturated(deployment: DeploymentView, new: Member) -> bool:
    wanted = deployment.spec.replicas
    return new.replicas == wanted == new.number(DESIRED_REPLICAS) and new.view.status.availableReplicas == wanted


def _in_proportion(deployment: DeploymentView, running: Sequence[Member]) -> Sizes:
    by_name = {m.name: m for m in running}
    by_age = sorted(running, key=lambda m: m.age_key)
    parts = [Share(m.name, m.replicas, rank, m.number(MAX_REPLICAS)) for rank, m in enumerate(by_age)]
    status_replicas = (deployment.status or {}).get("replicas", 0)
    sizes = shares(parts, deployment.spec.replicas, deployment.surge, status_replicas)
    return [(by_name[name], size) for name, size in sizes]
