"""Tokens of both exposition formats, and the one table-driven lexer that cuts them.

States and token names follow Prometheus' `promlex.l` and `openmetricslex.l`, so that errors name the same token. All
repeats are possessive: a hostile ten-megabyte line costs time linear in its length and no stack. Used by `text_format`
and `openmetrics` only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pilothouse.engines.tsdb.labels import Labels
from pilothouse.signals.metrics.go_numbers import quote

METRIC = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
NAME = r"[a-zA-Z_][a-zA-Z0-9_]*+"
QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
QUOTED_ONE_LINE = r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'

State = tuple[re.Pattern[str], Mapping[str, str]]
"""What may come in a state (a named group per token) and the state that follows each token (absent: the same)."""

_ESCAPE = re.compile(r'\\(["\\n])')
_HELP_ESCAPE = re.compile(r"\\([\\n])")


class ParseStop(Exception):
    """Raised inside a reader to stop at an error; never leaves this package's readers."""


class Lexer:
    """Cuts one page into tokens; `start`/`pos` bound the last one, `entry` is where the current entry began."""

    __slots__ = ("entry", "pos", "skip", "start", "state", "states", "text")

    def __init__(self, text: str, states: Mapping[str, State], skip: frozenset[str]) -> None:
        self.text = text
        self.states = states
        self.skip = skip
        self.pos = self.start = self.entry = 0
        self.state = "init"

    def next(self) -> str:
        """The next token's name; "EOF" at the end, "INVALID" where nothing fits."""
        while True:
            self.start = self.pos
            if self.pos >= len(self.text):
                return "EOF"
            pattern, moves = self.states[self.state]
            match = pattern.match(self.text, self.pos)
            if match is None or match.lastgroup is None:
                return "INVALID"
            kind = match.lastgroup
            self.pos = match.end()
            self.state = moves.get(kind, self.state)
            if kind not in self.skip:
                return kind

    @property
    def token(self) -> str:
        return self.text[self.start : self.pos]

    def unexpected(self, expected: str, got: str) -> ParseStop:
        """Prometheus' message for a token that does not fit: what was expected, what stood there, in which entry."""
        end = min(len(self.text), self.pos + 1)
        seen = _shortened(self.text[self.start : end])
        return ParseStop(f"{expected}, got {quote(seen)} ({quote(got)}) while parsing: {quote(self.entry_text(end))}")

    def entry_text(self, end: int | None = None) -> str:
        return _shortened(self.text[self.entry : self.pos if end is None else end])


def _shortened(text: str) -> str:
    """At most 300 characters: an error message must not carry a ten-megabyte line."""
    return text if len(text) <= 300 else text[:300] + "…"


def unescape(text: str) -> str:
    """A label value or name with its three escapes resolved; other backslashes stay, as Prometheus leaves them."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda m: "\n" if m[1] == "n" else m[1], text)


def unescape_help(text: str) -> str:
    """Help text of the 0.0.4 format knows two escapes only."""
    if "\\" not in text:
        return text
    return _HELP_ESCAPE.sub(lambda m: "\n" if m[1] == "n" else m[1], text)


def is_utf8(text: str) -> bool:
    """Whether the text came from valid UTF-8 (broken bytes are carried as lone surrogates)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_PAIR = re.compile(rf'({NAME})="([^"\\]*+(?:\\.[^"\\]*+)*+)"(?:,|$)')


def plain_pairs(block: str) -> tuple[tuple[str, str], ...] | None:
    """Sorted pairs of a block in its usual form (`a="b",c="d"`), empty values left out; None in any other form."""
    pairs = _PAIR.findall(block)
    # findall skips what it cannot read; only when the lengths add up was everything read.
    if sum(len(name) + len(value) for name, value in pairs) + 4 * len(pairs) - (1 if pairs else 0) != len(block):
        return None
    if "\\" in block:
        pairs = [(name, unescape(value)) for name, value in pairs]
    pairs = [pair for pair in pairs if pair[1]]
    pairs.sort()
    return tuple(pairs)


def with_name(name: str, pairs: tuple[tuple[str, str], ...]) -> Labels:
    """Sorted labels of a series from its name and its already sorted other pairs."""
    if not pairs or pairs[0][0] > "__name__":
        return (("__name__", name), *pairs)
    return tuple(sorted((("__name__", name), *pairs)))
