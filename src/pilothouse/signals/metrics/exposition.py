"""Reading what a target exposes, and writing our own page: text 0.0.4 and OpenMetrics 1.0, as Prometheus does.

`read_page` is the pure reader. `PageReader` is for a target that is read again and again: it keeps the skeleton of the
last page (every line up to its value) and, as long as only values changed, does nothing but turn the values into
numbers. Called by `scrape`, `push` and the peers' replay; `write_text` by whoever serves /metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import compress
from operator import itemgetter

from pilothouse.engines.tsdb.labels import Labels
from pilothouse.signals.metrics.go_numbers import format_g
from pilothouse.signals.metrics.openmetrics import read_openmetrics
from pilothouse.signals.metrics.page import Dialect, MetadataLine, Page, PageError, Shape
from pilothouse.signals.metrics.text_format import read_text

OPENMETRICS = "application/openmetrics-text"
TEXT = "text/plain"
TEXT_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PROTOBUF = "application/vnd.google.protobuf"

_BLANK = "non-compliant scrape target sending blank Content-Type"
_SPACES_FLOAT_FORGIVES = "\t\r\x0b\x0c\x1c\x1d\x1e\x1f"


def format_of(content_type: str, dialect: Dialect, fallback: str = "") -> tuple[str, str]:
    """(media type to read with, "" or why the scrape must fail).

    Prometheus 2 reads anything unknown as 0.0.4; Prometheus 3 refuses it unless a fallback is configured.
    """
    media = content_type.partition(";")[0].strip().lower()
    if media in (OPENMETRICS, TEXT):
        return media, ""
    if media == PROTOBUF:
        return "", f"received unsupported Content-Type {content_type!r}: the protobuf format is not read here"
    if dialect is Dialect.PROMETHEUS_2:
        return TEXT, ""
    if fallback:
        return fallback, ""
    why = f'received unsupported Content-Type "{content_type}"' if media else _BLANK
    return "", f"{why} and no fallback_scrape_protocol specified for target"


def read_page(
    body: bytes, content_type: str = TEXT_CONTENT_TYPE, dialect: Dialect = Dialect.PROMETHEUS_3, fallback: str = ""
) -> Page:
    """Everything up to the end or the first error of a page; never raises. Times in Unix milliseconds."""
    media, refusal = format_of(content_type, dialect, fallback)
    if refusal:
        return Page(Shape([], [], []), [], error=PageError(refusal, 0, 0))
    try:
        text, clean = body.decode(), True
    except UnicodeDecodeError:
        text, clean = body.decode(errors="surrogateescape"), False
    if media == OPENMETRICS:
        return read_openmetrics(text, dialect, clean=clean)
    return read_text(text, dialect, clean=clean)


class PageReader:
    """Reads the pages of one target; pages that differ in values only share one `Shape` object."""

    __slots__ = ("_content_type", "_dialect", "_fallback", "_skeleton")

    def __init__(self, dialect: Dialect = Dialect.PROMETHEUS_3, fallback: str = "") -> None:
        self._dialect = dialect
        self._fallback = fallback
        self._content_type = ""
        self._skeleton: _Skeleton | None = None

    def read(self, body: bytes, content_type: str = TEXT_CONTENT_TYPE) -> Page:
        """As `read_page`, cheaper when the page looks like the last one."""
        if self._skeleton is not None and content_type == self._content_type:
            page = self._skeleton.refill(body)
            if page is not None:
                return page
        page = read_page(body, content_type, self._dialect, self._fallback)
        self._content_type = content_type
        self._skeleton = _Skeleton.of(body, page)
        return page


class _Skeleton:
    """A page without its values: the head of every line (up to its last space) and which lines are samples."""

    __slots__ = ("fixed", "fixed_tails", "heads", "sample_tails", "shape")

    def __init__(self, shape: Shape, heads: list[str], fixed: list[bool], tails: list[str], picks: list[int]) -> None:
        self.shape = shape
        self.heads = heads
        self.fixed = fixed
        self.fixed_tails = list(compress(tails, fixed))
        self.sample_tails = itemgetter(*picks)

    @staticmethod
    def of(body: bytes, page: Page) -> _Skeleton | None:
        """The skeleton of a page that was read without error, or None when its lines are not plain enough for one.

        Plain: every sample is one line, `series value` with one space, no timestamp, no exemplar. The check is exact:
        the lines that are not comments must be the samples' own texts, in order.
        """
        if page.error is not None or page.times_ms or page.exemplars or len(page.shape.texts) < 2:
            return None
        try:
            heads, tails = _split_lines(body.decode())
        except UnicodeDecodeError:
            return None
        fixed = [not head or head[0] == "#" for head in heads]
        picks = [i for i, kept in enumerate(fixed) if not kept]
        if [heads[i] for i in picks] != page.shape.texts or any(not tails[i] for i in picks):
            return None
        return _Skeleton(page.shape, heads, fixed, tails, picks)

    def refill(self, body: bytes) -> Page | None:
        """The page with this body's values, or None when anything else changed or a value needs the exact reader."""
        try:
            heads, tails = _split_lines(body.decode())
        except UnicodeDecodeError:
            return None
        if heads != self.heads or list(compress(tails, self.fixed)) != self.fixed_tails:
            return None
        values = _plain_floats(self.sample_tails(tails))
        return None if values is None else Page(self.shape, values)


