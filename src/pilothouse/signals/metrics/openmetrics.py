"""Reads OpenMetrics 1.0 text exactly as Prometheus' `model/textparse/openmetricsparse.go` (2.42 and 3.x) does.

Strict where 0.0.4 is lenient: single spaces, no blank lines, no free comments, `# EOF` at the end. Called by
`exposition`.
"""

from __future__ import annotations

import math
import re

from pilothouse.signals.metrics.go_numbers import quote
from pilothouse.signals.metrics.page import Dialect, Exemplar, MetadataLine, Page, PageError
from pilothouse.signals.metrics.page_builder import PageBuilder, SeriesLabels, number, place
from pilothouse.signals.metrics.page_lexer import (
    METRIC,
    NAME,
    QUOTED,
    QUOTED_ONE_LINE,
    Lexer,
    ParseStop,
    State,
    is_utf8,
    unescape,
)

_TYPES = frozenset({"counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"})
_EXEMPLAR_SUFFIXES = ("_total", "_bucket")
_NO_EOF = "data does not end with # EOF"


def _states(*, quoted: bool) -> dict[str, State]:
    metric = f"{METRIC}|{QUOTED}" if quoted else METRIC
    open_brace = r"|(?P<BOPEN>\{)" if quoted else ""
    quoted_name = f"|(?P<QSTRING>{QUOTED})" if quoted else ""
    quoted_exemplar = f"|(?P<QSTRING>{QUOTED_ONE_LINE})" if quoted else ""
    names = rf"(?P<LNAME>{NAME})|(?P<BCLOSE>\}})|(?P<EQUAL>=)|(?P<COMMA>,)"
    sources = {
        "init": rf"(?P<HASH># )|(?P<MNAME>{METRIC})" + open_brace,
        "comment": r"(?P<HELP>HELP )|(?P<TYPE>TYPE )|(?P<UNIT>UNIT )|(?P<EOFWORD>EOF\n?)",
        "name": rf"(?P<MNAME>{metric})",
        "text": r"(?P<TEXT> [^\n]*+\n)",
        "value": r"(?P<BOPEN>\{)|(?P<VALUE> [^ \n]++)",
        "labels": names + quoted_name,
        "label_value": rf"(?P<LVALUE>{QUOTED_ONE_LINE})",
        "timestamp": r"(?P<COMMENT> # \{)|(?P<TIMESTAMP> [^ \n]++)|(?P<LINEBREAK>\n)",
        "exemplar": names + quoted_exemplar,
        "exemplar_value": rf"(?P<LVALUE>{QUOTED_ONE_LINE})|(?P<VALUE> [^ \n]++)",
        "exemplar_timestamp": r"(?P<TIMESTAMP> [^ \n]++)|(?P<LINEBREAK>\n)",
    }
    moves = {
        "init": {"HASH": "comment", "MNAME": "value", "BOPEN": "labels"},
        "comment": {"HELP": "name", "TYPE": "name", "UNIT": "name", "EOFWORD": "init"},
        "name": {"MNAME": "text"},
        "text": {"TEXT": "init"},
        "value": {"BOPEN": "labels", "VALUE": "timestamp"},
        "labels": {"BCLOSE": "value", "EQUAL": "label_value"},
        "label_value": {"LVALUE": "labels"},
        "timestamp": {"LINEBREAK": "init", "COMMENT": "exemplar"},
        "exemplar": {"BCLOSE": "exemplar_value", "EQUAL": "exemplar_value"},
        "exemplar_value": {"LVALUE": "exemplar", "VALUE": "exemplar_timestamp"},
        "exemplar_timestamp": {"LINEBREAK": "init"},
    }
    return {name: (re.compile(source), moves[name]) for name, source in sources.items()}


_STATES = {Dialect.PROMETHEUS_2: _states(quoted=False), Dialect.PROMETHEUS_3: _states(quoted=True)}

_USUAL = re.compile(rf'(({METRIC})(?:\{{([^"}}\n]*+(?:{QUOTED_ONE_LINE}[^"}}\n]*+)*+)\}})?) ([0-9.eE+-]++|\+Inf|NaN)\n')


def read_openmetrics(text: str, dialect: Dialect, *, clean: bool) -> Page:
    """The page; `clean` says that the bytes were valid UTF-8 (else every label value is checked)."""
    builder = PageBuilder(normalise=dialect is Dialect.PROMETHEUS_3)
    lexer = Lexer(text, _STATES[dialect], frozenset({"HASH"}))
    error = None
    try:
        while (clean and _usual_run(lexer, builder)) or _entry(lexer, builder, dialect):
            pass
    except ParseStop as stop:
        error = PageError(str(stop), *place(lexer.text, lexer.start))
    return builder.page(error)


def _usual_run(lexer: Lexer, builder: PageBuilder) -> bool:
    """Takes usual sample lines until one is not; whether it took any."""
    text, at, match = lexer.text, lexer.pos, _USUAL.match
    while found := match(text, at):
        series, name, block, value_text = found.groups()
        pairs = builder.pairs_of(block) if block else ()
        if pairs is None:
            break
        try:
            value = float(value_text)
        except ValueError:
            break
        if value - value != 0 and value_text[-1] not in "fN":
            break  # too large for a float: the exact path says so
        builder.add(series, name, pairs, value)
        at = found.end()
    taken, lexer.pos = at != lexer.pos, at
    return taken


