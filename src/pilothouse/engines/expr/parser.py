"""Tokens to a tree: precedence climbing over the operators of expr-lang."""

from __future__ import annotations

from pilothouse.engines.expr import nodes
from pilothouse.engines.expr.errors import ExprError
from pilothouse.engines.expr.lexer import Token, tokens

DEPTH = 100
"""Nesting beyond this is hostile or broken; Python's own stack would end soon after."""
CHARACTERS = 64 * 1024
"""One condition; the longest in public charts is below 1 KiB."""
PREDICATES = {
    "all": 2, "none": 2, "any": 2, "one": 2, "filter": 2, "map": 2, "count": 2, "sum": 2, "find": 2, "findIndex": 2,
    "findLast": 2, "findLastIndex": 2, "groupBy": 2, "sortBy": 2, "reduce": 2,
}  # fmt: skip
"""Functions whose second argument is a predicate over the elements of the first."""
_BINARY = {
    "|": 0, "or": 10, "||": 10, "and": 15, "&&": 15, "==": 20, "!=": 20, "<": 20, ">": 20, ">=": 20, "<=": 20,
    "in": 20, "matches": 20, "contains": 20, "startsWith": 20, "endsWith": 20, "..": 25, "+": 30, "-": 30, "*": 60,
    "/": 60, "%": 60, "**": 100, "^": 100, "??": 500,
}  # fmt: skip
_UNARY = {"not": 50, "!": 50, "-": 90, "+": 90}
_CONSTANTS = {"true": True, "false": False, "nil": None}


