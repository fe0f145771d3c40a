"""What one target's pages become: labels joined and relabelled, limits held, rows in a frame, staleness, the reports.

The pure half of scraping, after Prometheus' `scrape/scrape.go`: time and page come in, rows go out through a `Writer`
(the database, or the journal in front of it). A page whose series did not change costs one array copy. Called by
`scrape` and by the peers' replay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pilothouse.base.errors import LimitExceeded
from pilothouse.engines.tsdb import Labels, Outcome, format_labels
from pilothouse.engines.tsdb.labels import METRIC_NAME, is_legacy_label_name, is_legacy_metric_name
from pilothouse.engines.tsdb.samples import STALE, absent_block
from pilothouse.signals.metrics.exposition import MetadataBook, PageReader
from pilothouse.signals.metrics.page import Dialect, Exemplar, Page, Shape
from pilothouse.signals.metrics.page_lexer import is_utf8
from pilothouse.signals.metrics.relabel import relabel
from pilothouse.signals.metrics.scrape_config import ScrapeConfig

AHEAD_MS = 10 * 60_000
"""A page's own timestamps may be at most this far ahead (scrape.go maxAheadTime)."""
BEHIND_MS = 60 * 60_000
"""… and this far behind: half of Prometheus' two-hour head, which is what it appends to."""
EXEMPLAR_CHARACTERS = 128
"""OpenMetrics' limit for an exemplar's names and values together; longer ones are left out, the scrape is fine."""
DORMANT_ROWS = 600
"""A series that vanished keeps its column for this many scrapes: targets flap, and columns are dear to add."""

REPORTS = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)


class FrameWriter(Protocol):
    """What `engines.tsdb.Frame` offers to a writer."""

    @property
    def width(self) -> int: ...
    def add(self, labels: Labels) -> int: ...
    def retire(self, column: int) -> None: ...
    def append(self, time_ms: int, values: npt.ArrayLike) -> Outcome: ...


class Writer(Protocol):
    """What `engines.tsdb.Database` offers to a writer."""

    def frame(self, name: str) -> FrameWriter: ...
    def append(self, labels: Labels, time_ms: int, value: float) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Exchange:
    """What fetching gave: a page, or why there is none (`error`)."""

    body: bytes = b""
    content_type: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class ScrapeResult:
    """One scrape in numbers; `error` is "" when the target is up."""

    time_ms: int
    duration_s: float
    error: str
    scraped: int = 0
    after_relabel: int = 0
    series_added: int = 0


@dataclass(frozen=True, slots=True)
class StoredExemplar:
    """An exemplar with the series it belongs to; its time is the sample's when the page gave none."""

    series: Labels
    labels: Labels
    value: float
    time_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """Where the samples of a shape go: labels per sample (None: dropped), and what its first sight amounted to."""

    labels: Sequence[Labels | None]
    scraped: int
    kept: int
    new: int
    error: str


_NOTHING = _Plan((), 0, 0, 0, "")


