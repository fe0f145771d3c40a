"""Pages are read as Prometheus reads them: the cases, the cache of unchanged pages, hostile input."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.signals.metrics.exposition import (
    OPENMETRICS,
    MetadataBook,
    PageReader,
    escape_value,
    format_of,
    read_page,
    write_text,
)
from pilothouse.signals.metrics.go_numbers import format_api
from pilothouse.signals.metrics.page import Dialect, Exemplar, MetadataLine, Page

CASES = Path(__file__).parents[3] / "cases" / "exposition"
OM = OPENMETRICS + "; version=1.0.0; charset=utf-8"


def _cases(name: str) -> list[tuple[str, str, list[str]]]:
    cases = []
    for block in (CASES / name).read_text().split("\n== ")[1:]:
        title, _, rest = block.partition("\n")
        text, _, expected = rest.partition("\n--\n")
        cases.append((title, text + "\n", expected.strip("\n").split("\n")))
    return cases


def _labels_text(labels: tuple[tuple[str, str], ...]) -> str:
    return ",".join(f'{name}="{escape_value(value)}"' for name, value in labels)


def _exemplar_text(exemplar: Exemplar) -> str:
    stamp = "" if exemplar.time_ms is None else f" @{exemplar.time_ms}"
    return f" # {{{_labels_text(exemplar.labels)}}} {format_api(exemplar.value)}{stamp}"


def _lines(page: Page) -> list[str]:
    lines = []
    for index, (labels, value) in enumerate(zip(page.shape.labels, page.values)):
        rest = tuple(pair for pair in labels if pair[0] != "__name__")
        line = dict(labels)["__name__"] + (f"{{{_labels_text(rest)}}}" if rest else "") + f" {format_api(value)}"
        line += f" @{page.times_ms[index]}" if index in page.times_ms else ""
        lines.append(line + (_exemplar_text(page.exemplars[index]) if index in page.exemplars else ""))
    return lines


def _check(page: Page, expected: list[str]) -> None:
    error = expected.pop()[6:] if expected[-1].startswith("error ") else ""
    assert _lines(page) == expected
    if not error:
        assert page.error is None
        return
    assert page.error is not None
    place, _, part = error.partition(" ")
    assert part in page.error.message
    assert f"{page.error.line}:{page.error.column}" == place


@pytest.mark.parametrize(("text", "expected"), [pytest.param(*c[1:], id=c[0]) for c in _cases("text.txt")])
def test_text_format(text: str, expected: list[str]) -> None:
    _check(read_page(text.encode()), expected)


@pytest.mark.parametrize(("text", "expected"), [pytest.param(*c[1:], id=c[0]) for c in _cases("openmetrics.txt")])
def test_openmetrics(text: str, expected: list[str]) -> None:
    _check(read_page(text.encode(), OM), expected)


def test_the_older_dialect_knows_no_quoted_names_and_keeps_bounds_as_written() -> None:
    old = Dialect.PROMETHEUS_2
    assert read_page(b'{"a.b"} 1\n', dialect=old).error is not None
    page = read_page(b'# TYPE h histogram\nh_bucket{le="1"} 1\n', dialect=old)
    assert page.shape.labels == [(("__name__", "h_bucket"), ("le", "1"))]
    trailing = read_page(b'a{x="1",} 1\n# EOF\n', OM, old)
    assert trailing.error is not None
    assert 'expected label name, got "} " ("BCLOSE")' in trailing.error.message


def test_exemplars_need_a_counter_or_bucket_in_the_older_dialect() -> None:
    body = b'a 1 # {t="1"} 2\n# EOF\n'
    assert read_page(body, OM).error is None
    refused = read_page(body, OM, Dialect.PROMETHEUS_2).error
    assert refused is not None
    assert "does not support exemplars" in refused.message


def test_content_type_decides_the_format() -> None:
    new, old = Dialect.PROMETHEUS_3, Dialect.PROMETHEUS_2
    assert format_of("Application/OpenMetrics-Text; version=0.0.1", new) == (OPENMETRICS, "")
    assert format_of("", old) == ("text/plain", "")
    assert format_of("text/html", new, "text/plain") == ("text/plain", "")
    assert "blank Content-Type" in format_of("", new)[1]
    assert "unsupported" in format_of("text/html", new)[1]
    assert "protobuf" in format_of("application/vnd.google.protobuf", old)[1]


def test_metadata_lines_are_kept_in_order() -> None:
    page = read_page(b"# HELP a One\\ntwo \\\\ \\q\n# TYPE a gauge\n# HELP b\n")
    lines = [(line.metric, line.field, line.text) for line in page.shape.metadata]
    assert lines == [("a", "help", "One\ntwo \\ \\q"), ("a", "type", "gauge"), ("b", "help", "")]


def test_broken_utf8_is_refused_where_prometheus_looks() -> None:
    assert read_page(b"# \xff\na 1\n").error is None
    label = read_page(b'a{b="\xff"} 1\n').error
    assert label is not None
    assert "invalid UTF-8 label value" in label.message
    help_line = read_page(b"# HELP a \xff\n").error
    assert help_line is not None
    assert "not a valid utf8 string" in help_line.message


def test_an_unchanged_page_keeps_its_shape() -> None:
    reader = PageReader()
    first = reader.read(b'# TYPE a counter\na{x="1 2"} 1\na{x="2"} 2\n')
    second = reader.read(b'# TYPE a counter\na{x="1 2"} 3\na{x="2"} NaN\n')
    assert second.shape is first.shape
    assert second.values[0] == 3
    assert math.isnan(second.values[1])


@pytest.mark.parametrize(
    "body",
    [
        b"a 1\nb 2\nc 3\n",
        b"a 1\nc 2\n",
        b"# HELP a x\na 1\nb 2\n",
        b"a 1 1700000000000\nb 2\n",
        b"a 1_0\nb 2\n",
        b"a 1\r\nb 2\n",
        b"a 1e999\nb 2\n",
        b"a +nan\nb 2\n",
        "a １\nb 2\n".encode(),
        b"a\t1\nb 2\n",
        b"",
    ],
)
def test_the_cache_never_changes_what_is_read(body: bytes) -> None:
    reader = PageReader()
    reader.read(b"a 1\nb 2\n")
    cached, fresh = reader.read(body), read_page(body)
    assert (_lines(cached), cached.error) == (_lines(fresh), fresh.error)


@given(
    st.lists(st.sampled_from(["a", 'b{x="1"}', "#", " ", "\n", "1", "{", "}", '"', "=", ",", "\\", "EOF", "\x00", "é"]))
)
def test_any_text_is_read_or_refused_with_a_place(parts: list[str]) -> None:
    body = "".join(parts).encode()
    for content_type in ("text/plain", OM):
        page = read_page(body, content_type)
        assert len(page.values) == len(page.shape.labels) == len(page.shape.texts)
        if page.error:
            assert page.error.line >= 1
            assert page.error.column >= 1


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    reader = PageReader()
    assert _lines(reader.read(body)) == _lines(reader.read(body))


def test_a_ten_megabyte_line_is_read_in_linear_time() -> None:
    body = b'a{x="' + b'\\"y' * 3_500_000 + b'"} 1\n'
    page = read_page(body)
    assert page.error is None
    assert len(page.shape.labels[0][1][1]) == 7_000_000
    broken = read_page(body[:-5] + b" 1\n").error
    assert broken is not None
    assert len(broken.message) < 2_000


def test_what_is_written_reads_back() -> None:
    labels = (("__name__", "a"), ("x", 'q"\\\n'))
    text = write_text([("a", "gauge", "Line\none \\", [(labels, 0.1), ((("__name__", "a"),), 1e21)])])
    page = read_page(text.encode())
    assert page.error is None
    assert page.shape.labels == [labels, (("__name__", "a"),)]
    assert page.values == [0.1, 1e21]
    assert page.shape.metadata[0].text == "Line\none \\"


def test_metadata_is_forgotten_ten_scrapes_after_its_last_mention() -> None:
    book = MetadataBook()
    book.take([MetadataLine("gone", "type", "gauge"), MetadataLine("gone", "help", "x")], complete=True)
    kept = [MetadataLine("kept", "type", "counter")]
    for _ in range(10):
        book.take(kept, complete=True)
    assert dict(book.entries())["gone"] == {"type": "gauge", "help": "x", "unit": ""}
    book.take(kept, complete=True)
    assert list(book.entries()) == ["kept"]
