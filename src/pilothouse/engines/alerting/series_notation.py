"""The notation of input series in rule unit tests: `up{job="a"}` with values such as `0 1+2x3 _ stale 5x10`.

Grammar after promql/parser/generated_parser.y (series_description, Prometheus 3). A value is a float, None for "no
sample",
`tsdb.STALE`, or a `HistogramLiteral`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pilothouse.engines.alerting.gotemplate.literals import unquote
from pilothouse.engines.alerting.rules import Labels, quoted
from pilothouse.engines.tsdb import STALE

VALUES_LIMIT = 10_000_000
"""Samples one series may expand to; `0x99999999999` is a mistake."""


class NotationError(ValueError):
    """The text is no series description; the message has the column, as promtool shows it."""


@dataclass(frozen=True, slots=True)
class HistogramLiteral:
    """A native histogram as written between double braces; bucket lists are absolute counts."""

    schema: int = 0
    sum: float = 0.0
    count: float = 0.0
    zero_count: float = 0.0
    zero_width: float = 0.0
    offset: int = 0
    buckets: tuple[float, ...] = ()
    negative_offset: int = 0
    negative_buckets: tuple[float, ...] = ()
    custom_values: tuple[float, ...] = ()
    hint: str = ""
    """"", gauge, reset or not_reset."""

    def plus(self, other: HistogramLiteral, sign: int) -> HistogramLiteral:
        """The sum (or difference) of two histograms of one schema."""
        if (self.schema, self.custom_values) != (other.schema, other.custom_values):
            raise NotationError("histograms of different schemas cannot be added in a series")
        offset, buckets = _added((self.offset, self.buckets), (other.offset, other.buckets), sign)
        negative_offset, negative = _added(
            (self.negative_offset, self.negative_buckets), (other.negative_offset, other.negative_buckets), sign
        )
        return replace(
            self,
            sum=self.sum + sign * other.sum,
            count=self.count + sign * other.count,
            zero_count=self.zero_count + sign * other.zero_count,
            zero_width=max(self.zero_width, other.zero_width),
            offset=offset,
            buckets=buckets,
            negative_offset=negative_offset,
            negative_buckets=negative,
        )


def _added(
    one: tuple[int, tuple[float, ...]], other: tuple[int, tuple[float, ...]], sign: int
) -> tuple[int, tuple[float, ...]]:
    spans = [s for s in (one, other) if s[1]]
    if not spans:
        return one[0], ()
    low = min(s[0] for s in spans)
    high = max(s[0] + len(s[1]) for s in spans)
    out = [0.0] * (high - low)
    for (offset, counts), factor in ((one, 1), (other, sign)):
        for index, count in enumerate(counts):
            out[offset - low + index] += factor * count
    return low, tuple(out)


Value = float | None | HistogramLiteral

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|`[^`]*`')
# No hexadecimal numbers here: 0x20 is zero, repeated.
_NUMBER = r"(?:[0-9][0-9_]*\.?[0-9_]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[iI][nN][fF]|[nN][aA][nN])"
_ITEM = re.compile(
    rf"(?:(?P<blank>_)|(?P<stale>stale)|(?P<value>[+-]?{_NUMBER})(?P<step>[+-]{_NUMBER})?)"
    r"(?:x(?P<times>[0-9]+))?(?=\s|$)",
)
_HISTOGRAM = re.compile(
    r"\{\{(?P<body>.*?)\}\}(?:(?P<sign>[+-])\{\{(?P<step>.*?)\}\})?(?:x(?P<times>[0-9]+))?(?=\s|$)", re.S
)


def parse_series(series: str, values: str) -> tuple[Labels, list[Value]]:
    """The labels and expanded values of one input series; NotationError with the place."""
    labels, end = _metric(series, 0)
    if series[end:].strip():
        raise _unexpected(series, end, "metric description")
    return labels, list(parse_values(values))


def parse_metric(text: str) -> Labels:
    """Labels written as `name{a="b"}`, `{a="b"}` or `{"name", a="b"}`; empty text is the empty set."""
    labels, end = _metric(text, 0)
    if text[end:].strip():
        raise _unexpected(text, end, "metric")
    return labels


def parse_values(text: str) -> Iterator[Value]:
    """The values of a series, repetitions expanded."""
    at, count = _skip(text, 0), 0
    while at < len(text):
        match = _ITEM.match(text, at)
        items: Iterator[Value]
        if match is not None:
            items = _floats(match)
        else:
            match = _HISTOGRAM.match(text, at)
            if match is None:
                raise _unexpected(text, at, "series values")
            items = _histograms(match)
        count += int(match["times"] or 0) + 1
        if count > VALUES_LIMIT:
            raise NotationError(f"1:{at + 1}: parse error: more than {VALUES_LIMIT} values in one series")
        yield from items
        at = _skip(text, match.end())


def _floats(match: re.Match[str]) -> Iterator[Value]:
    times = None if match["times"] is None else int(match["times"])
    if match["blank"]:
        yield from [None] * (1 if times is None else times)
        return
    value = STALE if match["stale"] else number(match["value"])
    if match["step"] is None:
        yield from [value] * (1 if times is None else times + 1)
        return
    step = number(match["step"])
    if times is None:
        raise NotationError(f"1:{match.end()}: parse error: unexpected end of input in series values, expected times")
    for _ in range(times + 1):
        yield value
        value += step


def number(text: str) -> float:
    """A decimal number, Inf or NaN, with an optional sign."""
    return float(text.replace("_", ""))


def _metric(text: str, at: int) -> tuple[Labels, int]:
    at = _skip(text, at)
    found: dict[str, str] = {}
    name = _NAME.match(text, at)
    if name is not None:
        found["__name__"], at = name[0], name.end()
    after = _skip(text, at)
    if text[after : after + 1] == "{":
        at = _braces(text, after + 1, found)
    return tuple(sorted((k, v) for k, v in found.items() if v)), at


def _braces(text: str, at: int, found: dict[str, str]) -> int:
    while True:
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            return at + 1
        label = _LABEL.match(text, at) or _STRING.match(text, at)
        if label is None:
            raise _unexpected(text, at, "label set", 'identifier or "}"')
        name, at = (unquote_any(label[0]) if label[0][0] in "\"'`" else label[0]), _skip(text, label.end())
        if text[at : at + 1] != "=":
            if label[0][0] not in "\"'`" or "__name__" in found:
                raise _unexpected(text, at, "label set", '"="')
            found["__name__"] = name
        else:
            value = _STRING.match(text, _skip(text, at + 1))
            if value is None:
                raise _unexpected(text, _skip(text, at + 1), "label set", "string")
            found[name], at = unquote_any(value[0]), _skip(text, value.end())
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "}":
            raise _unexpected(text, at, "label set", '"," or "}"')


def unquote_any(text: str) -> str:
    """The value of a PromQL string literal in any of its three quotes."""
    if text[0] == "'":
        text = '"' + text[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'
    try:
        return unquote(text)
    except ValueError:
        raise NotationError(f"error unquoting string {text}") from None


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _unexpected(text: str, at: int, context: str, expected: str = "") -> NotationError:
    what = "end of input" if at >= len(text) else f"character {quoted(text[at])}"
    wanted = f", expected {expected}" if expected else ""
    return NotationError(f"1:{at + 1}: parse error: unexpected {what} in {context}{wanted}")


# Histograms

_FIELD = re.compile(r"\s*([a-z_]+)\s*:\s*(\[[^\]]*\]|[^\s\]]+)")
_SCALARS = {
    "schema": "schema", "sum": "sum", "count": "count", "z_bucket": "zero_count", "z_bucket_w": "zero_width",
    "offset": "offset", "n_offset": "negative_offset", "counter_reset_hint": "hint",
}  # fmt: skip
_LISTS = {"buckets": "buckets", "n_buckets": "negative_buckets", "custom_values": "custom_values"}


def parse_histogram(body: str) -> HistogramLiteral:
    """What stands between the double braces."""
    fields: dict[str, object] = {}
    at = 0
    while body[at:].strip():
        match = _FIELD.match(body, at)
        if match is None or match[1] not in (_LISTS if match[2][0] == "[" else _SCALARS):
            raise NotationError(f"parse error: bad histogram descriptor found: {quoted(body[at:].strip()[:20])}")
        key, raw = match[1], match[2]
        try:
            if raw[0] == "[":
                fields[_LISTS[key]] = tuple(number(n) for n in raw[1:-1].split())
            elif key == "counter_reset_hint":
                fields["hint"] = "" if raw == "unknown" else raw
            else:
                value = number(raw)
                fields[_SCALARS[key]] = int(value) if key in ("schema", "offset", "n_offset") else value
        except ValueError:
            raise NotationError(f"parse error: bad histogram value {quoted(raw)} of {key}") from None
        at = match.end()
    return HistogramLiteral(**fields)  # type: ignore[arg-type]  # the names come from the two tables above


def _histograms(match: re.Match[str]) -> Iterator[Value]:
    value = parse_histogram(match["body"])
    times = int(match["times"] or 0)
    step = None if match["step"] is None else parse_histogram(match["step"])
    for index in range(times + 1):
        yield value
        if step is not None and index < times:
            value = value.plus(step, 1 if match["sign"] == "+" else -1)
