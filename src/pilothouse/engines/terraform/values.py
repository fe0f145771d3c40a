"""Expressions to plain values, as far as the files alone tell: literals, locals, defaults of variables, some functions.

What depends on the cloud or on other modules becomes a `Symbol` that keeps its text; it is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pilothouse.engines.terraform import hcl
from pilothouse.engines.terraform.hcl import (
    Call,
    Entries,
    Expression,
    Items,
    Literal,
    Opaque,
    Operation,
    Path,
    Template,
)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A value that only `terraform plan` knows."""

    text: str


Value = Any
"""str, int, float, bool, None, list, dict, or a `Symbol` (also inside lists and dicts)."""


@dataclass(slots=True)
class Scope:
    """Names that expressions may use. variables: their values or defaults; locals: unresolved, resolved when asked."""

    variables: Mapping[str, Value] = field(default_factory=dict)
    locals: Mapping[str, Expression] = field(default_factory=dict)
    _resolving: list[str] = field(default_factory=list)

    def local(self, name: str) -> Value:
        if name not in self.locals or name in self._resolving:
            return Symbol(f"local.{name}")
        self._resolving.append(name)
        value = resolve(self.locals[name], self)
        self._resolving.pop()
        return value


def resolve(expression: Expression, scope: Scope) -> Value:
    """The value of an expression."""
    match expression:
        case Literal(value=value):
            return value
        case Template(parts=parts):
            return _template(parts, scope)
        case Items(items=items):
            return [resolve(item, scope) for item in items]
        case Entries(entries=entries):
            return {_key(key, scope): resolve(value, scope) for key, value, _line in entries}
        case Path():
            return _path(expression, scope)
        case Call():
            return _call(expression, scope)
        case Operation():
            return _operation(expression, scope)
        case Opaque(text=text):
            return Symbol(text)
    raise AssertionError(expression)


def _key(key: Expression, scope: Scope) -> str:
    value = resolve(key, scope)
    return value.text if isinstance(value, Symbol) else _text(value)


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _template(parts: tuple[str | Expression, ...], scope: Scope) -> Value:
    out: list[str] = []
    for part in parts:
        value = part if isinstance(part, str) else resolve(part, scope)
        if isinstance(value, Symbol | list | dict):
            return Symbol(f'"{"".join(_source(p) for p in parts)}"')
        out.append(_text(value))
    return "".join(out)


def _source(part: str | Expression) -> str:
    return part if isinstance(part, str) else f"${{{text_of(part)}}}"


def _path(path: Path, scope: Scope) -> Value:
    first, *rest = path.steps
    if isinstance(first, str):
        if first in ("var", "local") and rest and isinstance(rest[0], str):
            name = rest[0]
            value = scope.local(name) if first == "local" else scope.variables.get(name, Symbol(f"var.{name}"))
            rest = rest[1:]
        else:
            return Symbol(text_of(path))
    else:
        value = resolve(first, scope)
    for step in rest:
        value = _step(value, step, scope)
        if isinstance(value, Symbol):
            return Symbol(text_of(path))
    return value


def _step(value: Value, step: str | Expression, scope: Scope) -> Value:
    key = step if isinstance(step, str) else resolve(step, scope)
    if isinstance(value, dict) and isinstance(key, str | int):
        return value.get(_text(key), Symbol("?"))
    if isinstance(value, list) and _text(key).isdigit() and int(key) < len(value):
        return value[int(key)]
    return Symbol("?")


def _operation(operation: Operation, scope: Scope) -> Value:
    values = [resolve(operand, scope) for operand in operation.operands]
    if operation.operator == "?":
        condition = values[0]
        return Symbol(text_of(operation)) if not isinstance(condition, bool) else values[1 if condition else 2]
    known = _OPERATORS.get((operation.operator, len(values)))
    if known is None or any(isinstance(value, Symbol) for value in values):
        return Symbol(text_of(operation))
    try:
        return known(*values)
    except (TypeError, ZeroDivisionError):
        return Symbol(text_of(operation))


_OPERATORS: Mapping[tuple[str, int], Callable[..., Value]] = {
    ("!", 1): lambda a: not a,
    ("-", 1): lambda a: -a,
    ("+", 2): lambda a, b: a + b,
    ("-", 2): lambda a, b: a - b,
    ("*", 2): lambda a, b: a * b,
    ("/", 2): lambda a, b: _exact(a / b),
    ("%", 2): lambda a, b: a % b,
    ("==", 2): lambda a, b: a == b,
    ("!=", 2): lambda a, b: a != b,
    ("<", 2): lambda a, b: a < b,
    (">", 2): lambda a, b: a > b,
    ("<=", 2): lambda a, b: a <= b,
    (">=", 2): lambda a, b: a >= b,
    ("&&", 2): lambda a, b: a and b,
    ("||", 2): lambda a, b: a or b,
}


