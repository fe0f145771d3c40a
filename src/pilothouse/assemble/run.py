"""One seed: a control plane and a modelled world on one virtual clock, the user's objects, the scenario's events.

The run begins `WARMUP_S` before the start, under load, so that at second 0 everything stands as it would on an ordinary
morning: pods are ready, the autoscaler has found its size, rate windows are full.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pilothouse.assemble.alert_log import AlertLog
from pilothouse.assemble.control_plane import ControlPlane, Core, build_core
from pilothouse.assemble.endings import endings
from pilothouse.assemble.facts import Facts, RuleLives
from pilothouse.assemble.incidents import Incidents
from pilothouse.assemble.inputs import Inputs, in_order
from pilothouse.assemble.measured import Measured
from pilothouse.assemble.notifications import route, told_since
from pilothouse.assemble.phases import Phases
from pilothouse.assemble.play import Player
from pilothouse.assemble.story import tell
from pilothouse.assemble.unfed import unfed_alerts
from pilothouse.assemble.world_spec import world_spec
from pilothouse.base.clock import DEFAULT_EPOCH_S, VirtualClock
from pilothouse.base.entropy import Entropy
from pilothouse.base.limits import LATENCY_SERIES_PER_POD_UP_TO
from pilothouse.base.trace import Trace
from pilothouse.base.virtual_loop import VirtualLoop, run
from pilothouse.engines import promql
from pilothouse.engines.tsdb import METRIC_NAME, Database, Labels
from pilothouse.report.model import HeldBack, Notification, RunResult
from pilothouse.worlds.rehearsal.world import RehearsalWorld

WARMUP_S = 900.0
"""Longer than the longest range of ordinary alert rules (15 minutes of restarts) and than a cold start of the
autoscaler."""
PROGRESS_EVERY_S = 900.0
ROUND_S = 5.0
"""In very large worlds controllers work in rounds this far apart. Real ones are no faster there: each writes through a
client throttled to 20 a second (kube-api-qps), so many changes of an object meet in one pass. Traffic does not wait
for them: it follows the pods themselves."""
UNREAD = frozenset({"endpoint-controller"})
"""Endpoints repeat what EndpointSlices say, for clients of old; nobody in a rehearsal reads them."""

OnProgress = Callable[[float], None]
"""Called with the virtual seconds since the start."""


def run_once(
    inputs: Inputs,
    seed: int,
    *,
    without: str = "",
    trace: Trace | None = None,
    progress: OnProgress | None = None,
    warmup_s: float = WARMUP_S,
) -> RunResult:
    """Plays the scenario with one seed; `without` leaves out the faults of that kind (a control run)."""
    facts = gather(inputs, seed, without=without, trace=trace, progress=progress, warmup_s=warmup_s)
    return tell(facts, endings(inputs.scenario.expect, facts))


def gather(
    inputs: Inputs,
    seed: int,
    *,
    without: str = "",
    trace: Trace | None = None,
    progress: OnProgress | None = None,
    warmup_s: float = WARMUP_S,
) -> Facts:
    """The run itself; what it leaves behind."""

    async def main(loop: VirtualLoop) -> Facts:
        clock = VirtualClock(loop, DEFAULT_EPOCH_S - warmup_s)
        return await _Run(inputs, seed, clock, without, progress).play(loop, warmup_s)

    return run(main, trace=trace)


class _Run:
    """The parts of one run, wired."""

    def __init__(
        self, inputs: Inputs, seed: int, clock: VirtualClock, without: str, progress: OnProgress | None
    ) -> None:
        self.inputs = inputs
        self.seed = seed
        self.clock = clock
        self.entropy = Entropy(seed)
        self.core: Core = build_core(clock, self.entropy)
        self.database = Database()
        self.world = RehearsalWorld(
            self.core.client,
            clock,
            self.entropy,
            self.database,
            world_spec(inputs).spec,
            events=self.core.events,
            query=self._query,
        )
        if inputs.series is not None:
            inputs.series.fill(self.database)
        self.plane = ControlPlane(
            self.core, self.world.metrics, round_s=self._round_s, without=UNREAD, providers=Measured(self.database)
        )
        self.alerts = AlertLog(inputs.groups, self.database, clock)
        self.incidents = Incidents(self.core.events, clock)
        self.phases = Phases(self.core.client, clock)
        self.player = Player(self.core.client, self.world, without, inputs.files)
        self._progress = progress

    def _round_s(self) -> float:
        return ROUND_S if self.core.store.count("Pod") > LATENCY_SERIES_PER_POD_UP_TO else 0.0

    def _query(self, text: str, time_ms: int) -> list[tuple[Labels, float]]:
        """An instant query for the autoscaler's custom metrics."""
        found = promql.compile(text).instant(self.database, time_ms)
        return list(found) if isinstance(found, promql.Vector) else []

    async def play(self, loop: VirtualLoop, warmup_s: float) -> Facts:
        tasks = self.plane.start()
        await self.world.start()
        for obj in in_order(self.inputs):
            kind = self.core.client.kinds.of_object(obj)
            assert kind is not None, obj["kind"]  # inputs keep only known kinds
            await self.core.client.create(kind.name, obj)
        helpers = [
            loop.create_task(part, name=name)
            for name, part in (
                ("phases", self.phases.follow()),
                ("alerts", self.alerts.run()),
                ("scenario", self._scenario(warmup_s)),
            )
        ]
        scenario = helpers[-1]
        await asyncio.wait([scenario, *helpers, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in [*tasks, *helpers]:
            if task.done() and not task.cancelled() and task.exception() is not None:
                task.result()  # a broken invariant: let it out with its story
        assert scenario.done(), "a task of the control plane ended by itself"
        return await self._end(loop, helpers, warmup_s)

    async def _scenario(self, warmup_s: float) -> None:
        """Waits through the warm-up, then plays the events to the end."""
        await asyncio.sleep(warmup_s)
        self.phases.begin()
        self.incidents.begin()
        duration_s = self.inputs.scenario.duration_s
        began_s = self.clock.monotonic()
        due = sorted(self.inputs.scenario.events, key=lambda e: e.at_s)
        stops = [k * PROGRESS_EVERY_S for k in range(1, int(duration_s / PROGRESS_EVERY_S) + 1)]
        moments: list[tuple[float, int]] = [(e.at_s, i) for i, e in enumerate(due) if e.at_s <= duration_s]
        moments += [(s, -1) for s in stops] + [(duration_s, -1)]
        for at_s, index in sorted(moments, key=lambda m: m[0]):
            await asyncio.sleep(max(0.0, began_s + at_s - self.clock.monotonic()))
            if index >= 0:
                await self.player.play(due[index], at_s)
            elif self._progress is not None:
                self._progress(at_s)

    async def _end(self, loop: VirtualLoop, helpers: list[asyncio.Task[None]], warmup_s: float) -> Facts:
        await self.world.stop()
        for task in helpers:
            task.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await self.plane.stop()
        duration_s = self.inputs.scenario.duration_s
        start_epoch_s = self.clock.epoch_s + warmup_s
        alerts = self.alerts.finish(start_epoch_s, duration_s)
        self._note_unfed(alerts)
        sent, held = self._told(start_epoch_s, duration_s)
        return Facts(
            seed=self.seed,
            start_epoch_s=start_epoch_s,
            duration_s=duration_s,
            history=self.world.history.since(start_epoch_s),
            database=self.database,
            phases=self.phases,
            alerts=alerts,
            played=self.player.played,
            incidents=self.incidents.found,
            events=loop.events,
            slos=tuple(self.inputs.slos),
            routed=self.inputs.alertmanager is not None,
            receivers=tuple(self.inputs.alertmanager.receivers) if self.inputs.alertmanager else (),
            notifications=sent,
            held_back=held,
        )

    def _note_unfed(self, alerts: list[RuleLives]) -> None:
        """Tells the alerts that had nothing to read from those that were quiet."""
        unfed = unfed_alerts(self.inputs.groups, self.database.label_values(METRIC_NAME))
        missing = {(u.group.name, u.rule.place): u.missing for u in unfed}
        for rule in alerts:
            rule.missing = missing.get((rule.group, rule.place), ())

    def _told(self, start_epoch_s: float, duration_s: float) -> tuple[tuple[Notification, ...], tuple[HeldBack, ...]]:
        """Who was woken since the start, and what was held back; nothing without an Alertmanager."""
        if self.inputs.alertmanager is None:
            return (), ()
        end_ms = round((start_epoch_s + duration_s) * 1000)
        routed = route(self.inputs.alertmanager, self.alerts.transitions, end_ms)
        return told_since(routed, round(start_epoch_s * 1000))
