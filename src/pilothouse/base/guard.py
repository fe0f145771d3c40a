"""Keeps a rehearsal off the real world: sockets, subprocesses, sleeps and threads raise `Forbidden` while armed.

An audit hook sees most of them; `time.sleep` and thread starts are not audited on CPython 3.11, so their names are
replaced while armed. What cannot be caught here (wall clocks, `random`, `uuid4`) is caught by the ban-words test and by
`--verify`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from pilothouse.base.errors import Forbidden

_BANNED = frozenset(
    [
        "socket.connect",
        "socket.bind",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "socket.sendto",
        "subprocess.Popen",
        "os.system",
        "os.fork",
        "os.forkpty",
        "os.exec",
        "os.posix_spawn",
        "_thread.start_new_thread",
    ]
)


class _Switch:
    """One audit hook a process (hooks cannot be removed), turned on and off by a counter."""

    def __init__(self) -> None:
        self.depth = 0
        self.installed = False

    def hook(self, event: str, _args: tuple[Any, ...]) -> None:
        if self.depth and event in _BANNED:
            raise Forbidden(f"{event}: the real world is out of reach in a rehearsal")


_switch = _Switch()


def _refuse_sleep(_seconds: float) -> NoReturn:
    raise Forbidden("time.sleep: use `await asyncio.sleep`, which is virtual in a rehearsal")


def _refuse_thread(_thread: threading.Thread) -> NoReturn:
    raise Forbidden("threading.Thread.start: threads do not run in virtual time")


@contextmanager
def armed() -> Iterator[None]:
    """While inside, reaching for the real world raises `Forbidden`."""
    if not _switch.installed:
        sys.addaudithook(_switch.hook)
        _switch.installed = True
    sleep, start = time.sleep, threading.Thread.start
    time.sleep = _refuse_sleep  # type: ignore[assignment]  # both are put back below
    threading.Thread.start = _refuse_thread  # type: ignore[method-assign, assignment]
    _switch.depth += 1
    try:
        yield
    finally:
        _switch.depth -= 1
        time.sleep = sleep
        threading.Thread.start = start  # type: ignore[method-assign]
