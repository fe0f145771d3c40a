"""The shape of objects: one walk that drops what the schema does not know and fills what it defaults.

A `Schema` is a tree of nodes made lazily from schema data (OpenAPI components with `$ref`, or a CRD's
openAPIV3Schema). `fit` gives back the very same value when it already fits, so the caller sees by identity that
nothing changed, and remembers fitted parts of specs by identity, so that a template shared by thousands of pods is
walked once.

Built-in kinds follow what decoding into Go types and encoding again does in Kubernetes 1.36: null and empty optional
lists and maps vanish, quantities become canonical, wrong types are decoding errors. Custom resources keep what they
say; their constraints are in `constraints`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from pilothouse.base import quantity
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.identity_cache import REMEMBERED
from pilothouse.engines.schema.wording import Path

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_JSON_NAMES = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
_INT_RANGE = {"int32": 2**31, "int64": 2**63}


@lru_cache(maxsize=4_096)
def _is_time(text: str) -> bool:
    """The same second is written many times over."""
    return _RFC3339.fullmatch(text) is not None


class Findings:
    """What a walk noticed. unknown: field paths that were dropped; decoding: wordings of values that cannot be
    decoded, each with its path; causes: values that an enumeration of the schema does not list."""

    __slots__ = ("causes", "decoding", "unknown")

    def __init__(self) -> None:
        self.unknown: list[Path] = []
        self.decoding: list[tuple[Path, str]] = []
        self.causes: list[Cause] = []

    def __bool__(self) -> bool:
        return bool(self.unknown or self.decoding or self.causes)

    def count(self) -> int:
        return len(self.unknown) + len(self.decoding) + len(self.causes)


class Node:
    """A place in a schema. `plain`: values of exactly this class need no look at all."""

    plain: Any = ()
    zero: Any = None
    """What Go decodes null to inside a list or a map."""

    def fit(self, value: Any, path: Path, found: Findings, keep: bool) -> Any:  # noqa: ARG002 - the common signature
        """The fitted value (the same object when nothing changed); `keep`: remember fitted parts."""
        return value

    def go_type(self) -> str:
        """The name decoding errors use for this type."""
        return "interface {}"


ANY: Final = Node()


class Scalar(Node):
    """A string, number or boolean, maybe one of an enumeration."""

    def __init__(self, kind: str, form: str, choices: tuple[Any, ...]) -> None:
        self._class: Any = {"string": str, "integer": int, "boolean": bool, "number": float}[kind]
        self.zero = self._class()
        self.kind = kind
        self.form = form
        self.choices = choices
        if not choices and form not in ("date-time", "byte", "int32", "int64"):
            self.plain = self._class

    def go_type(self) -> str:
        return {"integer": self.form or "int64", "number": "float64", "boolean": "bool"}.get(self.kind, "string")

    def fit(self, value: Any, path: Path, found: Findings, keep: bool) -> Any:  # noqa: ARG002
        if value.__class__ is not self._class and not (self.kind == "number" and value.__class__ is int):
            if self.kind == "integer" and value.__class__ is float and value.is_integer():
                return int(value)
            found.decoding.append((path, _wrong_type(value, self.go_type())))
        elif self.choices:
            # An empty string is Go's "not set": the kind's own rules decide whether it may be.
            if value not in self.choices and value != "":
                found.causes.append(wording.unsupported(wording.path_text(path), value, self.choices))
        elif self.form in _INT_RANGE:
            if not -_INT_RANGE[self.form] <= value < _INT_RANGE[self.form]:
                found.decoding.append((path, f"cannot unmarshal number {value} into Go {{field}} of type {self.form}"))
        elif self.form == "date-time":
            if not _is_time(value):
                found.decoding.append(
                    (path, f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse "{value}" as "2006"')
                )
        elif self.form == "byte":
            _check_base64(value, path, found)
        return value


class Quantity(Node):
    """A resource quantity: any number or text becomes its canonical text."""

    zero = "0"

    def fit(self, value: Any, path: Path, found: Findings, keep: bool) -> Any:  # noqa: ARG002
        if value.__class__ not in (str, int, float):
            found.decoding.append((path, _wrong_type(value, "string")))
            return value
        try:
            text = quantity.canonical(value if value.__class__ is str else repr(value))
        except ValueError as error:
            found.decoding.append((path, str(error)))
            return value
        return value if text == value else text


class IntOrString(Node):
    zero = 0

    def fit(self, value: Any, path: Path, found: Findings, keep: bool) -> Any:  # noqa: ARG002
        if value.__class__ is not int and value.__class__ is not str:
            found.decoding.append((path, _wrong_type(value, "int32")))
        return value


class Array(Node):
    def __init__(self, item: Node, lenient: bool) -> None:
        self.item = item
        self.lenient = lenient
        self._seen: dict[int, tuple[Any, Any]] = {}
        self._fits: dict[int, tuple[Any, Any]] = {}

    def go_type(self) -> str:
        return "[]" + self.item.go_type()

    def fit(self, value: Any, path: Path, found: Findings, keep: bool) -> Any:
        if value.__class__ is not list:
            if not self.lenient:
                found.decoding.append((path, _wrong_type(value, self.go_type())))
            return value
        if keep:
            seen = self._seen.get(id(value))
            if seen is not None:
                return seen[1]
        item, plain, out = self.item, self.item.plain, None
        before = found.count() if keep else 0
        for index, entry in enumerate(value):
            if entry.__class__ is plain:
                continue
            if entry is None and not self.lenient:
                fitted = item.zero
            else:
                fitted = item.fit(entry, (*path, index), found, keep)
            if fitted is not entry:
                out = list(value) if out is None else out
                out[index] = fitted
        out = value if out is None else out
        if keep and found.count() == before:
            _remember(self._seen, value, out)
        return out

    def fit_changed(self, value: list[Any], known: list[Any], path: Path, found: Findings) -> list[Any]:
        """Like `fit`, but entries that are entries of `known`, which fits, are not walked: lists of a hundred change
        by one."""
        out: list[Any] | None = None
        fits = self._fits
        for index in fresh(value, known):
            entry = value[index]
            if entry.__class__ is self.item.plain:
                continue
            if id(entry) in fits:
                continue
            fitted = self.item.zero if entry is None and not self.lenient else None
            before = found.count()
            if fitted is None:
                fitted = self.item.fit(entry, (*path, index), found, False)
            if fitted is not entry:
                out = list(value) if out is None else out
                out[index] = fitted
            elif found.count() == before:
                # A condition that many pods share is walked once.
                _remember(fits, entry, entry)
        return value if out is None else out


def fresh(value: Sequence[Any], known: Sequence[Any]) -> list[int]:
    """The places of `value` whose entries are no entries of `known`, by identity; cheap when few differ."""
    first, last, before = 0, len(value), len(known)
    for entry, other in zip(value, known):
        if entry is not other:
            break
        first += 1
    while last > first and before > first and value[last - 1] is known[before - 1]:
        last -= 1
        before -= 1
    between = {id(entry) for entry in known[first:before]}
    return [index for index in range(first, last) if id(value[index]) not in between]


class Map(Node):
    """Free keys, one kind of value: labels, ConfigMap data, resource lists."""

    def __init__(self, item: Node, lenient: bool) -> None:
        self.item = item
        self.lenient = lenient

    def go_type(self) -> str:
        return "map[string]" + self.item.go_type()

    def fit(self, value: Any, path: Path, found: Findings, keep: bool) -> Any:
        if value.__class__ is not dict:
            if not self.lenient:
                found.decoding.append((path, _wrong_type(value, self.go_type())))
            return value
        item, plain, out = self.item, self.item.plain, None
        for key, entry in value.items():
            if entry.__class__ is plain:
                continue
            if entry is None and not self.lenient:
                fitted: Any = item.zero
            else:
                # Decoding errors name the map, not the key; a nested object's unknown fields name both.
                fitted = item.fit(entry, path if isinstance(item, Scalar | Quantity) else (*path, key), found, keep)
            if fitted is not entry:
                out = dict(value) if out is None else out
                out[key] = fitted
        return value if out is None else out


class Record(Node):
    """An object with known fields. `resolve` makes the fields when they are first needed: most of a schema never is."""

    def __init__(self, name: str, resolve: Callable[[], Fields]) -> None:
        self.name = name
        self._resolve = resolve
        self._fields: Fields | None = None
        self._seen: dict[int, tuple[Any, Any]] = {}

    @property
    def zero(self) -> Any:
        return dict(self.fields.defaults)

    @property
    def fields(self) -> Fields:
        if self._fields is None:
            self._fields = self._resolve()
        return self._fields

    def go_type(self) -> str:
        return self.name

    def fit(self, value: Any, path: Path, found: Findings, keep: bool) -> Any:
        fields = self._fields or self.fields
        if value.__class__ is not dict:
            if not fields.lenient:
                found.decoding.append((path, _wrong_type(value, self.name)))
            return value
        if keep:
            seen = self._seen.get(id(value))
            if seen is not None:
                return seen[1]
        before = found.count() if keep else 0
        out = self._fitted(value, path, found, keep, fields)
        if keep and found.count() == before:
            _remember(self._seen, value, out)
            if out is not value:
                _remember(self._seen, out, out)
        return out

    def fit_changed(self, value: dict[str, Any], known: Mapping[str, Any], path: Path, found: Findings) -> Any:
        """Like `fit`, but fields equal to those of `known`, which fits, are taken over from it: shared, not walked."""
        kept: dict[str, Any] = {}
        changed: dict[str, Any] = {}
        nodes = self.fields.nodes
        for name, entry in value.items():
            before = known.get(name)
            if before is not None and before == entry:
                kept[name] = before
            elif entry and entry.__class__ is list and before.__class__ is list:
                node = nodes.get(name)
                if isinstance(node, Array):
                    kept[name] = node.fit_changed(entry, before, (*path, name), found)
                else:
                    changed[name] = entry
            else:
                changed[name] = entry
        # What is kept wins: the walk of the rest fills defaults for fields it does not see.
        return {**self._fitted(changed, path, found, False, self.fields), **kept}

    def _fitted(self, value: dict[str, Any], path: Path, found: Findings, keep: bool, fields: Fields) -> dict[str, Any]:
        plain, out = fields.plain, None
        for name, entry in value.items():
            if entry.__class__ is plain.get(name):
                continue
            node = fields.nodes.get(name)
            if node is None:
                fitted = fields.unknown(name, entry, path, found)
            elif entry is None:
                if name in fields.nullable:
                    continue
                fitted = None
            else:
                fitted = node.fit(entry, (*path, name), found, keep)
                if not fitted and name in fields.droppable and fitted.__class__ in (dict, list):
                    fitted = None
            if fitted is not entry or entry is None:
                out = dict(value) if out is None else out
                if fitted is None:
                    del out[name]
                else:
                    out[name] = fitted
        if fields.defaulted and not fields.defaulted <= (value if out is None else out).keys():
            out = {**fields.defaults, **(value if out is None else out)}
        return value if out is None else out


class Fields:
    """The fields of a `Record`.

    nullable: null is a value there; droppable: empty lists and maps vanish; defaults: filled when absent;
    open: other fields are kept; lenient: wrong types are left to `constraints`.
    """

    __slots__ = ("defaulted", "defaults", "droppable", "lenient", "nodes", "nullable", "open", "owner", "plain")

    def __init__(
        self,
        nodes: Mapping[str, Node],
        *,
        owner: str = "",
        defaults: Mapping[str, Any] | None = None,
        nullable: frozenset[str] = frozenset(),
        droppable: frozenset[str] = frozenset(),
        is_open: bool = False,
        lenient: bool = False,
    ) -> None:
        self.nodes = dict(nodes)
        self.plain = {name: node.plain for name, node in nodes.items()}
        self.owner = owner
        self.defaults = dict(defaults or {})
        self.defaulted = frozenset(self.defaults)
        self.nullable = nullable
        self.droppable = droppable
        self.open = is_open
        self.lenient = lenient

    def unknown(self, name: str, entry: Any, path: Path, found: Findings) -> Any:
        """Keep an unknown field of an open record, else note it and drop it (None)."""
        if self.open:
            return entry
        found.unknown.append((*path, name))
        return None


def _remember(seen: dict[int, tuple[Any, Any]], value: Any, result: Any) -> None:
    if len(seen) >= REMEMBERED:
        seen.clear()
    seen[id(value)] = (value, result)


def _wrong_type(value: Any, go_type: str) -> str:
    """encoding/json's complaint; `{field}` is filled by whoever knows the path."""
    name = _JSON_NAMES.get(value.__class__, "null")
    if name == "number" and go_type.startswith("int"):
        name = f"number {value}"
    return f"cannot unmarshal {name} into Go {{field}} of type {go_type}"


def _check_base64(value: str, path: Path, found: Findings) -> None:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        good = re.match(r"[A-Za-z0-9+/]*", value)
        found.decoding.append((path, f"illegal base64 data at input byte {good.end() if good else 0}"))
