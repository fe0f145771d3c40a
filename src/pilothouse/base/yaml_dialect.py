"""YAML as kubectl reads it: libyaml's events under our own scalar rules, every value with its line and column.

Scalar rules follow sigs.k8s.io/yaml 1.6 over its goyaml.v2 (`resolve.go`): `y/yes/on` are true, `017` and `0o17` are
15, `1e3` is 1000, dates stay strings, quoted text is always a string, keys become strings. Numbers end as JSON hands
them to Kubernetes: whole floats as int, ints beyond 64 bits as float. Duplicate keys, recursive anchors, depth and
size beyond `base.limits` are refused here, before anything else sees the document. Pure: text in, values and `Broken`
out. Used by `base.manifests`.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from pilothouse.base import limits

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

PathPart = str | int


@dataclass(frozen=True, slots=True)
class Marks:
    """Where a container and everything in it stands. `at` is line * 65536 + column, both 1-based."""

    at: int
    children: dict[str, int | Marks] | list[int | Marks]

    def find(self, path: Sequence[PathPart]) -> tuple[int, int]:
        """(line, column) of the value at `path`, or of its deepest ancestor that exists."""
        node: int | Marks = self
        for part in path:
            child = node.child(part) if isinstance(node, Marks) else None
            if child is None:
                break
            node = child
        return unpack(node if isinstance(node, int) else node.at)

    def child(self, part: PathPart) -> int | Marks | None:
        children = self.children
        if isinstance(children, dict):
            return children.get(str(part))
        if isinstance(part, int) and 0 <= part < len(children):
            return children[part]
        return None


@dataclass(frozen=True, slots=True)
class Loaded:
    """One document: its value (JSON types only), where its parts stand, and its first line."""

    value: Any
    marks: int | Marks
    line: int


class Broken(Exception):
    """A document that cannot be used. rule: a short stable name of what was broken ("syntax", "duplicate-key", …)."""

    def __init__(self, rule: str, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.rule, self.message, self.line, self.column = rule, message, line, column


def pack(line: int, column: int) -> int:
    return line * 65536 + min(column, 65535)


def unpack(at: int) -> tuple[int, int]:
    return at // 65536, at % 65536


def load(text: str, first_line: int = 1) -> Iterator[Loaded]:
    """The documents of `text`, in order; empty ones are left out.

    first_line: the number of the text's first line in its file. Raises Broken at the first thing that is wrong;
    documents before it have been given by then.
    """
    builder = _Builder(first_line - 1)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            done = builder.take(event)
            if done is not None:
                yield done
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = error.problem or error.context or "not valid YAML"
        if error.context and error.problem:
            message = f"{error.problem} ({error.context})"
        line, column = (mark.line, mark.column) if mark else (0, 0)
        raise Broken("syntax", message, line + first_line, column + 1) from None
    except yaml.reader.ReaderError as error:
        shown = f"U+{error.character:04X}" if isinstance(error.character, int) else repr(error.character)
        before = text[: error.position] if isinstance(error.position, int) and error.position >= 0 else ""
        line = before.count("\n") + first_line
        raise Broken("character", f"the character {shown} is not allowed in YAML", line, 0) from None
    except yaml.YAMLError as error:
        raise Broken("syntax", str(error).splitlines()[0], first_line, 0) from None


# --- scalars ----------------------------------------------------------------------------------------------------------

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_NUMBER_START = frozenset("+-.0123456789")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGERS: tuple[tuple[re.Pattern[str], int, int], ...] = (
    (re.compile(r"[-+]?0[xX]([0-9a-fA-F]+)"), 16, 1),
    (re.compile(r"[-+]?0[bB]([01]+)"), 2, 1),
    (re.compile(r"[-+]?0[oO]?([0-7]+)"), 8, 1),
    (re.compile(r"[-+]?(0|[1-9][0-9]*)"), 10, 1),
)
_DIGITS_MAX = 4_000
"""Python refuses to convert longer decimal texts; a number of that length is not meant as one."""


def resolve(text: str) -> Any:
    """The JSON value of a plain (unquoted, untagged) scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START or len(text) > _DIGITS_MAX:
        return text
    # goyaml.v2 takes underscores out of numbers unless they start with a point.
    plain = text if text[0] == "." else text.replace("_", "")
    for pattern, base, group in _INTEGERS:
        match = pattern.fullmatch(plain)
        if match:
            value = int(match[group], base)
            return json_number(-value if plain[0] == "-" else value)
    if _FLOAT.fullmatch(plain):
        number = float(plain)
        # Go's ParseFloat refuses what overflows, and the text stays a string.
        return text if math.isinf(number) else json_number(number)
    return text


