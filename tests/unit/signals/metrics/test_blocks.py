"""The database on disk: everything stored is read back, whatever moment the process is killed at."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pilothouse.engines.tsdb import Database, Labels, make_labels, make_matcher
from pilothouse.engines.tsdb.samples import ABSENT, STALE, is_absent, is_stale_value
from pilothouse.signals.metrics import block_format as form
from pilothouse.signals.metrics.blocks import HOUR_MS, JournaledDatabase, Retention, open_database
from pilothouse.signals.metrics.disk import DirectoryDisk
from pilothouse.signals.metrics.ingest import Exchange, Ingest
from pilothouse.signals.metrics.scrape_config import ScrapeConfig

T0 = 1_767_225_600_000
TARGET = (("instance", "a:1"), ("job", "x"))
Samples = dict[Labels, list[tuple[int, float | str]]]


_OPEN: list[JournaledDatabase] = []


def opened(folder: Path, now_ms: int, retention: Retention | None = None) -> JournaledDatabase:
    """A database over the folder; earlier ones stay open, as those of a killed process would."""
    database = open_database(DirectoryDisk(folder), now_ms, retention)
    _OPEN.append(database)
    return database


@pytest.fixture(autouse=True)
def _close_all() -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()


def contents(database: Database) -> Samples:
    """Every series with its samples; NaNs as text so that they compare."""
    selection = database.select((make_matcher("__name__", "=~", ".*"),))
    found: Samples = {}
    for part in selection.parts:
        rows = part.row_span(0, 2 * T0)
        block = np.ascontiguousarray(part.block(*rows))
        here = ~is_absent(block)
        positions = np.arange(selection.size)[part.positions]
        for column, position in enumerate(positions.tolist()):
            for row in np.flatnonzero(here[:, column]).tolist():
                time_ms = int(part.frame.times[rows[0] + row])
                found.setdefault(selection.labels[position], []).append((time_ms, shown(float(block[row, column]))))
    for odd in selection.odd:
        samples = [(time_ms, shown(value)) for time_ms, value, _, _ in odd.samples(0, 2 * T0)]
        if samples:
            found[selection.labels[odd.position]] = samples
    return found


def shown(value: float) -> float | str:
    if value == value:
        return value
    return "stale" if is_stale_value(value) else "NaN"


def fill(database: JournaledDatabase, scrapes: range) -> None:
    """Scrapes of a target whose pages change, and a loose series beside it."""
    ingest = Ingest(database, ScrapeConfig("x"), TARGET, "x a:1")
    for step in scrapes:
        lines = [f"a {step * 0.1!r}", f'c_total{{x="1"}} {step * 7}']
        lines += ["b NaN"] if step % 3 else []
        page = "!" if step % 11 == 10 else "\n".join(lines) + "\n"
        exchange = Exchange(error="down") if page == "!" else Exchange(page.encode(), "text/plain")
        ingest.take(exchange, T0 + step * 15_000, 0.01)
        database.append(make_labels({"l": "1"}, "loose"), T0 + step * 15_000 + 1, float(step))


def finish(database: JournaledDatabase) -> None:
    for _ in database.compact():
        pass


def test_what_was_stored_is_there_after_a_restart(tmp_path: Path) -> None:
    first = opened(tmp_path, T0)
    fill(first, range(40))
    again = opened(tmp_path, T0)
    assert contents(again) == contents(first)
    assert again.findings == []


def test_series_go_on_in_their_frame_after_a_restart(tmp_path: Path) -> None:
    plain = opened(tmp_path / "one", T0)
    fill(plain, range(30))
    broken = opened(tmp_path / "two", T0)
    fill(broken, range(15))
    again = opened(tmp_path / "two", T0)
    fill(again, range(15, 30))
    assert contents(again)[(("__name__", "a"), *TARGET)] == (contents(plain)[(("__name__", "a"), *TARGET)])
    selection = again.select((make_matcher("__name__", "=", "a"),))
    assert len(selection.parts) == 1
    assert selection.odd == []


def test_a_block_replaces_the_log(tmp_path: Path) -> None:
    database = opened(tmp_path, T0)
    fill(database, range(40))
    finish(database)
    names = DirectoryDisk(tmp_path).names()
    assert [name.rsplit(".")[-1] for name in names] == ["block", "log"]
    assert contents(opened(tmp_path, T0)) == contents(database)


def test_blocks_and_logs_together(tmp_path: Path) -> None:
    database = opened(tmp_path, T0)
    for start in (0, 20, 40):
        fill(database, range(start, start + 20))
        if start < 40:
            finish(database)
    assert contents(opened(tmp_path, T0)) == contents(database)


def test_writing_goes_on_while_a_block_is_made(tmp_path: Path) -> None:
    database = opened(tmp_path, T0)
    fill(database, range(20))
    for step, _ in enumerate(database.compact()):
        database.append(make_labels({}, "during"), T0 + step, 1.0)
    assert contents(opened(tmp_path, T0)) == contents(database)


@pytest.mark.parametrize("seed", range(12))
def test_a_log_cut_anywhere_loses_only_its_end(tmp_path: Path, seed: int) -> None:
    database = opened(tmp_path, T0)
    fill(database, range(25))
    whole = contents(database)
    log = tmp_path / DirectoryDisk(tmp_path).names()[-1]
    size = log.stat().st_size
    cut = size * (seed * 7919 % 997) // 997
    log.write_bytes(log.read_bytes()[:cut])
    again = contents(opened(tmp_path, T0))
    for labels, samples in again.items():
        assert samples == whole[labels][: len(samples)]


def test_cutting_the_last_bytes_loses_at_most_the_last_scrape(tmp_path: Path) -> None:
    database = opened(tmp_path, T0)
    ingest = Ingest(database, ScrapeConfig("x"), TARGET, "x a:1")
    for step in range(5):
        ingest.take(Exchange(f"a {step}\n".encode(), "text/plain"), T0 + step, 0.0)
    log = tmp_path / DirectoryDisk(tmp_path).names()[-1]
    log.write_bytes(log.read_bytes()[:-3])
    again = contents(opened(tmp_path, T0))
    assert again[(("__name__", "a"), *TARGET)] == [(T0 + step, float(step)) for step in range(4)]


def test_a_damaged_byte_ends_the_log_there(tmp_path: Path) -> None:
    database = opened(tmp_path, T0)
    fill(database, range(25))
    log = tmp_path / DirectoryDisk(tmp_path).names()[-1]
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 0xFF
    log.write_bytes(bytes(data))
    again = contents(opened(tmp_path, T0))
    assert 0 < len(again[(("__name__", "a"), *TARGET)]) < 25


def test_a_damaged_block_is_named_and_the_rest_is_used(tmp_path: Path) -> None:
    database = opened(tmp_path, T0)
    fill(database, range(25))
    finish(database)
    block = tmp_path / DirectoryDisk(tmp_path).names()[0]
    block.write_bytes(block.read_bytes()[:-30])
    again = opened(tmp_path, T0)
    assert [finding.place.file for finding in again.findings] == [block.name]
    assert (("__name__", "a"), *TARGET) in contents(again)


def test_a_kill_between_block_and_log_removal_stores_nothing_twice(tmp_path: Path) -> None:
    database = opened(tmp_path, T0)
    fill(database, range(25))
    log = tmp_path / DirectoryDisk(tmp_path).names()[-1]
    kept = log.read_bytes()
    finish(database)
    log.write_bytes(kept)
    assert contents(opened(tmp_path, T0)) == contents(database)


def test_retention_keeps_recorded_series_longer(tmp_path: Path) -> None:
    keep = Retention(all_ms=HOUR_MS, history_ms=48 * HOUR_MS)
    database = opened(tmp_path, T0, keep)
    rules = database.frame("rules")
    column = rules.add(make_labels({}, "service:errors:ratio"))
    raw = database.frame("raw")
    other = raw.add(make_labels({}, "errors_total"))
    for step in range(300):
        row = np.full(1, float(step))
        rules.append(T0 + step * 1000, row)
        raw.append(T0 + step * 1000, row)
    assert (column, other) == (0, 0)
    finish(database)
    database.expire(T0 + 3 * HOUR_MS)
    again = contents(opened(tmp_path, T0 + 3 * HOUR_MS, keep))
    assert [dict(labels)["__name__"] for labels in again] == ["service:errors:ratio"]
    assert len(next(iter(again.values()))) == 300
    opened(tmp_path, T0 + 60 * HOUR_MS, keep)
    assert all(name.endswith(".log") for name in DirectoryDisk(tmp_path).names())


def test_counters_take_about_a_byte_a_sample() -> None:
    steps = np.arange(480, dtype=np.float64)
    values = np.stack([np.floor(steps * rate) for rate in np.linspace(1, 900, 200)], axis=1)
    times = T0 + np.arange(480, dtype=np.int64) * 15_000
    labels = [make_labels({"n": str(n)}, "c_total") for n in range(200)]
    packed = form.pack_part(form.Part("f", labels, times, values))
    assert len(packed) / values.size < 1.0


@settings(max_examples=60)
@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=8),
        elements=st.sampled_from(
            [0.0, -0.0, 1.0, 2.5, 1e300, math.inf, math.nan, STALE, ABSENT, 2.0**53, -7.0, 5e-324]
        ),
    )
)
def test_parts_keep_every_bit(values: np.ndarray) -> None:
    times = T0 + np.cumsum(np.arange(len(values), dtype=np.int64) % 5 + 1)
    labels = [make_labels({"n": str(n)}, "m") for n in range(values.shape[1])]
    again = form.unpack_part(form.pack_part(form.Part("näme", labels, times, values)))
    assert again.values.tobytes() == values.tobytes()
    assert again.times.tolist() == times.tolist()
    assert (again.name, again.labels) == ("näme", labels)


def test_rows_keep_every_bit() -> None:
    before = np.array([1.0, STALE])
    row = np.array([1.5, ABSENT, -0.0])
    assert form.unpack_row(form.pack_row(row, before), 3, before).tobytes() == row.tobytes()


def test_records_stop_at_a_length_that_cannot_be() -> None:
    data = form.LOG_MAGIC + form.record(form.FRAME, b"x") + struct.pack("<II", 2**31, 0) + b"rest"
    assert list(form.records(data, form.LOG_MAGIC)) == [(form.FRAME, b"x")]
    assert list(form.records(data, form.BLOCK_MAGIC)) == []


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_a_narrow_frame_comes_back_from_the_log(tmp_path: Path, columns: int) -> None:
    """One column alone once gave a read-only row, and the server did not start again."""
    database = opened(tmp_path, T0)
    frame = database.frame("rule")
    for column in range(columns):
        frame.add(make_labels({"__name__": "recorded", "column": str(column)}))
    for step in range(3):
        frame.append(T0 + step * 1000, [step + column / 8 for column in range(columns)])
    database.sync()
    before = contents(database)
    assert len(before) == columns
    assert contents(opened(tmp_path, T0 + 10_000)) == before
