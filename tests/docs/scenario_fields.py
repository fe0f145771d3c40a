"""The table of a Scenario's fields for docs/kinds/scenario.md, made from the kind's schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pilothouse.kinds.pilothouse.scenario.schema import openapi

PAGE = Path(__file__).parents[2] / "docs" / "kinds" / "scenario.md"
BEGIN, END = "<!-- fields: written by `make docs` -->", "<!-- end of fields -->"


def table() -> str:
    """One row per field below `spec`: its path, what it is, what it may be."""
    rows = ["| Field | Meaning |", "| --- | --- |"]
    for path, schema, required in _fields(openapi()["properties"]["spec"], ""):
        text = schema.get("description", "")
        if schema.get("enum"):
            text += " (" + ", ".join(f"`{option}`" for option in schema["enum"]) + ")"
        rows.append(f"| `{path}`{' **required**' if required else ''} | {text.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def _fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    for name, inner in schema.get("properties", {}).items():
        at = f"{path}.{name}".lstrip(".")
        yield at, inner, name in schema.get("required", ())
        yield from _below(inner, at)


def _below(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    if "items" in schema:
        yield from _fields(schema["items"], path + "[]")
    elif "additionalProperties" in schema:
        yield from _fields(schema["additionalProperties"], path + ".NAME")
    else:
        yield from _fields(schema, path)


def page() -> str:
    """The page with its table as it should be."""
    text = PAGE.read_text()
    head, rest = text.split(BEGIN)
    return head + BEGIN + "\n" + table() + "\n" + END + rest.split(END)[1]
