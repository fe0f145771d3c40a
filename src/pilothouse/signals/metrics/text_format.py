"""Reads the text format 0.0.4 exactly as Prometheus' `model/textparse/promparse.go` (2.42 and 3.x) does.

Usual lines (`name{labels} value [timestamp]`) are taken by one pattern each; everything else goes through the token
lexer, which decides what is legal and words the errors. Called by `exposition`.
"""

from __future__ import annotations

import re

from pilothouse.signals.metrics.go_numbers import quote
from pilothouse.signals.metrics.page import Dialect, MetadataLine, Page, PageError
from pilothouse.signals.metrics.page_builder import PageBuilder, SeriesLabels, number, place
from pilothouse.signals.metrics.page_lexer import (
    METRIC,
    NAME,
    QUOTED,
    Lexer,
    ParseStop,
    State,
    is_utf8,
    unescape,
    unescape_help,
)

_TYPES = {"counter": "counter", "gauge": "gauge", "histogram": "histogram", "summary": "summary", "untyped": "unknown"}
_SKIP = frozenset({"WHITESPACE", "HASH"})
_TIMESTAMP_MAX = 2**63 - 1


def _states(*, quoted: bool) -> dict[str, State]:
    metric = f"{METRIC}|{QUOTED}" if quoted else METRIC
    open_brace, quoted_name = (r"|(?P<BOPEN>\{)", f"|(?P<QSTRING>{QUOTED})") if quoted else ("", "")
    white = r"(?P<WHITESPACE>[ \t]++)"
    sources = {
        "init": rf"(?P<EOF>\0)|(?P<LINEBREAK>\n)|{white}|(?P<HASH>#[ \t]++)|(?P<COMMENT>#[^\n]*+)|(?P<MNAME>{METRIC})"
        + open_brace,
        "comment": r"(?P<HELP>HELP[\t ]++)|(?P<TYPE>TYPE[\t ]++)|(?P<COMMENT>[^\n]*+)",
        "name": rf"{white}|(?P<MNAME>{metric})",
        "text": r"(?P<WHITESPACE>[ \t]++(?=\n))|(?P<TEXT>[^\n]*+)",
        "value": rf"{white}|(?P<BOPEN>\{{)|(?P<VALUE>[^{{ \t\n]++)",
        "labels": rf"{white}|(?P<LNAME>{NAME})|(?P<BCLOSE>\}})|(?P<EQUAL>=)|(?P<COMMA>,)" + quoted_name,
        "label_value": rf"{white}|(?P<LVALUE>{QUOTED})",
        "timestamp": rf"{white}|(?P<TIMESTAMP>[0-9]++)|(?P<LINEBREAK>\n)",
    }
    moves = {
        "init": {"HASH": "comment", "MNAME": "value", "BOPEN": "labels"},
        "comment": {"HELP": "name", "TYPE": "name", "COMMENT": "init"},
        "name": {"MNAME": "text"},
        "text": {"TEXT": "init"},
        "value": {"BOPEN": "labels", "VALUE": "timestamp"},
        "labels": {"BCLOSE": "value", "EQUAL": "label_value"},
        "label_value": {"LVALUE": "labels"},
        "timestamp": {"LINEBREAK": "init"},
    }
    return {name: (re.compile(source), moves[name]) for name, source in sources.items()}


_STATES = {Dialect.PROMETHEUS_2: _states(quoted=False), Dialect.PROMETHEUS_3: _states(quoted=True)}

_USUAL = re.compile(
    rf'(({METRIC})(?:\{{([^"}}\n]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"}}\n]*+)*+)\}})?) '
    r"([0-9.eE+-]++|\+Inf|NaN)(?: ([0-9]{1,18}+))?\n"
)


def read_text(text: str, dialect: Dialect, *, clean: bool) -> Page:
    """The page; `clean` says that the bytes were valid UTF-8 (else every label value is checked)."""
    builder = PageBuilder(normalise=dialect is Dialect.PROMETHEUS_3)
    lexer = Lexer(text + "\n", _STATES[dialect], _SKIP)
    error = None
    try:
        while (clean and _usual_run(lexer, builder)) or _entry(lexer, builder):
            pass
    except ParseStop as stop:
        error = PageError(str(stop), *place(lexer.text, lexer.start))
    return builder.page(error)


