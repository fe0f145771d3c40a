"""The client everyone holds: reads straight from memory, writes through the one write path.

Reads never wait. Writes are coroutines because a store on disk acknowledges later; over the memory store they do not
suspend.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pilothouse.base.actions import Object
from pilothouse.base.selectors import Selector
from pilothouse.engines.rolling.lookup import label_key
from pilothouse.machinery.kind import Kinds
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Records, Stored
from pilothouse.store.watch import Watch

LABELS = "labels"
"""The name under which stores keep the index of labels (`engines.rolling.lookup.keys_by_labels`)."""


class Listed(Protocol):
    """Objects of a kind that live outside the store and are made when somebody looks (events)."""

    def list(self, namespace: str) -> Records: ...

    def get(self, namespace: str, name: str) -> Stored | None: ...


class Client:
    """Reads and writes objects by kind name. `listed`: kinds whose objects also come from elsewhere."""

    def __init__(self, write_path: WritePath, listed: Mapping[str, Listed] | None = None) -> None:
        self.write_path = write_path
        self._store = write_path.store
        self._listed = dict(listed or {})
        # A controller and the world's metrics ask for the same pods one after the other.
        self._last_asked = (-1, "", "")
        self._last_selector: Selector | None = None
        self._last_selected: Records = []

    @property
    def kinds(self) -> Kinds:
        return self.write_path.kinds

    def get(self, kind: str, namespace: str, name: str) -> Stored | None:
        stored = self._store.get(kind, namespace, name)
        if stored is None and kind in self._listed:
            return self._listed[kind].get(namespace, name)
        return stored

    def list(self, kind: str, namespace: str = "", selector: Selector | None = None) -> Records:
        """All records, of one namespace when it is given, whose labels the selector matches; in creation order."""
        found = self._store.list(kind, namespace)
        if kind in self._listed:
            found += self._listed[kind].list(namespace)
        if selector is None:
            return found
        return [stored for stored in found if selector.matches(stored.object["metadata"].get("labels") or {})]

    def stored(self, kind: str, namespace: str = "") -> Records:
        """Like `list`, but only what the store holds: what can be deleted."""
        return self._store.list(kind, namespace)

    def count(self, kind: str) -> int:
        """How many objects of a kind the store holds."""
        return self._store.count(kind)

    def owned(self, kind: str, owner_uid: str) -> Records:
        """Objects whose controller ownerReference has this uid."""
        return self._store.owned(kind, owner_uid)

    def indexed(self, kind: str, index: str, key: str) -> Records:
        return self._store.indexed(kind, index, key)

    def selected(self, kind: str, namespace: str, selector: Selector) -> Records:
        """The records of a namespace that a selector matches, in no promised order: by the index of labels where the
        store keeps one and the selector asks for a label's value, else by looking at all. The list is shared."""
        if not namespace or not self._store.has_index(kind, LABELS):
            return self.list(kind, namespace, selector)
        asked = (self._store.revision, kind, namespace)
        if asked == self._last_asked and selector is self._last_selector:
            return self._last_selected
        found = self._by_label(kind, namespace, selector)
        self._last_asked, self._last_selector, self._last_selected = asked, selector, found
        return found

    def _by_label(self, kind: str, namespace: str, selector: Selector) -> Records:
        for term in selector.requirements:
            if term.operator == "In" and len(term.values) == 1:
                found = self._store.indexed(kind, LABELS, label_key(namespace, term.key, term.values[0]))
                if len(selector.requirements) == 1:
                    return found
                return [s for s in found if selector.matches(s.object["metadata"].get("labels") or {})]
        return self.list(kind, namespace, selector)

    def watch(self, *kinds: str, since: int | None = None) -> Watch:
        return self._store.watch(*kinds, since=since)

    def follow(self, watch: Watch, *kinds: str) -> None:
        """Let a watch tell changes of further kinds from now on."""
        self._store.follow(watch, *kinds)

    async def create(self, kind: str, obj: Object) -> Object:
        return self.write_path.create(kind, obj)

    async def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        merge_patch: Mapping[str, Any],
        subresource: str = "",
        resource_version: str = "",
    ) -> Object:
        return self.write_path.patch(
            kind, namespace, name, merge_patch, subresource=subresource, resource_version=resource_version
        )

    async def replace(self, kind: str, obj: Object, subresource: str = "") -> Object:
        return self.write_path.replace(kind, obj, subresource=subresource)

    async def put_status(self, kind: str, namespace: str, name: str, status: Mapping[str, Any]) -> Object:
        """Replace the whole status; nothing is written when it is the same."""
        return self.write_path.put_status(kind, namespace, name, status)

    async def delete(
        self,
        kind: str,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        grace_s: int | None = None,
        propagation: str = "Background",
    ) -> Object:
        return self.write_path.delete(kind, namespace, name, uid=uid, grace_s=grace_s, propagation=propagation)
