"""Go's regexp as Prometheus and Alertmanager use it, on RE2 itself: anchored matching, search and replacement."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import re2


class BadPattern(ValueError):
    """Not a regular expression; the message is worded as Go's."""


_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Any:
    """A compiled pattern; BadPattern when it is none."""
    try:
        return re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise BadPattern(f"error parsing regexp: {text}") from None


def find_match(pattern: str, text: str) -> bool:
    """Whether the pattern occurs in the text."""
    return compiled(pattern).search(text) is not None


def full_match(pattern: str, text: str) -> bool:
    """Whether the pattern matches the whole text; `.` matches newlines, as in Prometheus' matchers."""
    return compiled(f"^(?s:{pattern})$").search(text) is not None


_REFERENCE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))", re.ASCII)


def replace_all(pattern: str, replacement: str, text: str) -> str:
    """regexp.ReplaceAllString: `$1`, `${name}` and `$$` in the replacement; unknown groups are empty."""
    regex = compiled(pattern)
    out: list[str] = []
    position = last_end = 0
    while position <= len(text):
        found = regex.search(text, position)
        if found is None:
            break
        start, end = found.span()
        out.append(text[last_end:start])
        # An empty match right behind the last match does not count.
        if end > last_end or start == 0:
            out.append(_expanded(found, replacement))
        last_end = end
        position = end if end > position else position + 1
    out.append(text[last_end:])
    return "".join(out)


def _expanded(found: Any, replacement: str) -> str:
    return _REFERENCE.sub(lambda reference: _group(found, reference), replacement)


def _group(found: Any, reference: re.Match[str]) -> str:
    if reference[1]:
        return "$"
    name = reference[2] or reference[3]
    try:
        value = found.group(int(name) if name.isdigit() else name)
    except (IndexError, KeyError):
        return ""
    return value or ""


def anchored_match(pattern: str, text: str) -> bool:
    """Whether the pattern matches the whole text, as Alertmanager's matchers have it (`.` stops at a newline)."""
    return compiled(f"^(?:{pattern})$").search(text) is not None
