"""Virtual time: an asyncio event loop whose clock jumps to the next timer when nothing is ready.

Controllers stay ordinary asyncio. Time never passes while something can run; it is set to the earliest deadline
exactly (deadlines are never summed), and every timer due then is released in creation order. Equal programs give equal
runs: tasks and futures hash by a per-loop serial number, not by address, so sets of them iterate alike everywhere.

`run` is the entrance. Inside it the real world is out of reach (`base.guard`), a dead end raises `Stalled` with the
list of who waits for what, and a loop that spins without time moving raises `Livelock`.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import base_events, events
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context
from itertools import count
from typing import Any, NoReturn, TypeVar, TypeVarTuple, Unpack

from pilothouse.base import guard, limits
from pilothouse.base.errors import Forbidden, Livelock, Stalled
from pilothouse.base.trace import Trace

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _Future(asyncio.Future[Any]):
    """A future that hashes by creation order."""

    def __init__(self, *, loop: VirtualLoop) -> None:
        super().__init__(loop=loop)
        self._serial = next(loop.serials)

    def __hash__(self) -> int:
        return self._serial


class _Task(asyncio.Task[Any]):
    """A task that hashes by creation order."""

    def __init__(self, coro: Coroutine[Any, Any, Any], *, loop: VirtualLoop, **kwargs: Any) -> None:
        # Before super().__init__: that one registers the task in a set, which hashes it.
        self._serial = next(loop.serials)
        super().__init__(coro, loop=loop, **kwargs)

    def __hash__(self) -> int:
        return self._serial


class _NoSelector:
    """BaseEventLoop closes and lists a selector; there is nothing to select in virtual time."""

    def close(self) -> None:
        pass

    def get_map(self) -> dict[int, Any]:
        return {}


class VirtualLoop(base_events.BaseEventLoop):
    """`time()` is virtual seconds from 0. `events` counts callbacks run, `trace` (optional) hashes them."""

    # Attributes of BaseEventLoop that typeshed leaves out.
    _ready: Any
    _stopping: bool

    def __init__(self, *, trace: Trace | None = None) -> None:
        super().__init__()
        self._now_s = 0.0
        self._timers: list[tuple[float, int, events.TimerHandle]] = []
        self._timer_serials = count()
        self._second_started_at = 0
        self._current_second = 0
        self._selector = _NoSelector()
        self._clock_resolution = 0.0
        self.serials = count(1)
        self.events = 0
        self.trace = trace
        self.set_task_factory(self._make_task)

    def _make_task(
        self,
        _loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        **kwargs: Any,
    ) -> asyncio.Task[Any]:
        return _Task(coro, loop=self, **kwargs)  # type: ignore[arg-type]  # generators are not started as tasks here

    def create_future(self) -> asyncio.Future[Any]:
        return _Future(loop=self)

    def time(self) -> float:
        return self._now_s

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> events.TimerHandle:
        handle = events.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._timer_serials), handle))
        return handle

    def call_later(
        self, delay: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> events.TimerHandle:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        """Cancelled timers stay in the heap until their turn; taking them out early would cost a search."""

    def _run_once(self) -> None:
        ready = self._ready
        if not ready and not self._advance():
            return
        batch = len(ready)
        self._count(batch)
        trace = self.trace
        for _ in range(batch):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            if trace is not None:
                trace.record(self._now_s, handle._callback)
            handle._run()

    def _advance(self) -> bool:
        """Moves time to the next deadline and releases its timers; False when the loop is asked to stop."""
        timers, ready = self._timers, self._ready
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not timers:
            if self._stopping:
                return False
            raise Stalled(self.waiting())
        self._now_s = now = max(timers[0][0], self._now_s)
        while timers and timers[0][0] <= now:
            handle = heapq.heappop(timers)[2]
            if not handle.cancelled():
                ready.append(handle)
        return True

    def _count(self, batch: int) -> None:
        self.events += batch
        second = int(self._now_s)
        if second != self._current_second:
            self._current_second, self._second_started_at = second, self.events
        elif self.events - self._second_started_at > limits.EVENTS_PER_VIRTUAL_SECOND:
            raise Livelock(
                f"{limits.EVENTS_PER_VIRTUAL_SECOND} events ran at virtual second {second} and time did not move on; "
                "something requeues itself without a delay. Busy now:\n  " + "\n  ".join(self.waiting())
            )

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """An exception in a timer's callback ends the run: asyncio would print it and go on with wrong numbers."""
        error = context.get("exception")
        if "handle" in context and isinstance(error, BaseException):
            raise error
        super().call_exception_handler(context)

    def abandon(self) -> None:
        """Ends what a broken run left behind, without running it on and without asyncio's warnings."""
        for task in sorted(asyncio.all_tasks(self), key=hash):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            with suppress(RuntimeError):  # a coroutine that awaits while it is closed is left as it is
                task.get_coro().close()

    def waiting(self) -> list[str]:
        """Who waits for what: one line a task, oldest first (`reconcile deployment: waits in batch, watch.py:41`)."""
        tasks = sorted(asyncio.all_tasks(self), key=hash)
        return [_describe(task) for task in tasks]

    # -- what virtual time cannot have --

    def _write_to_self(self) -> None:
        """No other thread exists that could need waking."""

    def _process_events(self, event_list: Any) -> None:
        """No selector, no events."""

    def run_in_executor(self, _executor: object, func: Callable[..., Any], *_args: object) -> NoReturn:
        raise Forbidden(f"run_in_executor({getattr(func, '__qualname__', func)}): threads do not run in virtual time")

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> events.Handle:
        # One thread only, by the guard; so this is call_soon.
        return self.call_soon(callback, *args, context=context)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""


