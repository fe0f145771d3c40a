"""What the API answers from: one value that the live server builds and hands to every request. It decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pilothouse import __version__
from pilothouse.base.clock import Clock
from pilothouse.engines.tsdb import Database, Labels, Outcome
from pilothouse.signals.metrics.page import Dialect
from pilothouse.signals.metrics.push import PushGateway
from pilothouse.signals.metrics.rules import RuleRunner
from pilothouse.signals.metrics.scrape import Scraper
from pilothouse.signals.metrics.scrape_config import ServerConfig


class SampleWriter(Protocol):
    """Where remote write puts samples: the database, or the journal in front of it."""

    def append(self, labels: Labels, time_ms: int, value: float) -> Outcome: ...


@dataclass(slots=True)
class Context:
    """Everything a handler may read. `dialect` picks between the answers of Prometheus 2 and 3 where they differ."""

    database: Database
    clock: Clock
    config: ServerConfig = field(default_factory=ServerConfig)
    config_yaml: str = ""
    scraper: Scraper | None = None
    rules: RuleRunner | None = None
    pushes: PushGateway | None = None
    writer: SampleWriter | None = None
    flags: Mapping[str, str] = field(default_factory=dict)
    alertmanagers: Sequence[str] = ()
    started_s: float = 0.0
    loaded_s: float = 0.0
    working_directory: str = ""
    retention: str = "15d"
    lookback_ms: int = 300_000
    dialect: Dialect = Dialect.PROMETHEUS_3
    version: str = __version__
