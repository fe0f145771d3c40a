"""Peer set `exposition`: scraped pages and what the reference server made of them (health, samples, metadata).

The set was recorded from Prometheus 2.42, so pages are read in that dialect. Each case is scraped once by a target of
its own into an empty database; `@MS@`, `@S@` and `@MSFUT@` in a page stand for moments around the scrape.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pilothouse.engines.tsdb import Database, Labels, make_matcher
from pilothouse.signals.metrics.go_numbers import format_api
from pilothouse.signals.metrics.ingest import REPORTS, Exchange, Ingest
from pilothouse.signals.metrics.page import Dialect
from pilothouse.signals.metrics.scrape_config import ScrapeConfig

NOW_MS = 1_795_342_797_000
TARGET: Labels = (("instance", "127.0.0.1:1"), ("job", "page"))


def run(folder: Path) -> Iterable[tuple[str, str | None]]:
    for case in json.loads((folder / "cases.json").read_text()):
        yield case["id"], _difference(case)


def _difference(case: Mapping[str, Any]) -> str | None:
    text = case["text"].replace("@MSFUT@", str(NOW_MS + 7_200_000))
    text = text.replace("@MS@", str(NOW_MS - 3000)).replace("@S@", str(NOW_MS // 1000 - 3))
    database = Database()
    ingest = Ingest(database, ScrapeConfig("page"), TARGET, dialect=Dialect.PROMETHEUS_2)
    result = ingest.take(Exchange(text.encode(), case["content_type"]), NOW_MS, 0.01)
    if (not result.error) != bool(case["up"]):
        return f"up should be {case['up']}: {result.error or 'no error'} (wanted {case['last_error']!r})"
    if result.scraped != case["samples_scraped"]:
        return f"scraped {result.scraped} samples, wanted {case['samples_scraped']:g}"
    created = "_created" in case["text"]
    found, wanted = _stored(database), _wanted(case["samples"])
    if [row[0] for row in found] != [row[0] for row in wanted] or (not created and found != wanted):
        return f"stored {found}, wanted {wanted}"
    if _metadata(ingest) != sorted(tuple(sorted(entry.items())) for entry in case["metadata"]):
        return f"metadata {_metadata(ingest)}"
    if "exemplars" in case and len(ingest.exemplars) != len(case["exemplars"]):
        return f"exemplars {ingest.exemplars}, wanted {case['exemplars']}"
    return None


def _stored(database: Database) -> list[tuple[tuple[tuple[str, str], ...], str]]:
    selection = database.select((make_matcher("__name__", "=~", ".+"),))
    rows = []
    for part in selection.parts:
        first, last = part.row_span(0, NOW_MS + 10**9)
        block = part.block(first, last)
        labels = [selection.labels[i] for i in range(selection.size)]
        for column, position in enumerate(_positions(part.positions, selection.size)):
            rows.append((labels[position], float(block[-1, column])))
    for odd in selection.odd:
        rows.extend((selection.labels[odd.position], sample[1]) for sample in odd.samples(0, NOW_MS + 10**9))
    own = [
        (_without_target(labels), format_api(value))
        for labels, value in rows
        if dict(labels)["__name__"] not in REPORTS
    ]
    return sorted(own)


def _positions(positions: Any, size: int) -> list[int]:
    return list(range(size))[positions] if isinstance(positions, slice) else list(positions)


def _without_target(labels: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in labels if pair not in TARGET)


def _wanted(samples: Iterable[Mapping[str, Any]]) -> list[tuple[tuple[tuple[str, str], ...], str]]:
    return sorted((tuple(sorted(sample["labels"].items())), sample["value"]) for sample in samples)


def _metadata(ingest: Ingest) -> list[tuple[tuple[str, str], ...]]:
    entries = [{"metric": metric, **fields} for metric, fields in ingest.metadata.entries().items()]
    return sorted(tuple(sorted(entry.items())) for entry in entries)