def json_number(value: int | float) -> int | float:
    """The number as a Kubernetes client sees it after JSON: int64 where it is whole, float64 otherwise."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**63 else value
    try:
        return value if -(2**63) <= value < 2**63 else float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


_STANDARD = "tag:yaml.org,2002:"


def _scalar(event: yaml.ScalarEvent, line: int, column: int) -> Any:
    tag: str | None = event.tag
    if tag is None or tag == "":
        return resolve(event.value) if event.implicit[0] else event.value
    name = tag.removeprefix(_STANDARD)
    if name == "binary":
        try:
            return base64.b64decode("".join(event.value.split()), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise Broken("tag", "!!binary text is not base64 of UTF-8 text", line, column) from None
    if name not in ("int", "float", "bool", "null", "timestamp"):
        return event.value  # !!str, and local tags such as !vault: the text itself
    value = resolve(event.value)
    kinds: dict[str, Any] = {"int": int, "float": (int, float), "bool": bool, "null": type(None), "timestamp": str}
    if not isinstance(value, kinds[name]) or (name in ("int", "float") and isinstance(value, bool)):
        raise Broken("tag", f"{event.value!r} cannot be read as !!{name}", line, column)
    return value


def _key_text(key: Any, line: int, column: int) -> str:
    """A mapping key as the string that JSON needs."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        return str(key)
    if isinstance(key, float):
        if math.isnan(key) or math.isinf(key):
            return ".nan" if math.isnan(key) else (".inf" if key > 0 else "-.inf")
        return f"{key:g}" if float(f"{key:g}") == key else repr(key)
    what = "empty (null)" if key is None else "a list or a mapping"
    raise Broken("key", f"a key is {what}; keys must be text", line, column)


# --- documents --------------------------------------------------------------------------------------------------------

_MERGE = object()
_MISSING = object()


class _Frame:
    """A mapping or list that is being read."""

    __slots__ = ("anchor", "at", "is_map", "items", "key", "key_at", "marks", "merges", "size")

    def __init__(self, is_map: bool, at: int, anchor: str | None) -> None:
        self.is_map, self.at, self.anchor = is_map, at, anchor
        self.items: Any = {} if is_map else []
        self.marks: Any = {} if is_map else []
        self.key: Any = _MISSING
        self.key_at = 0
        self.merges: list[tuple[Any, int | Marks]] = []
        self.size = 1


