"""Recorded series from files: OpenMetrics, JSON of Prometheus' query API, lines of `promtool tsdb dump`, input series.

What a file is, its content says. Reads the disk; what cannot be read is a finding with its line, the rest goes on.
Codes PH320-PH323. Called by `backtest` and, for `--series`, by rehearsals.
"""

from __future__ import annotations

import gzip
import io
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from pilothouse.assemble.recorded import Recorded
from pilothouse.assemble.yaml_files import parse_yaml
from pilothouse.base import manifest_errors
from pilothouse.base.duration import parse_prometheus_duration_ms
from pilothouse.base.errors import Finding, Place
from pilothouse.engines.alerting.rule_file import text_of
from pilothouse.engines.alerting.series_notation import NotationError, parse_metric, parse_series
from pilothouse.engines.tsdb import Labels, make_labels
from pilothouse.signals.metrics.exposition import read_page

FILE_BYTES = 2**30
"""One file, after decompression: a day of 10,000 series every 15 s as text is about this size."""
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
_DUMP = re.compile(r"(\{.*\}) (\S+) (-?[0-9]+)")
_INPUT_SERIES = re.compile(r"^\s*-?\s*input_series:", re.MULTILINE)


def read_recorded(path: str, into: Recorded, start_ms: int = 0) -> list[Finding]:
    """Adds a file, or every file of a folder; what is wrong. start_ms: when input series begin, which carry no time."""
    if os.path.isdir(path):
        names = sorted(n for n in os.listdir(path) if not n.startswith("."))
        inside = [os.path.join(path, n) for n in names if os.path.isfile(os.path.join(path, n))]
        if not inside:
            return [_wrong(path, 0, "the folder holds no file")]
        return [f for each in inside for f in _read_file(each, into, start_ms)]
    return _read_file(path, into, start_ms)


def _read_file(path: str, into: Recorded, start_ms: int) -> list[Finding]:
    try:
        with open(path, "rb") as file:
            data = file.read(FILE_BYTES + 1)
        if data[:2] == b"\x1f\x8b":
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(FILE_BYTES + 1)
    except FileNotFoundError:
        return [manifest_errors.missing(path)]
    except (OSError, ValueError, EOFError) as error:
        return [manifest_errors.unreadable(path, error if isinstance(error, OSError) else OSError(str(error)))]
    if len(data) > FILE_BYTES:
        remedy = "give the series by parts: a folder with several files"
        return [Finding("PH320", f"is larger than {FILE_BYTES >> 20} MiB (FILE_BYTES)", Place(path), remedy)]
    before = into.series, into.samples
    findings = read_bytes(data, path, into, start_ms)
    if not findings and before == (into.series, into.samples) and not into.without_time:
        findings.append(_wrong(path, 0, "no sample is in it"))
    return findings


def read_bytes(data: bytes, file: str, into: Recorded, start_ms: int = 0) -> list[Finding]:
    """Adds the samples of one text, in whichever format it is."""
    head = data[:4096].lstrip()
    if head.startswith((b'{"', b"[", b"{\n", b"{ ", b"{\r", b"{}")) and not _DUMP.match(head.decode(errors="replace")):
        return _read_json(data, file, into)
    if head.startswith(b"{"):
        return _read_dump(data.decode(errors="replace"), file, into)
    text = data[: 1 << 20].decode(errors="replace")
    if _INPUT_SERIES.search(text):
        return _read_input_series(data.decode(errors="replace"), file, into, start_ms)
    return _read_page(data, file, into)


def _wrong(file: str, line: int, message: str) -> Finding:
    remedy = (
        "give OpenMetrics text with timestamps, the JSON of /api/v1/query_range, or `promtool tsdb dump`; "
        "docs/backtest.md shows each"
    )
    return Finding("PH320", message, Place(file, line), remedy)


# OpenMetrics and the older text format


def _read_page(data: bytes, file: str, into: Recorded) -> list[Finding]:
    is_openmetrics = data.rstrip().endswith(b"# EOF")
    if _read_plain(data, is_openmetrics, into):
        return []
    page = read_page(data, OPENMETRICS) if is_openmetrics else read_page(data)
    columns: dict[Labels, tuple[list[int], list[float]]] = {}
    timed = page.times_ms
    for index, (labels, value) in enumerate(zip(page.shape.labels, page.values)):
        time_ms = timed.get(index)
        if time_ms is None:
            into.without_time += 1
            continue
        times, values = columns.setdefault(labels, ([], []))
        times.append(time_ms)
        values.append(value)
    for labels, (times, values) in columns.items():
        into.add(labels, times, values)
    findings = []
    if page.error is not None:
        findings.append(_wrong(file, page.error.line, f"cannot be read from here on: {page.error.message}"))
    missing = len(page.values) - len(timed)
    if missing:
        message = f"{missing:,} of {len(page.values):,} samples carry no time and are left out"
        remedy = "a single scrape cannot be replayed: record series over time, each sample with its timestamp"
        findings.append(Finding("PH321", message, Place(file), remedy, "error" if not timed else "warning"))
    return findings


