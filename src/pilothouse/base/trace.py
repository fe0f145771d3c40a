"""A running hash of everything a virtual loop does, with checkpoints, so that two runs can be compared and the first
difference found without keeping the whole history.

Event = (virtual time, name of the callback or coroutine). `window` keeps a stretch of events as text for the last step
of a bisection.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import Callable
from typing import Any

CHECKPOINT_EVERY = 1_024


class Trace:
    """Feeds every event into BLAKE2b; `checkpoints[i]` is the digest after (i + 1) * CHECKPOINT_EVERY events."""

    __slots__ = ("_hash", "checkpoints", "count", "kept", "window")

    def __init__(self, window: tuple[int, int] = (0, 0)) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self.count = 0
        self.checkpoints: list[str] = []
        self.window = window
        self.kept: list[str] = []

    def record(self, now_s: float, callback: Callable[..., Any]) -> None:
        name = _name(callback)
        self._hash.update(struct.pack("<d", now_s) + name.encode())
        low, high = self.window
        if low <= self.count < high:
            self.kept.append(f"{now_s:.6f}s {name}")
        self.count += 1
        if self.count % CHECKPOINT_EVERY == 0:
            self.checkpoints.append(self._hash.hexdigest())

    def note(self, text: str) -> None:
        """Hashes something that was decided (a stored version, a row of samples) without counting an event."""
        self._hash.update(text.encode())

    def digest(self) -> str:
        return self._hash.hexdigest()


def _name(callback: Callable[..., Any]) -> str:
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        coro = owner.get_coro()
        # Not the task's name: asyncio numbers those per process. The hash is the loop's own serial.
        return f"{hash(owner)}:{getattr(coro, '__qualname__', '?')}"
    return str(getattr(callback, "__qualname__", type(callback).__qualname__))


def first_difference(left: list[str], right: list[str]) -> int:
    """Index of the first differing checkpoint, else the shorter length; digests are cumulative, so it bisects."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high) // 2
        if left[middle] == right[middle]:
            low = middle + 1
        else:
            high = middle
    return low