class _Builder:
    """Turns libyaml's events into values, without recursion: depth is checked before anything is built."""

    def __init__(self, line_offset: int) -> None:
        self._offset = line_offset
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int | Marks, int]] = {}
        self._open: list[str] = []
        self._root: tuple[Any, int | Marks] | None = None
        self._size = 0

    def take(self, event: yaml.Event) -> Loaded | None:
        if isinstance(event, yaml.ScalarEvent):
            line, column = self._where(event)
            value = _MERGE if self._is_merge(event) else _scalar(event, line, column)
            if isinstance(value, float) and not math.isfinite(value) and not self._wants_key():
                raise Broken(
                    "number", f"{event.value} cannot be written as JSON, which Kubernetes stores", line, column
                )
            at = pack(line, column)
            if event.anchor and value is not _MERGE:
                self._anchors[event.anchor] = (value, at, 1)
            self._put(value, at, 1)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._begin(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._anchors, self._root, self._size = {}, None, 0
        elif isinstance(event, yaml.DocumentEndEvent) and self._root is not None and self._root[0] is not None:
            value, marks = self._root
            return Loaded(value, marks, unpack(marks if isinstance(marks, int) else marks.at)[0])
        return None

    def _where(self, event: yaml.Event) -> tuple[int, int]:
        mark: Any = event.start_mark
        return mark.line + 1 + self._offset, mark.column + 1

    def _wants_key(self) -> bool:
        return bool(self._stack) and self._stack[-1].is_map and self._stack[-1].key is _MISSING

    def _is_merge(self, event: yaml.ScalarEvent) -> bool:
        if not self._wants_key():
            return False
        return event.value == "<<" and (event.implicit[0] or event.tag == _STANDARD + "merge")

    def _begin(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        line, column = self._where(event)
        if len(self._stack) >= limits.YAML_DEPTH:
            raise Broken("depth", f"nested deeper than {limits.YAML_DEPTH} levels (YAML_DEPTH)", line, column)
        if self._wants_key():
            _key_text((), line, column)
        frame = _Frame(isinstance(event, yaml.MappingStartEvent), pack(line, column), event.anchor)
        if event.anchor:
            self._open.append(event.anchor)
            self._anchors.pop(event.anchor, None)
        self._stack.append(frame)

    def _end(self) -> None:
        frame = self._stack.pop()
        if frame.merges:
            self._merge(frame)
        marks = Marks(frame.at, frame.marks)
        if frame.anchor:
            self._open.remove(frame.anchor)
            self._anchors[frame.anchor] = (frame.items, marks, frame.size)
        self._put(frame.items, marks, frame.size, counted=True)

    def _alias(self, event: yaml.AliasEvent) -> None:
        line, column = self._where(event)
        name = event.anchor
        if name in self._anchors:
            value, _marks, size = self._anchors[name]
            # The alias' own place: that is where a reader has to look first.
            self._put(value, self._moved(_marks, pack(line, column)), size)
        elif name in self._open:
            raise Broken("anchor", f"the anchor &{name} contains itself", line, column)
        else:
            raise Broken("anchor", f"there is no anchor &{name} for *{name} before this line", line, column)

    @staticmethod
    def _moved(marks: int | Marks, at: int) -> int | Marks:
        return at if isinstance(marks, int) else Marks(at, marks.children)

    def _put(self, value: Any, marks: int | Marks, size: int, *, counted: bool = False) -> None:
        """Give a finished value to the container that waits for it."""
        at = marks if isinstance(marks, int) else marks.at
        if not counted:
            self._size += size
            if self._size > limits.YAML_VALUES:
                raise Broken(
                    "size",
                    f"more than {limits.YAML_VALUES} values once aliases are written out (YAML_VALUES)",
                    *unpack(at),
                )
        if not self._stack:
            self._root = (value, marks)
            return
        frame = self._stack[-1]
        frame.size += size
        if not frame.is_map:
            frame.items.append(value)
            frame.marks.append(marks)
        elif frame.key is _MISSING:
            self._take_key(frame, value, at)
        elif frame.key is _MERGE:
            frame.merges.append((value, marks))
            frame.key = _MISSING
        else:
            frame.items[frame.key] = value
            # A scalar is pointed at itself, a block at its key: the line that a reader would call "the place of it".
            frame.marks[frame.key] = marks if isinstance(marks, int) else Marks(frame.key_at, marks.children)
            frame.key = _MISSING

    def _take_key(self, frame: _Frame, key: Any, at: int) -> None:
        frame.key_at = at
        if key is _MERGE:
            frame.key = _MERGE
            return
        text = _key_text(key if not isinstance(key, (dict, list)) else (), *unpack(at))
        if text in frame.items:
            first = frame.marks[text]
            before = unpack(first if isinstance(first, int) else first.at)[0]
            line, column = unpack(at)
            raise Broken("duplicate-key", f'the key "{text}" is already set on line {before}', line, column)
        frame.key = text

    def _merge(self, frame: _Frame) -> None:
        """`<<`: keys written here win, then earlier merges over later ones (YAML 1.1 merge type)."""
        for value, marks in frame.merges:
            sources = value if isinstance(value, list) else [value]
            places = marks.children if isinstance(value, list) and isinstance(marks, Marks) else [marks]
            for source, place in zip(sources, places):
                if not isinstance(source, dict) or not isinstance(place, Marks):
                    at = unpack(marks if isinstance(marks, int) else marks.at)
                    raise Broken("merge", "`<<` merges a mapping or a list of mappings", *at)
                for key, item in source.items():
                    if key not in frame.items:
                        frame.items[key] = item
                        frame.marks[key] = place.child(key) or frame.at
