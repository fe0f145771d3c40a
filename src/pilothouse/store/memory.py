"""The versioned object store: what is stored, in memory, and nothing else.

Owns tables of `Stored` records per kind, their indexes, the revision counter and the bounded history of changes. It
knows no rules: `machinery.write_path` is its only writer; everybody reads. Objects are immutable by convention, so a
read hands out what is stored, a write builds a new record, and every watcher gets the very same `Change`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
import orjson

from pilothouse.base.actions import Object
from pilothouse.base.errors import Gone
from pilothouse.base.limits import WATCH_HISTORY
from pilothouse.store.watch import Watch

Key = tuple[str, str]
"""(namespace, name); the namespace of a cluster-wide object is ""."""

IndexFunction = Callable[[Object], Iterable[str]]
"""Names the index keys of an object; it must be pure, and read nothing but its spec and metadata."""

View = TypeVar("View")

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


class Stored(msgspec.Struct, eq=False, gc=False):
    """One stored version of one object. Records are never changed after they are made."""

    object: Object
    resource_version: int
    _view_type: Any = None
    _view: Any = None
    _more_views: dict[Any, Any] | None = None
    _json: bytes | None = None

    def view(self, view_type: type[View]) -> View:
        """The object as a `msgspec.Struct` with the fields that `view_type` names; converted once per version.

        Raises msgspec.ValidationError when the object does not fit, which a validated object does.
        """
        if self._view_type is view_type:
            made: View = self._view
            return made
        if self._view_type is None:
            self._view = made = msgspec.convert(self.object, view_type)
            self._view_type = view_type
            return made
        more = self._more_views
        if more is None:
            more = self._more_views = {}
        if view_type not in more:
            more[view_type] = msgspec.convert(self.object, view_type)
        found: View = more[view_type]
        return found

    def json(self) -> bytes:
        """The wire's JSON bytes; encoded when first asked for."""
        if self._json is None:
            self._json = orjson.dumps(self.object)
        return self._json


Records = list[Stored]
Dependents = list[tuple[str, Stored]]
"""(kind, record) of each."""


class Change(msgspec.Struct, eq=False, gc=False):
    """One committed write. type: ADDED (old is None), MODIFIED, DELETED (new is None); revision: the store's at that
    write."""

    type: str
    kind: str
    old: Stored | None
    new: Stored | None
    revision: int

    @property
    def object(self) -> Object:
        """The newest form: the new object, or the last one before a deletion."""
        record = self.new if self.new is not None else self.old
        assert record is not None
        return record.object


class _Table:
    """One kind: records in creation order, and the indexes over them. Indexes hold keys, so an update touches only
    `rows`."""

    __slots__ = ("by_index", "by_namespace", "by_owner", "functions", "rows", "watches")

    def __init__(self, functions: Mapping[str, IndexFunction]) -> None:
        self.rows: dict[Key, Stored] = {}
        self.by_namespace: dict[str, dict[Key, None]] = {}
        self.by_owner: dict[str, dict[Key, None]] = {}
        self.functions = tuple(functions.items())
        self.by_index: dict[str, dict[str, dict[Key, None]]] = {name: {} for name in functions}
        self.watches: list[Watch] = []


