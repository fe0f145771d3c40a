"""A compiled expression and its evaluation. Values are JSON's: None, bool, int, float, str, list, dict."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.engines.expr import builtins, nodes
from pilothouse.engines.expr.errors import ExprError
from pilothouse.engines.expr.parser import PREDICATES, parse

_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class Program:
    """An expression whose syntax is checked."""

    text: str
    tree: nodes.Node

    def run(self, env: Mapping[str, Any]) -> Any:
        """Its value with these names known; callables among them are functions. ExprError when it has none."""
        return _Run(self.text, env).value(self.tree)


def compile(text: str) -> Program:
    """Parsed once, run many times; ExprError with the position when it is no expression."""
    return Program(text, parse(text))


class _Run:
    def __init__(self, text: str, env: Mapping[str, Any]) -> None:
        self._text = text
        self._env = dict(env)
        self._elements: list[dict[str, Any]] = []

    def _error(self, node: nodes.Node, message: str) -> ExprError:
        return ExprError(message, self._text, node.offset)

    def value(self, node: nodes.Node) -> Any:
        match node:
            case nodes.Literal():
                return node.value
            case nodes.Name():
                return self._name(node)
            case nodes.Pointer():
                return self._elements[-1][node.what]
            case nodes.Unary():
                return self._unary(node)
            case nodes.Binary():
                return self._binary(node)
            case nodes.Choice():
                return self.value(node.then if self._bool(node.condition) else node.other)
            case nodes.Member():
                return self._member(node)
            case nodes.Slice():
                return self._slice(node)
            case nodes.Call():
                return self._call(node)
            case nodes.ArrayOf():
                return [self.value(item) for item in node.items]
            case nodes.MapOf():
                return {self.value(key): self.value(item) for key, item in node.items}
            case nodes.Let():
                return self._let(node)
            case nodes.Predicate():
                raise self._error(node, "a predicate stands alone")

    def _name(self, node: nodes.Name) -> Any:
        if node.name not in self._env:
            raise self._error(node, f"unknown name {node.name}")
        return self._env[node.name]

    def _let(self, node: nodes.Let) -> Any:
        before = self._env.get(node.name, _MISSING)
        self._env[node.name] = self.value(node.value)
        try:
            return self.value(node.body)
        finally:
            if before is _MISSING:
                del self._env[node.name]
            else:
                self._env[node.name] = before

    def _bool(self, node: nodes.Node) -> bool:
        value = self.value(node)
        if not isinstance(value, bool):
            raise self._error(node, f"expected bool, but got {builtins.type_name(value)}")
        return value

    def _unary(self, node: nodes.Unary) -> Any:
        if node.operator == "not":
            return not self._bool(node.operand)
        value = self.value(node.operand)
        if not builtins.is_number(value):
            raise self._error(node, f"invalid operation: {node.operator} {builtins.type_name(value)}")
        return -value if node.operator == "-" else value

    def _binary(self, node: nodes.Binary) -> Any:
        match node.operator:
            case "and" | "&&":
                return self._bool(node.left) and self._bool(node.right)
            case "or" | "||":
                return self._bool(node.left) or self._bool(node.right)
            case "??":
                left = self.value(node.left)
                return self.value(node.right) if left is None else left
        left, right = self.value(node.left), self.value(node.right)
        try:
            return _operate(node.operator, left, right)
        except _Mismatch:
            types = f"{builtins.type_name(left)} and {builtins.type_name(right)}"
            raise self._error(node, f"invalid operation: {node.operator} (mismatched types {types})") from None
        except (ValueError, OverflowError, ZeroDivisionError) as error:
            raise self._error(node, f"{node.operator}: {error}") from None
        except re.error as error:
            raise self._error(node, f"matches: {error}") from None

    def _member(self, node: nodes.Member) -> Any:
        of = self.value(node.of)
        key = self.value(node.key)
        if of is None:
            if node.optional:
                return None
            raise self._error(node, f"cannot fetch {key} from nil")
        if isinstance(of, Mapping):
            return of.get(key)
        if isinstance(of, list | str) and isinstance(key, int) and not isinstance(key, bool):
            if -len(of) <= key < len(of):
                return of[key]
            raise self._error(node, f"index out of range: {key} (array length is {len(of)})")
        raise self._error(node, f"type {builtins.type_name(of)} has no field {key}")

    def _slice(self, node: nodes.Slice) -> Any:
        of = self.value(node.of)
        start = self.value(node.start) if node.start is not None else None
        stop = self.value(node.stop) if node.stop is not None else None
        if not isinstance(of, list | str) or not all(p is None or isinstance(p, int) for p in (start, stop)):
            raise self._error(node, f"cannot slice {builtins.type_name(of)}")
        return of[start:stop]

    def _call(self, node: nodes.Call) -> Any:
        function: Any
        if isinstance(node.function, nodes.Name):
            name = node.function.name
            if name not in self._env and name in PREDICATES:
                return self._predicated(node, name)
            function = self._env.get(name, builtins.FUNCTIONS.get(name))
            if function is None:
                raise self._error(node, f"unknown name {name}")
        else:
            function = self.value(node.function)
            name = "this"
        if not callable(function):
            raise self._error(node, f"{name} is not callable")
        arguments = [self.value(argument) for argument in node.arguments]
        try:
            return function(*arguments)
        except TypeError:
            types = ", ".join(builtins.type_name(a) for a in arguments)
            raise self._error(node, f"cannot call {name} with ({types})") from None
        except (ValueError, OverflowError, ArithmeticError, IndexError) as error:
            raise self._error(node, f"{name}: {error}") from None

    def _predicated(self, node: nodes.Call, name: str) -> Any:
        if not node.arguments:
            raise self._error(node, f"not enough arguments to call {name}")
        over = self.value(node.arguments[0])
        items = list(over.values()) if isinstance(over, Mapping) else over
        if not isinstance(items, list):
            raise self._error(node, f"{name} takes only an array (got {builtins.type_name(over)})")
        if len(node.arguments) == 1:
            if name not in ("count", "sum"):
                raise self._error(node, f"not enough arguments to call {name}")
            return sum(items) if name == "sum" else sum(item is True for item in items)
        body = node.arguments[1]
        assert isinstance(body, nodes.Predicate)  # the parser makes nothing else here
        if name == "reduce":
            return self._reduce(items, body, [self.value(a) for a in node.arguments[2:]])
        return builtins.over_elements(name, items, self._tester(items, body))

    def _tester(self, items: list[Any], body: nodes.Predicate) -> Callable[[int], Any]:
        def test(index: int) -> Any:
            self._elements.append({"": items[index], "index": index})
            try:
                return self.value(body.body)
            finally:
                self._elements.pop()

        return test

    def _reduce(self, items: list[Any], body: nodes.Predicate, initial: list[Any]) -> Any:
        if not initial and not items:
            raise self._error(body, "reduce of an empty array with no initial value")
        total = initial[0] if initial else items[0]
        for index in range(0 if initial else 1, len(items)):
            self._elements.append({"": items[index], "index": index, "acc": total})
            total = self.value(body.body)
            self._elements.pop()
        return total


class _Mismatch(Exception):
    """Two values that the operator does not take."""


def _operate(operator: str, left: Any, right: Any) -> Any:
    match operator:
        case "==":
            return builtins.equal(left, right)
        case "!=":
            return not builtins.equal(left, right)
        case "<" | ">" | "<=" | ">=":
            return _compared(operator, left, right)
        case "in":
            return _within(left, right)
        case "matches" | "contains" | "startsWith" | "endsWith":
            return _text_test(operator, left, right)
        case "..":
            if not (isinstance(left, int) and isinstance(right, int)):
                raise _Mismatch
            return list(range(left, min(right, left + builtins.ITEMS) + 1))
        case "+" if isinstance(left, str) and isinstance(right, str):
            return left + right
    if not (builtins.is_number(left) and builtins.is_number(right)):
        raise _Mismatch
    return _arithmetic(operator, left, right)


def _compared(operator: str, left: Any, right: Any) -> bool:
    numbers = builtins.is_number(left) and builtins.is_number(right)
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        raise _Mismatch
    match operator:
        case "<":
            return bool(left < right)
        case ">":
            return bool(left > right)
        case "<=":
            return bool(left <= right)
    return bool(left >= right)


def _within(left: Any, right: Any) -> bool:
    if right is None:
        return False
    if isinstance(right, Mapping):
        return left in right
    if isinstance(right, list):
        return any(builtins.equal(left, item) for item in right)
    raise _Mismatch


def _text_test(operator: str, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    if not (isinstance(left, str) and isinstance(right, str)):
        raise _Mismatch
    match operator:
        case "matches":
            return re.search(right, left) is not None
        case "contains":
            return right in left
        case "startsWith":
            return left.startswith(right)
    return left.endswith(right)


def _arithmetic(operator: str, left: Any, right: Any) -> Any:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return _divided(float(left), float(right))
        case "%":
            if not (isinstance(left, int) and isinstance(right, int)):
                raise _Mismatch
            return int(math.fmod(left, right))
    return float(left) ** float(right)


def _divided(left: float, right: float) -> float:
    """IEEE division, as Go divides floats: x/0 is an infinity, 0/0 is not a number."""
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)
