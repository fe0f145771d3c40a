"""A watch waits on the loop, gives batches, and ends when it is closed."""

from __future__ import annotations

import asyncio

from pilothouse.store.memory import Change, Store
from pilothouse.store.watch import Breath


def thing(name: str) -> dict[str, object]:
    return {"metadata": {"namespace": "a", "name": name}}


def test_batches_gather_what_was_written_between_two_looks() -> None:
    async def story() -> list[int]:
        store, sizes = Store(), []
        watch = store.watch("A")

        async def read() -> None:
            async for batch in watch:
                sizes.append(len(batch))

        task = asyncio.create_task(read())
        await Breath()
        store.put("A", thing("1"))
        store.put("A", thing("2"))
        await Breath()
        await Breath()
        store.put("A", thing("3"))
        watch.close()
        await task
        return sizes

    assert asyncio.run(story()) == [2, 1]


def test_wake_ends_a_wait_without_a_change() -> None:
    async def story() -> list[Change]:
        watch = Store().watch("A")
        watch.wake()
        await watch.wait_changed()
        waiting = asyncio.create_task(watch.wait_changed())
        await Breath()
        assert not waiting.done()
        watch.wake()
        await waiting
        return watch.take()

    assert asyncio.run(story()) == []


def test_a_closed_watch_receives_nothing_more() -> None:
    store = Store()
    watch = store.watch("A", "B")
    watch.close()
    watch.close()
    store.put("A", thing("1"))
    assert watch.closed
    assert watch.take() == []
