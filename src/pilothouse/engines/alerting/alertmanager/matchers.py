"""Label matchers of routes, inhibition rules and silences, in both of Alertmanager's notations.

The UTF-8 notation is tried first and the classic one when it fails, as Alertmanager does while it moves over
(matcher/compat, 0.28): what both read differently is read as the classic one has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pilothouse.engines.alerting.gotemplate.literals import unquote
from pilothouse.engines.alerting.regex import BadPattern, anchored_match, compiled
from pilothouse.engines.alerting.rules import quoted

_RESERVED = frozenset("{}!=~,\\\"'`")


@dataclass(frozen=True, slots=True, order=True)
class Matcher:
    """name op value; op: `=`, `!=`, `=~`, `!~` (anchored on both sides). A missing label is an empty one."""

    name: str
    value: str
    op: str = "="

    def __str__(self) -> str:
        if any(c in _RESERVED or c.isspace() for c in self.name):
            return f"{quoted(self.name)}{self.op}{quoted(self.value)}"
        escaped = self.value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        return f'{self.name}{self.op}"{escaped}"'

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.name, "")
        match self.op:
            case "=":
                return value == self.value
            case "!=":
                return value != self.value
            case "=~":
                return anchored_match(self.value, value)
        return not anchored_match(self.value, value)


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return all(m.matches(labels) for m in matchers)


def matchers_text(matchers: Iterable[Matcher]) -> str:
    """`{a="b",c=~"d"}`, the form of group keys."""
    return "{" + ",".join(map(str, matchers)) + "}"


def make_matcher(name: str, op: str, value: str) -> Matcher:
    """ValueError when the value of a regex matcher is none."""
    if op in ("=~", "!~"):
        try:
            compiled(f"^(?:{value})$")
        except BadPattern as error:
            raise ValueError(str(error)) from None
    return Matcher(name, value, op)


def parse_matchers(text: str) -> list[Matcher]:
    """One or more matchers, with or without braces; ValueError with the reason when neither notation reads it."""
    try:
        modern = _Utf8(text).parse()
    except ValueError:
        return _classic_all(text)
    try:
        classic = _classic_all(text)
    except ValueError:
        return modern
    return classic if classic != modern else modern


# The UTF-8 notation (matcher/parse)

_TOKEN = re.compile(r'\s*(?:(\{)|(\})|(,)|(!=|!~|=~|=)|("(?:[^"\\]|\\.)*")|([^\s{}!=~,\\"\'`]+))', re.DOTALL)
_KINDS = ("open", "close", "comma", "op", "quoted", "bare")


class _Utf8:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at, stripped = 0, text.rstrip()
        while at < len(stripped):
            match = _TOKEN.match(stripped, at)
            if match is None or match.lastindex is None:
                raise ValueError(f"{at}:{at + 1}: {stripped[at : at + 1]}: invalid input")
            self.tokens.append((_KINDS[match.lastindex - 1], match[match.lastindex]))
            at = match.end()
        self.at = 0

    def kind(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else "end"

    def take(self, *kinds: str, wanted: str) -> str:
        if self.kind() not in kinds:
            seen = self.tokens[self.at][1] if self.at < len(self.tokens) else "end of input"
            raise ValueError(f"unexpected {seen}: {wanted}")
        self.at += 1
        return self.tokens[self.at - 1][1]

    def parse(self) -> list[Matcher]:
        braced = self.kind() == "open"
        self.at += braced
        out = []
        while self.kind() not in ("close", "end"):
            out.append(self.matcher())
            if self.kind() == "comma":
                self.at += 1
            elif self.kind() not in ("close", "end"):
                self.take("comma", "close", wanted="expected a comma or close brace")
        if braced:
            self.take("close", wanted="expected close brace")
        if self.kind() != "end":
            self.take("end", wanted="expected opening brace" if self.kind() == "close" else "expected end of input")
        return out

    def matcher(self) -> Matcher:
        name = _bare(self.take("quoted", "bare", wanted="expected label name"))
        op = self.take("op", wanted="expected an operator such as '=', '!=', '=~' or '!~'")
        value = _bare(self.take("quoted", "bare", wanted="expected label value"))
        return make_matcher(name, op, value)


def _bare(token: str) -> str:
    return unquote(token) if token[:1] == '"' else token


# The classic notation (pkg/labels)

_CLASSIC = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*(.*?)\s*", re.DOTALL)


def _classic_all(text: str) -> list[Matcher]:
    body = text.removeprefix("{").removesuffix("}")
    pieces, piece, quoted_now, escaped = [], "", False, False
    for char in body:
        if char == "," and not quoted_now:
            pieces.append(piece)
            piece = ""
            continue
        if char == '"':
            quoted_now, escaped = (quoted_now, False) if escaped else (not quoted_now, False)
        else:
            escaped = char == "\\" and not escaped
        piece += char
    if piece.strip():
        pieces.append(piece.strip())
    return [_classic(p) for p in pieces]


def _classic(text: str) -> Matcher:
    match = _CLASSIC.fullmatch(text)
    if match is None:
        raise ValueError(f"bad matcher format: {text}")
    name, op, raw = match.groups()
    closing = raw.startswith('"')
    body, out, at = raw[1:] if closing else raw, "", 0
    while at < len(body):
        char = body[at]
        if char == "\\" and at + 1 < len(body):
            following = body[at + 1]
            out += {"n": "\n", '"': '"', "\\": "\\"}.get(following, "\\" + following)
            at += 2
            continue
        if char == '"':
            if not closing or at < len(body) - 1:
                raise ValueError(f"matcher value contains unescaped double quote: {raw}")
            closing = False
        else:
            out += char
        at += 1
    if closing:
        raise ValueError(f"matcher value contains unescaped double quote: {raw}")
    return make_matcher(name, op, out)
