"""What a Service's slices were found to hold, so that the next pass looks only at the pods that changed since.

A Service of a hundred pods changes one endpoint at a time: looking at all of them for each would cost a hundred times
as much. The picture holds only while the Service and the slices are the very records that it was made of, or were
written by `touched`; in every other case `decide` looks at everything. Called by `controller.py`; performs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.base.actions import Action, Decision, Patch
from pilothouse.engines.rolling.views import PodView
from pilothouse.kinds.discovery.endpointslice.decide import KIND_NAME, MAX_ENDPOINTS, PortKey, port_key, ports_on
from pilothouse.kinds.discovery.endpointslice.views import (
    Endpoint,
    Made,
    ServiceView,
    SliceView,
    belongs,
    identity,
    made_endpoint,
)

Changed = Iterable[tuple[str, PodView | None]]
"""(uid, the pod as it is now, None when it is gone)."""


@dataclass(slots=True)
class _Slice:
    """A slice's parts as they are stored, compared by identity; endpoints: None when it has none."""

    name: str
    endpoints: list[Endpoint] | None
    ports: Any
    labels: Any


@dataclass(slots=True)
class Kept:
    """The slices of one Service whose pods all have the same ports. where: a pod's uid to its slice's uid and its
    endpoint."""

    service: object
    address_type: str
    ports: PortKey
    slices: dict[str, _Slice]
    where: dict[str, tuple[str, Endpoint]]

    def holds(self, service: object, slices: Sequence[SliceView]) -> bool:
        """Whether the Service and its slices are still what the picture was made of."""
        if service is not self.service or len(slices) != len(self.slices):
            return False
        for view in slices:
            known = self.slices.get(view.metadata.uid)
            if known is None or not (
                view.endpoints is known.endpoints and view.ports is known.ports and view.metadata.labels is known.labels
            ):
                return False
        return True


def keep(record: object, service: ServiceView, slices: Sequence[SliceView]) -> Kept | None:
    """The picture after a pass that found everything right; None when it would need more than one kind of slice.

    record: the stored Service, compared by identity.
    """
    if not slices or service.spec.selector is None:
        return None
    kinds = {(view.addressType, port_key(view.ports)): None for view in slices}
    if len(kinds) != 1:
        return None
    ((address_type, ports),) = kinds
    found = {v.metadata.uid: _Slice(v.metadata.name, v.endpoints, v.ports, v.metadata.labels) for v in slices}
    where: dict[str, tuple[str, Endpoint]] = {}
    for uid, view in found.items():
        for endpoint in view.endpoints or ():
            where[(endpoint.get("targetRef") or {}).get("uid", "")] = (uid, endpoint)
    return Kept(record, address_type, ports, found, where)


def touched(
    kept: Kept, service: ServiceView, changed: Changed, zone_of: Callable[[str], str | None]
) -> Decision | None:
    """One pass over changed pods, with the outcome that `decide` would have; None when it has to look at everything.

    The picture is brought up to date; if the writes then fail, it does not hold any more.
    """
    lists: dict[str, list[Endpoint]] = {}
    moved: dict[str, tuple[str, Endpoint] | None] = {}
    left: list[tuple[str, Endpoint]] = []
    for uid, pod in changed:
        wanted = _wanted(kept, service, pod, zone_of)
        if wanted is _UNCLEAR:
            return None
        assert wanted is None or isinstance(wanted, Made)
        at = kept.where.get(uid)
        if at is None:
            if wanted is not None:
                left.append((uid, wanted.endpoint))
            continue
        slice_uid, endpoint = at
        stays = wanted is not None and wanted.identity == identity(endpoint)
        if stays and wanted is not None and wanted.endpoint == endpoint:
            # The stored one stays where nothing changed, so that later looks compare by identity.
            wanted.endpoint = endpoint
            continue
        endpoints = lists.get(slice_uid)
        if endpoints is None:
            endpoints = lists[slice_uid] = [*(kept.slices[slice_uid].endpoints or ())]
        place = next(i for i, entry in enumerate(endpoints) if entry is endpoint)
        if stays and wanted is not None:
            endpoints[place] = wanted.endpoint
            moved[uid] = (slice_uid, wanted.endpoint)
        else:
            del endpoints[place]
            moved[uid] = None
            if wanted is not None:
                left.append((uid, wanted.endpoint))
    if not _placed(kept, lists, moved, left) or any(not endpoints for endpoints in lists.values()):
        return None
    return Decision(actions=tuple(_performed(kept, service, lists, moved)))


_UNCLEAR = object()


def _wanted(kept: Kept, service: ServiceView, pod: PodView | None, zone_of: Callable[[str], str | None]) -> object:
    """The pod's endpoint (Made), None when it shall have none, _UNCLEAR when it needs a look at everything."""
    if pod is None or not belongs(pod) or not _selects(service.spec.selector, pod.labels):
        return None
    zone = zone_of(pod.spec.nodeName)
    if zone is None and not service.spec.publishNotReadyAddresses:
        return _UNCLEAR
    if port_key(ports_on(service, pod)) != kept.ports:
        return _UNCLEAR
    made = made_endpoint(pod, service, kept.address_type, zone or "")
    return made if made.endpoint["addresses"] else None


def _selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()


def _placed(
    kept: Kept,
    lists: dict[str, list[Endpoint]],
    moved: dict[str, tuple[str, Endpoint] | None],
    left: list[tuple[str, Endpoint]],
) -> bool:
    """Changed slices are filled up first, else the fullest one that takes all; False when a new one is needed."""
    if not left:
        return True
    targets = sorted(lists, key=lambda uid: -len(lists[uid]))
    if not targets:
        sizes = {uid: len(known.endpoints or ()) for uid, known in kept.slices.items()}
        fitting = [uid for uid, size in sizes.items() if size + len(left) <= MAX_ENDPOINTS]
        if not fitting or len(left) >= MAX_ENDPOINTS:
            return False
        targets = [max(fitting, key=sizes.__getitem__)]
        lists[targets[0]] = [*(kept.slices[targets[0]].endpoints or ())]
    waiting = iter(left)
    for slice_uid in targets:
        endpoints = lists[slice_uid]
        while len(endpoints) < MAX_ENDPOINTS:
            entry = next(waiting, None)
            if entry is None:
                return True
            uid, endpoint = entry
            endpoints.append(endpoint)
            moved[uid] = (slice_uid, endpoint)
    return next(waiting, None) is None


def _performed(
    kept: Kept,
    service: ServiceView,
    lists: Mapping[str, list[Endpoint]],
    moved: Mapping[str, tuple[str, Endpoint] | None],
) -> list[Action]:
    for uid, at in moved.items():
        if at is None:
            del kept.where[uid]
        else:
            kept.where[uid] = at
    actions: list[Action] = []
    for slice_uid, endpoints in lists.items():
        known = kept.slices[slice_uid]
        known.endpoints = endpoints
        actions.append(Patch(KIND_NAME, service.metadata.namespace, known.name, {"endpoints": endpoints}))
    return actions