def controller_uid(obj: Object) -> str:
    """The uid of the ownerReference with `controller: true`, or ""."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return str(reference["uid"])
    return ""


class Store:
    """All objects of one world. Nothing waits here; nothing is copied on the way out.

    indexes: {kind: {index name: function(object) -> keys}}; history: how many changes a late watch may catch up on.
    """

    def __init__(
        self, indexes: Mapping[str, Mapping[str, IndexFunction]] | None = None, history: int = WATCH_HISTORY
    ) -> None:
        self._indexes = indexes or {}
        self._tables: dict[str, _Table] = {}
        self._dependents: dict[str, dict[tuple[str, Key], None]] = {}
        self._watch_all: list[Watch] = []
        self._history: deque[Change] = deque(maxlen=history)
        self._forgotten = 0
        self.revision = 0

    # Reading

    def get(self, kind: str, namespace: str, name: str) -> Stored | None:
        table = self._tables.get(kind)
        return None if table is None else table.rows.get((namespace, name))

    def list(self, kind: str, namespace: str = "") -> Records:
        """All records of a kind, or of one namespace of it, in creation order."""
        table = self._tables.get(kind)
        if table is None:
            return []
        if not namespace:
            return [*table.rows.values()]
        return [*map(table.rows.__getitem__, table.by_namespace.get(namespace, ()))]

    def count(self, kind: str) -> int:
        table = self._tables.get(kind)
        return 0 if table is None else len(table.rows)

    def kinds(self) -> tuple[str, ...]:
        """The kinds that have or had objects, in the order of their first write or watch."""
        return (*self._tables,)

    def owned(self, kind: str, owner_uid: str) -> Records:
        """The objects whose controlling owner has this uid, in creation order."""
        table = self._tables.get(kind)
        return [] if table is None else [*map(table.rows.__getitem__, table.by_owner.get(owner_uid, ()))]

    def indexed(self, kind: str, index: str, key: str) -> Records:
        """The objects for which the named index function gave this key; KeyError when the index was never declared."""
        if index not in self._indexes.get(kind, ()):
            raise KeyError(f"kind {kind!r} has no index {index!r}")
        table = self._tables.get(kind)
        return [] if table is None else [*map(table.rows.__getitem__, table.by_index[index].get(key, ()))]

    def has_index(self, kind: str, index: str) -> bool:
        return index in self._indexes.get(kind, ())

    def dependents(self, owner_uid: str) -> Dependents:
        """(kind, record) of everything that names this uid in its ownerReferences, controller or not."""
        return [(kind, self._tables[kind].rows[key]) for kind, key in self._dependents.get(owner_uid, ())]

    # Writing: for the write path only

    def put(self, kind: str, obj: Object) -> Stored:
        """Store this object as the newest version and tell the watchers; it gets the next resourceVersion."""
        table = self._table(kind)
        metadata = obj["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        self.revision = revision = self.revision + 1
        stored = Stored({**obj, "metadata": {**metadata, "resourceVersion": str(revision)}}, revision)
        old = table.rows.get(key)
        table.rows[key] = stored
        if old is None:
            table.by_namespace.setdefault(key[0], {})[key] = None
            self._relate(table, kind, key, (), metadata.get("ownerReferences") or ())
            change = Change(ADDED, kind, None, stored, revision)
        else:
            before, after = old.object["metadata"].get("ownerReferences"), metadata.get("ownerReferences")
            if before is not after:
                self._relate(table, kind, key, before or (), after or ())
            change = Change(MODIFIED, kind, old, stored, revision)
        if table.functions and not (old is not None and _indexes_alike(old.object, obj)):
            self._index(table, key, None if old is None else old.object, obj)
        self._tell(table, change)
        return stored

    def remove(self, kind: str, namespace: str, name: str) -> Stored | None:
        """Take the object out; gives its last record, or None when there was none."""
        table = self._table(kind)
        key = (namespace, name)
        old = table.rows.pop(key, None)
        if old is None:
            return None
        self.revision += 1
        _discard(table.by_namespace, namespace, key)
        self._relate(table, kind, key, old.object["metadata"].get("ownerReferences") or (), ())
        if table.functions:
            self._index(table, key, old.object, None)
        self._tell(table, Change(DELETED, kind, old, None, self.revision))
        return old

    # Watching

    def watch(self, *kinds: str, since: int | None = None) -> Watch:
        """Changes of these kinds (of all, when none is named), in commit order, from now on or after revision `since`.

        Raises Gone when `since` is older than the kept history: list again, then watch from the list's revision.
        """
        watch = Watch(self._forget)
        if since is not None:
            self._replay(watch, kinds, since)
        if kinds:
            for kind in kinds:
                self._table(kind).watches.append(watch)
        else:
            self._watch_all.append(watch)
        return watch

    def follow(self, watch: Watch, *kinds: str) -> None:
        """From now on this watch tells changes of these kinds too."""
        for kind in kinds:
            watches = self._table(kind).watches
            if watch not in watches:
                watches.append(watch)

    @property
    def compacted(self) -> int:
        """The oldest revision from which changes are still known."""
        history = self._history
        return history[0].revision - 1 if history and len(history) == history.maxlen else self._forgotten

    def list_at(self, kind: str, namespace: str, revision: int) -> Records:
        """What `list` gave at an older revision; Gone when that is no longer known."""
        if revision < self.compacted:
            raise Gone(f"too old resource version: {revision} ({self.compacted})")
        rows = {_key_of(stored): stored for stored in self.list(kind, namespace)}
        for change in reversed(self._history):
            if change.revision <= revision:
                break
            if change.kind != kind:
                continue
            key = _key_of(change.new if change.new is not None else change.old)
            if namespace and key[0] != namespace:
                continue
            if change.old is None:
                rows.pop(key, None)
            else:
                rows[key] = change.old
        return [*rows.values()]

    def restore(self, records: Iterable[tuple[str, Stored]], history: Iterable[Change], revision: int) -> None:
        """Fill an empty store with what a disk kept: records in creation order, its changes, its revision."""
        for kind, stored in records:
            table = self._table(kind)
            key = _key_of(stored)
            table.rows[key] = stored
            table.by_namespace.setdefault(key[0], {})[key] = None
            self._relate(table, kind, key, (), stored.object["metadata"].get("ownerReferences") or ())
            if table.functions:
                self._index(table, key, None, stored.object)
        self._history.extend(history)
        self.revision = revision
        self._forgotten = self._history[0].revision - 1 if self._history else revision

    def _replay(self, watch: Watch, kinds: tuple[str, ...], since: int) -> None:
        history = self._history
        compacted = self.compacted
        if since < compacted:
            raise Gone(f"too old resource version: {since} ({compacted})")
        for change in history:
            if change.revision > since and (not kinds or change.kind in kinds):
                watch.push(change)

    def _forget(self, watch: Watch) -> None:
        for watches in [self._watch_all, *(table.watches for table in self._tables.values())]:
            if watch in watches:
                watches.remove(watch)

    def _tell(self, table: _Table, change: Change) -> None:
        self._history.append(change)
        for watch in table.watches:
            watch.push(change)
        for watch in self._watch_all:
            watch.push(change)

    # Indexes

    def _table(self, kind: str) -> _Table:
        table = self._tables.get(kind)
        if table is None:
            table = self._tables[kind] = _Table(self._indexes.get(kind, {}))
        return table

    def _relate(
        self,
        table: _Table,
        kind: str,
        key: Key,
        before: Iterable[Mapping[str, Any]],
        after: Iterable[Mapping[str, Any]],
    ) -> None:
        for reference in before:
            _discard(self._dependents, reference["uid"], (kind, key))
            if reference.get("controller"):
                _discard(table.by_owner, reference["uid"], key)
        for reference in after:
            self._dependents.setdefault(reference["uid"], {})[(kind, key)] = None
            if reference.get("controller"):
                table.by_owner.setdefault(reference["uid"], {})[key] = None

    @staticmethod
    def _index(table: _Table, key: Key, old: Object | None, new: Object | None) -> None:
        for name, function in table.functions:
            before = tuple(function(old)) if old is not None else ()
            after = tuple(function(new)) if new is not None else ()
            if before == after:
                continue
            index = table.by_index[name]
            for word in before:
                _discard(index, word, key)
            for word in after:
                index.setdefault(word, {})[key] = None


def _indexes_alike(old: Object, new: Object) -> bool:
    """Whether only the status differs, or what else an index cannot depend on: most writes are of that sort."""
    before, after = old["metadata"], new["metadata"]
    if before is after:
        return old.get("spec") is new.get("spec") and old.keys() == new.keys() and "status" in new
    return False


def _key_of(stored: Stored | None) -> Key:
    assert stored is not None
    metadata = stored.object["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _discard(index: dict[str, dict[Any, None]], word: str, key: Any) -> None:
    """Drop a key, and its bucket when that was the last one: uids come and go for ever."""
    bucket = index.get(word)
    if bucket is not None:
        bucket.pop(key, None)
        if not bucket:
            del index[word]
