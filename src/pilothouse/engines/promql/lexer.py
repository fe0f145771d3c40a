"""From text to tokens, with the lexical rules and error texts of Prometheus' scanner (promql/parser/lex.go).

Owns the three ways of reading: plain, inside braces (everything is an identifier), inside brackets (durations only).
A lexical error becomes one last ERROR token: the parser reports it only if it gets that far, as upstream does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

KEYWORDS = frozenset(
    [
        "offset",
        "smoothed",
        "anchored",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "fill",
        "fill_left",
        "fill_right",
        "bool",
    ]
)
PREPROCESSORS = frozenset(["start", "end", "step", "range", "max_of", "min_of"])
WORD_OPERATORS = frozenset(["and", "or", "unless", "atan2"])
_AGGREGATORS = frozenset(
    [
        "sum",
        "avg",
        "count",
        "min",
        "max",
        "group",
        "stddev",
        "stdvar",
        "topk",
        "bottomk",
        "count_values",
        "quantile",
        "limitk",
        "limit_ratio",
    ]
)
_OPERATORS = (
    frozenset(["+", "-", "*", "/", "%", "^", "==", "!=", "<", "<=", ">", ">=", "=~", "!~", "@", "</", ">/"])
    | WORD_OPERATORS
)
_DURATION_WORDS = frozenset(["step", "range", "max_of", "min_of"])

_SPACE = re.compile(r"[ \t\n\r]+")
_COMMENT = re.compile(r"#[^\r\n]*")
_WORD = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LETTERS = re.compile(r"[A-Za-z_]+")
_NUMBER = re.compile(
    r"0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*"
    r"|(?:[0-9]+(?:_[0-9]+)*\.?(?:[0-9]+(?:_[0-9]+)*)?|\.[0-9]+(?:_[0-9]+)*)(?:[eE][+-]?[0-9]+(?:_[0-9]+)*)?"
)
_DURATION = re.compile(r"[0-9]+(?:ms|[smhdwy]s?)(?:[0-9]+(?:ms|[smhdw]s?))*")
_BAD_NUMBER = re.compile(r"[0-9.][0-9A-Za-z_.]*")
_ESCAPE = re.compile(r"\\(?:[abfnrtv\\\"']|[0-7]{3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})")
_SYMBOLS = ("==", "=~", "!=", "!~", "<=", ">=", "</", ">/")


@dataclass(frozen=True, slots=True)
class Token:
    """kind: EOF, ERROR, IDENTIFIER, METRIC, STRING, NUMBER, DURATION, or the word or symbol itself (lower case)."""

    kind: str
    start: int
    text: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    def describe(self) -> str:
        """How error texts name this token."""
        plain = {"IDENTIFIER": "identifier", "METRIC": "metric identifier", "NUMBER": "number", "DURATION": "duration"}
        if self.kind == "EOF":
            return "end of input"
        if self.kind in ("IDENTIFIER", "METRIC"):
            return f"{plain[self.kind]} {_quoted(self.text)}"
        if self.kind == "STRING" or self.kind in plain:
            return f"{plain.get(self.kind, 'string')} {_shortened(self.text)}"
        if self.kind in KEYWORDS:
            return f"<{self.text}>"
        if self.kind in _OPERATORS:
            return f"<op:{self.text}>"
        if self.kind in _AGGREGATORS:
            return f"<aggr:{self.text}>"
        return _shortened(self.text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _shortened(text: str) -> str:
    return _quoted(text[:10]) + "..." if len(text) > 10 else _quoted(text)


class LexicalError(Exception):
    """A character that fits nowhere; the offset is where the parser should point."""

    def __init__(self, message: str, start: int) -> None:
        super().__init__(message)
        self.message, self.start = message, start


def tokens_of(text: str) -> list[Token]:
    """All tokens, ended by EOF or by ERROR with the message as its text."""
    scanner = _Scanner(text)
    try:
        scanner.run()
    except LexicalError as problem:
        scanner.found.append(Token("ERROR", problem.start, problem.message))
    return scanner.found


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: list[Token] = []
        self.parens = 0
        self.in_braces = False
        self.in_brackets = False
        self.got_colon = False
        self.got_duration = False

    def run(self) -> None:
        while True:
            self._skip()
            if self.at >= len(self.text):
                self._finish()
                return
            if self.in_braces:
                self._in_braces()
            elif self.in_brackets:
                self._in_brackets()
            else:
                self._plain()

    def _finish(self) -> None:
        end = len(self.text)
        if self.in_braces:
            raise LexicalError("unexpected end of input inside braces", end)
        if self.in_brackets and not self.got_duration:
            raise LexicalError("unexpected end of input in duration expression", end)
        if self.parens:
            raise LexicalError("unclosed left parenthesis", end)
        if self.in_brackets:
            raise LexicalError("unclosed left bracket", end)
        self.found.append(Token("EOF", end, ""))

    def _skip(self) -> None:
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t\n\r":
                match = _SPACE.match(self.text, self.at)
            elif char == "#":
                match = _COMMENT.match(self.text, self.at)
            else:
                return
            assert match is not None
            self.at = match.end()

    def _emit(self, kind: str, length: int) -> None:
        self.found.append(Token(kind, self.at, self.text[self.at : self.at + length]))
        self.at += length

    def _fail(self, message: str) -> LexicalError:
        return LexicalError(message, self.at)

    def _char_after(self, offset: int = 1) -> str:
        return self.text[self.at + offset : self.at + offset + 1]

    def _plain(self) -> None:
        char = self.text[self.at]
        if char in ",*/%+-^@":
            self._emit(char, 1)
        elif char in "=!<>":
            self._symbol(char)
        elif char.isascii() and (char.isdigit() or (char == "." and self._char_after().isdigit())):
            self._number()
        elif char in "\"'`":
            self._string(char)
        elif char.isascii() and (char.isalpha() or char in "_:"):
            self._word()
        elif char in "()":
            self._parenthesis(char)
        elif char == "{":
            self._emit("{", 1)
            self.in_braces = True
        elif char == "[":
            self._emit("[", 1)
            self.in_brackets, self.got_colon, self.got_duration = True, False, False
        elif char == "]":
            raise self._fail("unexpected right bracket ']'")
        else:
            raise self._fail(f"unexpected character: {_rune(char)}")

    def _symbol(self, char: str) -> None:
        two = self.text[self.at : self.at + 2]
        if char == "=" and two == "=~":
            raise self._fail("unexpected character after '=': '~'")
        if char == "!" and two != "!=":
            raise self._fail(f"unexpected character after '!': {_rune(two[1:])}")
        if two in _SYMBOLS:
            self._emit(two, 2)
        else:
            self._emit(char, 1)

    def _parenthesis(self, char: str) -> None:
        if char == "(":
            self.parens += 1
            self._emit("(", 1)
            return
        self.parens -= 1
        if self.parens < 0:
            self.at += 1
            raise self._fail("unexpected right parenthesis ')'")
        self._emit(")", 1)

    def _word(self) -> None:
        match = _WORD.match(self.text, self.at)
        assert match is not None
        word, lower = match[0], match[0].lower()
        if lower in ("inf", "nan"):
            kind = "NUMBER"
        elif lower in ("fill", "fill_left", "fill_right") and not self._paren_follows(match.end()):
            kind = "IDENTIFIER"
        elif lower in KEYWORDS or lower in PREPROCESSORS or lower in _AGGREGATORS or lower in WORD_OPERATORS:
            kind = lower
        else:
            kind = "METRIC" if ":" in word else "IDENTIFIER"
        self._emit(kind, len(word))

    def _paren_follows(self, at: int) -> bool:
        while at < len(self.text) and self.text[at] in " \t\n\r":
            at += 1
        return self.text[at : at + 1] == "("

    def _number(self) -> None:
        for kind, pattern in (("NUMBER", _NUMBER), ("DURATION", _DURATION)):
            match = pattern.match(self.text, self.at)
            if match is not None:
                after = self.text[match.end() : match.end() + 1]
                if not (after.isascii() and (after.isalnum() or after in "_.")) or after == "":
                    self._emit(kind, match.end() - match.start())
                    return
        bad = _BAD_NUMBER.match(self.text, self.at)
        shown = bad[0] if bad is not None else self.text[self.at]
        raise self._fail(f"bad number or duration syntax: {_quoted(shown)}")

    def _string(self, opening: str) -> None:
        at = self.at + 1
        while True:
            char = self.text[at : at + 1]
            if char == "" or (char == "\n" and opening != "`"):
                raise self._fail("unterminated raw string" if opening == "`" else "unterminated quoted string")
            if char == opening:
                break
            at += self._escape_length(at) if char == "\\" and opening != "`" else 1
        self._emit("STRING", at + 1 - self.at)

    def _escape_length(self, at: int) -> int:
        match = _ESCAPE.match(self.text, at)
        if match is not None:
            return len(match[0])
        following = self.text[at + 1 : at + 2]
        if following == "":
            raise self._fail("escape sequence not terminated")
        if following in "01234567xuU":
            for char in self.text[at + 2 : at + 10]:
                if char not in "0123456789abcdefABCDEF":
                    raise self._fail(f"illegal character {_code_point(char)} in escape sequence")
        raise self._fail(f"unknown escape sequence {_code_point(following)}")

    def _in_braces(self) -> None:
        char = self.text[self.at]
        if char.isascii() and (char.isalpha() or char == "_"):
            match = _IDENTIFIER.match(self.text, self.at)
            assert match is not None
            self._emit("IDENTIFIER", len(match[0]))
        elif char == ",":
            self._emit(",", 1)
        elif char in "\"'`":
            self._string(char)
        elif char == "=":
            self._emit("=~", 2) if self._char_after() == "~" else self._emit("=", 1)
        elif char == "!":
            two = self.text[self.at : self.at + 2]
            if two not in ("!~", "!="):
                raise self._fail(f"unexpected character after '!' inside braces: {_rune(two[1:])}")
            self._emit(two, 2)
        elif char == "{":
            raise self._fail("unexpected left brace '{'")
        elif char == "}":
            self._emit("}", 1)
            self.in_braces = False
        else:
            raise self._fail(f"unexpected character inside braces: {_rune(char)}")

    def _in_brackets(self) -> None:
        char = self.text[self.at]
        if char in "+-*/%^,":
            self._emit(char, 1)
        elif char == "]":
            self._emit("]", 1)
            self.in_brackets = False
        elif char == ":":
            self._colon()
        elif char in "()":
            self._parenthesis(char)
        elif char.isascii() and (char.isdigit() or (char == "." and self._char_after().isdigit())):
            self.got_duration = True
            self._number()
        elif char == "[":
            raise self._fail("unexpected left bracket '['")
        else:
            self._duration_word(char)

    def _colon(self) -> None:
        if not self.got_duration:
            raise self._fail("unexpected colon before duration in duration expression")
        if self.got_colon:
            raise self._fail("unexpected colon ':'")
        self.got_colon = True
        self._emit(":", 1)

    def _duration_word(self, char: str) -> None:
        match = _LETTERS.match(self.text, self.at)
        if match is not None and match[0].lower() in _DURATION_WORDS:
            self.got_duration = True
            self._emit(match[0].lower(), len(match[0]))
            return
        if self.got_duration and match is not None:
            raise self._fail(f"unexpected character: {_rune(char)}, expected ':'")
        raise self._fail(f"unexpected character in duration expression: {_rune(char)}")


def _rune(char: str) -> str:
    """A character as Go's %q prints a rune; U+FFFD-like marker -1 when the text ended."""
    if not char:
        return "'\\ufffd'"
    return {"\n": "'\\n'", "\t": "'\\t'", "'": "'\\''", "\\": "'\\\\'"}.get(char, f"'{char}'")


def _code_point(char: str) -> str:
    return f"U+{ord(char):04X} '{char}'"
