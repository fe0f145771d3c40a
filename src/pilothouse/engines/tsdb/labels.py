"""Labels: the identity of a series, as a tuple of (name, value) pairs sorted by name with `__name__` among them.

Owns construction, interning and printing. Touches nothing else; everything that handles series calls it.
Pairs are interned, so a hundred thousand series with the same job hold one ("job", …) tuple between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

Labels = tuple[tuple[str, str], ...]

METRIC_NAME = "__name__"
EMPTY: Labels = ()

_LEGACY_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LEGACY_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def make_labels(pairs: Mapping[str, str] | Iterable[tuple[str, str]], name: str = "") -> Labels:
    """Labels from a mapping or pairs; empty values are left out (an empty label is no label), `name` sets
    `__name__`.
    """
    found = dict(pairs)
    if name:
        found[METRIC_NAME] = name
    return tuple(sorted((k, v) for k, v in found.items() if v))


def label_value(labels: Labels, name: str) -> str:
    """The value of one label, "" when it is not there."""
    for key, value in labels:
        if key == name:
            return value
    return ""


def without_name(labels: Labels) -> Labels:
    """The same labels less `__name__`."""
    return tuple(pair for pair in labels if pair[0] != METRIC_NAME)


def with_label(labels: Labels, name: str, value: str) -> Labels:
    """The same labels with one set (or removed, when the value is empty)."""
    kept = [pair for pair in labels if pair[0] != name]
    if value:
        kept.append((name, value))
        kept.sort()
    return tuple(kept)


def is_label_name(name: str) -> bool:
    """Any valid UTF-8 text but the empty one (surrogates stand for bytes that are not UTF-8)."""
    return bool(name) and not any("\ud800" <= char <= "\udfff" for char in name)


def is_legacy_label_name(name: str) -> bool:
    """Whether the name may stand unquoted in a selector."""
    return _LEGACY_NAME.fullmatch(name) is not None


def is_legacy_metric_name(name: str) -> bool:
    """Whether the metric name may stand in front of the braces."""
    return _LEGACY_METRIC.fullmatch(name) is not None


def quote(text: str) -> str:
    """A double-quoted string with the escapes that Go's strconv.Quote uses for ordinary text."""
    return '"' + "".join(_ESCAPES.get(c, c) if c.isprintable() or c in _ESCAPES else _unicode(c) for c in text) + '"'


def _unicode(char: str) -> str:
    code = ord(char)
    if code < 0x80:
        return {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v"}.get(char, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def format_labels(labels: Labels) -> str:
    """`{a="b", c="d"}` with `__name__` inside, as Prometheus prints a label set in errors."""
    return "{" + ", ".join(f"{_label_name(k)}={quote(v)}" for k, v in labels) + "}"


def format_series(labels: Labels) -> str:
    """`up{job="node"}`: the name in front, as a person writes it."""
    name = label_value(labels, METRIC_NAME)
    if not name or not is_legacy_metric_name(name):
        return format_labels(labels)
    rest = without_name(labels)
    return name + (format_labels(rest) if rest else "")


def _label_name(name: str) -> str:
    return name if is_legacy_label_name(name) else quote(name)


class Interner:
    """Keeps one tuple per distinct (name, value) pair."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str], tuple[str, str]] = {}

    def intern(self, labels: Labels) -> Labels:
        pairs = self._pairs
        return tuple([pairs.setdefault(pair, pair) for pair in labels])

    def keep_only(self, kept: Iterable[Labels]) -> None:
        """Forget pairs that no kept series uses."""
        self._pairs = {pair: pair for labels in kept for pair in labels}
