"""The rehearsal world as one value: it assembles pods, traffic, kubelets, machines and recorders, and plays time.

`RehearsalWorld` is what `assemble` makes; it needs a client, a clock, entropy and a database, and acts only through
them. One task steps the traffic model; scrapes and metric samples are taken on their own period, whatever the step.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilothouse.base.clock import Clock
from pilothouse.base.entropy import Entropy
from pilothouse.engines.tsdb import Database
from pilothouse.machinery.client import Client
from pilothouse.machinery.ports import Events
from pilothouse.worlds.rehearsal import faults as f
from pilothouse.worlds.rehearsal.addresses import Addresses
from pilothouse.worlds.rehearsal.arrivals import WINDOW_S
from pilothouse.worlds.rehearsal.autoscaler import Autoscaler
from pilothouse.worlds.rehearsal.history import History
from pilothouse.worlds.rehearsal.kubelet import Kubelet
from pilothouse.worlds.rehearsal.load import LoadChange, LoadTable
from pilothouse.worlds.rehearsal.nodes import Nodes, group_allocatable
from pilothouse.worlds.rehearsal.object_series import ObjectSeries
from pilothouse.worlds.rehearsal.pods import PodTable
from pilothouse.worlds.rehearsal.reader import RESOLUTION_S, ModelMetrics, Query
from pilothouse.worlds.rehearsal.recorder import Recorder
from pilothouse.worlds.rehearsal.service import resolve
from pilothouse.worlds.rehearsal.sizes import WorkloadSizes
from pilothouse.worlds.rehearsal.spec import ASSUMED_PULL, NodeGroup, SpecError, WorldSpec, seconds
from pilothouse.worlds.rehearsal.traffic import Traffic

EXACT_UP_TO = 2_000
"""Up to so many pods a change of the ready set takes effect at its exact moment, above at the end of the present
step."""


@dataclass(frozen=True, slots=True)
class ChangeLoad:
    """From now on the load of a service is `times` as high, or `rps`, for so long; ramp_s to get there and back."""

    service: str
    times: float = 1.0
    rps: float | None = None
    for_s: float = math.inf
    ramp_s: float = 0.0


@dataclass(frozen=True, slots=True)
class StartFault:
    """A fault begins now; for_s: it ends by itself."""

    fault: f.Fault
    for_s: float = math.inf


@dataclass(frozen=True, slots=True)
class StopFault:
    """The fault with the number that StartFault gave ends now."""

    number: int


Event = ChangeLoad | StartFault | StopFault


class RehearsalWorld:
    """A modelled cluster under modelled load.

    After `start`: `metrics` is the port MetricsReader, `addresses` the port Network, `history` what happened so far.
    allocatable: what a node of a group offers; query: instant PromQL for custom metrics. Spec values without meaning
    raise SpecError here.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        entropy: Entropy,
        database: Database,
        spec: WorldSpec,
        *,
        events: Events,
        allocatable: Callable[[NodeGroup], Mapping[str, str]] = group_allocatable,
        query: Query | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._entropy = entropy
        self.spec = spec
        self.services = [resolve(name, model) for name, model in spec.services.items()]
        self._index = {s.name: i for i, s in enumerate(self.services)}
        columns = max((len(s.edges_s) for s in self.services), default=1) + 1
        self._offset_s = clock.time() - clock.monotonic()
        self.load = LoadTable(clock.time())
        for model in spec.services.values():
            self.load.add(model.load)
        self.pods = PodTable(columns)
        self.faults = f.ActiveFaults()
        self.history = History([s.name for s in self.services], [s.edges_s for s in self.services], columns)
        self.traffic = Traffic(self.services, self.load, self.pods, self.faults, entropy, self.history)
        self.addresses = Addresses()
        self.nodes = Nodes(client, clock, entropy, events, self.addresses, spec.cluster, allocatable)
        self._autoscaler = Autoscaler(client, clock, events, self.nodes)
        pull = spec.image_pull or ASSUMED_PULL
        self.kubelet = Kubelet(
            client,
            clock,
            entropy,
            events,
            self.pods,
            self.services,
            self.faults,
            self.addresses,
            self.nodes.index_of,
            image_pull=(seconds(pull.median, "imagePull.median"), pull.sigma),
            missing_images=spec.missing_images,
        )
        self._sizes = WorkloadSizes(client, len(self.services), self.kubelet.workloads)
        self.recorder = Recorder(database, self.pods, self.services, self.faults, spec.metric_names)
        self.object_series = ObjectSeries(client, database, spec.metric_names)
        self.metrics = ModelMetrics(client, clock, self.pods, self.services, self.faults, query)
        self._step_s = None if spec.step == "adaptive" else seconds(spec.step, "step")
        self._scrape_s = seconds(spec.scrape_interval, "scrapeInterval")
        self._done_s = clock.monotonic()
        self._waiting: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._sampled_s = self._offset_s + self._done_s
        self._answers: dict[int, bool] = {}
        self._fault_timers: dict[int, asyncio.TimerHandle] = {}
        self._wire()

    def _wire(self) -> None:
        self.nodes.node_lost = self.kubelet.lose_node
        self.nodes.node_marked = self.kubelet.mark_not_ready
        self.pods.before_change = self._before_change
        self.pods.after_change = self._after_change
        self.traffic.placed = self._placed

    async def start(self) -> None:
        """Machines are there, kubelets follow the store, time begins to be played."""
        await self.nodes.start()
        self.kubelet.start()
        self._autoscaler.start()
        self._task = asyncio.ensure_future(self._play())

    async def stop(self) -> None:
        """Ends all tasks of this world; the history stays."""
        self._catch_up()
        self._after_step()
        self._stopping = True
        for handle in self._fault_timers.values():
            handle.cancel()
        self._wake()
        if self._task is not None:
            await self._task
        await self._autoscaler.stop()
        await self.kubelet.stop()
        await self.nodes.stop()

    def apply(self, event: Event) -> int:
        """An event of the scenario happens now. Gives a fault's number (0 for others); SpecError names what is not
        there."""
        exact = not _kills(event) or len(self.pods) <= EXACT_UP_TO
        if exact:
            self._catch_up()
        number = 0
        match event:
            case ChangeLoad():
                self._change_load(event)
            case StartFault():
                number = self._start_fault(event)
            case StopFault():
                self._stop_fault(event.number)
        if exact:
            self._wake()
        return number

    # Time

    async def _play(self) -> None:
        while not self._stopping:
            target_s = self._next_stop_s()
            await self._wait_until(target_s)
            if self._stopping:
                return
            self._catch_up()
            self._after_step()

    def _next_stop_s(self) -> float:
        """Monotonic time at which the present step ends."""
        now_unix_s = self._offset_s + self._done_s
        if self._step_s is None:
            step_s = self.traffic.next_step_s(now_unix_s)
        else:
            to_mark = WINDOW_S - (now_unix_s + 1e-6) % WINDOW_S + 1e-6
            step_s = min(self._step_s, to_mark, self.load.next_edge(now_unix_s + 1e-6) - now_unix_s)
        to_scrape = self._scrape_s - (now_unix_s + 1e-6) % self._scrape_s + 1e-6
        # Whole microseconds, so that sums of steps stay on the marks.
        return round(self._done_s + min(step_s, to_scrape), 6)

    async def _wait_until(self, at_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiting = waiting = loop.create_future()
        handle = loop.call_at(at_s, self._wake)
        await waiting
        handle.cancel()
        self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _before_change(self) -> None:
        """The ready set is about to change: what came until now met the old one. In a large world single pods do not
        matter that much, and a step for each would cost more than all others together."""
        if len(self.pods) <= EXACT_UP_TO:
            self._catch_up()

    def _after_change(self) -> None:
        """The ready set changed: the step that began before it ends here, in large worlds where it was to end."""
        if len(self.pods) <= EXACT_UP_TO:
            self._wake()

    def _catch_up(self) -> None:
        """Play traffic up to now, across 15-second marks one by one."""
        now_s = self._clock.monotonic()
        while self._done_s < now_s - 1e-9:
            begin = self._offset_s + self._done_s
            mark = round((begin + 1e-6) // WINDOW_S * WINDOW_S + WINDOW_S - self._offset_s, 6)
            end_s = min(now_s, mark)
            started, self._done_s = self._done_s, end_s
            self.traffic.advance(self._offset_s + started, self._offset_s + end_s)

    def _after_step(self) -> None:
        """What follows a step: memory, health checks, and the samples that are due (once, also when steps end
        together)."""
        now_unix_s = self._offset_s + self._done_s
        if now_unix_s == self._sampled_s:
            return
        if self.traffic.overfull is not None:
            slots, self.traffic.overfull = self.traffic.overfull, None
            self.kubelet.out_of_memory(slots)
        self._ask_probes()
        self._sampled_s = now_unix_s
        if _on_mark(now_unix_s, RESOLUTION_S):
            self.metrics.sample(now_unix_s)
        if _on_mark(now_unix_s, self._scrape_s):
            time_ms = round(now_unix_s * 1000)
            if not self.pods.histograms:
                self.object_series.leave_out_pods()
            self.recorder.record(time_ms)
            self.object_series.record(time_ms)
            self.load.forget(now_unix_s)

    def _ask_probes(self) -> None:
        """Tell the kubelet about pods whose answer to health checks changed: those that wait behind a backlog come
        too late."""
        layout = self.traffic.layout
        if layout is None or not (self.traffic.busy or self._answers):
            return
        delay_s = self.pods.backlog[layout.slots] / layout.rate_per_s
        timeouts = np.array([self.kubelet.probe_timeout_s(s) for s in layout.slots.tolist()])
        late = layout.slots[delay_s > timeouts]
        before, self._answers = self._answers, dict.fromkeys(late.tolist(), False)
        changed = [s for s in self._answers if s not in before] + [s for s in before if s not in self._answers]
        if changed:
            self.kubelet.answers(np.array(changed, dtype=np.intp), [s not in self._answers for s in changed])

    def _placed(self) -> tuple[int, float, NDArray[np.float64]]:
        return self.nodes.count(), self.nodes.cost(self._offset_s + self._done_s), self._sizes.now()

    # Events

    def _change_load(self, event: ChangeLoad) -> None:
        index = self._index_of(event.service)
        now_s = self._clock.time()
        self.load.change(LoadChange(index, now_s, event.times, event.rps, event.for_s, event.ramp_s))
        self.traffic.changed()

    def _start_fault(self, event: StartFault) -> int:
        fault = event.fault
        service = getattr(fault, "service", "")
        if service:
            self._index_of(service)
        number = self.faults.start(fault)
        match fault:
            case f.PodKill():
                self._kill(number, fault)
            case f.NodeLoss():
                if fault.group and fault.group not in self.nodes.groups:
                    raise SpecError("fault.group", f"there is no node group {fault.group!r}")
                self.nodes.lose(group=fault.group, count=fault.count)
            case f.ZoneLoss():
                if not self.nodes.lose(zone=fault.zone):
                    raise SpecError("fault.zone", f"no machine is in zone {fault.zone!r}")
            case f.PodCrashLoop():
                self.kubelet.begin_crashes()
            case _:
                pass
        if event.for_s < math.inf:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(event.for_s, self._fault_is_over, number)
            self._fault_timers[number] = timer
        return number

    def _fault_is_over(self, number: int) -> None:
        self._catch_up()
        self._stop_fault(number)
        self._wake()

    def _stop_fault(self, number: int) -> None:
        timer = self._fault_timers.pop(number, None)
        if timer is not None:
            timer.cancel()
        self.faults.stop(number)

    def _kill(self, number: int, fault: f.PodKill) -> None:
        """Pods picked by chance go at once; again after `every` while the fault is in force."""
        if number not in self.faults:
            return
        runs = self.kubelet.runs_of(self._index_of(fault.service))
        stream = self._entropy.stream("fault", "PodKill")
        picked = stream.permutation(len(runs))[: fault.count]
        for i in sorted(picked.tolist()):
            self.kubelet.kill(runs[i])
        every_s = seconds(fault.every, "fault.every")
        if every_s > 0:
            asyncio.get_running_loop().call_later(every_s, self._kill, number, fault)

    def _index_of(self, service: str) -> int:
        index = self._index.get(service)
        if index is None:
            known = ", ".join(self._index) or "none"
            raise SpecError("service", f"there is no service {service!r}; there are: {known}")
        return index


def _kills(event: Event) -> bool:
    """Whether the event does nothing but delete pods, which traffic learns as it learns of any change of pods."""
    return isinstance(event, StartFault) and isinstance(event.fault, f.PodKill)


def _on_mark(at_s: float, period_s: float) -> bool:
    return min((at_s + 1e-6) % period_s, period_s) < 1e-3
