"""The scraper: every target fetched at its own moment of the interval, its pages handed to its `Ingest`.

Fetching arrives as a function and time as a `Clock`, so that tests and rehearsals scrape without sockets. One task per
target; a target that vanishes from discovery gets its staleness markers when its next scrape would have been. Called by
the live server; read by `wire.prometheus` (targets, metadata).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pilothouse.base.clock import Clock
from pilothouse.engines.tsdb import Labels
from pilothouse.signals.metrics.http_fetch import Fetch, FetchError, FetchRequest, scrape_headers
from pilothouse.signals.metrics.ingest import Exchange, Ingest, ScrapeResult, Writer
from pilothouse.signals.metrics.page import Dialect
from pilothouse.signals.metrics.scrape_config import BODY_BYTES, ScrapeConfig, TargetGroup
from pilothouse.signals.metrics.targets import Target, next_scrape_ms, targets_of

TOLERANCE_MS = 2
"""A scrape this late is still stored at its planned time (--scrape.timestamp-tolerance): even steps compress and read
better."""


@dataclass(slots=True)
class ActiveTarget:
    """A target that is being scraped. health: "unknown" until the first scrape, then "up" or "down"."""

    config: ScrapeConfig
    target: Target
    ingest: Ingest
    health: str = "unknown"
    last: ScrapeResult | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class DroppedTarget:
    """A discovered target that relabelling dropped."""

    job_name: str
    discovered: Labels


@dataclass(slots=True)
class Pool:
    """One scrape config with what discovery last gave for it."""

    config: ScrapeConfig
    active: dict[str, ActiveTarget] = field(default_factory=dict)
    dropped: tuple[DroppedTarget, ...] = ()
    failures: tuple[str, ...] = ()


class Scraper:
    """All pools of one server. `apply` sets what is scraped; `run` scrapes until it is cancelled."""

    def __init__(
        self,
        writer: Writer,
        fetch: Fetch,
        clock: Clock,
        *,
        dialect: Dialect = Dialect.PROMETHEUS_3,
        seed: str = "",
    ) -> None:
        self.pools: dict[str, Pool] = {}
        self._writer = writer
        self._fetch = fetch
        self._clock = clock
        self._dialect = dialect
        self._seed = seed
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._endings: dict[asyncio.Task[None], None] = {}
        self._group: asyncio.TaskGroup | None = None

    def apply(self, pools: Iterable[tuple[ScrapeConfig, Sequence[TargetGroup]]]) -> None:
        """What is to be scraped from now on. Targets that stay the same go on undisturbed."""
        before, self.pools = self.pools, {}
        for config, groups in pools:
            self.pools[config.job_name] = self._pool(config, groups, before.get(config.job_name))
        kept = {key for pool in self.pools.values() for key in self._keys(pool)}
        for pool in before.values():
            for key, active in zip(self._keys(pool), pool.active.values()):
                if key not in kept:
                    self._stop(key, active)
        self._start_missing()

    def active_targets(self) -> list[ActiveTarget]:
        """All targets, in the order of pools and discovery."""
        return [active for pool in self.pools.values() for active in pool.active.values()]

    async def run(self) -> None:
        """Scrapes until cancelled; on cancellation nothing is marked stale, a restart goes on where this stopped."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._start_missing()
            await asyncio.Event().wait()

    async def scrape_once(self, active: ActiveTarget, time_ms: int) -> ScrapeResult:
        """Fetches and stores one page at `time_ms`; failures are part of the result, nothing is raised."""
        began = self._clock.monotonic()
        exchange = await self._exchange(active)
        duration_s = self._clock.monotonic() - began
        result = active.ingest.take(exchange, time_ms, duration_s)
        active.last, active.last_error = result, result.error
        active.health = "down" if result.error else "up"
        return result

    def _pool(self, config: ScrapeConfig, groups: Sequence[TargetGroup], before: Pool | None) -> Pool:
        found = targets_of(config, groups)
        pool = Pool(config, failures=found.failures)
        pool.dropped = tuple(DroppedTarget(config.job_name, labels) for labels in found.dropped)
        over = config.target_limit and len(found.active) > config.target_limit
        for target in found.active:
            known = before.active.get(target.key) if before and before.config == config else None
            pool.active[target.key] = known or self._activate(config, target)
            if over:
                pool.active[target.key].last_error = found.failures[-1]
        return pool

    def _activate(self, config: ScrapeConfig, target: Target) -> ActiveTarget:
        ingest = Ingest(self._writer, config, target.labels, f"{config.job_name} {target.key}", self._dialect)
        return ActiveTarget(config, target, ingest)

    def _keys(self, pool: Pool) -> list[str]:
        return [f"{pool.config!r} {key}" for key in pool.active]

    def _start_missing(self) -> None:
        if self._group is None:
            return
        for pool in self.pools.values():
            for key, active in zip(self._keys(pool), pool.active.values()):
                if key not in self._tasks:
                    self._tasks[key] = self._group.create_task(self._loop(active))

    def _stop(self, key: str, active: ActiveTarget) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()
        if self._group is not None and active.last is not None:
            ending = self._group.create_task(self._end(active))
            self._endings[ending] = None
            ending.add_done_callback(lambda done: self._endings.pop(done, None))

    async def _loop(self, active: ActiveTarget) -> None:
        due_ms = next_scrape_ms(active.target, self._now_ms(), self._seed)
        while True:
            await asyncio.sleep(max(0.0, due_ms / 1000 - self._clock.time()))
            now_ms = self._now_ms()
            interval_ms = active.target.interval_ms
            steady = interval_ms > 100 * TOLERANCE_MS and 0 <= now_ms - due_ms <= TOLERANCE_MS
            try:
                await self.scrape_once(active, due_ms if steady else now_ms)
            except Exception as failure:  # the loop's edge: a full disk or a defect must not end the other targets
                active.health, active.last_error = "down", f"not stored: {failure!r}"
            # A scrape that took longer than the interval misses beats; it never runs twice at once.
            due_ms += interval_ms * max(1, -(-(self._now_ms() - due_ms) // interval_ms))

    async def _end(self, active: ActiveTarget) -> None:
        assert active.last is not None
        end_ms = active.last.time_ms + active.target.interval_ms
        await asyncio.sleep(max(0.0, end_ms / 1000 - self._clock.time()))
        active.ingest.end(max(end_ms, self._now_ms()))

    async def _exchange(self, active: ActiveTarget) -> Exchange:
        config, target = active.config, active.target
        if config.target_limit and active.last_error.startswith("target_limit exceeded"):
            return Exchange(error=active.last_error)
        timeout_s = target.timeout_ms / 1000
        limit = config.body_size_limit or BODY_BYTES
        headers = scrape_headers(timeout_s, compressed=config.enable_compression, authorization=config.authorization)
        request = FetchRequest(target.url, timeout_s, limit, headers, config.follow_redirects)
        try:
            response = await self._fetch(request)
        except FetchError as why:
            return Exchange(error=str(why))
        if response.status != 200:
            return Exchange(error=f"server returned HTTP status {response.status} {response.reason}".rstrip())
        if len(response.body) > limit:
            return Exchange(error="body size limit exceeded")
        return Exchange(response.body, response.content_type)

    def _now_ms(self) -> int:
        return round(self._clock.time() * 1000)


def metadata_by_metric(targets: Iterable[ActiveTarget]) -> dict[str, list[Mapping[str, str]]]:
    """metric → its distinct {"type", "help", "unit"} over all targets, in order of first sight."""
    found: dict[str, list[Mapping[str, str]]] = {}
    for active in targets:
        for metric, fields in active.ingest.metadata.entries().items():
            entries = found.setdefault(metric, [])
            if fields not in entries:
                entries.append(fields)
    return found
