"""From tokens to a syntax tree: the complete grammar of Prometheus 3, feature flags on.

A precedence-climbing parser over `lexer.tokens_of`. Owns the order in which problems are reported: the first syntax
error ends the parse, problems with a modifier are collected, types are checked (`check`) only when the syntax is
sound. Error texts follow promql/parser/generated_parser.y and parse.go.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from pilothouse.base.duration import parse_prometheus_duration_ms
from pilothouse.engines.promql.ast import (
    AGGREGATORS,
    AGGREGATORS_WITH_PARAM,
    Aggregate,
    Binary,
    Call,
    DurationExpr,
    Expr,
    Matching,
    MatrixSelector,
    NumberLiteral,
    Paren,
    Shift,
    StringLiteral,
    Subquery,
    Unary,
    VectorSelector,
    children,
)
from pilothouse.engines.promql.check import check
from pilothouse.engines.promql.durations import to_ms
from pilothouse.engines.promql.errors import ParseError, Span
from pilothouse.engines.promql.lexer import KEYWORDS, PREPROCESSORS, WORD_OPERATORS, Token, tokens_of
from pilothouse.engines.promql.signatures import SIGNATURES, Signature
from pilothouse.engines.tsdb.labels import METRIC_NAME, quote
from pilothouse.engines.tsdb.matchers import EQUAL, InvalidPattern, Matcher, make_matcher, name_matcher

MAX_DEPTH = 200
"""Nesting of parentheses, calls and unary signs; deeper text is hostile and would exhaust the stack."""

MAX_HEIGHT = 250
"""Levels of the tree: what walks it afterwards (check, compile) takes three frames of Python's thousand for each."""

_PRECEDENCE = {"or": 1, "and": 2, "unless": 2}
_PRECEDENCE |= dict.fromkeys(("==", ">=", ">", "<", "<=", "!=", "</", ">/"), 3)
_PRECEDENCE |= {"+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "atan2": 5, "^": 6}
_UNARY_OPERAND = 6
"""A sign binds as tightly as `*`: only `^` goes before it, -2^2 is -4."""

_METRIC_WORDS = (
    AGGREGATORS
    | PREPROCESSORS
    | {"by", "without", "offset", "and", "or", "unless", "fill", "fill_left", "fill_right", "anchored", "smoothed"}
)
_LABEL_WORDS = AGGREGATORS | PREPROCESSORS | KEYWORDS | WORD_OPERATORS
_LONGEST_S = 2**63 / 1e9

_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34, "'": 39}
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\\"'])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")


def parse(text: str) -> Expr:
    """The checked syntax tree of one expression; ParseError carries the first problem with its place."""
    parser = _Parser(text)
    expr = parser.whole()
    if not parser.problems and (deepest := _too_high(expr)) is not None:
        parser.problems.append((f"expression is nested more than {MAX_HEIGHT} levels deep", deepest.span))
    if not parser.problems:
        parser.problems.extend(check(expr, text))
    if parser.problems:
        message, span = parser.problems[0]
        raise ParseError(message, text, span)
    return expr


def _too_high(expr: Expr) -> Expr | None:
    """A node below MAX_HEIGHT others; a chain `a or b or …` grows to the left without nesting its text."""
    waiting = [(expr, 1)]
    while waiting:
        node, level = waiting.pop()
        if level > MAX_HEIGHT:
            return node
        waiting.extend((child, level + 1) for child in children(node))
    return None


