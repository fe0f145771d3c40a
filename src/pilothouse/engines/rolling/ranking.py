"""Which pods a shrinking ReplicaSet gives up first.

Source: `controller.ActivePodsWithRanks` with logarithmic scale-down, Kubernetes 1.36.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cmp_to_key
from typing import Any

from pilothouse.base.clock import parse_rfc3339
from pilothouse.engines.rolling.views import PodView

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}
_COST_MAX = 2**31 - 1


def choose(pods: Sequence[PodView], related: Iterable[PodView], count: int, now_s: float) -> list[PodView]:
    """The `count` pods to delete, first choice first.

    pods: active pods of the set. related: pods of all sets with the same owner, this one's included: a pod on a node
    that holds many of them goes first. Ages count on a logarithmic scale so that pods of like age are treated alike;
    among those the uid decides.
    """
    if count >= len(pods):
        return list(pods)
    per_node = Counter(pod.spec.nodeName for pod in related if pod.active)
    ranked = [_Candidate(pod, per_node[pod.spec.nodeName], now_s) for pod in pods]
    ranked.sort(key=cmp_to_key(_compare))
    return [candidate.pod for candidate in ranked[:count]]


def deletion_cost(annotations: dict[str, Any] | None) -> int:
    """The pod's deletion cost; text that is no int32 in plain form counts as 0."""
    text = (annotations or {}).get(DELETION_COST, "")
    digits = text[1:] if text[:1] == "-" else text
    if not (digits.isascii() and digits.isdigit()) or (len(digits) > 1 and digits[0] == "0") or text == "-0":
        return 0
    cost = int(text)
    return cost if -_COST_MAX - 1 <= cost <= _COST_MAX else 0


class _Candidate:
    __slots__ = ("created_s", "key", "pod", "ready_s", "restarts", "since_creation", "since_ready")

    def __init__(self, pod: PodView, neighbours: int, now_s: float) -> None:
        self.pod = pod
        # Everything that sorts before the ages, as one tuple. An unassigned pod goes before any assigned one.
        self.key = (
            bool(pod.spec.nodeName),
            _PHASE_ORDER.get(pod.status.phase, 0),
            pod.ready,
            deletion_cost(pod.metadata.annotations),
            -neighbours,
        )
        self.ready_s = parse_rfc3339(pod.ready_since) if pod.ready and pod.ready_since else None
        self.created_s = parse_rfc3339(pod.metadata.creationTimestamp) if pod.metadata.creationTimestamp else None
        self.restarts = _restarts(pod)
        self.since_ready = _magnitude(self.ready_s, now_s)
        self.since_creation = _magnitude(self.created_s, now_s)


def _magnitude(then_s: float | None, now_s: float) -> int:
    """log2 of an age in nanoseconds, cut to a whole number; -1 for the future."""
    if then_s is None or now_s <= then_s:
        return -1
    return int(math.log2((now_s - then_s) * 1e9))


def _restarts(pod: PodView) -> tuple[int, int]:
    """The highest restart counts of (regular containers, sidecars)."""
    regular = max((s.get("restartCount", 0) for s in pod.status.containerStatuses or ()), default=0)
    sidecars = {c["name"] for c in pod.spec.initContainers or () if c.get("restartPolicy") == "Always"}
    statuses = pod.status.initContainerStatuses or ()
    return regular, max((s.get("restartCount", 0) for s in statuses if s.get("name") in sidecars), default=0)


def _compare(left: _Candidate, right: _Candidate) -> int:
    if left.key != right.key:
        return -1 if left.key < right.key else 1
    if left.pod.ready:
        order = _compare_age(left.ready_s, right.ready_s, left.since_ready, right.since_ready, left, right)
        if order:
            return order
    if left.restarts != right.restarts:
        return -1 if left.restarts > right.restarts else 1
    return _compare_age(left.created_s, right.created_s, left.since_creation, right.since_creation, left, right)


def _compare_age(
    left_s: float | None,
    right_s: float | None,
    left_rank: int,
    right_rank: int,
    left: _Candidate,
    right: _Candidate,
) -> int:
    """The younger first; no time at all before any time; the same magnitude is decided by uid."""
    if left_s == right_s:
        return 0
    if left_s is None or right_s is None:
        return -1 if left_s is None else 1
    if left_rank != right_rank:
        return -1 if left_rank < right_rank else 1
    return -1 if left.pod.metadata.uid < right.pod.metadata.uid else 1
