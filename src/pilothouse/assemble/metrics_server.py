"""The live metrics server: scrapes what a `prometheus.yml` names, evaluates its rules, answers Prometheus' HTTP API.

Puts `signals.metrics` (scraper, rules, blocks on disk, push gateway, remote write) behind `wire.prometheus`. Everything
stored is on disk a few seconds later; kill -9 loses at most the last scrapes.
"""

from __future__ import annotations

import asyncio
import glob
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pilothouse.base.clock import Clock, WallClock
from pilothouse.base.errors import Finding, InputError, Place
from pilothouse.base.manifests import load_paths
from pilothouse.engines.alerting import RuleGroup, parse_rule_groups
from pilothouse.signals.metrics.blocks import HOUR_MS, JournaledDatabase, Retention, open_database
from pilothouse.signals.metrics.disk import DirectoryDisk
from pilothouse.signals.metrics.http_fetch import fetch
from pilothouse.signals.metrics.push import PushGateway
from pilothouse.signals.metrics.rules import RuleRunner
from pilothouse.signals.metrics.scrape import Scraper
from pilothouse.signals.metrics.scrape_config import ServerConfig, load_server_config
from pilothouse.wire.prometheus.config_yaml import config_yaml
from pilothouse.wire.prometheus.context import Context
from pilothouse.wire.prometheus.server import serve

PREFIX = "/prometheus"
SYNC_EVERY_S = 5.0
"""How often the log is flushed to the disk: less than any scrape interval in use."""
COMPACT_EVERY_S = 7_200.0
"""Prometheus' own block length."""


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    """What to serve. config: a prometheus.yml, "" for none (push, remote write and queries only); data: folder of the
    series; keep_h: hours that all series are kept; say: prints a line."""

    config: str = ""
    data: str = "./.pilothouse"
    bind_address: str = "127.0.0.1"
    port: int = 9090
    keep_h: float = 15 * 24.0
    say: Callable[[str], None] = print


def serve_metrics(options: MetricsOptions) -> int:
    """Serve until SIGINT or SIGTERM. InputError names what cannot be used at all; lesser findings are said."""
    config, groups, findings = read_config(options.config)
    for finding in findings:
        options.say(str(finding))
    asyncio.run(_serve(options, config, groups, WallClock()))
    return 0


def read_config(path: str) -> tuple[ServerConfig, list[RuleGroup], list[Finding]]:
    """The configuration and its rule groups; what is wrong is left out and told."""
    if not path:
        return ServerConfig(), [], []
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Finding("PH414", f"{path} cannot be read: {error}", Place(path), "check the path")) from None
    config, findings = load_server_config(text, path)
    groups, wrong = _rule_groups(path, config.rule_files)
    return config, groups, findings + wrong


def _rule_groups(config: str, patterns: Sequence[str]) -> tuple[list[RuleGroup], list[Finding]]:
    """Groups of the rule files, named relative to the configuration and possibly with wildcards, as Prometheus takes
    them."""
    folder = os.path.dirname(config)
    files = [file for pattern in patterns for file in sorted(glob.glob(os.path.join(folder, pattern)))]
    read = load_paths(files) if files else None
    groups: list[RuleGroup] = []
    findings = list(read.findings) if read else []
    for document in read.rule_files if read else ():
        found, wrong = parse_rule_groups(document.object, document.place_of)
        groups += found
        findings += wrong
    return groups, findings


def build(
    options: MetricsOptions, config: ServerConfig, groups: Sequence[RuleGroup], clock: Clock
) -> tuple[Context, JournaledDatabase]:
    """Everything wired, nothing started."""
    disk = DirectoryDisk(Path(options.data) / "metrics")
    retention = Retention(all_ms=round(options.keep_h * HOUR_MS))
    database = open_database(disk, round(clock.time() * 1000), retention)
    scraper = Scraper(database, fetch, clock)
    scraper.apply([(pool, pool.static) for pool in config.scrape_configs])
    rules = RuleRunner(
        database,
        clock,
        groups,
        external_labels=config.external_labels,
        external_url=f"http://{options.bind_address}:{options.port}{PREFIX}",
        default_interval_ms=config.evaluation_interval_ms,
        resume=True,
    )
    context = Context(
        database,
        clock,
        config,
        config_yaml=config_yaml(config, os.path.dirname(options.config)),
        scraper=scraper,
        rules=rules,
        pushes=PushGateway(),
        writer=database,
        started_s=clock.time(),
        loaded_s=clock.time(),
        working_directory=os.path.abspath(options.data),
        retention=f"{options.keep_h:g}h",
    )
    return context, database


async def _serve(options: MetricsOptions, config: ServerConfig, groups: Sequence[RuleGroup], clock: Clock) -> None:
    context, database = build(options, config, groups, clock)
    for finding in database.findings:
        options.say(str(finding))
    assert context.scraper is not None
    assert context.rules is not None
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        server = await serve(context, options.bind_address, options.port, PREFIX)
    except OSError as error:
        place = f"{options.bind_address}:{options.port}"
        finding = Finding("PH520", f"cannot listen on {place}: {error.strerror}", remedy="choose another --port")
        raise InputError(finding) from None
    port = server.sockets[0].getsockname()[1]
    what = f"{len(config.scrape_configs)} scrape configs, {len(groups)} rule groups"
    options.say(f"metrics: http://{options.bind_address}:{port}{PREFIX}  ({what})")
    tasks = [
        loop.create_task(context.scraper.run(), name="scraper"),
        loop.create_task(context.rules.run(), name="rules"),
        loop.create_task(_keep(database, clock), name="disk"),
    ]
    try:
        await stop.wait()
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        database.sync()
        database.close()


async def _keep(database: JournaledDatabase, clock: Clock) -> None:
    """Flushes the log, makes blocks, forgets what is too old."""
    compacted_s = clock.monotonic()
    while True:
        await asyncio.sleep(SYNC_EVERY_S)
        database.sync()
        if clock.monotonic() - compacted_s >= COMPACT_EVERY_S:
            compacted_s = clock.monotonic()
            for _step in database.compact():
                await asyncio.sleep(0)
            database.expire(round(clock.time() * 1000))
