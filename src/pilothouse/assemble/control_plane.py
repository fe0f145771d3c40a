"""The control plane of any world: store, write path, client, events and controllers, built from the written lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pilothouse.assemble.controllers import controllers, indexes
from pilothouse.assemble.kinds import KINDS
from pilothouse.base.clock import Clock
from pilothouse.base.entropy import Entropy
from pilothouse.kinds.argoproj.analysisrun.providers import Providers
from pilothouse.kinds.core.pod.scheduler import Scheduler
from pilothouse.machinery.client import Client
from pilothouse.machinery.events import EventRecorder
from pilothouse.machinery.garbage import GarbageCollector
from pilothouse.machinery.ports import MetricsReader
from pilothouse.machinery.reconcile import Failure, Reconciler
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store


@dataclass(slots=True)
class Core:
    """What exists before anything runs: objects can be read and written."""

    clock: Clock
    entropy: Entropy
    store: Store
    client: Client
    events: EventRecorder


def build_core(clock: Clock, entropy: Entropy) -> Core:
    """An empty control plane without controllers."""
    store = Store(indexes())
    write_path = WritePath(store, KINDS, clock, entropy)
    events = EventRecorder(clock)
    return Core(clock, entropy, store, Client(write_path, {"Event": events}), events)


class ControlPlane:
    """The controllers, the scheduler and the garbage collector over a core. `on_failure` gets every failed reconcile;
    `without`: names of controllers that this world leaves out."""

    def __init__(
        self,
        core: Core,
        metrics: MetricsReader,
        on_failure: Callable[[Failure], None] | None = None,
        round_s: Callable[[], float] = lambda: 0.0,
        without: frozenset[str] = frozenset(),
        providers: Providers | None = None,
    ) -> None:
        self.core = core
        self.scheduler = Scheduler(core.client, core.events, core.clock)
        self.reconciler = Reconciler(
            core.client,
            core.events,
            core.clock,
            [c for c in controllers(core.client, metrics, providers) if c.name not in without],
            on_failure=on_failure,
            round_s=round_s,
        )
        self.garbage = GarbageCollector(core.client)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> list[asyncio.Task[None]]:
        """Starts everything, in order; the caller watches the tasks for broken invariants."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            *self.reconciler.start(),
            loop.create_task(self.scheduler.run(), name="scheduler"),
            self.garbage.start(),
        ]
        return self._tasks

    async def stop(self) -> None:
        """Ends everything after the key it is working on."""
        self.scheduler.close()
        self.garbage.close()
        await self.reconciler.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
