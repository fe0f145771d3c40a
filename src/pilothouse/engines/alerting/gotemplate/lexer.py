"""Cuts template text into tokens, as Go's text/template/parse/lex.go does. Positions are character offsets.

An error is a token of kind "error" at its place: Go finds it only when the parser arrives there, and so do we.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

KEYWORDS = frozenset(("block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"))
_TERMINATORS = " \t\r\n.,|:)("
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[bB][01_]*|0[oO][0-7_]*"
    r"|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?"
)
_STRING = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_CHAR = re.compile(r"'(?:[^'\\\n]|\\[^\n])*'")
_RAW = re.compile(r"`[^`]*`")
_SPACE = re.compile(r"[ \t\r\n]+")


@dataclass(frozen=True, slots=True)
class Token:
    """kind: text, left, right, space, string, raw, char, number, complex, bool, identifier, field, variable, dot,
    assign, declare, pipe, lparen, rparen, char_, keyword, error, eof."""

    kind: str
    value: str
    pos: int
    line: int

    def __str__(self) -> str:
        if self.kind == "eof":
            return "EOF"
        if self.kind == "error":
            return self.value
        if self.kind in ("keyword", "dot"):
            return f"<{self.value}>"
        from pilothouse.engines.alerting.rules import quoted

        return quoted(self.value[:10]) + "..." if len(self.value) > 10 else quoted(self.value)


def tokens_of(text: str) -> list[Token]:
    """All tokens up to the end or the first error."""
    return _Lexer(text).run()


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[Token] = []
        self.line = 1
        self.depth = 0

    def emit(self, kind: str, start: int, end: int) -> int:
        value = self.text[start:end]
        self.tokens.append(Token(kind, value, start, self.line))
        self.line += value.count("\n")
        return end

    def skip(self, start: int, end: int) -> int:
        self.line += self.text.count("\n", start, end)
        return end

    def fail(self, message: str, start: int) -> int:
        self.tokens.append(Token("error", message, start, self.line))
        return -1

    def run(self) -> list[Token]:
        at = 0
        while at >= 0:
            at = self._text(at)
            if at < 0:
                break
            at = self._left(at)
            while at >= 0 and self.tokens and self.tokens[-1].kind not in ("right", "comment"):
                at = self._inside(at)
            if self.tokens and self.tokens[-1].kind == "comment":
                self.tokens.pop()
        return self.tokens

    def _text(self, at: int) -> int:
        text = self.text
        found = text.find("{{", at)
        end = len(text) if found < 0 else found
        stop = end
        if found >= 0 and _trims_left(text, found):
            stop = at + len(text[at:end].rstrip(" \t\r\n"))
        if stop > at:
            self.emit("text", at, stop)
            at = stop
        self.skip(at, end)
        if found < 0:
            self.tokens.append(Token("eof", "", len(text), self.line))
            return -1
        return found

    def _left(self, at: int) -> int:
        text = self.text
        trim = 2 if _trims_left(text, at) else 0
        if text.startswith("/*", at + 2 + trim):
            return self._comment(at, at + 2 + trim)
        end = self.emit("left", at, at + 2)
        self.depth = 0
        return self.skip(end, end + trim)

    def _comment(self, start: int, at: int) -> int:
        text = self.text
        close = text.find("*/", at + 2)
        if close < 0:
            return self.fail("unclosed comment", start)
        after = close + 2
        if text.startswith("}}", after):
            end, trims = after + 2, False
        elif text[after : after + 1] in tuple(" \t\r\n") and text.startswith("-}}", after + 1):
            end, trims = after + 4, True
        else:
            return self.fail("comment ends before closing delimiter", start)
        self.skip(start, end)
        self.tokens.append(Token("comment", "", start, self.line))
        return self._trimmed(end) if trims else end

    def _trimmed(self, at: int) -> int:
        space = _SPACE.match(self.text, at)
        return self.skip(at, space.end()) if space else at

    def _right(self, at: int, trims: bool) -> int:
        if self.depth:
            return self.fail("unclosed left paren", at)
        if trims:
            at = self.skip(at, at + 2)
        end = self.emit("right", at, at + 2)
        return self._trimmed(end) if trims else end

    def _inside(self, at: int) -> int:
        text = self.text
        if text.startswith("}}", at):
            return self._right(at, False)
        if text[at : at + 1] in tuple(" \t\r\n") and text.startswith("-}}", at + 1):
            return self._right(at, True)
        if at >= len(text):
            return self.fail("unclosed action", at)
        char = text[at]
        if char in " \t\r\n":
            return self._space(at)
        if char in "\"`'":
            return self._quoted(at, char)
        if char == "=":
            return self.emit("assign", at, at + 1)
        if char == ":":
            if not text.startswith(":=", at):
                return self.fail("expected :=", at)
            return self.emit("declare", at, at + 2)
        if char == "|":
            return self.emit("pipe", at, at + 1)
        if char == "(":
            self.depth += 1
            return self.emit("lparen", at, at + 1)
        if char == ")":
            self.depth -= 1
            if self.depth < 0:
                return self.fail("unexpected right paren", at)
            return self.emit("rparen", at, at + 1)
        if char == "$" or (char == "." and not text[at + 1 : at + 2].isdigit()):
            return self._word(at, at + 1)
        if char in "+-." or "0" <= char <= "9":
            return self._number(at)
        if _alphanumeric(char):
            return self._word(at, at)
        if char.isascii() and char.isprintable():
            return self.emit("char_", at, at + 1)
        return self.fail(f"unrecognized character in action: {_rune(char)}", at)

    def _space(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        end = match.end() if match else at
        if self.text.startswith("-}}", end) and end - at > 1:
            end -= 1  # The last space belongs to the trim marker.
        return self.emit("space", at, end)

    def _quoted(self, at: int, quote: str) -> int:
        pattern, kind, what = {
            '"': (_STRING, "string", "unterminated quoted string"),
            "`": (_RAW, "raw", "unterminated raw quoted string"),
            "'": (_CHAR, "char", "unterminated character constant"),
        }[quote]
        match = pattern.match(self.text, at)
        return self.emit(kind, at, match.end()) if match else self.fail(what, at)

    def _number(self, at: int) -> int:
        match = _NUMBER.match(self.text, at)
        end = match.end() if match else at
        following = self.text[end : end + 1]
        if following in ("+", "-") and following and self.text[end - 1] != "i":
            second = _NUMBER.match(self.text, end)
            tail = second.end() if second else end
            if tail > end and self.text[tail - 1] == "i":
                return self.emit("complex", at, tail)
        if following and (_alphanumeric(following) or following in "+-"):
            return self.fail(f'bad number syntax: "{self.text[at : end + 1]}"', at)
        return self.emit("number", at, end)

    def _word(self, start: int, at: int) -> int:
        text = self.text
        while at < len(text) and _alphanumeric(text[at]):
            at += 1
        if at < len(text) and text[at] not in _TERMINATORS and not text.startswith("}}", at):
            return self.fail(f"bad character {_rune(text[at])}", start)
        word = text[start:at]
        if word[0] == "$":
            kind = "variable"
        elif word == ".":
            kind = "dot"
        elif word[0] == ".":
            kind = "field"
        elif word in KEYWORDS:
            kind = "keyword"
        elif word in ("true", "false"):
            kind = "bool"
        else:
            kind = "identifier"
        return self.emit(kind, start, at)


def _trims_left(text: str, at: int) -> bool:
    return text.startswith("{{-", at) and text[at + 3 : at + 4] in tuple(" \t\r\n")


def _alphanumeric(char: str) -> bool:
    return char == "_" or char.isalpha() or char.isdigit()


def _rune(char: str) -> str:
    return f"U+{ord(char):04X} '{char}'"
