"""How large the canary and the stable set may be made in one pass of a canary.

Source: argo-rollouts 1.9 (9f8d111d8) `utils/replicaset/canary.go`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pilothouse.engines.delivery.split import pods_for_weight, weighted


@dataclass(frozen=True, slots=True)
class SetSize:
    """A ReplicaSet: pods wanted (`replicas`) and pods available now."""

    replicas: int = 0
    available: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """replicas: of the whole rollout; surge, unavailable: whole pods beyond and below it."""

    replicas: int
    surge: int
    unavailable: int

    @property
    def most(self) -> int:
        return self.replicas + self.surge

    @property
    def fewest_available(self) -> int:
        return self.replicas - self.unavailable


def basic(
    limits: Limits, weight: int, max_weight: int, canary: SetSize | None, stable: SetSize | None, older: int
) -> tuple[int, int]:
    """(canary, stable) sizes for the next write when replicas alone weigh the traffic.

    stable: None when there is none, or the canary's own set is the stable one. older: pods wanted of all other sets;
    they go first, so nothing else shrinks while some are left. First up as far as surge allows (stable before canary),
    then down as far as availability allows.
    """
    wanted_canary, wanted_stable = weighted(limits.replicas, weight, max_weight, limits.surge)
    if stable is None:
        wanted_canary, wanted_stable = limits.replicas, 0
    new = canary.replicas if canary else 0
    old = stable.replicas if stable else 0
    room = limits.most - (new + old + older)
    if stable is not None and old < wanted_stable and room > 0:
        grown = min(old + room, wanted_stable)
        room, old = room - (grown - old), grown
    if canary is not None and new < wanted_canary and room > 0:
        new = min(new + room, wanted_canary)
    if older > 0:
        return new, old
    return _shrunk(limits, (wanted_canary, wanted_stable), (new, old), canary, stable)


def _shrunk(
    limits: Limits, wanted: tuple[int, int], sizes: tuple[int, int], canary: SetSize | None, stable: SetSize | None
) -> tuple[int, int]:
    new, old = sizes
    growing = canary is None or wanted[0] >= canary.replicas
    # The side that shrinks counts with all it has, pods that never came up included: they must not block the way.
    standing = _standing(canary, whole=not growing) + _standing(stable, whole=growing)
    spare = standing - limits.fewest_available
    if spare <= 0:
        return new, old
    if not growing:
        new = _drained(canary, wanted[0], spare, new)
        return _within(limits, canary, stable, new, old)
    if stable is not None:
        old = _drained(stable, wanted[1], spare, old)
        old, new = _within(limits, stable, canary, old, new)
    return new, old


def _standing(set_: SetSize | None, *, whole: bool) -> int:
    if set_ is None:
        return 0
    # A set that is shrinking already will not keep what it has beyond its size.
    return set_.replicas if whole or set_.replicas < set_.available else set_.available


def _drained(set_: SetSize | None, wanted: int, spare: int, size: int) -> int:
    if set_ is None or set_.replicas <= wanted:
        return size
    return max(wanted, set_.replicas - spare)


def _within(
    limits: Limits, drained: SetSize | None, kept: SetSize | None, drained_size: int, kept_size: int
) -> tuple[int, int]:
    """Both sizes brought under the surge limit without falling below the available pods that must stay."""
    if kept is None:
        return drained_size, kept_size
    kept_size -= max(0, kept_size + drained_size - limits.most)
    available = min(kept.available, kept_size) + (min(drained.available, drained_size) if drained else 0)
    lost = max(0, kept.available - kept_size)
    kept_size += min(lost, max(0, limits.fewest_available - available))
    drained_size -= max(0, kept_size + drained_size - limits.most)
    return drained_size, kept_size


@dataclass(frozen=True, slots=True)
class Routed:
    """A canary whose traffic is routed by weight.

    replicas: of the rollout; weight: of the canary for its size; fixed: setCanaryScale.replicas; dynamic: the stable
    set shrinks as the canary grows; least: minPodsPerReplicaSet; actual: (canary, stable) weights of the router now.
    """

    replicas: int
    weight: int
    max_weight: int = 100
    fixed: int | None = None
    dynamic: bool = False
    least: int = 0
    actual: tuple[int, int] | None = None
    aborted: bool = False


def routed(canary: Routed) -> tuple[int, int]:
    """(canary, stable) sizes when a router weighs the traffic: each side can carry what it gets and will get."""
    if canary.fixed is not None:
        new = canary.fixed
    else:
        new = _at_least(canary, pods_for_weight(canary.replicas, canary.weight, canary.max_weight))
    if not canary.dynamic:
        return new, canary.replicas
    old = pods_for_weight(canary.replicas, canary.max_weight - canary.weight, canary.max_weight)
    if canary.actual is not None:
        old = max(old, pods_for_weight(canary.replicas, canary.actual[1], canary.max_weight))
        if canary.aborted:
            new = max(new, pods_for_weight(canary.replicas, canary.actual[0], canary.max_weight))
    return _at_least(canary, new), _at_least(canary, old)


def _at_least(canary: Routed, count: int) -> int:
    return max(count, min(canary.least, canary.replicas)) if count else 0
