"""The store's memory on disk: every change as a row of an SQLite file, committed in groups.

    changes(revision, type, kind, namespace, name, born, object)   one row a change; the newest of a name is its state

A task takes what has gathered since the last commit and writes it in one transaction (WAL, synchronous=FULL), so that
the cost of reaching the disk is shared by everybody who waits. A write is acknowledged when `durable` has returned for
its revision; readers of the API wait for it too, so nobody ever sees what a crash could take back. Rows that nobody can
ask for any more (superseded before the kept history) are deleted now and then.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import orjson

from pilothouse.base.errors import Finding, InputError, PilothouseError, Place
from pilothouse.base.limits import WATCH_HISTORY
from pilothouse.store.memory import DELETED, Change, IndexFunction, Key, Store, Stored

FORMAT = "1"
_COMPACT_AFTER = 4_096
"""Dead rows that gather before they are deleted: a delete then costs a fraction of the writes that caused it."""

_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
    revision INTEGER PRIMARY KEY, type TEXT NOT NULL, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    born INTEGER NOT NULL, object BLOB NOT NULL
);
"""

Row = tuple[int, str, str, str, str, int, bytes]


class DiskFailed(PilothouseError):
    """The disk refused a commit; nothing is acknowledged any more."""


class Disk:
    """One file. Open it, `restore` a store from it, then `start`; `durable` waits, `stop` ends."""

    def __init__(self, file: Path) -> None:
        """Open or create the file; InputError when it cannot be used or somebody else has it."""
        self._file = file
        try:
            self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=0.5)
            run = self._connection.execute
            run("PRAGMA locking_mode=EXCLUSIVE")
            run("PRAGMA journal_mode=WAL")
            run("PRAGMA synchronous=FULL")
            self._connection.executescript(_TABLES)
            found = run("SELECT value FROM facts WHERE name = 'format'").fetchone()
            if found is None:
                run("INSERT INTO facts VALUES ('format', ?)", (FORMAT,))
        except sqlite3.Error as error:
            raise _unusable(file, str(error)) from None
        if found is not None and found[0] != FORMAT:
            raise _unusable(file, f"it has format {found[0]}, this version writes format {FORMAT}")
        self._born: dict[tuple[str, Key], int] = {}
        self._dead: deque[tuple[int, int]] = deque()
        self._durable = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._failure: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    # Reading

    def restore(
        self, indexes: Mapping[str, Mapping[str, IndexFunction]] | None = None, history: int = WATCH_HISTORY
    ) -> Store:
        """The store as it was when the last commit reached the disk, with the changes that watches may resume from."""
        store = Store(indexes, history)
        current: dict[tuple[str, Key], Stored] = {}
        changes: deque[Change] = deque(maxlen=history)
        revision = 0
        for revision, kind_of, kind, namespace, name, born, text in self._rows():
            at = (kind, (namespace, name))
            old = current.get(at)
            if kind_of == DELETED:
                current.pop(at, None)
                self._born.pop(at, None)
                self._dead.append((revision, revision))
                new = None
            else:
                new = current[at] = Stored(orjson.loads(text), revision, _json=text)
                self._born[at] = born
            if old is not None:
                self._dead.append((revision, old.resource_version))
                changes.append(Change(kind_of, kind, old, new, revision))
            elif new is not None and born == revision:
                changes.append(Change(kind_of, kind, None, new, revision))
            else:
                changes.clear()  # The row before it is gone: history begins after here.
        in_order = sorted(current.items(), key=lambda item: self._born[item[0]])
        store.restore([(kind, stored) for (kind, _key), stored in in_order], changes, revision)
        self._durable = revision
        return store

    def _rows(self) -> Iterable[Row]:
        query = "SELECT revision, type, kind, namespace, name, born, object FROM changes ORDER BY revision"
        try:
            yield from self._connection.execute(query)
        except sqlite3.Error as error:
            raise _unusable(self._file, str(error)) from None

    # Writing

    def start(self, store: Store, on_failure: Callable[[Exception], None] | None = None) -> None:
        """Follow the store from now on; what it holds already and the disk does not is written first."""
        watch = store.watch(since=self._durable)
        self._store, self._watch, self._on_failure = store, watch, on_failure
        self._task = asyncio.get_running_loop().create_task(self._run(), name="disk")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        async for batch in self._watch:
            rows = [self._row(change) for change in batch]
            dead = self._dead_before(self._store.compacted)
            try:
                await loop.run_in_executor(None, self._commit, rows, dead)
            except sqlite3.Error as error:
                self._fail(error)
                return
            self._durable = batch[-1].revision
            self._wake()

    def _wake(self) -> None:
        """Let everybody go on whose revision is on disk; who waits for less may stand behind who waits for more."""
        waiting, self._waiting = self._waiting, deque()
        for revision, future in waiting:
            if revision > self._durable:
                self._waiting.append((revision, future))
            elif not future.done():
                future.set_result(None)

    def _row(self, change: Change) -> Row:
        record = change.new if change.new is not None else change.old
        assert record is not None
        metadata = record.object["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        at = (change.kind, key)
        if change.old is not None:
            self._dead.append((change.revision, change.old.resource_version))
        if change.new is None:
            self._dead.append((change.revision, change.revision))
            born = self._born.pop(at, 0)
            return (change.revision, DELETED, change.kind, *key, born, b"")
        born = self._born.setdefault(at, change.revision)
        return (change.revision, change.type, change.kind, *key, born, record.json())

    def _dead_before(self, horizon: int) -> list[tuple[int]]:
        """Rows that no watch or list can reach any more, once enough have gathered."""
        dead = self._dead
        if len(dead) < _COMPACT_AFTER or dead[_COMPACT_AFTER - 1][0] > horizon:
            return []
        out: list[tuple[int]] = []
        while dead and dead[0][0] <= horizon:
            out.append((dead.popleft()[1],))
        return out

    def _commit(self, rows: list[Row], dead: list[tuple[int]]) -> None:
        connection = self._connection
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        if dead:
            connection.executemany("DELETE FROM changes WHERE revision = ?", dead)
        connection.execute("COMMIT")

    def _fail(self, error: Exception) -> None:
        self._failure = error
        for _revision, future in self._waiting:
            if not future.done():
                future.set_exception(DiskFailed(f"the disk refused a write: {error}"))
        self._waiting.clear()
        if self._on_failure is not None:
            self._on_failure(error)

    async def durable(self, revision: int) -> None:
        """Wait until every change up to this revision is on disk. Raises DiskFailed when it will never be."""
        if revision <= self._durable:
            return
        if self._failure is not None:
            raise DiskFailed(f"the disk refused a write: {self._failure}")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((revision, future))
        await future

    async def stop(self) -> None:
        """Write what is left and close the file."""
        if self._task is not None:
            if self._failure is None:
                await self.durable(self._store.revision)
            self._watch.close()
            await self._task
        self.close()

    def close(self) -> None:
        self._connection.close()


def _unusable(file: Path, why: str) -> InputError:
    remedy = (
        "stop the other process, or give another folder" if "locked" in why else "give another folder, or move it away"
    )
    return InputError(Finding("PH514", f"the data cannot be used: {why}", Place(str(file)), remedy))
