"""Values as Go prints them in error messages: `%v`, `%#v` and `%T` of decoded JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_TYPES = {
    str: "string",
    bool: "bool",
    int: "int64",
    float: "float64",
    list: "[]interface {}",
    dict: "map[string]interface {}",
}


def plain(value: Any) -> str:
    """`%v`: map[a:1 b:[x y]], keys sorted."""
    if value is None:
        return "<nil>"
    if value.__class__ is bool:
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "map[" + " ".join([f"{key}:{plain(value[key])}" for key in sorted(value)]) + "]"
    if value.__class__ is list:
        return "[" + " ".join([plain(entry) for entry in value]) + "]"
    return _number(value) if value.__class__ is float else str(value)


def exact(value: Any) -> str:
    """`%#v`: Go syntax."""
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, Mapping):
        inner = ", ".join([f"{_quoted(key)}:{exact(value[key])}" for key in sorted(value)])
        return f"map[string]interface {{}}{{{inner}}}"
    if value.__class__ is list:
        return "[]interface {}{" + ", ".join([exact(entry) for entry in value]) + "}"
    return _quoted(value) if value.__class__ is str else plain(value)


def type_name(value: Any) -> str:
    """`%T`."""
    return _TYPES.get(value.__class__, "<nil>")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)
