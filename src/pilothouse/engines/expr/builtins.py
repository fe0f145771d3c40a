"""The functions that every expression knows, and what equal and number mean. Source: expr-lang 1.17 `builtin`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

ITEMS = 1_000_000
"""Elements that a range may make; upstream's memory budget."""


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def type_name(value: Any) -> str:
    """The type as messages name it."""
    if value is None:
        return "nil"
    for kind, name in ((bool, "bool"), (int, "int"), (float, "float64"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "map" if isinstance(value, Mapping) else "func"


def equal(left: Any, right: Any) -> bool:
    """Numbers by value, everything else only with its own type."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return type(left) is type(right) and bool(left == right)


def over_elements(name: str, items: list[Any], test: Callable[[int], Any]) -> Any:
    """The functions with a predicate; test: index -> the predicate's value for that element."""
    indexes = range(len(items))
    match name:
        case "all":
            return all(_true(test(i)) for i in indexes)
        case "any":
            return any(_true(test(i)) for i in indexes)
        case "none":
            return not any(_true(test(i)) for i in indexes)
        case "one":
            return sum(_true(test(i)) for i in indexes) == 1
        case "count":
            return sum(_true(test(i)) for i in indexes)
        case "filter":
            return [items[i] for i in indexes if _true(test(i))]
        case "map":
            return [test(i) for i in indexes]
        case "sum":
            return sum(_number(test(i)) for i in indexes)
        case "find":
            return next((items[i] for i in indexes if _true(test(i))), None)
        case "findIndex":
            return next((i for i in indexes if _true(test(i))), None)
        case "findLast":
            return next((items[i] for i in reversed(indexes) if _true(test(i))), None)
        case "findLastIndex":
            return next((i for i in reversed(indexes) if _true(test(i))), None)
        case "sortBy":
            return [items[i] for i in sorted(indexes, key=test)]
    groups: dict[Any, list[Any]] = {}
    for i in indexes:
        groups.setdefault(test(i), []).append(items[i])
    return groups


def _true(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"predicate should return boolean (got {type_name(value)})")
    return value


def _number(value: Any) -> Any:
    if not is_number(value):
        raise ValueError(f"cannot add {type_name(value)}")
    return value


def _numbers(arguments: tuple[Any, ...]) -> list[Any]:
    out: list[Any] = []
    for argument in arguments:
        out += _numbers(tuple(argument)) if isinstance(argument, list) else [_number(argument)]
    if not out:
        raise ValueError("needs at least one number")
    return out


def _length(value: Any) -> int:
    if isinstance(value, str | list | Mapping):
        return len(value)
    raise TypeError


def _least(*arguments: Any) -> Any:
    return min(_numbers(arguments))


def _greatest(*arguments: Any) -> Any:
    return max(_numbers(arguments))


def _mean(*arguments: Any) -> float:
    numbers = _numbers(arguments)
    return float(sum(numbers)) / len(numbers)


def _median(*arguments: Any) -> float:
    numbers = sorted(_numbers(arguments))
    middle = len(numbers) // 2
    return float(numbers[middle]) if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2


def _get(of: Any, key: Any) -> Any:
    if isinstance(of, Mapping):
        return of.get(key)
    if isinstance(of, list) and isinstance(key, int):
        return of[key] if -len(of) <= key < len(of) else None
    return None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "nil" if value is None else str(value)


def _first(items: list[Any]) -> Any:
    return items[0] if items else None


def _last(items: list[Any]) -> Any:
    return items[-1] if items else None


def _round(value: Any) -> float:
    # Halves go away from zero, unlike Python's.
    return math.copysign(math.floor(abs(_number(value)) + 0.5), value)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "len": _length,
    "abs": lambda value: abs(_number(value)),
    "ceil": lambda value: float(math.ceil(_number(value))),
    "floor": lambda value: float(math.floor(_number(value))),
    "round": _round,
    "int": int,
    "float": float,
    "string": _text,
    "min": _least,
    "max": _greatest,
    "mean": _mean,
    "median": _median,
    "trim": lambda text, *cut: str.strip(text, *cut),
    "upper": str.upper,
    "lower": str.lower,
    "split": lambda text, by: str.split(text, by),
    "join": lambda items, by="": str.join(by, items),
    "replace": lambda text, old, new: str.replace(text, old, new),
    "hasPrefix": str.startswith,
    "hasSuffix": str.endswith,
    "indexOf": str.find,
    "first": _first,
    "last": _last,
    "take": lambda items, count: items[:count],
    "reverse": lambda items: items[::-1],
    "sort": lambda items: sorted(items),
    "uniq": lambda items: [item for i, item in enumerate(items) if item not in items[:i]],
    "concat": lambda *lists: [item for items in lists for item in items],
    "keys": lambda of: list(of.keys()),
    "values": lambda of: list(of.values()),
    "get": _get,
    "type": type_name,
}