def parse_selector(text: str) -> VectorSelector:
    """A series selector such as `up{job="a"}` (the `match[]` of the HTTP API); ParseError otherwise.

    Unlike in a query its matchers may all match the empty string: what that means, the caller says.
    """
    return _Parser(text).only_selector()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens_of(text)
        self.at = 0
        self.problems: list[tuple[str, Span]] = []
        self.contexts: list[tuple[str, str]] = [("", "")]
        self.closed = 0
        self.depth = 0

    def whole(self) -> Expr:
        if self.peek().kind == "EOF":
            raise ParseError("no expression found in input", self.text, (0, 0))
        expr = self.expression(0)
        if self.peek().kind != "EOF":
            raise self.unexpected()
        return expr

    def only_selector(self) -> VectorSelector:
        """Name and braces, nothing before, nothing after."""
        kind = self.peek().kind
        if kind not in ("IDENTIFIER", "METRIC", "{") and kind not in _METRIC_WORDS:
            raise self.unexpected()
        selector = self.vector_selector()
        if self.peek().kind != "EOF":
            raise self.unexpected()
        if self.problems:
            message, span = self.problems[0]
            raise ParseError(message, self.text, span)
        return selector

    # Reading tokens

    def peek(self) -> Token:
        token = self.tokens[self.at]
        if token.kind == "ERROR":
            raise self.failed(token.text, (token.start, len(self.text)))
        return token

    def take(self) -> Token:
        token = self.peek()
        if token.kind != "EOF":
            self.at += 1
        if token.kind in ("}", ")", "]", "DURATION", "NUMBER"):
            self.closed = token.end
        return token

    def accept(self, *kinds: str) -> Token | None:
        return self.take() if self.peek().kind in kinds else None

    def following(self) -> str:
        """The kind of the token after the next one."""
        return self.tokens[min(self.at + 1, len(self.tokens) - 1)].kind

    # Reporting

    def failed(self, message: str, span: Span) -> ParseError:
        """The error to raise: an earlier collected problem goes first, as it was seen first."""
        if self.problems:
            message, span = self.problems[0]
        return ParseError(message, self.text, span)

    def unexpected(self, context: str | None = None, expected: str = "") -> ParseError:
        token = self.peek()
        if context is None:
            context, expected = self.contexts[-1]
        message = f"unexpected {token.describe()}"
        message += f" in {context}" if context else ""
        message += f", expected {expected}" if expected else ""
        return self.failed(message, (token.start, token.end))

    def problem(self, message: str, span: Span) -> None:
        self.problems.append((message, span))

    def within(self, context: str, expected: str, read: Callable[[], Expr]) -> Expr:
        """Read something while `context` is what a syntax error inside it is blamed on."""
        self.contexts.append((context, expected))
        found = read()
        self.contexts.pop()
        return found

    # Expressions

    def expression(self, lowest: int) -> Expr:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            token = self.peek()
            raise self.failed(f"expression is nested more than {MAX_DEPTH} levels deep", (token.start, token.end))
        left = self.operand()
        while True:
            token = self.peek()
            precedence = _PRECEDENCE.get(token.kind, 0)
            if precedence == 0 or precedence <= lowest:
                self.depth -= 1
                return left
            self.take()
            bool_modifier, matching = self.modifiers()
            # `^` groups to the right: its right side may hold another `^`.
            right = self.expression(precedence - 1 if token.kind == "^" else precedence)
            left = Binary((left.span[0], right.span[1]), token.kind, left, right, matching, bool_modifier)

    def operand(self) -> Expr:
        token = self.peek()
        if token.kind in ("+", "-"):
            return self.signed()
        expr = self.primary()
        while True:
            kind = self.peek().kind
            if kind == "[":
                expr = self.brackets(expr)
            elif kind == "offset":
                self.offset(expr)
            elif kind == "@":
                self.at_modifier(expr)
            elif kind in ("anchored", "smoothed"):
                self.take()
                self.extend_range(expr, kind)
            else:
                return expr

    def signed(self) -> Expr:
        sign = self.take()
        expr = self.expression(_UNARY_OPERAND - 1)
        if isinstance(expr, NumberLiteral):
            value = -expr.value if sign.kind == "-" else expr.value
            return NumberLiteral((sign.start, expr.span[1]), value, expr.duration)
        return Unary((sign.start, expr.span[1]), sign.kind, expr)

    def primary(self) -> Expr:
        token = self.peek()
        kind = token.kind
        if kind in ("NUMBER", "DURATION"):
            return self.number()
        if kind == "STRING":
            self.take()
            return StringLiteral((token.start, token.end), self.unquote(token))
        if kind == "(":
            self.take()
            inner = self.expression(0)
            closing = self.closing()
            return Paren((token.start, closing.end), inner)
        if kind in AGGREGATORS and self.following() in ("(", "by", "without"):
            return self.aggregate()
        if (kind == "IDENTIFIER" or kind in PREPROCESSORS) and self.following() == "(":
            return self.call()
        if kind in ("IDENTIFIER", "METRIC", "{") or kind in _METRIC_WORDS:
            return self.vector_selector()
        raise self.unexpected()

    def closing(self) -> Token:
        token = self.accept(")")
        if token is None:
            raise self.unexpected()
        return token

    def number(self) -> NumberLiteral:
        token = self.take()
        span = (token.start, token.end)
        if token.kind == "NUMBER":
            return NumberLiteral(span, _number(token.text))
        try:
            return NumberLiteral(span, parse_prometheus_duration_ms(token.text) / 1000, duration=True)
        except ValueError as cause:
            self.problem(str(cause), span)
            return NumberLiteral(span, 0.0, duration=True)

    def call(self) -> Expr:
        token = self.take()
        name = token.text if token.kind == "IDENTIFIER" else token.kind
        signature = SIGNATURES.get(name)
        args = self.arguments()
        if signature is None:
            # Told once the call is complete, as Prometheus does: `nope(` is an unclosed parenthesis.
            self.problem(f"unknown function with name {quote(token.text)}", (token.start, token.end))
            signature = Signature(name, ())
        return Call((token.start, self.closed), signature, args)

    def arguments(self) -> list[Expr]:
        self.take()
        args: list[Expr] = []
        if self.accept(")"):
            return args
        while True:
            args.append(self.expression(0))
            comma = self.accept(",")
            if comma is None:
                self.closing()
                return args
            if self.peek().kind == ")":
                self.problem("trailing commas not allowed in function call args", (comma.start, comma.end))

    def aggregate(self) -> Expr:
        op = self.take()
        grouping: list[str] = []
        without = False
        given = self.peek().kind in ("by", "without")
        if given:
            without = self.take().kind == "without"
            grouping = self.grouping()
        if self.peek().kind != "(":
            raise self.unexpected("aggregation")
        self.contexts.append(("aggregation", ""))
        args = self.arguments()
        self.contexts.pop()
        if not given and self.peek().kind in ("by", "without"):
            without = self.take().kind == "without"
            grouping = self.grouping()
        return self.build_aggregate((op.start, self.closed), op.kind, args, grouping, without)

    def build_aggregate(self, span: Span, op: str, args: list[Expr], grouping: list[str], without: bool) -> Expr:
        wanted = 2 if op in AGGREGATORS_WITH_PARAM else 1
        if not args:
            self.problem("no arguments for aggregate expression provided", span)
        elif len(args) != wanted:
            self.problem(
                f"wrong number of arguments for aggregate expression provided, expected {wanted}, got {len(args)}", span
            )
        if len(args) != wanted:
            return Aggregate(span, op, NumberLiteral(span, 0.0))
        return Aggregate(span, op, args[-1], args[0] if wanted == 2 else None, grouping, without)

    def grouping(self) -> list[str]:
        if self.accept("(") is None:
            raise self.unexpected("grouping opts", '"("')
        labels: list[str] = []
        while self.accept(")") is None:
            if labels:
                if self.accept(",") is None:
                    raise self.unexpected("grouping opts", '"," or ")"')
                if self.accept(")"):
                    break
            labels.append(self.grouping_label())
        return labels

    def grouping_label(self) -> str:
        token = self.peek()
        if token.kind == "STRING":
            self.take()
            label = self.unquote(token)
        elif token.kind in ("IDENTIFIER", "METRIC") or token.kind in _LABEL_WORDS:
            self.take()
            label = token.text
        else:
            raise self.unexpected("grouping opts", "label")
        if not label:
            self.problem(f"invalid label name for grouping: {quote(label)}", (token.start, token.end))
        return label

    # Binary modifiers

    def modifiers(self) -> tuple[bool, Matching]:
        matching = Matching()
        bool_modifier = self.accept("bool") is not None
        word = self.accept("on", "ignoring")
        if word is not None:
            matching.on = word.kind == "on"
            matching.labels = self.grouping()
            group = self.accept("group_left", "group_right")
            if group is not None:
                matching.card = "many-to-one" if group.kind == "group_left" else "one-to-many"
                if self.peek().kind == "(":
                    matching.include = self.grouping()
        self.fill(matching)
        return bool_modifier, matching

    def fill(self, matching: Matching) -> None:
        word = self.accept("fill", "fill_left", "fill_right")
        if word is None:
            return
        value = self.fill_value()
        if word.kind in ("fill", "fill_left"):
            matching.fill_left = value
        if word.kind in ("fill", "fill_right"):
            matching.fill_right = value
        if word.kind == "fill_left" and self.accept("fill_right"):
            matching.fill_right = self.fill_value()
        elif word.kind == "fill_right" and self.accept("fill_left"):
            matching.fill_left = self.fill_value()

    def fill_value(self) -> float:
        if self.accept("(") is None:
            raise self.unexpected()
        sign = self.accept("+", "-")
        if self.peek().kind not in ("NUMBER", "DURATION"):
            raise self.unexpected()
        value = self.number().value
        self.closing()
        return -value if sign is not None and sign.kind == "-" else value

    # Selectors

    def vector_selector(self) -> VectorSelector:
        token = self.peek()
        name, end = "", token.end
        matchers: list[Matcher] = []
        if token.kind != "{":
            self.take()
            name = token.text
        if self.peek().kind == "{":
            matchers, end = self.label_matchers()
        if name:
            matchers.append(name_matcher(name))
        return VectorSelector((token.start, end), name, matchers)

    def label_matchers(self) -> tuple[list[Matcher], int]:
        self.take()
        found: list[Matcher] = []
        while (closing := self.accept("}")) is None:
            if found or self.tokens[self.at - 1].kind != "{":
                if self.accept(",") is None:
                    raise self.unexpected("label matching", '"," or "}"')
                if (closing := self.accept("}")) is not None:
                    break
            matcher = self.label_matcher()
            if matcher is not None:
                found.append(matcher)
        return found, closing.end

    def label_matcher(self) -> Matcher | None:
        token = self.accept("IDENTIFIER", "STRING")
        if token is None:
            raise self.unexpected("label matching", 'identifier or "}"')
        name = self.unquote(token) if token.kind == "STRING" else token.text
        op = self.accept("=", "!=", "=~", "!~")
        if op is None:
            if token.kind == "IDENTIFIER":
                raise self.unexpected("label matching", "label matching operator")
            return make_matcher(METRIC_NAME, EQUAL, name)
        if self.peek().kind != "STRING":
            raise self.unexpected("label matching", "string")
        value = self.take()
        try:
            return make_matcher(name, op.kind, self.unquote(value))
        except InvalidPattern as cause:
            self.problem(str(cause), (token.start, value.end))
            return None

    def unquote(self, token: Token) -> str:
        body = token.text[1:-1]
        if token.text[0] == "`" or "\\" not in body:
            return body
        return _unescape(body)

    # Ranges and subqueries

    def brackets(self, expr: Expr) -> Expr:
        opening = self.take()
        if self.peek().kind == "]":
            raise self.unexpected("subquery or range selector", "number, duration, step(), or range()")
        span_of = self.positive_duration("subquery or range selector", "number, duration, step(), or range()")
        if self.accept(":"):
            return self.subquery(expr, span_of)
        if self.peek().kind != "]":
            raise self.unexpected("subquery or range", '":" or "]"')
        closing = self.take()
        return self.matrix_selector(expr, span_of, (opening.start, closing.end))

    def matrix_selector(self, expr: Expr, length: Expr, brackets: Span) -> Expr:
        message = ""
        if not isinstance(expr, VectorSelector):
            message = "ranges only allowed for vector selectors"
        elif expr.shift.has_offset:
            message = "no offset modifiers allowed before range"
        elif expr.shift.has_at:
            message = "no @ modifiers allowed before range"
        if message:
            self.problem(message, brackets)
        if not isinstance(expr, VectorSelector):
            return Subquery((expr.span[0], self.closed), expr, _seconds(length))
        return MatrixSelector((expr.span[0], self.closed), expr, _seconds(length), _expression(length))

    def subquery(self, expr: Expr, length: Expr) -> Expr:
        step: Expr | None = None
        if self.peek().kind != "]":
            expected = 'number, duration, step(), range(), or "]"'
            step = self.positive_duration("subquery selector", expected)
        if self.peek().kind != "]":
            raise self.unexpected("subquery selector", '"]"')
        closing = self.take()
        step_s, step_expr = (0.0, None) if step is None else (_seconds(step), _expression(step))
        return Subquery(
            (expr.span[0], closing.end), expr, _seconds(length), _expression(length), step_s, step_expr, Shift()
        )

    def offset(self, expr: Expr) -> None:
        self.take()
        length = self.offset_duration()
        found = self.shift_of(expr)
        if found is None:
            word = "offset modifier must be preceded by an instant vector selector or range vector selector"
            self.problem(f"{word} or a subquery", expr.span)
            return
        if found.has_offset:
            self.problem("offset may not be set multiple times", expr.span)
        elif isinstance(length, DurationExpr):
            found.offset_expr = length
        else:
            found.offset_s = _seconds(length)
        expr.span = (expr.span[0], self.closed)

    def at_modifier(self, expr: Expr) -> None:
        self.take()
        edge, seconds = "", 0.0
        token = self.peek()
        if token.kind in ("start", "end"):
            edge = self.take().kind
            if self.accept("(") is None or self.accept(")") is None:
                raise self.unexpected("@", "timestamp")
        else:
            seconds = self.timestamp()
        if not edge and (math.isnan(seconds) or abs(seconds) >= 2**63):
            self.problem(f"timestamp out of bounds for @ modifier: {_fixed(seconds)}", expr.span)
            return
        found = self.shift_of(expr)
        if found is None:
            word = "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery"
            self.problem(word, expr.span)
            return
        if found.has_at:
            self.problem("@ <timestamp> may not be set multiple times", expr.span)
            return
        found.at_edge = edge
        found.at_ms = None if edge else _round_half_away(seconds * 1000)
        expr.span = (expr.span[0], self.closed)

    def timestamp(self) -> float:
        sign = self.accept("+", "-")
        if self.peek().kind not in ("NUMBER", "DURATION"):
            raise self.unexpected("@", "timestamp")
        value = self.number().value
        return -value if sign is not None and sign.kind == "-" else value

    def shift_of(self, expr: Expr) -> Shift | None:
        if isinstance(expr, MatrixSelector):
            return expr.selector.shift
        return expr.shift if isinstance(expr, (VectorSelector, Subquery)) else None

    def extend_range(self, expr: Expr, word: str) -> None:
        if isinstance(expr, Subquery):
            self.problem(f"{word} modifier is not supported for subqueries", expr.span)
            return
        selector = expr.selector if isinstance(expr, MatrixSelector) else expr
        if not isinstance(selector, VectorSelector):
            self.problem(f"{word} modifier not implemented", expr.span)
            return
        if word == "anchored":
            selector.anchored = True
        else:
            selector.smoothed = True
        if selector.anchored and selector.smoothed:
            self.problem("anchored and smoothed modifiers cannot be used together", expr.span)

    # Durations

    def positive_duration(self, context: str, expected: str) -> Expr:
        length = self.within(context, expected, lambda: self.duration(0))
        if isinstance(length, NumberLiteral) and length.value <= 0:
            self.problem("duration must be greater than 0", length.span)
        return length

    def duration(self, lowest: int) -> Expr:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            token = self.peek()
            raise self.failed(f"expression is nested more than {MAX_DEPTH} levels deep", (token.start, token.end))
        left = self.duration_operand()
        while True:
            token = self.peek()
            precedence = _PRECEDENCE.get(token.kind, 0) if token.kind in ("+", "-", "*", "/", "%", "^") else 0
            if precedence == 0 or precedence <= lowest:
                self.depth -= 1
                return left
            self.take()
            right = self.duration(precedence - 1 if token.kind == "^" else precedence)
            if token.kind in ("/", "%") and isinstance(right, NumberLiteral) and right.value == 0:
                word = "division" if token.kind == "/" else "modulo"
                self.problem(f"{word} by zero", (token.start, token.end))
            left = DurationExpr((left.span[0], right.span[1]), token.kind, left, right)

    def duration_operand(self) -> Expr:
        token = self.peek()
        if token.kind in ("+", "-"):
            self.take()
            return self.with_sign(token, self.duration(_UNARY_OPERAND - 1))
        if token.kind in ("NUMBER", "DURATION"):
            found = self.number()
            if abs(found.value) > _LONGEST_S:
                self.problem("duration out of range", found.span)
            return found
        if token.kind == "(":
            self.take()
            inner = self.duration(0)
            return _wrapped(inner, token.start, self.closing().end)
        if token.kind in ("step", "range"):
            self.take()
            if self.accept("(") is None:
                raise self.unexpected()
            return DurationExpr((token.start, self.closing().end), token.kind)
        if token.kind in ("min_of", "max_of"):
            return self.duration_pair()
        raise self.unexpected()

    def duration_pair(self) -> Expr:
        word = self.take()
        if self.accept("(") is None:
            raise self.unexpected()
        left = self.duration(0)
        if self.accept(",") is None:
            raise self.unexpected()
        right = self.duration(0)
        return DurationExpr((word.start, self.closing().end), word.kind, left, right)

    def offset_duration(self) -> Expr:
        """One signed duration: `offset -2^2` is `(… offset -2)^2`, so no operator is read without parentheses."""

        def read() -> Expr:
            sign = self.accept("+", "-")
            found = self.duration_operand()
            return found if sign is None else self.with_sign(sign, found)

        return self.within("offset", "number, duration, step(), or range()", read)

    def with_sign(self, sign: Token, found: Expr) -> Expr:
        if isinstance(found, NumberLiteral):
            value = -found.value if sign.kind == "-" else found.value
            return NumberLiteral((sign.start, found.span[1]), value, found.duration)
        if sign.kind == "+":
            return found
        return DurationExpr((sign.start, found.span[1]), "-", None, found)


