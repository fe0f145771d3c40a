"""Changing objects without copying what stays: every function gives back its argument itself when nothing differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def fill(obj: Any, defaults: Mapping[str, Any]) -> Any:
    """The object with these fields where it has none."""
    for key in defaults:
        if key not in obj:
            return {**{k: v for k, v in defaults.items() if k not in obj}, **obj}
    return obj


def change(obj: Any, key: str, function: Callable[[Any], Any]) -> Any:
    """The object with one field, if it is there, sent through a function."""
    value = obj.get(key)
    if value is None:
        return obj
    changed = function(value)
    return obj if changed is value else {**obj, key: changed}


def change_each(values: list[Any], function: Callable[[Any], Any]) -> list[Any]:
    """The list with every entry sent through a function."""
    out = [function(value) for value in values]
    return out if any(new is not old for new, old in zip(out, values)) else values


def each(function: Callable[[Any], Any]) -> Callable[[list[Any]], list[Any]]:
    """A function of an entry as a function of a list."""
    return lambda values: change_each(values, function)