def _entry(lexer: Lexer, builder: PageBuilder, dialect: Dialect) -> bool:
    """Reads one entry by tokens; False after `# EOF`."""
    lexer.entry = lexer.pos
    token = lexer.next()
    if token == "EOFWORD":
        if lexer.next() != "EOF":
            raise ParseStop("unexpected data after # EOF")
        return False
    if token == "EOF":
        raise ParseStop(_NO_EOF)
    if token in ("HELP", "TYPE", "UNIT"):
        _metadata(lexer, builder, token)
    elif token in ("BOPEN", "MNAME"):
        _sample(lexer, builder, token, dialect)
    else:
        raise lexer.unexpected("expected a valid start token", token)
    return True


def _metadata(lexer: Lexer, builder: PageBuilder, word: str) -> None:
    token = lexer.next()
    if token != "MNAME":
        raise lexer.unexpected(f"expected metric name after {word}", token)
    metric = lexer.token[1:-1] if lexer.token[0] == '"' else lexer.token
    if lexer.next() != "TEXT":
        raise ParseStop(f"expected text in {word}")
    text = lexer.token[1:-1]
    if word == "TYPE":
        if text not in _TYPES:
            raise ParseStop(f"invalid metric type {quote(text)}")
        builder.metric_type = text
    elif word == "HELP":
        if not is_utf8(text):
            raise ParseStop(f"help text {quote(text)} is not a valid utf8 string")
        text = unescape(text)
    elif text and not metric.endswith("_" + text):
        raise ParseStop(f"unit {quote(text)} not a suffix of metric {quote(metric)}")
    builder.metadata.append(MetadataLine(metric, word.lower(), text))


def _sample(lexer: Lexer, builder: PageBuilder, token: str, dialect: Dialect) -> None:
    series = SeriesLabels(None if token == "BOPEN" else lexer.text[lexer.entry : lexer.pos])
    if token == "MNAME":
        end = lexer.pos
        token = lexer.next()
    if token == "BOPEN":
        _labels(lexer, series, dialect, exemplar=False)
        end = lexer.pos
        token = lexer.next()
    if series.name is None:
        raise ParseStop(f"metric name not set while parsing: {quote(lexer.entry_text())}")
    value = _value(lexer, token, "metric")
    index = len(builder.values)
    token = lexer.next()
    if token == "TIMESTAMP":
        builder.times_ms[index] = _time_ms(lexer, "timestamp")
        token = lexer.next()
        if token not in ("LINEBREAK", "COMMENT"):
            raise lexer.unexpected("expected next entry after timestamp", token)
    if token == "COMMENT":
        builder.exemplars[index] = _exemplar(lexer, series.name, dialect)
    elif token == "EOF":
        raise ParseStop(_NO_EOF)
    elif token != "LINEBREAK":
        raise lexer.unexpected("expected timestamp or # symbol", token)
    builder.add(lexer.text[lexer.entry : end], series.name, series.sorted_pairs(), value)


def _exemplar(lexer: Lexer, metric: str, dialect: Dialect) -> Exemplar:
    if dialect is Dialect.PROMETHEUS_2 and not metric.endswith(_EXEMPLAR_SUFFIXES):
        raise ParseStop(f"metric name {metric} does not support exemplars")
    labels = SeriesLabels(metric)
    _labels(lexer, labels, dialect, exemplar=True)
    value = _value(lexer, lexer.next(), "exemplar labels")
    time_ms = None
    token = lexer.next()
    if token == "TIMESTAMP":
        time_ms = _time_ms(lexer, "exemplar timestamp")
        token = lexer.next()
        if token != "LINEBREAK":
            raise lexer.unexpected("expected next entry after exemplar timestamp", token)
    elif token == "EOF":
        raise ParseStop(_NO_EOF)
    elif token != "LINEBREAK":
        raise lexer.unexpected("expected timestamp or comment", token)
    return Exemplar(labels.sorted_pairs(), value, time_ms)


def _value(lexer: Lexer, token: str, after: str) -> float:
    if token != "VALUE":
        raise lexer.unexpected(f"expected value after {after}", token)
    return number(lexer, lexer.token[1:])


def _time_ms(lexer: Lexer, what: str) -> int:
    seconds = number(lexer, lexer.token[1:])
    if not math.isfinite(seconds):
        raise ParseStop(f"invalid {what}")
    # Go's conversion of an out-of-range float is undefined; the ends of int64 are what amd64 gives, near enough.
    return max(-(2**63), min(2**63 - 1, int(seconds * 1000)))


def _labels(lexer: Lexer, series: SeriesLabels, dialect: Dialect, *, exemplar: bool) -> None:
    """The inside of braces. 2.x refuses a trailing comma, 3.x allows it and quoted names."""
    strict = dialect is Dialect.PROMETHEUS_2
    token = lexer.next()
    while token != "BCLOSE":
        if token not in ("LNAME", "QSTRING"):
            raise lexer.unexpected("expected label name", token)
        name, quoted = lexer.token, token == "QSTRING"
        token = lexer.next()
        if quoted and token in ("COMMA", "BCLOSE"):
            if exemplar:
                raise lexer.unexpected("expected label name", token)
            if series.name is not None:
                raise ParseStop(f"metric name already set while parsing: {quote(lexer.entry_text())}")
            series.name = unescape(name[1:-1])
            token = lexer.next() if token == "COMMA" else token
            continue
        if token != "EQUAL":
            raise lexer.unexpected("expected equal", token)
        token = lexer.next()
        if token != "LVALUE":
            raise lexer.unexpected("expected label value", token)
        series.add(lexer, name, lexer.token)
        token = lexer.next()
        if token == "COMMA":
            token = lexer.next()
            if strict and token == "BCLOSE":
                raise lexer.unexpected("expected label name", token)
        elif token != "BCLOSE":
            raise lexer.unexpected("expected comma or brace close", token)