def _wrapped(inner: Expr, start: int, end: int) -> DurationExpr:
    if isinstance(inner, DurationExpr):
        inner.wrapped = True
        return inner
    return DurationExpr((start, end), "+", None, inner, wrapped=True)


def _seconds(length: Expr) -> float:
    """Written seconds of a literal, cut to what a duration can hold; 0 when an expression decides later."""
    if not isinstance(length, NumberLiteral):
        return 0.0
    return to_ms(length.value) / 1000 if math.isfinite(length.value) else 0.0


def _expression(length: Expr) -> DurationExpr | None:
    return length if isinstance(length, DurationExpr) else None


def _number(text: str) -> float:
    plain = text.replace("_", "").lower()
    if plain.startswith("0x"):
        return float(int(plain, 16))
    if len(plain) > 1 and plain[0] == "0" and all(c in "01234567" for c in plain):
        # Go's ParseInt with base 0 reads a leading zero as octal.
        return float(int(plain, 8))
    return float(plain)


def _round_half_away(value: float) -> int:
    return math.floor(value + 0.5) if value >= 0 else -math.floor(-value + 0.5)


def _fixed(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:f}"


def _unescape(body: str) -> str:
    """A quoted string's value; `\\xff` and octal escapes are bytes, which may leave invalid UTF-8 (kept as
    surrogates).
    """
    out = bytearray()
    at = 0
    for match in _ESCAPE.finditer(body):
        out += body[at : match.start()].encode("utf-8", "surrogateescape")
        at = match.end()
        if match[1]:
            out.append(_ESCAPES[match[1]])
        elif match[2]:
            out.append(int(match[2], 8) & 0xFF)
        elif match[3]:
            out.append(int(match[3], 16))
        else:
            code = int(match[4] or match[5], 16)
            out += (chr(code) if code < 0x110000 else "\ufffd").encode("utf-8", "surrogatepass")
    out += body[at:].encode("utf-8", "surrogateescape")
    return out.decode("utf-8", "surrogateescape")