class Ingest:
    """One target's way into the database. Not shared; lives as long as the target does."""

    def __init__(
        self,
        writer: Writer,
        config: ScrapeConfig,
        labels: Labels,
        name: str = "",
        dialect: Dialect = Dialect.PROMETHEUS_3,
    ) -> None:
        self.metadata = MetadataBook()
        self.exemplars: list[StoredExemplar] = []
        self._writer = writer
        self._config = config
        self._target = dict(labels)
        self._reader = PageReader(dialect, config.fallback_protocol)
        self._legacy_names = config.legacy_names or dialect is Dialect.PROMETHEUS_2
        self._frame = writer.frame(name or f"{config.job_name} {dict(labels).get('instance', '')}")
        self._reports: list[int] = []
        self._known: dict[str, Labels | None] = {}
        self._columns: dict[Labels, int] = {}
        self._shape: Shape | None = None
        self._plan: _Plan | None = None
        self._picks: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._slots: npt.NDArray[np.int64] = self._picks
        self._live: dict[Labels, int] = {}
        self._dormant: dict[Labels, tuple[int, int]] = {}
        self._ending: list[int] = []
        self._rows = 0

    def take(self, exchange: Exchange, time_ms: int, duration_s: float) -> ScrapeResult:
        """Stores one scrape at `time_ms` (Unix ms). A failed one stores only the reports and ends what was there."""
        page = None if exchange.error else self._reader.read(exchange.body, exchange.content_type)
        plan = _NOTHING if page is None else self._plan_of(page)
        error = exchange.error or plan.error
        if page is not None:
            error = error or (page.error.message if page.error else "")
            self.metadata.take(page.shape.metadata, complete=not error)
        counts = (duration_s, plan.scraped, plan.kept, plan.new)
        try:
            if page is None or error:
                self._store_failure(time_ms, counts)
            else:
                self._store(page, plan, time_ms, (1, *counts))
        except LimitExceeded as limit:
            error = str(limit)
            self._store_failure(time_ms, counts)
        return ScrapeResult(time_ms, duration_s, error, plan.scraped, plan.kept, plan.new)

    def end(self, time_ms: int) -> None:
        """The target is gone: staleness markers for everything it had, reports included."""
        self._arrange({})
        self._shape = self._plan = None
        for column in [*(column for column, _ in self._dormant.values()), *self._reports]:
            self._frame.retire(column)
        self._dormant, self._ending, self._reports = {}, [], []
        self._frame.append(time_ms, absent_block((self._frame.width,)))

    # --- labels ---------------------------------------------------------------------------------------------------

    def _plan_of(self, page: Page) -> _Plan:
        if page.shape is self._shape and self._plan is not None and not page.error:
            return self._plan
        plan = self._resolve(page)
        # Only what the last good page showed is remembered: a page that fails with ever new labels must not pile up.
        failed = page.error or plan.error
        self._known = {} if failed else dict(zip(page.shape.texts, plan.labels))
        return plan

    def _resolve(self, page: Page) -> _Plan:
        """Final labels of every sample; stops at the first that fails the scrape."""
        shape, limit = page.shape, self._config.sample_limit
        resolved: list[Labels | None] = []
        kept = new = 0
        for text, exposed in zip(shape.texts, shape.labels):
            labels = self._known.get(text, ())
            if labels == ():
                labels = self._final(exposed)
                problem = "" if labels is None else self._problem(labels)
                if problem:
                    return _Plan(resolved, len(resolved) + 1, kept, new, problem)
                self._known[text] = labels
                new += labels is not None and (not limit or kept < limit)
            resolved.append(labels)
            kept += labels is not None
        error = "sample limit exceeded" if limit and kept > limit and not page.error else ""
        return _Plan(resolved, len(resolved), kept, new, error)

    def _final(self, exposed: Labels) -> Labels | None:
        """Exposed labels joined with the target's, then metric_relabel_configs; None when dropped."""
        if len({name for name, _ in exposed}) != len(exposed):
            return exposed  # storage refuses it by name
        joined = join_labels(dict(exposed), self._target, honor=self._config.honor_labels)
        if self._config.metric_relabel:
            changed = relabel(joined, self._config.metric_relabel)
            if not changed:
                return None
            joined = changed
        return tuple(sorted(joined.items()))

    def _problem(self, labels: Labels) -> str:
        """Why this label set fails the whole scrape, "" when it does not."""
        names = [name for name, _ in labels]
        metric = next((value for name, value in labels if name == METRIC_NAME), "")
        if not metric:
            return "missing metric name (__name__ label)"
        if not self._valid(labels, metric):
            return f"invalid metric name or label names: {format_labels(labels)}"
        if problem := self._over_limit(labels, metric):
            return problem
        for name, following in pairwise(names):
            if name == following:
                return f'label name "{name}" is not unique: invalid sample'
        return ""

    def _valid(self, labels: Labels, metric: str) -> bool:
        if self._legacy_names:
            legal = is_legacy_metric_name(metric) and all(is_legacy_label_name(name) for name, _ in labels)
        else:
            legal = all(name for name, _ in labels)
        return legal and all(is_utf8(name) and is_utf8(value) for name, value in labels)

    def _over_limit(self, labels: Labels, metric: str) -> str:
        config = self._config
        if config.label_limit and len(labels) > config.label_limit:
            seen = f"number of labels: {len(labels)}, limit: {config.label_limit}"
            return f"label_limit exceeded (metric: {metric[:50]}, {seen})"
        longest_name, longest_value = config.label_name_length_limit, config.label_value_length_limit
        if not longest_name and not longest_value:
            return ""
        for name, value in labels:
            size = len(name.encode())
            if longest_name and size > longest_name:
                seen = f"label name: {name[:50]}, length: {size}, limit: {longest_name}"
                return f"label_name_length_limit exceeded (metric: {metric[:50]}, {seen})"
            size = len(value.encode())
            if longest_value and size > longest_value:
                seen = f'label name: {name[:50]}, value: "{value[:50]}", length: {size}, limit: {longest_value}'
                return f"label_value_length_limit exceeded (metric: {metric[:50]}, {seen})"
        return ""

    # --- rows -----------------------------------------------------------------------------------------------------

    def _store(self, page: Page, plan: _Plan, time_ms: int, reports: tuple[float, ...]) -> None:
        """One row: the page's values, markers for what vanished, the reports."""
        if page.shape is not self._shape or page.times_ms:
            self._first_sight(page, plan, time_ms)
        row = self._row(reports)
        row[self._slots] = np.array(page.values, dtype=np.float64)[self._picks]
        self._frame.append(time_ms, row)
        if page.exemplars:
            self._keep_exemplars(page.exemplars, plan, time_ms)

    def _store_failure(self, time_ms: int, counts: tuple[float, ...]) -> None:
        """One row after a failed scrape: the reports, and markers for everything that was there."""
        self._arrange({})
        self._shape = self._plan = None
        self._frame.append(time_ms, self._row((0, *counts)))

    def _row(self, reports: tuple[float, ...]) -> npt.NDArray[np.float64]:
        if not self._reports:
            self._reports = [self._frame.add(self._report_labels(name)) for name in REPORTS]
        row = absent_block((self._frame.width,))
        if self._ending:
            row[self._ending] = STALE
            self._ending = []
        row[self._reports] = reports
        self._rows += 1
        return row

    def _first_sight(self, page: Page, plan: _Plan, time_ms: int) -> None:
        """A shape that was not there last time: columns for its series; samples with their own time go in alone."""
        own_time = page.times_ms if self._config.honor_timestamps else {}
        # A page that exposes `up` itself must not take the column of our own report.
        own_reports = [self._report_labels(name) for name in REPORTS]
        wanted: dict[Labels, int] = {}
        for index, labels in enumerate(plan.labels):
            if labels is None or labels in own_reports:
                continue
            stamp = own_time.get(index)
            if stamp is None:
                wanted.setdefault(labels, index)  # of a series exposed twice, the first sample stands
            elif time_ms - BEHIND_MS <= stamp <= time_ms + AHEAD_MS:
                self._writer.append(labels, stamp, page.values[index])
        self._arrange(wanted)
        self._shape = None if page.times_ms else page.shape
        self._plan = _Plan(plan.labels, plan.scraped, plan.kept, 0, "")

    def _arrange(self, wanted: Mapping[Labels, int]) -> None:
        """Columns for exactly the wanted series (labels → sample index); the rest get their marker in the next row."""
        live, dormant = self._live, self._dormant
        for labels in [labels for labels in live if labels not in wanted]:
            column = live.pop(labels)
            dormant[labels] = (column, self._rows)
            self._ending.append(column)
        for labels in wanted:
            if labels not in live:
                known = dormant.pop(labels, None)
                live[labels] = self._frame.add(labels) if known is None else known[0]
        for labels in [labels for labels, (_, since) in dormant.items() if self._rows - since > DORMANT_ROWS]:
            self._frame.retire(dormant.pop(labels)[0])
        self._picks = np.fromiter(wanted.values(), dtype=np.int64, count=len(wanted))
        self._slots = np.fromiter((live[labels] for labels in wanted), dtype=np.int64, count=len(wanted))

    def _report_labels(self, name: str) -> Labels:
        return tuple(sorted({**self._target, METRIC_NAME: name}.items()))

    def _keep_exemplars(self, found: Mapping[int, Exemplar], plan: _Plan, time_ms: int) -> None:
        """The newest exemplars of the target's series; too long ones are left out (exemplar storage refuses them)."""
        kept = []
        for index, exemplar in found.items():
            series = plan.labels[index]
            size = sum(len(name) + len(value) for name, value in exemplar.labels)
            if series is not None and size <= EXEMPLAR_CHARACTERS:
                stamp = time_ms if exemplar.time_ms is None else exemplar.time_ms
                kept.append(StoredExemplar(series, exemplar.labels, exemplar.value, stamp))
        self.exemplars = kept


def join_labels(exposed: dict[str, str], target: Mapping[str, str], *, honor: bool) -> dict[str, str]:
    """Exposed labels with the target's. With honor_labels the exposed value stands, else it moves to `exported_…`."""
    if honor:
        return {**target, **exposed}
    joined = {**exposed, **target}
    clashes = sorted((name for name in target if exposed.get(name)), key=len)
    for name in clashes:
        moved = "exported_" + name
        while joined.get(moved):
            moved = "exported_" + moved
        joined[moved] = exposed[name]
    return joined
