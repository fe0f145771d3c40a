"""Requests through ready pods: arrivals are split, served, delayed, failed and retried; counters in the pod table grow.

One `advance` is one step of time. Expected rates decide utilisation and backlogs (a fluid), draws decide counts: so
noise is counted once, in the numbers people see. Called by the world's loop; calls back for pods that ran out of
memory.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pilothouse.base.entropy import Entropy
from pilothouse.base.limits import LATENCY_SERIES_PER_POD_UP_TO
from pilothouse.engines.queueing import overload
from pilothouse.engines.queueing.response import delay_row_of, row_of
from pilothouse.worlds.rehearsal.arrivals import WINDOW_S, Arrivals
from pilothouse.worlds.rehearsal.faults import ActiveFaults
from pilothouse.worlds.rehearsal.history import PER_SERVICE, History
from pilothouse.worlds.rehearsal.layout import Layout, Layouts
from pilothouse.worlds.rehearsal.load import LoadTable
from pilothouse.worlds.rehearsal.pods import ERROR, OK, REFUSED, TIMEOUT, PodTable, Slots
from pilothouse.worlds.rehearsal.service import Service

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_COLUMN = {name: i for i, name in enumerate(PER_SERVICE)}


class Traffic:
    """The requests of all services.

    overfull: slots whose memory passed its limit in the last step, for the caller to act on. placed: gives (nodes,
    cost so far) for the history, and the pods desired per service.
    """

    def __init__(
        self,
        services: list[Service],
        load: LoadTable,
        pods: PodTable,
        faults: ActiveFaults,
        entropy: Entropy,
        history: History,
    ) -> None:
        self.services = services
        self.load = load
        self.pods = pods
        self.faults = faults
        self.history = history
        self.arrivals = Arrivals(load, [s.name for s in services], entropy)
        self.layouts = Layouts(services, faults, pods.buckets)
        self.overfull: Slots | None = None
        self.placed: Callable[[], tuple[int, float, Floats]] = lambda: (0, 0.0, np.zeros(len(services)))
        self._split = entropy.stream("split")
        self._outcome = entropy.stream("outcome")
        self._layout: Layout | None = None
        self._seen = (-1, -1)
        self._retries = _Retries(services)
        self._last_rates: Floats | None = None
        self.busy = False

    @property
    def layout(self) -> Layout | None:
        return self._layout

    def next_step_s(self, now_s: float) -> float:
        """The adaptive step: to the next 15 s mark when quiet; 1 s while a backlog exists, the load moves by more
        than 10 %, or within 15 s after the pod set changed. Never across a mark or an event."""
        to_mark = WINDOW_S - (now_s + 1e-6) % WINDOW_S + 1e-6
        step_s = min(to_mark, self.load.next_edge(now_s + 1e-6) - now_s)
        if self.busy or now_s - self.pods.changed_s < WINDOW_S or self._moves(now_s):
            return min(step_s, 1.0)
        return step_s

    def advance(self, start_s: float, end_s: float) -> None:
        """One step of time; it must not cross a multiple of 15 s."""
        step_s = end_s - start_s
        layout = self._current_layout(start_s)
        rates = self.load.rates((start_s + end_s) / 2)
        drawn = self.arrivals.draw(start_s, end_s)
        again = self._retries.due
        offered = drawn + again if again is not None else drawn
        nodes, cost, desired = self.placed()
        row, latency = self.history.row(end_s, step_s, nodes, cost)
        row[_COLUMN["offered"]] = rates
        row[_COLUMN["arrived"]] = offered
        row[_COLUMN["desired"]] = desired
        if again is not None:
            row[_COLUMN["retried"]] = again
        unrouted = offered.copy()
        unrouted[layout.services[layout.routed]] = 0
        failed = unrouted.astype(np.float64)
        if len(layout.slots):
            expected = rates * step_s if again is None else rates * step_s + again
            self._serve(layout, offered, expected, step_s, row, latency, failed, unrouted)
        else:
            self.busy = False
        row[_COLUMN["unrouted"]] = unrouted
        row[_COLUMN["errors"]] = failed
        self._retries.after(drawn, offered, failed)

    def changed(self) -> None:
        """An event changed the load."""
        self.arrivals.changed()

    def _moves(self, now_s: float) -> bool:
        now, soon = self.load.rates(now_s), self.load.rates(now_s + WINDOW_S)
        if self._last_rates is None:
            self._last_rates = now
        jump = np.abs(soon - now) > 0.1 * now
        jump |= np.abs(now - self._last_rates) > 0.1 * self._last_rates
        self._last_rates = now
        return bool(jump.any())

    def _current_layout(self, now_s: float) -> Layout:
        seen = (self.pods.generation, self.faults.generation)
        layout = self._layout
        if layout is None or seen != self._seen or now_s >= layout.valid_until_s:
            layout = self._layout = self.layouts.build(self.pods, now_s)
            self._seen = seen
        return layout

    def _serve(
        self,
        layout: Layout,
        offered: Counts,
        expected: Floats,
        step_s: float,
        row: Floats,
        latency: Counts,
        failed: Floats,
        unrouted: Counts,
    ) -> None:
        pods, slots, first, live = self.pods, layout.slots, layout.first, layout.services
        arrived = self._divide(layout, offered)
        per_pod = expected[live][layout.position] * layout.share
        if layout.deaf is not None:
            lost = np.where(layout.deaf, arrived, 0)
            per_service = np.add.reduceat(lost, first)
            unrouted[live] += per_service
            failed[live] += per_service
            arrived = arrived - lost
            per_pod = np.where(layout.deaf, 0.0, per_pod)
        capacity = layout.rate_per_s * step_s
        rho = per_pod / capacity
        rows = row_of(rho)
        before = pods.backlog[slots]
        if before.any() or rho.max() > 1:
            served, refused, flow = self._overloaded(layout, arrived, per_pod, capacity, before)
            chances = self._mixed(layout, rows, before, flow)
        else:
            served, refused, flow = arrived, None, None
            chances = None
        self.busy = flow is not None and bool(flow.backlog.any())
        counts, late = self._latencies(layout, rows, chances, served, latency)
        bad = late if late is not None else np.zeros(len(slots), dtype=np.int64)
        errors = self._outcome.binomial(served - bad, layout.error_rate) if layout.any_errors else np.zeros_like(bad)
        requests = pods.requests
        requests[slots, OK] += served - bad - errors
        requests[slots, ERROR] += errors
        fails = errors + bad
        if late is not None:
            requests[slots, TIMEOUT] += late
        if refused is not None:
            requests[slots, REFUSED] += refused
            fails = fails + refused
            row[_COLUMN["refused"], live] = np.add.reduceat(refused, first)
        mean_s = self.layouts.mean_s[layout.table, rows]
        if flow is not None:
            mean_s = np.where(flow.busy_share > 0, layout.service_s, mean_s) + self._delay_s(layout, before, flow)
        pods.latency_sum[slots] += served * mean_s
        if not pods.histograms:
            self._add_sums(layout, served * mean_s)
        used = served * layout.cpu_s
        pods.cpu_s[slots] += used + layout.idle_cpu_cores * step_s
        self._remember(layout, served * mean_s / step_s, pods.backlog[slots], step_s)
        row[_COLUMN["ready"], live] = layout.ready
        row[_COLUMN["served"], live] = np.add.reduceat(served, first)
        row[_COLUMN["cpu_s"], live] = np.add.reduceat(used, first)
        failed[live] += np.add.reduceat(fails, first)
        if counts is not None:
            latency[live] = np.add.reduceat(counts, first, axis=0)
        row[_COLUMN["slow"], live] = (latency[live] * layout.slow[first]).sum(axis=1)

    def _divide(self, layout: Layout, offered: Counts) -> Counts:
        """Each service's requests over its pods."""
        live, counts = layout.services, layout.counts
        if not layout.routed.all():
            offered = offered.copy()
            offered[live[~layout.routed]] = 0
        if len(live) == 1 and counts[0] == 1:
            return offered[live]
        if layout.matrix.size:
            split = self._split.multinomial(offered[live], layout.matrix)
            return split[layout.position, layout.column]
        out = np.empty(len(layout.slots), dtype=np.int64)
        for service, at, count in zip(live.tolist(), layout.first.tolist(), counts.tolist()):
            out[at : at + count] = self._split.multinomial(offered[service], layout.share[at : at + count])
        return out

    def _overloaded(
        self, layout: Layout, arrived: Counts, expected: Floats, capacity: Floats, before: Floats
    ) -> tuple[Counts, Counts, overload.Flow]:
        """Served and refused counts while backlogs exist; fractions are carried over, so that none is lost."""
        pods, slots = self.pods, layout.slots
        # What an overloaded pod meets are the requests that really came; an idle one follows its expected rate, whose
        # noise the table has.
        hot = (before > 0) | (expected > capacity)
        flow = overload.step(before, np.where(hot, arrived, np.minimum(expected, capacity)), capacity, layout.queue)
        refused = np.where(hot, np.minimum(np.floor(flow.refused).astype(np.int64), arrived), 0)
        through = arrived - refused + before - flow.backlog + pods.carry[slots]
        served = np.maximum(np.floor(through + 1e-9), 0.0).astype(np.int64)
        pods.carry[slots] = through - served
        pods.backlog[slots] = flow.backlog
        return served, refused, flow

    def _mixed(self, layout: Layout, rows: Slots, before: Floats, flow: overload.Flow) -> Floats:
        """Bucket probabilities when some pods have a backlog: the delay grows or falls evenly within the step."""
        chances = self.layouts.steady[layout.table, rows]
        busy = np.flatnonzero(flow.busy_share > 0)
        table, rate = layout.table[busy], layout.rate_per_s[busy]
        begin, end = before[busy] / rate, flow.backlog[busy] / rate
        delayed = self.layouts.delayed
        late = sum(delayed[table, delay_row_of(begin + (end - begin) * part)] for part in (1 / 8, 3 / 8, 5 / 8, 7 / 8))
        portion = flow.busy_share[busy, None]
        chances[busy] = chances[busy] * (1 - portion) + late * (portion / 4)
        return chances

    @staticmethod
    def _delay_s(layout: Layout, before: Floats, flow: overload.Flow) -> Floats:
        delay: Floats = (before + flow.backlog) / 2 / layout.rate_per_s * flow.busy_share
        return delay

    def _latencies(
        self, layout: Layout, rows: Slots, chances: Floats | None, served: Counts, latency: Counts
    ) -> tuple[Counts | None, Counts | None]:
        """Histogram counts per pod and how many came after the timeout; for many pods, per service and version."""
        if self.pods.histograms and len(self.pods) > LATENCY_SERIES_PER_POD_UP_TO:
            self.pods.drop_histograms()
        if not self.pods.histograms:
            return None, self._by_group(layout, rows, chances, served, latency)
        if chances is None:
            chances = self.layouts.steady[layout.table, rows]
        counts = self._outcome.multinomial(served, chances)
        self.pods.latency[layout.slots] += counts
        late = (counts * layout.late).sum(axis=1)
        return counts, late if late.any() else None

    def _by_group(
        self, layout: Layout, rows: Slots, chances: Floats | None, served: Counts, latency: Counts
    ) -> Counts | None:
        """One histogram per service and version, from the mixture of its pods; timeouts are still drawn per pod."""
        steady = self.layouts.steady
        size = steady.shape[1]
        groups, group = np.unique(layout.group, return_inverse=True)
        late: Counts | None = None
        if chances is None:
            keys = (group * len(steady) + layout.table) * size + rows
            kinds, kind = np.unique(keys, return_inverse=True)
            load = np.bincount(kind, served)
            of = kinds // size
            mixed = np.zeros((len(groups), steady.shape[2]))
            np.add.at(mixed, of // len(steady), load[:, None] * steady[of % len(steady), kinds % size])
            past = (steady[of % len(steady), kinds % size] * layout.late[_first_of(kind, len(kinds))]).sum(axis=1)
            if (past > 1e-9).any():
                late = self._outcome.binomial(served, np.minimum(past, 1.0)[kind])
        else:
            mixed = np.zeros((len(groups), steady.shape[2]))
            np.add.at(mixed, group, chances * served[:, None])
            late = self._outcome.binomial(served, np.minimum((chances * layout.late).sum(axis=1), 1.0))
        total = np.bincount(group, served, minlength=len(groups))
        chance = np.divide(mixed, mixed.sum(axis=1, keepdims=True), out=np.zeros_like(mixed), where=total[:, None] > 0)
        counts = self._outcome.multinomial(total.astype(np.int64), np.round(chance, 12))
        for number, row in zip(groups.tolist(), counts):
            known = self.pods.group_latency.get(number)
            self.pods.group_latency[number] = row if known is None else known + row
            latency[self.pods.groups[number].service] += row
        return late

    def _add_sums(self, layout: Layout, seconds: Floats) -> None:
        sums = np.bincount(layout.group, seconds)
        known = self.pods.group_latency_sum
        for number in np.unique(layout.group).tolist():
            known[number] = known.get(number, 0.0) + float(sums[number])

    def _remember(self, layout: Layout, in_flight: Floats, backlog: Floats, step_s: float) -> None:
        """Memory: at rest, plus what is in flight, plus what leaked."""
        pods, slots = self.pods, layout.slots
        held = layout.memory_base + layout.memory_per_request * (in_flight + backlog)
        if layout.any_leak:
            pods.leaked[slots] += layout.leak_bytes_per_s * step_s
        if layout.any_leak or pods.leaked.any():
            held = held + pods.leaked[slots]
        pods.memory[slots] = held
        over = held > layout.memory_limit
        if over.any():
            self.overfull = slots[over]


class _Retries:
    """The clients' retry policy: failed attempts come again in the next step, within budget and number of tries."""

    def __init__(self, services: list[Service]) -> None:
        self._max = [s.retries_max for s in services]
        self._budget = [s.retry_budget for s in services]
        self._attempts = [[0.0] * (s.retries_max + 1) for s in services]
        self.due: Counts | None = np.zeros(len(services), dtype=np.int64) if any(self._max) else None

    def after(self, fresh: Counts, offered: Counts, failed: Floats) -> None:
        """What of this step's failures comes back in the next one."""
        if self.due is None:
            return
        due = np.zeros_like(self.due)
        for i, most in enumerate(self._max):
            if not most or not offered[i]:
                continue
            tries = self._attempts[i]
            tries[0] = float(fresh[i])
            ratio = min(1.0, float(failed[i]) / float(offered[i]))
            following = [0.0] + [t * ratio for t in tries[:-1]]
            wanted = sum(following)
            allowed = self._budget[i] * max(float(fresh[i]), 1.0)
            cut = min(1.0, allowed / wanted) if wanted > 0 else 0.0
            self._attempts[i] = [f * cut for f in following]
            due[i] = round(wanted * cut)
        self.due = due


def _first_of(kind: Slots, kinds: int) -> Slots:
    """The first position at which each kind occurs."""
    first = np.zeros(kinds, dtype=np.intp)
    first[kind[::-1]] = np.arange(len(kind) - 1, -1, -1)
    return first
