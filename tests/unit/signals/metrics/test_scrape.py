"""Scraping in virtual time: rows, staleness, reports, limits, targets that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from pilothouse.base import virtual_loop
from pilothouse.base.clock import VirtualClock
from pilothouse.engines.tsdb import Database, make_matcher
from pilothouse.engines.tsdb.samples import is_stale_value
from pilothouse.signals.metrics.http_fetch import FetchError, FetchRequest, FetchResponse
from pilothouse.signals.metrics.ingest import Exchange, Ingest, join_labels
from pilothouse.signals.metrics.page import Dialect
from pilothouse.signals.metrics.scrape import Scraper, metadata_by_metric
from pilothouse.signals.metrics.scrape_config import ScrapeConfig, TargetGroup, parse_scrape_config

T0 = 1_767_225_600_000
TARGET = (("instance", "a:1"), ("job", "x"))
TEXT = "text/plain; version=0.0.4"


def samples(database: Database, name: str) -> dict[tuple[tuple[str, str], ...], list[tuple[int, float | str]]]:
    """Own labels → samples in time order, staleness markers as "stale"."""
    selection = database.select((make_matcher("__name__", "=", name),))
    found: dict[tuple[tuple[str, str], ...], list[tuple[int, float | str]]] = {}

    def note(position: int, time_ms: int, value: float) -> None:
        labels = tuple(p for p in selection.labels[position] if p[0] not in ("__name__", "instance", "job"))
        shown: float | str = "stale" if is_stale_value(value) else value
        found.setdefault(labels, []).append((time_ms, shown))

    for odd in selection.odd:
        for sample in odd.samples(0, T0 * 2):
            note(odd.position, sample[0], sample[1])
    for part in selection.parts:
        rows = part.row_span(0, T0 * 2)
        block = part.block(*rows)
        positions = range(selection.size)[part.positions] if isinstance(part.positions, slice) else part.positions
        for column, position in enumerate(positions):
            for row, time_ms in enumerate(part.frame.times[slice(*rows)].tolist()):
                value = float(block[row, column])
                if value == value or is_stale_value(value):
                    note(int(position), time_ms, value)
    return found


def scraped(
    *pages: str, config: ScrapeConfig | None = None, dialect: Dialect = Dialect.PROMETHEUS_3
) -> tuple[Database, list[Any]]:
    """A database after these pages at T0, T0+1000, …; a page "!" stands for a failed fetch."""
    database = Database()
    ingest = Ingest(database, config or ScrapeConfig("x"), TARGET, dialect=dialect)
    results = []
    for step, page in enumerate(pages):
        exchange = Exchange(error="refused") if page == "!" else Exchange(page.encode(), TEXT)
        results.append(ingest.take(exchange, T0 + step * 1000, 0.5))
    return database, results


def test_a_page_becomes_a_row_with_the_targets_labels_and_reports() -> None:
    database, results = scraped('a{x="1"} 5\nb 6\n')
    assert samples(database, "a") == {(("x", "1"),): [(T0, 5.0)]}
    assert (results[0].scraped, results[0].after_relabel, results[0].series_added) == (2, 2, 2)
    assert samples(database, "up") == {(): [(T0, 1.0)]}
    assert samples(database, "scrape_duration_seconds") == {(): [(T0, 0.5)]}
    assert samples(database, "scrape_series_added") == {(): [(T0, 2.0)]}


def test_a_series_that_vanishes_ends_with_a_marker_and_may_come_back() -> None:
    database, results = scraped("a 1\nb 1\n", "a 2\n", "a 3\n", "a 4\nb 4\n")
    assert samples(database, "a") == {(): [(T0, 1.0), (T0 + 1000, 2.0), (T0 + 2000, 3.0), (T0 + 3000, 4.0)]}
    assert samples(database, "b") == {(): [(T0, 1.0), (T0 + 1000, "stale"), (T0 + 3000, 4.0)]}
    assert [result.series_added for result in results] == [2, 0, 0, 1]


def test_a_failed_scrape_ends_everything_but_the_reports() -> None:
    database, results = scraped("a 1\n", "!", "!", "a 2\n")
    assert samples(database, "a") == {(): [(T0, 1.0), (T0 + 1000, "stale"), (T0 + 3000, 2.0)]}
    assert samples(database, "up") == {(): [(T0, 1.0), (T0 + 1000, 0.0), (T0 + 2000, 0.0), (T0 + 3000, 1.0)]}
    assert results[1].error == "refused"


def test_a_page_that_breaks_off_stores_nothing_of_itself() -> None:
    database, results = scraped("a 1\nb{ 2\n")
    assert samples(database, "a") == {}
    assert samples(database, "scrape_samples_scraped") == {(): [(T0, 1.0)]}
    assert "expected label name" in results[0].error


def test_of_a_series_exposed_twice_the_first_sample_stands() -> None:
    database, results = scraped('a{x="1"} 1\na{x="1"} 2\n')
    assert samples(database, "a") == {(("x", "1"),): [(T0, 1.0)]}
    assert results[0].error == ""


def test_own_timestamps_are_honoured_within_bounds() -> None:
    page = f"a 1 {T0 - 5000}\nb 1 1000\nc 1 {T0 + 3_600_000}\n"
    database, _ = scraped(page)
    assert samples(database, "a") == {(): [(T0 - 5000, 1.0)]}
    assert samples(database, "b") == samples(database, "c") == {}
    ignored, _ = scraped(page, config=ScrapeConfig("x", honor_timestamps=False))
    assert samples(ignored, "b") == {(): [(T0, 1.0)]}


def test_series_with_their_own_time_get_no_marker() -> None:
    database, _ = scraped(f"a 1 {T0 - 5000}\n", "b 1\n")
    assert samples(database, "a") == {(): [(T0 - 5000, 1.0)]}


def test_label_clashes() -> None:
    exposed = {"__name__": "a", "job": "mine", "exported_job": "old", "x": "1"}
    target = {"job": "ours", "instance": "i"}
    assert join_labels(exposed, target, honor=False) == {
        "__name__": "a",
        "job": "ours",
        "instance": "i",
        "x": "1",
        "exported_job": "old",
        "exported_exported_job": "mine",
    }
    assert join_labels(exposed, target, honor=True) == {**exposed, "instance": "i"}


def test_metric_relabelling_drops_and_counts() -> None:
    raw = {"job_name": "x", "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": "b", "action": "drop"}]}
    database, results = scraped("a 1\nb 2\n", "a 3\nb 4\n", config=parse_scrape_config(raw))
    assert samples(database, "b") == {}
    assert [(r.scraped, r.after_relabel) for r in results] == [(2, 1), (2, 1)]


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"sample_limit": 1}, "sample limit exceeded"),
        ({"label_limit": 3}, "label_limit exceeded (metric: b, number of labels: 4, limit: 3)"),
        ({"label_name_length_limit": 9}, "label_name_length_limit exceeded (metric: b, label name: long_label"),
        ({"label_value_length_limit": 3}, "label_value_length_limit exceeded (metric: b, label name: long_label"),
    ],
)
def test_limits_fail_the_scrape(limits: dict[str, int], why: str) -> None:
    database, results = scraped('a 1\nb{long_label="1234"} 2\n', config=ScrapeConfig("x", **limits))  # type: ignore[arg-type]
    assert results[0].error.startswith(why)
    assert samples(database, "a") == {}
    assert samples(database, "up") == {(): [(T0, 0.0)]}


def test_names_are_checked_in_the_scheme_of_the_pool() -> None:
    page = '{"a.b"} 1\n'
    _, free = scraped(page)
    _, legacy = scraped(page, config=ScrapeConfig("x", legacy_names=True))
    assert free[0].error == ""
    assert legacy[0].error.startswith("invalid metric name or label names")


@pytest.mark.parametrize("page", ['a{x="1",x="2"} 1\n', 'a{__name__="b"} 1\n'])
def test_duplicate_label_names_fail_the_scrape(page: str) -> None:
    _, results = scraped(page)
    assert "is not unique: invalid sample" in results[0].error
    assert results[0].scraped == 1


def test_a_page_may_not_report_for_us() -> None:
    database, _ = scraped("up 7\na 1\n")
    assert samples(database, "up") == {(): [(T0, 1.0)]}


def test_a_clock_that_goes_back_stores_nothing_and_breaks_nothing() -> None:
    database = Database()
    ingest = Ingest(database, ScrapeConfig("x"), TARGET)
    for time_ms in (T0, T0 - 5000, T0 + 1000):
        ingest.take(Exchange(b"a 1\n", TEXT), time_ms, 0.1)
    assert [t for t, _ in samples(database, "a")[()]] == [T0, T0 + 1000]


# --- the loop, in virtual time ---


class Pages:
    """A fetch function over a dict of URL → page; an absent URL refuses connections."""

    def __init__(self, pages: dict[str, str], delay_s: float = 0.0) -> None:
        self.pages = pages
        self.delay_s = delay_s
        self.requests: list[FetchRequest] = []

    async def __call__(self, request: FetchRequest) -> FetchResponse:
        self.requests.append(request)
        await asyncio.sleep(self.delay_s)
        page = self.pages.get(request.url)
        if page is None:
            raise FetchError(f'Get "{request.url}": connection refused')
        if page.startswith("HTTP "):
            return FetchResponse(int(page[5:8]), page[9:], "text/html", b"no")
        return FetchResponse(200, "OK", TEXT, page.encode())


def _group(*addresses: str) -> list[TargetGroup]:
    return [TargetGroup(tuple({"__address__": address} for address in addresses))]


def _in_virtual_time(
    pages: Pages, steps: list[tuple[float, Callable[[Scraper], None]]], for_s: float
) -> tuple[Database, Scraper]:
    database = Database()
    box: list[Scraper] = []

    async def main(loop: virtual_loop.VirtualLoop) -> None:
        clock = VirtualClock(loop, T0 / 1000)
        scraper = Scraper(database, pages, clock)
        box.append(scraper)
        task = asyncio.create_task(scraper.run())
        at = 0.0
        for moment, step in steps:
            await asyncio.sleep(moment - at)
            at = moment
            step(scraper)
        await asyncio.sleep(for_s - at)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    virtual_loop.run(main)
    return database, box[0]


CONFIG = ScrapeConfig("x", interval_ms=10_000, timeout_ms=5_000)


def test_each_target_is_scraped_once_an_interval_at_its_own_moment() -> None:
    pages = Pages({"http://a:1/metrics": "a 1\n", "http://b:1/metrics": "a 1\n"})
    database, scraper = _in_virtual_time(pages, [(0, lambda s: s.apply([(CONFIG, _group("a:1", "b:1"))]))], 60)
    selection = database.select((make_matcher("__name__", "=", "up"),))
    times = [part.frame.times.tolist() for part in selection.parts]
    assert [len(t) for t in times] == [6, 6]
    assert {(t - times[0][0]) % 10_000 for t in times[0]} == {0}
    assert times[0][0] % 10_000 != times[1][0] % 10_000
    assert [active.health for active in scraper.active_targets()] == ["up", "up"]
    assert pages.requests[0].headers["Accept-Encoding"] == "gzip"


def test_a_target_that_goes_away_ends_when_its_next_scrape_would_have_been() -> None:
    pages = Pages({"http://a:1/metrics": "a 1\n"})
    steps: list[tuple[float, Callable[[Scraper], None]]] = [
        (0, lambda s: s.apply([(CONFIG, _group("a:1"))])),
        (25, lambda s: s.apply([(CONFIG, [])])),
    ]
    database, scraper = _in_virtual_time(pages, steps, 60)
    times, values = zip(*samples(database, "a")[()])
    assert values in ((1.0, 1.0, "stale"), (1.0, 1.0, 1.0, "stale"))
    assert times[-1] - times[-2] == 10_000
    assert samples(database, "up")[()][-1][1] == "stale"
    assert scraper.active_targets() == []


def test_an_unchanged_target_goes_on_when_the_pools_are_applied_again() -> None:
    pages = Pages({"http://a:1/metrics": "a 1\n", "http://b:1/metrics": "a 1\n"})
    steps: list[tuple[float, Callable[[Scraper], None]]] = [
        (0, lambda s: s.apply([(CONFIG, _group("a:1"))])),
        (25, lambda s: s.apply([(CONFIG, _group("a:1", "b:1"))])),
    ]
    database, _ = _in_virtual_time(pages, steps, 60)
    selection = database.select((make_matcher("instance", "=", "a:1"), make_matcher("__name__", "=", "a")))
    assert [len(part.frame.times) for part in selection.parts] == [6]


def test_failures_are_shown_with_their_cause() -> None:
    pages = Pages({"http://b:1/metrics": "HTTP 404 Not Found", "http://c:1/metrics": "a" * 100})
    config = ScrapeConfig("x", interval_ms=10_000, timeout_ms=5_000, body_size_limit=50)
    _, scraper = _in_virtual_time(pages, [(0, lambda s: s.apply([(config, _group("a:1", "b:1", "c:1"))]))], 15)
    errors = [active.last_error for active in scraper.active_targets()]
    assert errors == [
        'Get "http://a:1/metrics": connection refused',
        "server returned HTTP status 404 Not Found",
        "body size limit exceeded",
    ]


def test_too_many_targets_fail_them_all() -> None:
    pages = Pages({"http://a:1/metrics": "a 1\n", "http://b:1/metrics": "a 1\n"})
    config = ScrapeConfig("x", interval_ms=10_000, timeout_ms=5_000, target_limit=1)
    database, scraper = _in_virtual_time(pages, [(0, lambda s: s.apply([(config, _group("a:1", "b:1"))]))], 25)
    assert {active.health for active in scraper.active_targets()} == {"down"}
    assert samples(database, "a") == {}
    assert pages.requests == []


def test_a_slow_scrape_misses_beats_instead_of_running_twice() -> None:
    pages = Pages({"http://a:1/metrics": "a 1\n"}, delay_s=14)
    database, _ = _in_virtual_time(pages, [(0, lambda s: s.apply([(CONFIG, _group("a:1"))]))], 65)
    times = [t for t, _ in samples(database, "a")[()]]
    assert {later - earlier for earlier, later in pairwise(times)} == {20_000}


def test_metadata_of_all_targets_is_joined() -> None:
    pages = Pages({"http://a:1/metrics": "# TYPE a gauge\na 1\n", "http://b:1/metrics": "# TYPE a counter\na 1\n"})
    _, scraper = _in_virtual_time(pages, [(0, lambda s: s.apply([(CONFIG, _group("a:1", "b:1"))]))], 15)
    entries = metadata_by_metric(scraper.active_targets())
    assert [fields["type"] for fields in entries["a"]] == ["gauge", "counter"]


def test_a_write_that_fails_ends_neither_the_target_nor_the_others() -> None:
    pages = Pages({"http://a:1/metrics": "a 1\n", "http://b:1/metrics": "a 1\n"})

    def break_first(scraper: Scraper) -> None:
        first = scraper.active_targets()[0]
        first.ingest.take = _full_disk  # type: ignore[method-assign, assignment]

    steps: list[tuple[float, Callable[[Scraper], None]]] = [
        (0, lambda s: s.apply([(CONFIG, _group("a:1", "b:1"))])),
        (25, break_first),
    ]
    _, scraper = _in_virtual_time(pages, steps, 60)
    broken, whole = scraper.active_targets()
    assert broken.last_error == "not stored: OSError(28, 'No space left on device')"
    assert (broken.health, whole.health) == ("down", "up")
    assert len([request for request in pages.requests if "a:1" in request.url]) == 6


def _full_disk(*_arguments: object) -> Any:
    raise OSError(28, "No space left on device")
