"""Time as an argument: the one `Clock` that everything is given. Real clocks are read here and nowhere else.

A `Clock` counts seconds since 1970 (`time()`); `monotonic()` never goes back. In rehearsal both follow virtual time.
"""

from __future__ import annotations

import asyncio
import time as _time
from datetime import UTC, datetime, timedelta
from typing import Protocol

DEFAULT_EPOCH_S = 1_767_571_200.0
"""Monday 2026-01-05T00:00:00Z: where a rehearsal starts when nobody says otherwise."""


class Clock(Protocol):
    """What code may know about time."""

    def time(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""


class VirtualClock:
    """The clock of a rehearsal: `epoch_s` plus the virtual loop's time."""

    __slots__ = ("_loop", "epoch_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, epoch_s: float = DEFAULT_EPOCH_S) -> None:
        self._loop = loop
        self.epoch_s = epoch_s

    def time(self) -> float:
        return self.epoch_s + self._loop.time()

    def monotonic(self) -> float:
        return self._loop.time()


class WallClock:
    """The clock of the live world."""

    def time(self) -> float:
        return _time.time()

    def monotonic(self) -> float:
        return _time.monotonic()


class ManualClock:
    """A clock for pure tests: it stands still until `advance`."""

    def __init__(self, epoch_s: float = DEFAULT_EPOCH_S) -> None:
        self._epoch_s = epoch_s
        self._elapsed_s = 0.0

    def time(self) -> float:
        return self._epoch_s + self._elapsed_s

    def monotonic(self) -> float:
        return self._elapsed_s

    def advance(self, seconds: float) -> None:
        self._elapsed_s += seconds


def datetime_of(unix_s: float) -> datetime:
    """The UTC datetime of a moment."""
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=unix_s)


def rfc3339(unix_s: float) -> str:
    """`2026-01-05T00:00:00Z`: Kubernetes' metav1.Time, cut to whole seconds."""
    return datetime_of(int(unix_s // 1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(unix_s: float) -> str:
    """`2026-01-05T00:00:00.000000Z`: Kubernetes' metav1.MicroTime."""
    return datetime_of(unix_s).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_rfc3339(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time; ValueError when it is none."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.timestamp()


def cpu_seconds() -> float:
    """CPU seconds this process has used: for progress and benchmarks, never for decisions."""
    return _time.process_time()


def wall_seconds() -> float:
    """Real seconds for progress displays, never for decisions."""
    return _time.perf_counter()