def _read_plain(data: bytes, is_openmetrics: bool, into: Recorded) -> bool:
    """The usual file, ten times as fast: lines `SERIES VALUE TIME`, each series many times. False: read it properly.

    Every distinct series text still goes through the page reader, which decides what is legal.
    """
    columns: dict[bytes, tuple[list[bytes], list[bytes]]] = {}
    for line in data.splitlines():
        if line.startswith(b"#"):
            continue
        parts = line.rsplit(b" ", 2)
        if len(parts) != 3:
            return False
        values, times = columns.setdefault(parts[0], ([], []))
        values.append(parts[1])
        times.append(parts[2])
    # An exemplar behind the sample would be taken for the sample itself.
    if not columns or any(b"#" in series for series in columns):
        return False
    end = b"# EOF\n" if is_openmetrics else b""
    firsts = b"".join(b" ".join((series, v[0], t[0])) + b"\n" for series, (v, t) in columns.items())
    page = read_page(firsts + end, OPENMETRICS) if is_openmetrics else read_page(firsts)
    if page.error is not None or len(page.values) != len(columns) or len(page.times_ms) != len(columns):
        return False
    unit_ms = 1000.0 if is_openmetrics else 1.0
    try:
        found = [
            (labels, np.rint(np.array(t, dtype=np.float64) * unit_ms).astype(np.int64), np.array(v, dtype=np.float64))
            for labels, (v, t) in zip(page.shape.labels, columns.values())
        ]
    except (ValueError, OverflowError):
        return False
    for labels, times_ms, numbers in found:
        into.add(labels, times_ms, numbers)
    return True


# JSON of the query API


def _read_json(data: bytes, file: str, into: Recorded) -> list[Finding]:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return [_wrong(file, error.lineno, f"is not JSON: {error.msg}")]
    refusal = add_answer(document, into)
    return [_wrong(file, 0, refusal)] if refusal else []


def add_answer(document: Any, into: Recorded) -> str:
    """Adds an answer of /api/v1/query or query_range, its `data`, or the bare list of results; "" or what is wrong."""
    if isinstance(document, dict) and document.get("status") == "error":
        return f"the answer is an error: {document.get('error', '')}"
    if isinstance(document, dict) and isinstance(document.get("data"), dict):
        document = document["data"]
    if isinstance(document, dict):
        if document.get("resultType") not in ("matrix", "vector"):
            return f"resultType is {document.get('resultType')!r}, not matrix or vector"
        document = document.get("result")
    if not isinstance(document, list):
        return "there is no list of results"
    for number, result in enumerate(document):
        try:
            labels = make_labels({str(k): str(v) for k, v in result["metric"].items()})
            pairs = result["values"] if "values" in result else [result["value"]] if "value" in result else []
            times = [round(float(t) * 1000) for t, _v in pairs]
            values = [float(v) for _t, v in pairs]
        except (KeyError, TypeError, ValueError, AttributeError):
            return f"result {number + 1} is not {{metric: …, values: [[time, value], …]}}"
        if times:
            into.add(labels, times, values)
    return ""


# promtool tsdb dump


def _read_dump(text: str, file: str, into: Recorded) -> list[Finding]:
    """Lines `{__name__="x", …} VALUE MILLISECONDS`; the first that is none ends the reading of the file."""
    columns: dict[str, tuple[list[int], list[float]]] = {}
    found: list[Finding] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _DUMP.fullmatch(line.strip())
        if match is None:
            if line.strip():
                found.append(_wrong(file, number, f"is no line of a dump: {line.strip()[:60]!r}"))
                break
            continue
        try:
            value = float(match[2])
        except ValueError:
            found.append(_wrong(file, number, f"{match[2]!r} is no value"))
            break
        times, values = columns.setdefault(match[1], ([], []))
        times.append(int(match[3]))
        values.append(value)
    for series, (times, values) in columns.items():
        try:
            into.add(parse_metric(series), times, values)
        except NotationError as error:
            found.append(_wrong(file, 0, f"{series[:60]}: {error}"))
    return found


# Input series of a unit-test file


def _read_input_series(text: str, file: str, into: Recorded, start_ms: int) -> list[Finding]:
    read = parse_yaml(text, file)
    if isinstance(read, Finding):
        return [read]
    findings = []
    for path, group in _groups(read.value):
        interval = text_of(group.get("interval")) or "1m"
        try:
            step_ms = parse_prometheus_duration_ms(interval)
            if step_ms <= 0:
                raise ValueError(f"interval {interval} is not positive")
            for entry in group.get("input_series") or ():
                _add_notation(text_of(entry["series"]), text_of(entry["values"]), start_ms, step_ms, into)
        except (ValueError, KeyError, TypeError) as error:
            place = read.place_of((*path, "input_series"))
            findings.append(Finding("PH320", f"input series: {error}", place, "docs/test-rules.md shows their form"))
    return findings


def _groups(value: Any) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Mappings with input series: the document itself, or each entry of `tests:`."""
    if isinstance(value, dict):
        if "input_series" in value:
            yield (), value
        tests = value.get("tests")
        for index, test in enumerate(tests if isinstance(tests, list) else ()):
            if isinstance(test, dict) and "input_series" in test:
                yield ("tests", index), test


def _add_notation(series: str, values: str, start_ms: int, step_ms: int, into: Recorded) -> None:
    labels, found = parse_series(series, values)
    kept = [(start_ms + n * step_ms, v) for n, v in enumerate(found) if isinstance(v, float)]
    if kept:
        into.add(labels, [t for t, _v in kept], [v for _t, v in kept])
