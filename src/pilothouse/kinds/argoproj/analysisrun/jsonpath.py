"""The JSONPath of the web provider: `{$.data.items[0].value}`, `{$}`, quoted names and `[*]`.

Source: `k8s.io/client-go/util/jsonpath` as argo-rollouts uses it; filters and ranges are not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PART = re.compile(
    r"\.?\[(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<index>-?\d+)|(?P<all>\*))\]"
    r"|\.(?P<name>[A-Za-z0-9_\-/\\.]*?[A-Za-z0-9_\-/])(?=[.\[]|$)"
)


def first(path: str, value: Any) -> Any:
    """The first value at the path; ValueError when the path cannot be read or leads nowhere."""
    text = path.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    text = text.removeprefix("$").removeprefix("@")
    found, at = [value], 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            raise ValueError(f"cannot read the JSONPath {path!r} at {text[at:]!r}")
        found = [inner for outer in found for inner in _inside(outer, part)]
        at = part.end()
    if not found:
        raise ValueError(f"nothing found at {path}")
    return found[0]


def _inside(value: Any, part: re.Match[str]) -> list[Any]:
    if part["all"]:
        return list(value.values()) if isinstance(value, Mapping) else list(value) if isinstance(value, list) else []
    if part["index"] is not None:
        index = int(part["index"])
        return [value[index]] if isinstance(value, list) and -len(value) <= index < len(value) else []
    name = next(n for n in (part["single"], part["double"], part["name"]) if n is not None)
    return [value[name]] if isinstance(value, Mapping) and name in value else []
