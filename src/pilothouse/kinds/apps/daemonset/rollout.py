"""Which outdated daemons go, and which nodes get a new one beside the old, in one pass of a rolling update.

Source: `pkg/controller/daemon/update.go`, Kubernetes 1.36. Pure: counts and choices over nodes in a given order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pilothouse.kinds.apps.daemonset.views import Daemon

Available = Callable[[Daemon], bool]


@dataclass(frozen=True, slots=True)
class Place:
    """A node of the rollout. daemons: the pods there; wanted: whether one should run there."""

    node: str
    daemons: Sequence[Daemon]
    wanted: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """The present and the outdated pod of a node; crowded: there are several of a kind, so nothing is decided."""

    new: Daemon | None = None
    old: Daemon | None = None
    crowded: bool = False


def pair(daemons: Iterable[Daemon], hash_: str) -> Pair:
    staying = [daemon for daemon in daemons if not daemon.deleting]
    new = [daemon for daemon in staying if daemon.hash == hash_]
    old = [daemon for daemon in staying if daemon.hash != hash_]
    if len(new) > 1 or len(old) > 1:
        return Pair(crowded=True)
    return Pair(new[0] if new else None, old[0] if old else None)


def replace(places: Sequence[Place], hash_: str, available: Available, most: int) -> list[Daemon]:
    """Outdated pods to delete so that at most `most` nodes are without an available pod."""
    missing = 0
    idle: list[Daemon] = []
    candidates: list[Daemon] = []
    for place in places:
        both = pair(place.daemons, hash_)
        if both.crowded or (both.old is None) == (both.new is None):
            missing += 1
        elif both.new is not None:
            missing += not available(both.new)
        elif both.old is not None and not available(both.old):
            idle.append(both.old)
            missing += 1
        elif both.old is not None and missing < most:
            candidates.append(both.old)
    return [*idle, *candidates[: max(most - missing, 0)]]


def surge(
    places: Sequence[Place], hash_: str, available: Available, most: int, desired: int
) -> tuple[list[Daemon], list[str]]:
    """(pods to delete, nodes that get a new pod beside the old): at most `most` old pods that serve are doubled."""
    surging = serving = 0
    gone: list[Daemon] = []
    unwanted: list[Daemon] = []
    idle: list[str] = []
    candidates: list[str] = []
    for place in places:
        both = pair(place.daemons, hash_)
        if both.crowded:
            surging += 1
            continue
        shown = both.old or both.new
        serving += shown is not None and available(shown)
        if both.old is None:
            continue
        if both.new is not None:
            if available(both.new):
                gone.append(both.old)
            else:
                surging += 1
        elif not place.wanted:
            (unwanted if available(both.old) else gone).append(both.old)
        elif not available(both.old):
            idle.append(place.node)
        elif surging < most:
            candidates.append(place.node)
    gone += unwanted[: max(serving - desired, 0)]
    return gone, [*idle, *candidates[: max(most - surging, 0)]]


def by_node(daemons: Iterable[Daemon], nodes: Iterable[str]) -> Mapping[str, list[Daemon]]:
    """{node: its pods}, known nodes first in their order, then the others in order of their pods."""
    out: dict[str, list[Daemon]] = {node: [] for node in nodes}
    for daemon in daemons:
        out.setdefault(daemon.node, []).append(daemon)
    return out
