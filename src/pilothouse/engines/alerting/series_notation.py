"""The notation of input series in rule unit tests: `up{job="a"}` with values such as `0 1+2x3 _ stale 5x10`.

Grammar after promql/parser/generated_parser.y (series_description, Prometheus 3). A value is a float, None for "no
sample",
`tsdb.STALE`, or a native histogram.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pilothouse.engines.alerting.gotemplate.literals import unquote
from pilothouse.engines.alerting.rules import Labels, quoted
from pilothouse.engines.promql.histogram import FloatHistogram, from_description
from pilothouse.engines.tsdb import STALE

VALUES_LIMIT = 10_000_000
"""Samples one series may expand to; `0x99999999999` is a mistake."""


class NotationError(ValueError):
    """The text is no series description; the message has the column, as promtool shows it."""


Value = float | None | FloatHistogram

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


def parse_histogram(body: str) -> FloatHistogram:
    """What stands between the double braces."""
    try:
        return from_description("{{" + body + "}}")
    except ValueError as error:
        raise NotationError(f"parse error: {error}") from None


def _histograms(match: re.Match[str]) -> Iterator[Value]:
    value = parse_histogram(match["body"])
    times = int(match["times"] or 0)
    step = None if match["step"] is None else parse_histogram(match["step"])
    for index in range(times + 1):
        yield value
        if step is not None and index < times:
            value = value.plus(step)[0] if match["sign"] == "+" else value.minus(step)[0]
