"""Walks over one value with its shape: is it of that shape, which fields does it name, what stays when fields go.

Same meaning as `typed/{validate,tofieldset,remove,reconcile_schema}.go` of structured-merge-diff v6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pilothouse.engines.apply import field_sets, go_text, shapes
from pilothouse.engines.apply.field_sets import EMPTY, SELF, FieldSet
from pilothouse.engines.apply.shapes import Part


class _Missing:
    """Stands for a value that is not there; null is a value."""

    __slots__ = ()


MISSING: Final[Any] = _Missing()


class ShapeError(ValueError):
    """A value that does not have its shape; the message names the place and what is wrong there."""


def kind_of(value: Any, part: Part) -> str:
    """Which of the things that may stand here does stand here: "map", "list", "scalar"; for null and for what does not
    fit, the first that may."""
    if value.__class__ is dict:
        if part.is_map:
            return "map"
    elif value.__class__ is list:
        if part.list_kind:
            return "list"
    elif value is not None and part.scalar:
        return "scalar"
    return "map" if part.is_map else "scalar" if part.scalar else "list"


# List items


def item_step(part: Part, item: Any) -> str:
    """The step to an item of a keyed list or a set. ShapeError when the item has no key."""
    if part.list_kind == shapes.SET:
        if item.__class__ in (dict, list):
            what = "map type" if item.__class__ is dict else "list"
            if what == "list":
                raise ShapeError("not supported: associative list with lists as elements")
            raise ShapeError("associative list without keys has an element that's a map type")
        if item is None:
            raise ShapeError("associative list without keys has an element that's an explicit null")
        return field_sets.value_step(item)
    if item.__class__ is not dict:
        what = "a null element" if item is None else "non-map elements"
        raise ShapeError(f"associative list with keys may not have {what}")
    keys = part.keys
    if len(keys) == 1 and keys[0] in item:
        return field_sets.key_step(keys, (item[keys[0]],))
    fields = part.item.fields
    names, values = [], []
    for name in keys:
        if name in item:
            names.append(name)
            values.append(item[name])
        elif name in fields and fields[name].default is not None:
            names.append(name)
            values.append(fields[name].default)
    if not names:
        listed = "[" + " ".join([f'"{name}"' for name in keys]) + "]"
        raise ShapeError(
            f"associative list with keys has an element that omits all key fields {listed} (and doesn't have default "
            "values for any key fields)"
        )
    return field_sets.key_step(tuple(names), tuple(values))


def item_steps(part: Part, items: Iterable[Any]) -> list[str]:
    """The steps to all items of a list."""
    return [item_step(part, item) for item in items]


# Check


_Place = tuple[Any, str | int]
"""A place as (the place above it, the step there); made into text only when something is wrong."""


def check(part: Part, value: Any) -> None:
    """ShapeError unless the value has the shape: known fields, right types, items with keys and none of them twice."""
    found: list[str] = []
    _check(part, value, None, found)
    if found:
        raise ShapeError(found[0] if len(found) == 1 else "\n  ".join(["errors:", *found]))


def _check(part: Part, value: Any, at: _Place | None, found: list[str]) -> None:
    if value is None:
        return
    kind = kind_of(value, part)
    if kind == "map":
        _check_map(part, value, at, found)
    elif kind == "list":
        _check_list(part, value, at, found)
    else:
        complaint = _scalar_complaint(part.scalar, value)
        if complaint:
            found.append(_at(at, complaint))


def _check_map(part: Part, value: Any, at: _Place | None, found: list[str]) -> None:
    if value.__class__ is not dict:
        found.append(_at(at, f"expected map, got &{{{go_text.plain(value)}}}"))
        return
    fields, element = part.fields, part.element
    for name, entry in value.items():
        known = fields.get(name)
        below = known.part if known is not None else element
        if below is None:
            found.append(_at((at, "f:" + name), "field not declared in schema"))
            return
        # Most fields are plain text: no call for those.
        if entry.__class__ is str and below.scalar in _TEXT:
            continue
        _check(below, entry, (at, "f:" + name), found)


_TEXT = (shapes.STRING, shapes.UNTYPED)


def _check_list(part: Part, value: Any, at: _Place | None, found: list[str]) -> None:
    if value.__class__ is not list:
        found.append(_at(at, f"expected list, got &{{{go_text.plain(value)}}}"))
        return
    item = part.item
    if part.list_kind == shapes.ATOMIC:
        for index, entry in enumerate(value):
            if entry.__class__ is not str or item.scalar not in _TEXT:
                _check(item, entry, (at, index), found)
        return
    seen: dict[str, None] = {}
    for index, entry in enumerate(value):
        try:
            step = item_step(part, entry)
        except ShapeError as error:
            found.append(_at(at, f"element {index}: {error}"))
            return
        if step in seen:
            found.append(_at(at, f"duplicate entries for key {field_sets.step_text(step)}"))
        seen[step] = None
        _check(item, entry, (at, step), found)


def _at(at: _Place | None, complaint: str) -> str:
    steps: list[str] = []
    while at is not None:
        at, step = at
        steps.append(f"[{step}]" if isinstance(step, int) else field_sets.step_text(step))
    return f"{''.join(reversed(steps))}: {complaint}" if steps else complaint


def _scalar_complaint(scalar: str, value: Any) -> str:
    kind = value.__class__
    if scalar == shapes.NUMERIC and kind is not int and kind is not float:
        return f"expected numeric (int or float), got {go_text.type_name(value)}"
    if scalar == shapes.STRING and kind is not str:
        return f"expected string, got &value.valueUnstructured{{Value:{go_text.exact(value)}}}"
    if scalar == shapes.BOOLEAN and kind is not bool:
        return f"expected boolean, got &{{{go_text.plain(value)}}}"
    if scalar == shapes.UNTYPED and kind in (dict, list):
        return f"expected any scalar, got &{{{go_text.plain(value)}}}"
    return ""


# Fields


def fields_of(part: Part, value: Any) -> FieldSet:
    """Every field a value of this shape names: leaves, items of lists, entries of free maps."""
    return _below(part, value) or EMPTY


def _below(part: Part, value: Any) -> FieldSet | None:
    """What lies below a place: EMPTY when the place itself is a leaf, None when there is nothing."""
    kind = kind_of(value, part)
    if kind == "map" and not part.whole:
        return _fields_of_map(part, value) if value and value.__class__ is dict else None
    if kind == "list" and part.list_kind != shapes.ATOMIC:
        return _fields_of_list(part, value) if value and value.__class__ is list else None
    return EMPTY


def _fields_of_map(part: Part, value: Mapping[str, Any]) -> FieldSet | None:
    fields, element, skip = part.fields, part.element, part.skip
    out: dict[str, Any] = {}
    for name, entry in value.items():
        known = fields.get(name)
        if name in skip:
            continue
        if known is not None:
            below = _below(known.part, entry)
            if below is None and (entry is None or entry == {}):
                below = EMPTY
        elif element is not None:
            below = field_sets.with_self(_below(element, entry))
        else:
            continue
        if below is not None:
            out["f:" + name] = below
    return out or None


def _fields_of_list(part: Part, items: list[Any]) -> FieldSet:
    out: dict[str, Any] = {}
    twice: dict[str, None] = {}
    for item in items:
        step = item_step(part, item)
        if step in out:
            twice[step] = None
        else:
            out[step] = field_sets.with_self(_below(part.item, item))
    for step in twice:
        out[step] = EMPTY
    return out


def with_named(part: Part, fields: FieldSet) -> FieldSet:
    """The set with every declared field put in that has fields of the set below it, though not entries of free maps."""
    out: dict[str, Any] = {}
    for step, below in fields.items():
        if not below or step == SELF:
            out[step] = below
            continue
        inner, named = shapes.ANY, False
        if part.is_map and step[:2] == "f:":
            known = part.fields.get(step[2:])
            named = known is not None
            inner = known.part if known is not None else part.element or shapes.ANY
        elif part.list_kind:
            inner = part.item
        grown = with_named(inner, below)
        out[step] = field_sets.with_self(grown) if named else grown
    return out


def with_whole_parts(part: Part, fields: FieldSet) -> FieldSet:
    """The set after parts of the schema became owned as a whole: what lay below them is owned as the part."""
    out: dict[str, Any] | None = None
    for step, below in fields.items():
        if not below or step == SELF:
            continue
        inner = part.at(step[2:]) if part.is_map and step[:2] == "f:" else part.item if part.list_kind else None
        if inner is None or inner.free:
            continue
        owned_whole = inner.whole if inner.is_map else not inner.scalar and inner.list_kind == shapes.ATOMIC
        grown: FieldSet = EMPTY if owned_whole else with_whole_parts(inner, below)
        if grown is not below:
            out = dict(fields) if out is None else out
            out[step] = grown
    return fields if out is None else out


# Removal


def without(part: Part, value: Any, fields: FieldSet) -> Any:
    """The value without these fields and what lies below them; null where a map or list loses its last entry."""
    kind = kind_of(value, part)
    if kind == "scalar" or not fields:
        return value
    if kind == "map":
        if value.__class__ is not dict or not value or part.whole:
            return None
        return _map_without(part, value, fields)
    if value.__class__ is not list or not value or part.list_kind == shapes.ATOMIC:
        return None
    return _list_without(part, value, fields)


def _map_without(part: Part, value: Mapping[str, Any], fields: FieldSet) -> Any:
    out: dict[str, Any] = {}
    for name, entry in value.items():
        below = fields.get("f:" + name)
        if below is None:
            out[name] = entry
        elif below and SELF not in below:
            out[name] = without(part.at(name) or shapes.ANY, entry, below)
    return out or None


def _list_without(part: Part, items: list[Any], fields: FieldSet) -> Any:
    out = []
    for item in items:
        below = fields.get(item_step(part, item))
        if below is None:
            out.append(item)
        elif below and SELF not in below:
            out.append(without(part.item, item, below))
    return out or None
