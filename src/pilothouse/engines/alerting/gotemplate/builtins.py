"""The functions that every Go template has (text/template/funcs.go, Go 1.23). `and` and `or` are in `execution`:
they evaluate no more arguments than they need.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

from pilothouse.engines.alerting.gotemplate.errors import CallError
from pilothouse.engines.alerting.gotemplate.formatting import sprint, sprintf, sprintln
from pilothouse.engines.alerting.gotemplate.values import Function, GoMap, GoSlice, GoStruct, is_true, type_name


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int) or hasattr(value, "ns"):
        return "int"
    if isinstance(value, float):
        return "float"
    if isinstance(value, complex):
        return "complex"
    if isinstance(value, str):
        return "string"
    return ""


def _number(value: Any) -> Any:
    return getattr(value, "ns", value)


def _eq(first: Any, *others: Any) -> bool:
    if not others:
        raise CallError("missing argument for comparison")
    return any(_equal(first, other) for other in others)


def _equal(first: Any, other: Any) -> bool:
    if isinstance(first, GoMap | GoSlice) or isinstance(other, GoMap | GoSlice):
        shown = first if isinstance(first, GoMap | GoSlice) else other
        if first is None or other is None:
            return False
        raise CallError(f"non-comparable type {sprint(shown)}: {type_name(shown)}")
    if first is None or other is None:
        return first is other
    if _kind(first) != _kind(other):
        raise CallError("incompatible types for comparison")
    return bool(_number(first) == _number(other))


def _ne(first: Any, other: Any) -> bool:
    return not _equal(first, other)


def _lt(first: Any, other: Any) -> bool:
    kinds = _kind(first), _kind(other)
    if "" in kinds:
        raise CallError("invalid type for comparison")
    if kinds[0] != kinds[1]:
        raise CallError("incompatible types for comparison")
    if kinds[0] in ("bool", "complex"):
        raise CallError("invalid type for comparison")
    return bool(_number(first) < _number(other))


def _le(first: Any, other: Any) -> bool:
    return _lt(first, other) or _equal(first, other)


def _index(item: Any, *indices: Any) -> Any:
    if not indices:
        return item
    for index in indices:
        if item is None:
            raise CallError("index of untyped nil")
        if isinstance(item, GoMap):
            if not isinstance(index, str):
                raise CallError(f"value has type {type_name(index)}; should be string")
            item = item[index] if index in item else item.zero()
        elif isinstance(item, GoSlice | str):
            if not isinstance(index, int) or isinstance(index, bool):
                shown = "nil" if index is None else f"type {type_name(index)}"
                raise CallError(f"cannot index slice/array with {shown}")
            sequence: Any = item.encode() if isinstance(item, str) else item
            if not 0 <= index < len(sequence):
                raise CallError(f"index out of range: {index}")
            item = sequence[index]
        else:
            raise CallError(f"can't index item of type {type_name(item)}")
    return item


def _slice(item: Any, *indices: Any) -> Any:
    if item is None:
        raise CallError("slice of untyped nil")
    if len(indices) > 3:
        raise CallError(f"too many slice indexes: {len(indices)}")
    if not isinstance(item, GoSlice | str):
        raise CallError(f"can't slice item of type {type_name(item)}")
    if isinstance(item, str) and len(indices) == 3:
        raise CallError("cannot 3-index slice a string")
    sequence: Any = item.encode() if isinstance(item, str) else item
    bounds = [0, len(sequence)]
    for at, index in enumerate(indices):
        if not isinstance(index, int) or isinstance(index, bool):
            shown = "nil" if index is None else f"type {type_name(index)}"
            raise CallError(f"cannot index slice/array with {shown}")
        if not 0 <= index <= len(sequence):
            raise CallError(f"index out of range: {index}")
        if at < 2:
            bounds[at] = index
    if bounds[0] > bounds[1]:
        raise CallError(f"invalid slice index: {bounds[0]} > {bounds[1]}")
    part = sequence[bounds[0] : bounds[1]]
    return part.decode(errors="replace") if isinstance(item, str) else GoSlice(part, item.type_name)


def _len(item: Any) -> int:
    if item is None:
        raise CallError("len of nil pointer")
    if isinstance(item, str):
        return len(item.encode(errors="surrogateescape"))
    if isinstance(item, GoMap | GoSlice):
        return len(item)
    raise CallError(f"len of type {type_name(item)}")


def _call(function: Any, *args: Any) -> Any:
    if function is None:
        raise CallError("call of nil")
    if not isinstance(function, Function):
        raise CallError(f"non-function of type {type_name(function)}")
    fixed = len(function.parameters)
    if function.variadic is not None and len(args) < fixed:
        raise CallError(f"wrong number of args: got {len(args)} want at least {fixed}")
    if function.variadic is None and len(args) != fixed:
        raise CallError(f"wrong number of args: got {len(args)} want {fixed}")
    return function.call(*args)


def _printable(args: tuple[Any, ...]) -> str:
    """The text of a function's arguments, pointers followed, nil as `<no value>`."""
    shown = []
    for arg in args:
        if isinstance(arg, GoStruct) and arg.pointer:
            arg = GoStruct(arg.type_name, arg.fields)
        shown.append("<no value>" if arg is None else arg)
    return sprint(*shown)


_HTML = str.maketrans({"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"})
_JS = {
    "\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D",
}  # fmt: skip


def html_escape(text: str) -> str:
    return text.translate(_HTML)


def _js_escape(text: str) -> str:
    out = []
    for char in text:
        if char in _JS:
            out.append(_JS[char])
        elif char < " " or (char > "\x7e" and not char.isprintable()):
            out.append(f"\\u{ord(char):04X}")
        else:
            out.append(char)
    return "".join(out)


def query_escape(text: str) -> str:
    """Go's url.QueryEscape: space is +, letters, digits and -_.~ stay."""
    return quote_plus(text, safe="", errors="surrogateescape")


BUILTINS: dict[str, Function] = {
    "and": Function(lambda *args: args[-1], ("any",), "any"),
    "or": Function(lambda *args: args[-1], ("any",), "any"),
    "not": Function(lambda value: not is_true(value), ("any",)),
    "eq": Function(_eq, ("any",), "any"),
    "ne": Function(_ne, ("any", "any")),
    "lt": Function(_lt, ("any", "any")),
    "le": Function(_le, ("any", "any")),
    "gt": Function(lambda a, b: not _le(a, b), ("any", "any")),
    "ge": Function(lambda a, b: not _lt(a, b), ("any", "any")),
    "index": Function(_index, ("any",), "any"),
    "slice": Function(_slice, ("any",), "any"),
    "len": Function(_len, ("any",)),
    "call": Function(_call, ("any",), "any"),
    "print": Function(sprint, (), "any"),
    "println": Function(sprintln, (), "any"),
    "printf": Function(sprintf, ("string",), "any"),
    "html": Function(lambda *args: html_escape(_printable(args)), (), "any"),
    "js": Function(lambda *args: _js_escape(_printable(args)), (), "any"),
    "urlquery": Function(lambda *args: query_escape(_printable(args)), (), "any"),
}