def parse(text: str) -> nodes.Node:
    """The tree; ExprError with the position of what does not fit."""
    if len(text) > CHARACTERS:
        raise ExprError(f"the expression is longer than {CHARACTERS} characters", text, 0)
    parser = _Parser(text)
    tree = parser.sequence()
    parser.expect_end()
    return tree


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0
        self._inside = 0

    @property
    def current(self) -> Token:
        return self._tokens[self._at]

    def _error(self, message: str, token: Token | None = None) -> ExprError:
        return ExprError(message, self.text, (token or self.current).offset)

    def _next(self) -> Token:
        token = self.current
        if token.kind != "end":
            self._at += 1
        return token

    def _is(self, value: str, kind: str = "operator") -> bool:
        return self.current.kind == kind and self.current.value == value

    def _take(self, value: str) -> bool:
        if self._is(value):
            self._at += 1
            return True
        return False

    def _expect(self, value: str) -> None:
        if not self._take(value):
            raise self._error(f"unexpected {_told(self.current)}, expected {value!r}")

    def expect_end(self) -> None:
        if self.current.kind != "end":
            raise self._error(f"unexpected {_told(self.current)}")

    def sequence(self) -> nodes.Node:
        """`let a = …; …` or one expression."""
        token = self.current
        if not self._is("let", "name"):
            return self.expression()
        self._at += 1
        name = self._next()
        if name.kind != "name":
            raise self._error("expected a name after let", name)
        self._expect("=")
        value = self.expression()
        self._expect(";")
        return nodes.Let(token.offset, str(name.value), value, self.sequence())

    def expression(self, floor: int = 0) -> nodes.Node:
        self._depth += 1
        if self._depth > DEPTH:
            raise self._error(f"nested deeper than {DEPTH}")
        left = self._unary()
        while True:
            found = self._binary_here()
            if found is None or _BINARY[found[0]] < floor:
                break
            left = self._binary(left, *found)
        if floor == 0:
            left = self._choice(left)
        self._depth -= 1
        return left

    def _binary_here(self) -> tuple[str, bool] | None:
        """The binary operator at hand and whether `not` stands before it."""
        token = self.current
        if token.kind not in ("operator", "name"):
            return None
        if token.value == "not" and token.kind == "name":
            following = self._tokens[self._at + 1]
            if following.value in ("in", "matches", "contains", "startsWith", "endsWith"):
                return str(following.value), True
        return (str(token.value), False) if token.value in _BINARY else None

    def _binary(self, left: nodes.Node, operator: str, negated: bool) -> nodes.Node:
        if negated:
            self._at += 1
        token = self._next()
        if operator == "|":
            return self._pipe(left)
        power = _BINARY[operator]
        # `**` and `^` bind to the right; all others to the left.
        right = self.expression(power if operator in ("**", "^") else power + 1)
        node: nodes.Node = nodes.Binary(token.offset, operator, left, right)
        return nodes.Unary(token.offset, "not", node) if negated else node

    def _pipe(self, left: nodes.Node) -> nodes.Node:
        token = self._next()
        if token.kind != "name":
            raise self._error("expected a function after |", token)
        self._expect("(")
        return self._postfix(self._call(nodes.Name(token.offset, str(token.value)), (left,)))

    def _choice(self, condition: nodes.Node) -> nodes.Node:
        token = self.current
        if not self._take("?"):
            return condition
        if self._take(":"):
            return nodes.Choice(token.offset, condition, condition, self.expression())
        then = self.expression()
        self._expect(":")
        return nodes.Choice(token.offset, condition, then, self.expression())

    def _unary(self) -> nodes.Node:
        token = self.current
        if token.kind in ("operator", "name") and token.value in _UNARY:
            self._at += 1
            operand = self.expression(_UNARY[str(token.value)])
            return nodes.Unary(token.offset, "not" if token.value in ("not", "!") else str(token.value), operand)
        return self._postfix(self._primary())

    def _primary(self) -> nodes.Node:
        token = self._next()
        if token.kind in ("number", "string"):
            return nodes.Literal(token.offset, token.value)
        if token.kind == "name":
            if token.value in _CONSTANTS:
                return nodes.Literal(token.offset, _CONSTANTS[str(token.value)])
            return nodes.Name(token.offset, str(token.value))
        match token.value:
            case "(":
                inner = self.sequence()
                self._expect(")")
                return inner
            case "[":
                return nodes.ArrayOf(token.offset, tuple(self._list("]")))
            case "{":
                return self._map(token)
            case "#" if self._inside:
                return self._pointer(token)
            case "." if self._inside:
                # A predicate's shorthand: `.price` is `#.price`.
                key = self._next()
                if key.kind != "name":
                    raise self._error("expected a name", key)
                pointer = nodes.Pointer(token.offset, "")
                return nodes.Member(token.offset, pointer, nodes.Literal(key.offset, key.value), False)
        raise self._error(f"unexpected {_told(token)}", token)

    def _pointer(self, token: Token) -> nodes.Node:
        following = self.current
        if following.kind == "name" and following.offset == token.offset + 1 and following.value in ("index", "acc"):
            self._at += 1
            return nodes.Pointer(token.offset, str(following.value))
        return nodes.Pointer(token.offset, "")

    def _list(self, close: str) -> list[nodes.Node]:
        items: list[nodes.Node] = []
        while not self._take(close):
            if items:
                self._expect(",")
                if self._take(close):
                    break
            items.append(self.expression())
        return items

    def _map(self, opened: Token) -> nodes.Node:
        items: list[tuple[nodes.Node, nodes.Node]] = []
        while not self._take("}"):
            if items:
                self._expect(",")
                if self._take("}"):
                    break
            key = self._next()
            if key.kind not in ("name", "string", "number"):
                raise self._error("a map key must be a name, a string or a number", key)
            self._expect(":")
            items.append((nodes.Literal(key.offset, str(key.value)), self.expression()))
        return nodes.MapOf(opened.offset, tuple(items))

    def _postfix(self, node: nodes.Node) -> nodes.Node:
        while True:
            token = self.current
            if token.kind != "operator":
                return node
            if token.value in (".", "?."):
                self._at += 1
                node = self._member(node, token)
            elif token.value == "[":
                self._at += 1
                node = self._index(node, token)
            elif token.value == "(":
                self._at += 1
                node = self._call(node)
            else:
                return node

    def _member(self, node: nodes.Node, dot: Token) -> nodes.Node:
        optional = dot.value == "?."
        if optional and self._take("["):
            key = self.expression()
            self._expect("]")
            return nodes.Member(dot.offset, node, key, True)
        name = self._next()
        if name.kind != "name":
            raise self._error("expected a name", name)
        return nodes.Member(name.offset, node, nodes.Literal(name.offset, name.value), optional)

    def _index(self, node: nodes.Node, opened: Token) -> nodes.Node:
        start = None if self._is(":") else self.expression()
        if self._take(":"):
            stop = None if self._is("]") else self.expression()
            self._expect("]")
            return nodes.Slice(opened.offset, node, start, stop)
        self._expect("]")
        assert start is not None  # the branch without a start is the slice above
        return nodes.Member(opened.offset, node, start, False)

    def _call(self, function: nodes.Node, given: tuple[nodes.Node, ...] = ()) -> nodes.Node:
        arguments = [*given]
        predicate = isinstance(function, nodes.Name) and function.name in PREDICATES
        while not self._take(")"):
            if len(arguments) > len(given):
                self._expect(",")
            if predicate and len(arguments) == 1:
                arguments.append(self._predicate())
            else:
                arguments.append(self.expression())
        return nodes.Call(function.offset, function, tuple(arguments))

    def _predicate(self) -> nodes.Node:
        token = self.current
        self._inside += 1
        braced = self._take("{")
        body = self.sequence()
        if braced:
            self._expect("}")
        self._inside -= 1
        return nodes.Predicate(token.offset, body)


def _told(token: Token) -> str:
    return "end of the expression" if token.kind == "end" else f"{token.value!r}"