def _split_lines(text: str) -> tuple[list[str], list[str]]:
    parts = [line.rpartition(" ") for line in text.split("\n")]
    return [part[0] for part in parts], [part[2] for part in parts]


def _plain_floats(tails: tuple[str, ...]) -> list[float] | None:
    """The values, or None when any text is one that Python and Go do not read alike."""
    joined = " ".join(tails)
    if not joined.isascii() or "_" in joined or any(c in joined for c in _SPACES_FLOAT_FORGIVES):
        return None
    try:
        values = list(map(float, tails))
    except ValueError:
        return None
    for index, value in enumerate(values):
        if value - value != 0 and tails[index] not in ("NaN", "+Inf", "-Inf", "Inf"):
            return None
    return values


def write_text(
    families: Iterable[tuple[str, str, str, Iterable[tuple[Labels, float]]]],
) -> str:
    """A 0.0.4 page. Families are (name, type, help, samples); samples carry full labels with `__name__`."""
    lines: list[str] = []
    for name, kind, help_text, samples in families:
        if help_text:
            escaped = help_text.replace("\\", "\\\\").replace("\n", "\\n")
            lines.append(f"# HELP {name} {escaped}")
        lines.append(f"# TYPE {name} {'untyped' if kind in ('', 'unknown') else kind}")
        lines.extend(f"{series_text(labels)} {format_g(value)}" for labels, value in samples)
    lines.append("")
    return "\n".join(lines)


def series_text(labels: Labels) -> str:
    """`name{a="b"}` as the text format writes it."""
    name = next((value for key, value in labels if key == "__name__"), "")
    pairs = [f'{key}="{escape_value(value)}"' for key, value in labels if key != "__name__"]
    return f"{name}{{{','.join(pairs)}}}" if pairs else name


def escape_value(value: str) -> str:
    """A label value with its three escapes."""
    if "\\" in value or "\n" in value or '"' in value:
        return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return value


class MetadataBook:
    """What is known of a target's metrics: the newest type, help and unit of each, forgotten 10 scrapes after the last
    mention, as Prometheus' scrape cache does."""

    __slots__ = ("_entries", "_last_lines", "_scrape")

    def __init__(self) -> None:
        self._entries: dict[str, tuple[int, dict[str, str]]] = {}
        self._scrape = 0
        self._last_lines: list[MetadataLine] | None = None

    def take(self, lines: list[MetadataLine], *, complete: bool) -> None:
        """Notes the lines of one scrape; `complete` is False when the scrape failed (nothing ages then)."""
        if lines is not self._last_lines:
            self._last_lines = lines
            for line in lines:
                entry = self._entries.get(line.metric)
                fields = entry[1] if entry else {"type": "unknown", "help": "", "unit": ""}
                fields[line.field] = line.text
                self._entries[line.metric] = (self._scrape, fields)
        elif lines and complete:
            # The same lines again: one number says that all of them were seen.
            for metric in dict.fromkeys(line.metric for line in lines):
                self._entries[metric] = (self._scrape, self._entries[metric][1])
        if complete:
            self._forget()
            self._scrape += 1

    def _forget(self) -> None:
        old = [metric for metric, (seen, _) in self._entries.items() if self._scrape - seen > 10]
        for metric in old:
            del self._entries[metric]

    def entries(self) -> Mapping[str, Mapping[str, str]]:
        """metric → {"type", "help", "unit"} in order of first mention."""
        return {metric: fields for metric, (_, fields) in self._entries.items()}