def _exact(value: float) -> int | float:
    return int(value) if value == int(value) else value


def _call(call: Call, scope: Scope) -> Value:
    values = [resolve(argument, scope) for argument in call.arguments]
    if call.spread and values and isinstance(values[-1], list):
        values[-1:] = values[-1]
    function = _FUNCTIONS.get(call.name)
    if function is None:
        return Symbol(text_of(call))
    try:
        return function(*values)
    except (TypeError, ValueError, AttributeError, IndexError, KeyError):
        return Symbol(text_of(call))


def _merge(*maps: Value) -> Value:
    out: dict[str, Value] = {}
    for each in maps:
        out.update({} if each is None else each.items())
    return out


def _concat(*lists: Value) -> Value:
    out: list[Value] = []
    for each in lists:
        if not isinstance(each, list):
            raise TypeError
        out.extend(each)
    return out


def _first_known(*values: Value) -> Value:
    return next(v for v in (*values, Symbol("coalesce")) if v is not None and v != "" and not isinstance(v, Symbol))


def _tried(*values: Value) -> Value:
    return next((v for v in values if not isinstance(v, Symbol)), values[-1])


def _number(value: Value) -> Value:
    return int(value) if str(value).lstrip("-").isdigit() else float(value)


def _plain(value: Value) -> Value:
    if isinstance(value, Symbol):
        raise TypeError
    return value


def _lookup(table: Value, key: Value, otherwise: Value = None) -> Value:
    return table.get(key, otherwise)


_FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "merge": _merge,
    "concat": _concat,
    "coalesce": _first_known,
    "try": _tried,
    "tolist": _plain,
    "toset": _plain,
    "tomap": _plain,
    "tonumber": _number,
    "tostring": lambda value: _text(_plain(value)),
    "max": lambda *values: max(values),
    "min": lambda *values: min(values),
    "length": lambda value: len(_plain(value)),
    "lookup": _lookup,
    "lower": lambda value: value.lower(),
    "upper": lambda value: value.upper(),
    "join": lambda sign, values: sign.join(_text(_plain(value)) for value in values),
}


def text_of(expression: Expression) -> str:
    """The expression written out again, for notes."""
    match expression:
        case Literal(value=str(value)):
            return f'"{value}"'
        case Literal(value=value):
            return "null" if value is None else _text(value)
        case Template(parts=parts):
            return f'"{"".join(_source(part) for part in parts)}"'
        case Items(items=items):
            return f"[{', '.join(map(text_of, items))}]"
        case Entries(entries=entries):
            return f"{{{', '.join(f'{text_of(key)} = {text_of(value)}' for key, value, _line in entries)}}}"
        case Path(steps=steps):
            return _path_text(steps)
        case Call(name=name, arguments=arguments):
            return f"{name}({', '.join(map(text_of, arguments))})"
        case Operation(operator="?", operands=(condition, yes, no)):
            return f"{text_of(condition)} ? {text_of(yes)} : {text_of(no)}"
        case Operation(operator=operator, operands=(only,)):
            return f"{operator}{text_of(only)}"
        case Operation(operator=operator, operands=(left, right)):
            return f"{text_of(left)} {operator} {text_of(right)}"
        case Opaque(text=text):
            return text
    return "?"


def _path_text(steps: tuple[str | Expression, ...]) -> str:
    out = ""
    for step in steps:
        if isinstance(step, str):
            out += f".{step}" if out else step
        else:
            out += f"[{text_of(step)}]" if out else text_of(step)
    return out


def scope_of(files: list[hcl.Block], given: Mapping[str, Value]) -> Scope:
    """What `variable` and `locals` blocks of a module define; given: values from .tfvars files."""
    variables: dict[str, Value] = {}
    local: dict[str, Expression] = {}
    for file in files:
        for block in file.all("variable"):
            if block.labels and "default" in block.attributes:
                variables[block.labels[0]] = resolve(block.attributes["default"], Scope())
        for block in file.all("locals"):
            local.update(block.attributes)
    return Scope({**variables, **given}, local)
