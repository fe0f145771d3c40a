"""What was acknowledged is there again: objects, versions, order, and the changes that watches resume from."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pilothouse.base.errors import Gone, InputError
from pilothouse.store.disk import Disk, DiskFailed
from pilothouse.store.memory import Store


def thing(name: str, size: int = 1, **metadata: object) -> dict[str, Any]:
    return {"metadata": {"namespace": "a", "name": name, "uid": f"u-{name}", **metadata}, "spec": {"size": size}}


async def written(file: Path, *writes: tuple[str, str, int]) -> Store:
    """A store that saw these writes ("put" or "remove", name, size), stopped cleanly."""
    disk = Disk(file)
    store = disk.restore()
    disk.start(store)
    for action, name, size in writes:
        if action == "put":
            store.put("Thing", thing(name, size))
        else:
            store.remove("Thing", "a", name)
        await disk.durable(store.revision)
    await disk.stop()
    return store


def reopened(file: Path, **options: int) -> Store:
    disk = Disk(file)
    try:
        return disk.restore(**options)  # type: ignore[arg-type]
    finally:
        disk.close()


def objects(store: Store) -> list[Any]:
    return [stored.object for stored in store.list("Thing")]


def test_a_restart_gives_the_same_objects_in_the_same_order(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    before = asyncio.run(
        written(file, ("put", "b", 1), ("put", "a", 1), ("put", "b", 2), ("put", "c", 1), ("remove", "a", 0))
    )
    after = reopened(file)
    assert objects(after) == objects(before)
    assert [obj["metadata"]["name"] for obj in objects(after)] == ["b", "c"]
    assert after.revision == before.revision == 5


def test_versions_go_on_where_they_were(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    asyncio.run(written(file, ("put", "a", 1), ("remove", "a", 0)))
    store = asyncio.run(written(file, ("put", "a", 2)))
    assert objects(store)[0]["metadata"]["resourceVersion"] == "3"


def test_a_watch_resumes_over_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    asyncio.run(written(file, ("put", "a", 1), ("put", "a", 2), ("put", "b", 1), ("remove", "b", 0)))
    changes = reopened(file).watch("Thing", since=1).take()
    assert [(change.type, change.revision) for change in changes] == [("MODIFIED", 2), ("ADDED", 3), ("DELETED", 4)]
    assert changes[0].old is not None
    assert changes[0].old.object["spec"] == {"size": 1}


def test_older_than_the_kept_history_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    asyncio.run(written(file, *[("put", f"t{number}", 1) for number in range(9)]))
    store = reopened(file, history=4)
    assert len(store.watch("Thing", since=5).take()) == 4
    with pytest.raises(Gone):
        store.watch("Thing", since=4)


def test_what_is_on_disk_when_durable_returns_survives_without_a_goodbye(tmp_path: Path) -> None:
    """Copies the files while the server runs, as a crash would leave them."""

    async def crash() -> None:
        disk = Disk(tmp_path / "store.db")
        store = disk.restore()
        disk.start(store)
        for number in range(20):
            store.put("Thing", thing(f"t{number}"))
        await disk.durable(store.revision)
        for file in tmp_path.iterdir():
            shutil.copy(file, tmp_path / f"crashed-{file.name}")
        await disk.stop()

    asyncio.run(crash())
    assert len(objects(reopened(tmp_path / "crashed-store.db"))) == 20


def test_many_writers_share_a_commit(tmp_path: Path) -> None:
    commits: list[int] = []

    class Counting(Disk):
        def _commit(self, rows: Any, dead: Any) -> None:
            commits.append(len(rows))
            super()._commit(rows, dead)

    async def main() -> None:
        disk = Counting(tmp_path / "store.db")
        store = disk.restore()
        disk.start(store)

        async def write(number: int) -> None:
            store.put("Thing", thing(f"t{number}"))
            await disk.durable(store.revision)

        await asyncio.gather(*[write(number) for number in range(50)])
        await disk.stop()

    asyncio.run(main())
    assert sum(commits) == 50
    assert len(commits) <= 3


def test_rows_that_nobody_can_reach_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilothouse.store.disk._COMPACT_AFTER", 10)
    file = tmp_path / "store.db"

    async def main() -> None:
        disk = Disk(file)
        store = disk.restore(history=5)
        disk.start(store)
        for number in range(100):
            store.put("Thing", thing("same", number))
            await disk.durable(store.revision)
        await disk.stop()

    asyncio.run(main())
    connection = sqlite3.connect(file)
    rows = connection.execute("SELECT count(*) FROM changes").fetchone()[0]
    connection.close()
    assert rows < 30
    store = reopened(file, history=5)
    assert objects(store)[0]["spec"] == {"size": 99}
    assert [change.revision for change in store.watch("Thing", since=95).take()] == [96, 97, 98, 99, 100]


def test_a_refused_commit_is_never_acknowledged(tmp_path: Path) -> None:
    class Full(Disk):
        def _commit(self, rows: Any, dead: Any) -> None:  # noqa: ARG002 - the signature it takes over
            raise sqlite3.OperationalError("database or disk is full")

    async def main() -> None:
        disk = Full(tmp_path / "store.db")
        store = disk.restore()
        disk.start(store)
        store.put("Thing", thing("a"))
        with pytest.raises(DiskFailed, match="full"):
            await disk.durable(1)
        with pytest.raises(DiskFailed):
            await disk.durable(1)
        await disk.stop()

    asyncio.run(main())


def test_another_process_s_file_is_refused(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "store.db")
    with pytest.raises(InputError, match="PH514"):
        Disk(tmp_path / "store.db")
    disk.close()


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("not a database at all, but long enough to look at" * 40)
    with pytest.raises(InputError, match="PH514"):
        Disk(tmp_path / "store.db")
