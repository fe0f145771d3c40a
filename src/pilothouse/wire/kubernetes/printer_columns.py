"""The printer columns of a CustomResourceDefinition (apiextensions 1.36 `registry/customresource/tableconvertor`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.machinery.columns import AGE, NAME, since
from pilothouse.machinery.kind import Column

_STEP = re.compile(
    r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]|\[(-?\d+)\]|\[\*\]|\[\?\(@\.([^=<>!)\s]+)\s*==\s*[\"']([^\"']*)[\"']\)\]"
)


def custom_columns(definition: Mapping[str, Any]) -> tuple[Column, ...]:
    """Name and what the definition lists; Name and Age when it lists nothing."""
    listed = definition.get("additionalPrinterColumns")
    if not listed:
        return (NAME, AGE)
    out = [NAME]
    for entry in listed:
        out.append(
            Column(
                entry["name"],
                _value(entry["jsonPath"], entry.get("type", "string")),
                entry.get("type", "string"),
                entry.get("format", ""),
                bool(entry.get("priority")),
            )
        )
    return tuple(out)


def _value(path: str, kind: str) -> Callable[[Object, float], Any]:
    steps = steps_of(path)

    def value(obj: Object, now_s: float) -> Any:
        found = find(obj, steps)
        if not found:
            return None
        if kind == "date":
            return since(str(found[0]), now_s) if found[0] else "<unknown>"
        if len(found) == 1:
            return _cell(found[0], kind)
        return ",".join(str(_cell(one, "string")) for one in found)

    return value


def _cell(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "integer":
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind == "number":
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        import json

        return json.dumps(value, separators=(",", ":"))
    return str(value)


def steps_of(path: str) -> list[tuple[str, Any]]:
    """A JSON path as steps; what is not understood ends it."""
    out: list[tuple[str, Any]] = []
    at = 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            break
        if step[1] is not None:
            out.append(("key", step[1]))
        elif step[2] is not None:
            out.append(("key", step[2].replace("\\", "")))
        elif step[3] is not None:
            out.append(("index", int(step[3])))
        elif step[4] is not None:
            out.append(("where", (step[4], step[5])))
        else:
            out.append(("all", None))
        at = step.end()
    return out


def find(value: Any, steps: list[tuple[str, Any]]) -> list[Any]:
    """Every value that the steps lead to."""
    values = [value]
    for kind, step in steps:
        values = [found for one in values for found in _next(one, kind, step)]
    return values


def _next(value: Any, kind: str, step: Any) -> list[Any]:
    if kind == "key":
        return [value[step]] if isinstance(value, dict) and step in value else []
    if not isinstance(value, list):
        return []
    if kind == "index":
        return [value[step]] if -len(value) <= step < len(value) else []
    if kind == "where":
        name, wanted = step
        return [one for one in value if isinstance(one, dict) and str(one.get(name)) == wanted]
    return list(value)
