"""A watch: the changes that one reader has not seen yet, and a way to wait for the next ones.

Belongs to one task. It waits on a future of the running loop, so virtual time drives it like everything else.
`store.memory` pushes; controllers, worlds and the wire read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilothouse.store.memory import Change


class Breath:
    """`await` it to let the other tasks of the loop run once: no timer, no time passes."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Watch:
    """`async for batch in watch:` gives every change once, in commit order, as lists of what had gathered."""

    __slots__ = ("_closed", "_drain", "_forget", "_most", "_pending", "_waiter", "_woken")

    def __init__(self, forget: Callable[[Watch], None]) -> None:
        self._forget = forget
        self._pending: deque[Change] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._woken = False
        self._closed = False
        self._most = 0
        self._drain: Callable[[], None] | None = None

    def bound(self, most: int, drain: Callable[[], None]) -> None:
        """Call `drain` (which takes) whenever `most` changes have gathered: they keep old versions in memory."""
        self._most, self._drain = most, drain

    @property
    def closed(self) -> bool:
        return self._closed

    def push(self, change: Change) -> None:
        """For the store: hand over one change."""
        pending = self._pending
        pending.append(change)
        if self._drain is not None and len(pending) >= self._most:
            self._drain()
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def wake(self) -> None:
        """End the current or next `wait_changed` without a change: its reader has other work."""
        self._woken = True
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def take(self) -> list[Change]:
        """What has gathered, at once; maybe nothing."""
        if not self._pending:
            return []
        batch = [*self._pending]
        self._pending.clear()
        return batch

    async def wait_changed(self) -> None:
        """Wait until there is something to take, or `wake` or `close` was called."""
        if not (self._pending or self._woken or self._closed):
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self._woken = False

    def close(self) -> None:
        """Stop receiving; a loop over the watch ends after what has gathered."""
        if not self._closed:
            self._closed = True
            self._forget(self)
            self.wake()

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> list[Change]:
        while not self._pending:
            if self._closed:
                raise StopAsyncIteration
            await self.wait_changed()
        return self.take()