def _usual_run(lexer: Lexer, builder: PageBuilder) -> bool:
    """Takes usual sample lines until one is not; whether it took any."""
    text, at, match = lexer.text, lexer.pos, _USUAL.match
    add, pairs_of = builder.add, builder.pairs_of
    while found := match(text, at):
        series, name, block, value_text, stamp = found.groups()
        pairs = pairs_of(block) if block else ()
        if pairs is None:
            break
        try:
            value = float(value_text)
        except ValueError:
            break
        if value - value != 0 and value_text[-1] not in "fN":
            break  # too large for a float: the exact path says so
        if stamp is not None:
            builder.times_ms[len(builder.values)] = int(stamp)
        add(series, name, pairs, value)
        at = found.end()
    taken, lexer.pos = at != lexer.pos, at
    return taken


def _entry(lexer: Lexer, builder: PageBuilder) -> bool:
    """Reads one entry by tokens; False at the end of the page."""
    lexer.entry = lexer.pos
    token = lexer.next()
    if token == "EOF":
        return False
    if token == "LINEBREAK":
        return True
    if token in ("HELP", "TYPE"):
        _metadata(lexer, builder, token)
    elif token == "COMMENT":
        _expect_linebreak(lexer, "linebreak expected after comment")
    elif token in ("BOPEN", "MNAME"):
        _sample(lexer, builder, token)
    else:
        raise lexer.unexpected("expected a valid start token", token)
    return True


def _expect_linebreak(lexer: Lexer, expected: str) -> None:
    token = lexer.next()
    if token != "LINEBREAK":
        raise lexer.unexpected(expected, token)


def _metadata(lexer: Lexer, builder: PageBuilder, word: str) -> None:
    token = lexer.next()
    if token != "MNAME":
        raise lexer.unexpected(f"expected metric name after {word}", token)
    metric = lexer.token[1:-1] if lexer.token[0] == '"' else lexer.token
    token = lexer.next()
    if token != "TEXT":
        raise ParseStop(f"expected text in {word}, got {token}")
    text = lexer.token[1:]
    if word == "TYPE":
        if text not in _TYPES:
            raise ParseStop(f"invalid metric type {quote(text)}")
        builder.metric_type = text = _TYPES[text]
    elif not is_utf8(text):
        raise ParseStop(f"help text {quote(text)} is not a valid utf8 string")
    else:
        text = unescape_help(text)
    _expect_linebreak(lexer, "linebreak expected after metadata")
    builder.metadata.append(MetadataLine(metric, word.lower(), text))


def _sample(lexer: Lexer, builder: PageBuilder, token: str) -> None:
    series = SeriesLabels(None if token == "BOPEN" else lexer.text[lexer.entry : lexer.pos])
    if token == "MNAME":
        end = lexer.pos
        token = lexer.next()
    if token == "BOPEN":
        _labels(lexer, series)
        end = lexer.pos
        token = lexer.next()
    if series.name is None:
        raise ParseStop(f"metric name not set while parsing: {quote(lexer.entry_text())}")
    if token != "VALUE":
        raise lexer.unexpected("expected value after metric", token)
    value = number(lexer, lexer.token)
    token = lexer.next()
    if token == "TIMESTAMP":
        stamp = int(lexer.token)
        if stamp > _TIMESTAMP_MAX:
            raise ParseStop(f"strconv.ParseInt: parsing {quote(lexer.token)}: value out of range")
        builder.times_ms[len(builder.values)] = stamp
        _expect_linebreak(lexer, "expected next entry after timestamp")
    elif token != "LINEBREAK":
        raise lexer.unexpected("expected timestamp or new record", token)
    builder.add(lexer.text[lexer.entry : end], series.name, series.sorted_pairs(), value)


def _labels(lexer: Lexer, series: SeriesLabels) -> None:
    token = lexer.next()
    while token != "BCLOSE":
        if token not in ("LNAME", "QSTRING"):
            raise lexer.unexpected("expected label name", token)
        name, quoted = lexer.token, token == "QSTRING"
        token = lexer.next()
        if quoted and token in ("COMMA", "BCLOSE"):
            _set_name(lexer, series, name)
            token = lexer.next() if token == "COMMA" else token
            continue
        if token != "EQUAL":
            raise lexer.unexpected("expected equal", token)
        token = lexer.next()
        if token != "LVALUE":
            raise lexer.unexpected("expected label value", token)
        series.add(lexer, name, lexer.token)
        token = lexer.next()
        # A comma is not required between labels: promparse.go leaves that to chance, and so it stays.
        if token == "COMMA":
            token = lexer.next()


def _set_name(lexer: Lexer, series: SeriesLabels, token: str) -> None:
    if series.name is not None:
        raise ParseStop(f"metric name already set while parsing: {quote(lexer.entry_text())}")
    series.name = unescape(token[1:-1])
