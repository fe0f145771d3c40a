"""How many pods of each side come closest to a traffic weight.

Source: argo-rollouts 1.9 (9f8d111d8) `utils/replicaset/canary.go`.
"""

from __future__ import annotations


def weighted(replicas: int, weight: int, max_weight: int, surge: int) -> tuple[int, int]:
    """(canary, stable) whose ratio is nearest to weight : max_weight, ties to the larger canary.

    With surge, one pod more than `replicas` may make it nearer. A weight between the ends never rounds to nothing on
    either side as long as there are pods to share.
    """
    if replicas == 0:
        return 0, 0
    product = replicas * weight
    up, down = -(-product // max_weight), product // max_weight
    may_be_nothing = weight in (0, max_weight) or (replicas == 1 and surge == 0)
    options: list[tuple[int, int]] = []
    if up < replicas or may_be_nothing:
        options.append((up, replicas))
    if not _tied(replicas, weight, max_weight) and (down != 0 or may_be_nothing):
        options.append((down, replicas))
    if surge > 0:
        options.append((up, replicas + 1))
        if not _tied(replicas + 1, weight, max_weight) and (down != 0 or may_be_nothing):
            options.append((down, replicas + 1))
    if not options:
        return 0, replicas
    canary, total = min(options, key=lambda option: abs(option[0] * max_weight / option[1] - weight))
    return canary, total - canary


def _tied(total: int, weight: int, max_weight: int) -> bool:
    """Whether rounding up and down are equally far from the weight."""
    return 2 * ((total * weight) % max_weight) == max_weight


def pods_for_weight(replicas: int, weight: int, max_weight: int) -> int:
    """Pods that carry this share of the traffic, rounded up."""
    return -(-weight * replicas // max_weight)
