"""Scaling a rollout that stands in the middle: each ReplicaSet grows or shrinks in proportion to its size.

Source: deployment controller `scale`, `GetReplicaSetProportion`, `getReplicaSetFraction`, Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """One active ReplicaSet. age_rank: 0 is the oldest. max_before: its max-replicas annotation, None when absent."""

    name: str
    replicas: int
    age_rank: int
    max_before: int | None


def shares(sets: Sequence[Share], desired: int, surge: int, status_replicas: int) -> list[tuple[str, int]]:
    """(name, new size) of every set, in the order in which they are to be written.

    The whole may hold desired + surge pods (0 when nothing is desired). Leftovers from rounding go to the largest set.
    status_replicas: the size before scaling for sets without the annotation.
    """
    allowed = desired + surge if desired > 0 else 0
    to_add = allowed - sum(share.replicas for share in sets)
    # Growing favours the newer of two equally large sets, shrinking the older.
    ordered = sorted(sets, key=lambda share: (-share.replicas, -share.age_rank if to_add > 0 else share.age_rank))
    if to_add == 0:
        return [(share.name, share.replicas) for share in sets]
    sizes, added = [], 0
    for share in ordered:
        part = _part(share, desired, surge, status_replicas, to_add, added)
        added += part
        sizes.append((share.name, share.replicas + part))
    if sizes:
        name, size = sizes[0]
        sizes[0] = (name, max(size + to_add - added, 0))
    return sizes


def _part(share: Share, desired: int, surge: int, status_replicas: int, to_add: int, added: int) -> int:
    left = to_add - added
    if share.replicas == 0 or left == 0:
        return 0
    fraction = _fraction(share, desired, surge, status_replicas)
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _fraction(share: Share, desired: int, surge: int, status_replicas: int) -> int:
    if desired == 0:
        return -share.replicas
    before = share.max_before or status_replicas
    if before == 0:
        return 0
    size = share.replicas * (desired + surge) / before
    # Rounds half away from zero, as upstream's RoundToInt32; sizes are never negative.
    return int(size + 0.5) - share.replicas