def _forbidden(name: str) -> Callable[..., NoReturn]:
    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        raise Forbidden(f"loop.{name}: real I/O does not happen in virtual time")

    return refuse


_REAL_IO = """add_reader add_writer remove_reader remove_writer add_signal_handler connect_accepted_socket
    connect_read_pipe connect_write_pipe create_connection create_datagram_endpoint create_server
    create_unix_connection create_unix_server getaddrinfo getnameinfo sendfile sock_accept sock_connect sock_recv
    sock_recv_into sock_recvfrom sock_sendall sock_sendfile sock_sendto start_tls subprocess_exec subprocess_shell"""
for _name in _REAL_IO.split():
    setattr(VirtualLoop, _name, _forbidden(_name))


def _describe(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=1)
    coro = task.get_coro()
    name = getattr(coro, "__qualname__", repr(coro))
    inner: Any = coro
    # The innermost awaited coroutine says what is really waited for.
    while getattr(inner, "cr_await", None) is not None and hasattr(inner.cr_await, "cr_frame"):
        inner = inner.cr_await
    frame = getattr(inner, "cr_frame", None) or (frames[0] if frames else None)
    if frame is None:
        return f"{task.get_name()} ({name})"
    place = f"{frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno}"
    return f"{task.get_name()} ({name}): waits in {frame.f_code.co_qualname}, {place}"


def run(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]], *, trace: Trace | None = None) -> T:
    """Runs `main(loop)` to its end in virtual time and returns its result; tasks left over are cancelled.

    Raises what main raises; `Stalled`, `Livelock`, `Forbidden` when virtual time is broken. Never waits for real.
    """
    loop = VirtualLoop(trace=trace)
    with guard.armed():
        try:
            asyncio.set_event_loop(loop)
            try:
                return loop.run_until_complete(main(loop))
            finally:
                loop.run_until_complete(_cancel_all(loop))
        finally:
            loop.abandon()
            asyncio.set_event_loop(None)
            loop.close()


async def _cancel_all(loop: VirtualLoop) -> None:
    me = asyncio.current_task()
    left = [task for task in sorted(asyncio.all_tasks(loop), key=hash) if task is not me]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
