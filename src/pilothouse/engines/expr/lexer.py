"""Text to tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pilothouse.engines.expr.errors import ExprError

_TOKEN = re.compile(
    r"(?P<space>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<number>0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+"
    r"|(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<string>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)"
    r"|(?P<name>[A-Za-z_$][A-Za-z0-9_$]*)"
    r"|(?P<operator>\?\.|\?\?|\*\*|\.\.|==|!=|<=|>=|&&|\|\||[-+*/%^<>!?:;,.()\[\]{}|\#=])",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


@dataclass(frozen=True, slots=True)
class Token:
    """kind: number, string, name, operator, end; value: the number or text meant; offset: where it begins."""

    kind: str
    value: Any
    offset: int


def tokens(text: str) -> list[Token]:
    """All tokens and one `end`; ExprError at the first character that begins none."""
    out: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExprError(_unreadable(text, at), text, at)
        kind = match.lastgroup or ""
        if kind == "number":
            out.append(Token("number", _number(match[0], text, at), at))
        elif kind == "string":
            out.append(Token("string", _string(match[0]), at))
        elif kind != "space":
            out.append(Token(kind, match[0], at))
        at = match.end()
    out.append(Token("end", "", len(text)))
    return out


def _unreadable(text: str, at: int) -> str:
    return "literal not terminated" if text[at] in "'\"`" else f"unrecognized character: {text[at]!r}"


def _number(word: str, text: str, at: int) -> int | float:
    digits = word.replace("_", "")
    try:
        if digits[:2].lower() in ("0x", "0b", "0o"):
            return int(digits, 0)
        return float(digits) if any(c in digits for c in ".eE") else int(digits)
    except ValueError:
        raise ExprError(f"bad number syntax: {word!r}", text, at) from None


def _string(word: str) -> str:
    if word[0] == "`":
        return word[1:-1]
    return _ESCAPE.sub(_unescaped, word[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) > 1:
        return chr(int(code[1:], 16))
    return _SIMPLE.get(code, code)
