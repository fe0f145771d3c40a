"""A reader of HCL 2 (Terraform's native syntax): text to blocks and expressions that remember their lines.

Follows hashicorp/hcl `hclsyntax/spec.md`. Everything parses; `for` expressions and templates with directives are kept
as text, since nothing here needs their value. A general parser library costs 1.7 s at first use, this one 2 ms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_DEPTH = 64
"""Nesting of expressions and blocks; deeper input is broken or hostile."""


class HclError(Exception):
    """The text is no HCL: what was seen and where (1-based line and column)."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, string without interpolation, true, false or null (None)."""

    value: str | int | float | bool | None
    line: int


@dataclass(frozen=True, slots=True)
class Template:
    """A string with `${…}`: texts and expressions in order."""

    parts: tuple[str | Expression, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Items:
    """`[a, b]`."""

    items: tuple[Expression, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Entries:
    """`{ key = value }`; a bare word as key is its name."""

    entries: tuple[tuple[Expression, Expression, int], ...]
    line: int


@dataclass(frozen=True, slots=True)
class Path:
    """`module.vpc.vpc_id`, `var.zones[0]`: steps of names and expressions; the first is a name."""

    steps: tuple[str | Expression, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple[Expression, ...]
    line: int
    spread: bool = False
    """The last argument was written with `...`."""


@dataclass(frozen=True, slots=True)
class Operation:
    """operator: unary `!` and `-` with one operand, the binary ones with two, `?` with three."""

    operator: str
    operands: tuple[Expression, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Opaque:
    """Text that is not looked into."""

    text: str
    line: int


Expression = Literal | Template | Items | Entries | Path | Call | Operation | Opaque


@dataclass(slots=True)
class Block:
    """`type "label" … { … }`: attributes by name and inner blocks in order; the whole file is a block without type."""

    type: str
    labels: tuple[str, ...]
    line: int
    attributes: dict[str, Expression] = field(default_factory=dict)
    attribute_lines: dict[str, int] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def all(self, type_name: str) -> Iterator[Block]:
        return (block for block in self.blocks if block.type == type_name)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


_TOKENS = re.compile(
    r"(?P<space>[ \t\r\ufeff]+)"
    r"|(?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)"
    r"|(?P<newline>\n)"
    r"|(?P<heredoc><<-?[A-Za-z_]\w*\r?\n)"
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<word>[^\W\d][\w-]*)"
    r'|(?P<quote>")'
    r"|(?P<sign>\.\.\.|=>|==|!=|<=|>=|&&|\|\||[{}\[\]().,:=?!<>+\-*/%])",
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_BINARY = (("||",), ("&&",), ("==", "!="), ("<", ">", "<=", ">="), ("+", "-"), ("*", "/", "%"))


def parse(text: str) -> Block:
    """The file as one block. Raises HclError."""
    reader = _Reader(text)
    root = Block("", (), 1)
    reader.body(root, closing="")
    return root


class _Reader:
    """Recursive descent over the text; tokens are made as they are asked for, because strings nest expressions."""

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at
        self.depth = 0
        self._bracketed = False
        """Within brackets the ends of lines mean nothing."""
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]

    # Tokens

    def _line(self, at: int) -> int:
        low, high = 0, len(self._lines)
        while high - low > 1:
            middle = (low + high) // 2
            if self._lines[middle] <= at:
                low = middle
            else:
                high = middle
        return low + 1

    def fail(self, message: str, at: int) -> HclError:
        line = self._line(min(at, len(self.text)))
        return HclError(message, line, at - self._lines[line - 1] + 1)

    def peek(self, *, newlines: bool) -> _Token:
        """The next token; newlines: whether a line's end counts as one."""
        at = self.at
        while at < len(self.text):
            match = _TOKENS.match(self.text, at)
            if match is None:
                raise self.fail(f"unexpected character {self.text[at]!r}", at)
            kind = match.lastgroup or ""
            if kind not in ("space", "comment") and (kind != "newline" or newlines):
                return _Token(kind, match[0], at)
            at = match.end()
        return _Token("end", "", len(self.text))

    def take(self, *, newlines: bool = False) -> _Token:
        token = self.peek(newlines=newlines)
        self.at = token.at + len(token.text)
        return token

    def expect(self, sign: str) -> _Token:
        token = self.take()
        if token.text != sign:
            raise self.fail(f"expected {sign!r}, found {_named(token)}", token.at)
        return token

    def accept(self, *signs: str, newlines: bool = False) -> str:
        token = self.peek(newlines=newlines)
        if token.kind in ("sign", "word") and token.text in signs:
            self.at = token.at + len(token.text)
            return token.text
        return ""

    def enter(self, at: int) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"more than {MAX_DEPTH} levels of nesting", at)

    # Bodies

    def body(self, block: Block, closing: str) -> None:
        while True:
            token = self.take()
            if token.kind == "end" or token.text == "}":
                if token.text == closing:
                    return
                where = f"the block {block.type!r} of line {block.line} is not closed" if closing else "unexpected '}'"
                raise self.fail(where, token.at)
            if token.kind != "word":
                raise self.fail(f"expected an attribute or a block, found {_named(token)}", token.at)
            self._entry(block, token)

    def _entry(self, block: Block, name: _Token) -> None:
        line = self._line(name.at)
        if self.accept("="):
            if name.text in block.attributes:
                raise self.fail(f"attribute {name.text!r} is set twice", name.at)
            block.attributes[name.text] = self.expression()
            block.attribute_lines[name.text] = line
            after = self.peek(newlines=True)
            if after.kind not in ("newline", "end") and after.text != "}":
                raise self.fail(f"expected the end of the line, found {_named(after)}", after.at)
            return
        labels: list[str] = []
        while not self.accept("{"):
            token = self.take(newlines=True)
            if token.kind == "quote":
                labels.append(self._plain_string(token))
            elif token.kind == "word":
                labels.append(token.text)
            else:
                raise self.fail(f"expected '=' or a block after {name.text!r}, found {_named(token)}", token.at)
        inner = Block(name.text, tuple(labels), line)
        self.enter(name.at)
        self.body(inner, closing="}")
        self.depth -= 1
        block.blocks.append(inner)

    def _plain_string(self, quote: _Token) -> str:
        value = self._string(quote)
        if not isinstance(value, Literal):
            raise self.fail("a label must be a plain string", quote.at)
        return str(value.value)

    # Expressions

    def expression(self) -> Expression:
        self.enter(self.at)
        condition = self._binary(0)
        if self.accept("?", newlines=not self._bracketed):
            yes = self.expression()
            self.expect(":")
            condition = Operation("?", (condition, yes, self.expression()), condition.line)
        self.depth -= 1
        return condition

    def _binary(self, level: int) -> Expression:
        if level == len(_BINARY):
            return self._unary()
        left = self._binary(level + 1)
        # An operator on the next line would belong to nothing: expressions end with their line unless bracketed.
        while operator := self.accept(*_BINARY[level], newlines=not self._bracketed):
            left = Operation(operator, (left, self._binary(level + 1)), left.line)
        return left

    def _unary(self) -> Expression:
        at = self.at
        operator = self.accept("!", "-")
        if operator:
            self.enter(at)
            operand = self._unary()
            self.depth -= 1
            if operator == "-" and isinstance(operand, Literal) and isinstance(operand.value, int | float):
                return Literal(-operand.value, operand.line)
            return Operation(operator, (operand,), operand.line)
        return self._steps(self._term())

    def _term(self) -> Expression:
        token = self.take()
        line = self._line(token.at)
        match token.kind:
            case "number":
                digits = token.text
                return Literal(int(digits) if digits.isdigit() else float(digits), line)
            case "quote":
                return self._string(token)
            case "heredoc":
                return self._heredoc(token)
            case "word":
                return self._word(token, line)
        match token.text:
            case "(":
                before, self._bracketed = self._bracketed, True
                inner = self.expression()
                self.expect(")")
                self._bracketed = before
                return inner
            case "[":
                return self._list(token, line)
            case "{":
                return self._object(token, line)
        raise self.fail(f"expected a value, found {_named(token)}", token.at)

    def _word(self, token: _Token, line: int) -> Expression:
        if token.text in _CONSTANTS:
            return Literal(_CONSTANTS[token.text], line)
        if self.peek(newlines=True).text == "(":
            self.take()
            return self._call(token, line)
        return Path((token.text,), line)

    def _call(self, name: _Token, line: int) -> Expression:
        before, self._bracketed = self._bracketed, True
        arguments: list[Expression] = []
        spread = False
        while not self.accept(")"):
            arguments.append(self.expression())
            spread = bool(self.accept("..."))
            if not self.accept(","):
                self.expect(")")
                break
        self._bracketed = before
        return Call(name.text, tuple(arguments), line, spread)

    def _list(self, start: _Token, line: int) -> Expression:
        before, self._bracketed = self._bracketed, True
        if self.peek(newlines=False).text == "for":
            return self._opaque(start, line, before)
        items: list[Expression] = []
        while not self.accept("]"):
            items.append(self.expression())
            if not self.accept(","):
                self.expect("]")
                break
        self._bracketed = before
        return Items(tuple(items), line)

    def _object(self, start: _Token, line: int) -> Expression:
        before = self._bracketed
        if self.peek(newlines=False).text == "for":
            return self._opaque(start, line, before)
        entries: list[tuple[Expression, Expression, int]] = []
        while not self.accept("}"):
            at = self.peek(newlines=False)
            self._bracketed = True
            key = self.expression()
            if isinstance(key, Path) and len(key.steps) == 1:
                key = Literal(str(key.steps[0]), key.line)
            if not self.accept("=", ":"):
                found = self.peek(newlines=False)
                raise self.fail(f"expected '=' after a key, found {_named(found)}", found.at)
            # Within an object the end of a line ends an entry.
            self._bracketed = False
            entries.append((key, self.expression(), self._line(at.at)))
            after = self.take(newlines=True)
            if after.text == "}":
                break
            if after.kind != "newline" and after.text != ",":
                raise self.fail(f"expected ',' or the end of the line, found {_named(after)}", after.at)
        self._bracketed = before
        return Entries(tuple(entries), line)

    def _opaque(self, start: _Token, line: int, bracketed: bool) -> Expression:
        """A `for` expression: skipped to its closing bracket."""
        depth = 1
        while depth:
            token = self.take()
            if token.kind == "end":
                raise self.fail("a bracket is not closed", start.at)
            if token.kind == "quote":
                self._string(token)
            elif token.text in ("[", "{", "("):
                depth += 1
            elif token.text in ("]", "}", ")"):
                depth -= 1
        self._bracketed = bracketed
        return Opaque(self.text[start.at : self.at], line)

    def _steps(self, base: Expression) -> Expression:
        """`.name`, `[index]`, `.*` and `[*]` after a term."""
        steps: list[str | Expression] = []
        while sign := self.accept(".", "[", newlines=not self._bracketed):
            if sign == "[":
                before, self._bracketed = self._bracketed, True
                steps.append("*" if self.accept("*") else self.expression())
                self.expect("]")
                self._bracketed = before
                continue
            token = self.take()
            if token.kind not in ("word", "number") and token.text != "*":
                raise self.fail(f"expected a name after '.', found {_named(token)}", token.at)
            steps.append(token.text)
        if not steps:
            return base
        start = base.steps if isinstance(base, Path) else (base,)
        return Path((*start, *steps), base.line)

    # Strings

    def _string(self, quote: _Token) -> Expression:
        line = self._line(quote.at)
        parts: list[str | Expression] = []
        text: list[str] = []
        while True:
            char = self.text[self.at : self.at + 1]
            if char in ("", "\n"):
                raise self.fail("a string is not closed", quote.at)
            if char == '"':
                self.at += 1
                break
            if char == "\\":
                text.append(_ESCAPES.get(self.text[self.at + 1 : self.at + 2], self.text[self.at : self.at + 2]))
                self.at += 2
            elif self.text.startswith(("$${", "%%{"), self.at):
                text.append(self.text[self.at + 1 : self.at + 3])
                self.at += 3
            elif self.text.startswith(("${", "%{"), self.at):
                if text:
                    parts.append("".join(text))
                    text = []
                parts.append(self._interpolation(line))
            else:
                text.append(char)
                self.at += 1
        if not parts:
            return Literal("".join(text), line)
        if text:
            parts.append("".join(text))
        return Template(tuple(parts), line)

    def _interpolation(self, line: int) -> Expression:
        start = self.at
        directive = self.text[start] == "%"
        self.at += 2
        before, self._bracketed = self._bracketed, True
        if directive:
            while (token := self.take()).text != "}":
                if token.kind == "end":
                    raise self.fail("a template is not closed", start)
            value: Expression = Opaque(self.text[start : self.at], line)
        else:
            self.accept("~")
            value = self.expression()
            self.expect("}")
        self._bracketed = before
        return value

    def _heredoc(self, token: _Token) -> Expression:
        """Kept as one literal: nothing here looks into templates that span lines."""
        word = token.text.strip().lstrip("<-")
        end = re.compile(rf"^[ \t]*{re.escape(word)}[ \t]*\r?$", re.MULTILINE).search(self.text, self.at)
        if end is None:
            raise self.fail(f"the text up to {word} is not closed", token.at)
        value = self.text[self.at : end.start()]
        self.at = end.end()
        return Literal(value, self._line(token.at))


_CONSTANTS = {"true": True, "false": False, "null": None}


def _named(token: _Token) -> str:
    if token.kind == "end":
        return "the end of the file"
    return "the end of the line" if token.kind == "newline" else repr(token.text)
