"""The garbage collector: what is owned goes when its owners are gone (Kubernetes 1.36
`pkg/controller/garbagecollector`).

Background: after an owner is removed, its dependents are deleted. Foreground: an owner that waits with the finalizer
`foregroundDeletion` goes after the dependents that block it. Orphan: dependents lose their reference, then the owner
goes. It watches every kind and acts on the whole truth of the store, in the order of the changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import ApiError, NotFound
from pilothouse.machinery.client import Client
from pilothouse.machinery.deletion import FOREGROUND, ORPHAN
from pilothouse.store.memory import DELETED, Change, Stored
from pilothouse.store.watch import Breath

_Item = tuple[str, str, str]
"""(kind, namespace, name)."""


class GarbageCollector:
    """One task over all kinds. `failures` counts refused deletions; each is tried again when its object changes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._store = client.write_path.store
        self._watch = client.watch()
        self._queue: dict[_Item, None] = {}
        self.failures = 0
        for kind in self._store.kinds():
            for stored in self._store.list(kind):
                self._look_at(kind, stored)

    def start(self) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(self.run(), name="garbage-collector")

    def close(self) -> None:
        self._watch.close()

    async def run(self) -> None:
        """Collect until closed or cancelled."""
        breath = Breath()
        while True:
            if not self._queue:
                await self._watch.wait_changed()
            for change in self._watch.take():
                self._note(change)
            if self._watch.closed:
                return
            for item in [*self._queue]:
                self._queue.pop(item, None)
                await self._collect(item)
            await breath

    def _note(self, change: Change) -> None:
        if change.type != DELETED:
            assert change.new is not None
            # Every pod passes here many times: only new, deleted or re-owned objects are worth a look.
            metadata = change.new.object["metadata"]
            before = None if change.old is None else change.old.object["metadata"]
            if before is None or "deletionTimestamp" in metadata or _references(before) is not _references(metadata):
                self._look_at(change.kind, change.new)
            return
        metadata = change.object["metadata"]
        for kind, stored in self._store.dependents(metadata["uid"]):
            self._queue[_item(kind, stored.object)] = None
        for reference in _references(metadata):
            owner = self._owner(reference, metadata.get("namespace", ""))
            if owner is not None and _waits(owner[1].object):
                self._queue[_item(*owner)] = None

    def _look_at(self, kind: str, stored: Stored) -> None:
        metadata = stored.object["metadata"]
        if _references(metadata) or _waits(stored.object) or _orphans(stored.object):
            self._queue[_item(kind, stored.object)] = None

    async def _collect(self, item: _Item) -> None:
        stored = self._client.get(*item)
        if stored is None:
            return
        try:
            if _orphans(stored.object):
                await self._orphan(item, stored)
            elif _waits(stored.object):
                await self._wait_for_dependents(item, stored)
            else:
                await self._delete_without_owners(item, stored)
        except NotFound:
            return  # somebody else was faster: what was wanted is so
        except ApiError:
            self.failures += 1

    async def _delete_without_owners(self, item: _Item, stored: Stored) -> None:
        metadata = stored.object["metadata"]
        references = _references(metadata)
        if not references or "deletionTimestamp" in metadata:
            return
        namespace = metadata.get("namespace", "")
        solid = [reference for reference in references if self._is_solid(reference, namespace)]
        waiting = [reference for reference in solid if self._is_waiting(reference, namespace)]
        if len(solid) > len(waiting):
            if len(solid) < len(references):
                await self._client.patch(*item, {"metadata": {"ownerReferences": solid}})
            return
        propagation = "Foreground" if waiting and self._store.dependents(metadata["uid"]) else "Background"
        await self._client.delete(*item, uid=metadata["uid"], propagation=propagation)

    async def _wait_for_dependents(self, item: _Item, owner: Stored) -> None:
        uid = owner.object["metadata"]["uid"]
        blocked = False
        for kind, dependent in self._store.dependents(uid):
            blocked = blocked or any(
                reference["uid"] == uid and reference.get("blockOwnerDeletion")
                for reference in _references(dependent.object["metadata"])
            )
            self._queue[_item(kind, dependent.object)] = None
        if not blocked:
            await self._release(item, owner.object, FOREGROUND)

    async def _orphan(self, item: _Item, owner: Stored) -> None:
        uid = owner.object["metadata"]["uid"]
        for kind, dependent in self._store.dependents(uid):
            kept = [r for r in _references(dependent.object["metadata"]) if r["uid"] != uid]
            patch = {"metadata": {"ownerReferences": kept or None}}
            await self._client.patch(*_item(kind, dependent.object), patch)
        await self._release(item, owner.object, ORPHAN)

    async def _release(self, item: _Item, obj: Object, finalizer: str) -> None:
        kept = [name for name in obj["metadata"].get("finalizers", ()) if name != finalizer]
        await self._client.patch(*item, {"metadata": {"finalizers": kept or None}})

    def _owner(self, reference: Mapping[str, Any], namespace: str) -> tuple[str, Stored] | None:
        """(kind, record) of the owner that a reference means, when that very object is stored."""
        kind = self._client.kinds.of_type(reference.get("apiVersion", ""), reference.get("kind", ""))
        if kind is None:
            return None
        stored = self._client.get(kind.name, namespace if kind.namespaced else "", reference.get("name", ""))
        if stored is None or stored.object["metadata"].get("uid") != reference["uid"]:
            return None
        return kind.name, stored

    def _is_solid(self, reference: Mapping[str, Any], namespace: str) -> bool:
        """The owner exists, or is of a kind that nobody here can look up."""
        known = self._client.kinds.of_type(reference.get("apiVersion", ""), reference.get("kind", "")) is not None
        return not known or self._owner(reference, namespace) is not None

    def _is_waiting(self, reference: Mapping[str, Any], namespace: str) -> bool:
        owner = self._owner(reference, namespace)
        return owner is not None and _waits(owner[1].object)


def _references(metadata: Mapping[str, Any]) -> Any:
    return metadata.get("ownerReferences") or ()


def _item(kind: str, stored: Object | Stored) -> _Item:
    metadata = (stored.object if isinstance(stored, Stored) else stored)["metadata"]
    return (kind, metadata.get("namespace", ""), metadata["name"])


def _holds(obj: Object, finalizer: str) -> bool:
    metadata = obj["metadata"]
    return "deletionTimestamp" in metadata and finalizer in metadata.get("finalizers", ())


def _waits(obj: Object) -> bool:
    return _holds(obj, FOREGROUND)


def _orphans(obj: Object) -> bool:
    return _holds(obj, ORPHAN)
