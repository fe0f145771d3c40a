"""Collects what a reader finds, entry by entry, and turns it into a `Page`. Used by both format readers only."""

from __future__ import annotations

import math

from pilothouse.engines.tsdb.labels import Labels
from pilothouse.signals.metrics.go_numbers import format_openmetrics, parse_float, quote
from pilothouse.signals.metrics.page import Exemplar, MetadataLine, Page, PageError, Shape
from pilothouse.signals.metrics.page_lexer import Lexer, ParseStop, is_utf8, plain_pairs, unescape, with_name

_BOUND_LABEL = {"histogram": "le", "summary": "quantile"}


class PageBuilder:
    """The page so far. `normalise` turns bucket bounds and quantiles into OpenMetrics floats, as Prometheus 3 does."""

    __slots__ = ("blocks", "exemplars", "labels", "metadata", "metric_type", "normalise", "texts", "times_ms", "values")

    def __init__(self, *, normalise: bool) -> None:
        self.normalise = normalise
        self.texts: list[str] = []
        self.labels: list[Labels] = []
        self.values: list[float] = []
        self.times_ms: dict[int, int] = {}
        self.exemplars: dict[int, Exemplar] = {}
        self.metadata: list[MetadataLine] = []
        self.metric_type = ""
        # Families repeat the same label blocks; splitting each once is what keeps a cold read fast.
        self.blocks: dict[str, tuple[tuple[str, str], ...] | None] = {}

    def pairs_of(self, block: str) -> tuple[tuple[str, str], ...] | None:
        """The pairs of a block in its usual form, from memory when the page had it before; None: read it by tokens."""
        pairs = self.blocks.get(block, ())
        if pairs == ():
            pairs = self.blocks[block] = plain_pairs(block)
        return pairs

    def bound(self, pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """The pairs with the family's bound label (`le`, `quantile`) in its normal form."""
        name = _BOUND_LABEL.get(self.metric_type) if self.normalise else None
        if name is None:
            return pairs
        return tuple((n, _bound_text(v)) if n == name else (n, v) for n, v in pairs)

    def add(self, text: str, name: str, pairs: tuple[tuple[str, str], ...], value: float) -> None:
        """One sample; a NaN becomes the plain NaN, so that no page can smuggle in a staleness marker."""
        self.texts.append(text)
        self.labels.append(with_name(name, self.bound(pairs)))
        self.values.append(value if value == value else math.nan)

    def page(self, error: PageError | None) -> Page:
        shape = Shape(self.texts, self.labels, self.metadata)
        return Page(shape, self.values, self.times_ms, self.exemplars, error)


def _bound_text(value: str) -> str:
    try:
        return format_openmetrics(parse_float(value))
    except ValueError:
        return value


def number(lexer: Lexer, text: str) -> float:
    """A float of the page; ParseStop with Prometheus' wording when it is none."""
    try:
        return parse_float(text)
    except ValueError as why:
        raise ParseStop(f"{why} while parsing: {quote(lexer.entry_text())}") from None


class SeriesLabels:
    """Name and pairs of one series while its braces are read; a quoted name inside the braces (3.x) sets `name`."""

    __slots__ = ("name", "pairs")

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.pairs: list[tuple[str, str]] = []

    def add(self, lexer: Lexer, name: str, value_token: str) -> None:
        if not is_utf8(value_token):
            raise ParseStop(f"invalid UTF-8 label value: {quote(lexer.entry_text())}")
        value = unescape(value_token[1:-1])
        if value:
            self.pairs.append((unquote_name(name), value))

    def sorted_pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple(sorted(self.pairs))


def unquote_name(token: str) -> str:
    """A name as written, or without the quotes and escapes of its UTF-8 form."""
    return unescape(token[1:-1]) if token[:1] == '"' else token


def place(text: str, at: int) -> tuple[int, int]:
    """1-based line and column of an offset."""
    line = text.count("\n", 0, at) + 1
    return line, at - (text.rfind("\n", 0, at) + 1) + 1
