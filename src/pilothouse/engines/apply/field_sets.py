"""Sets of fields in the very form the wire has them (FieldsV1), and their algebra.

    {"f:spec": {"f:replicas": {}, "f:containers": {'k:{"name":"app"}': {".": {}, "f:image": {}}}}}

A key is one step: `f:` a field, `k:` an item of a keyed list (its keys as JSON), `v:` an item of a set, `i:` an index.
A step is in the set when what follows is empty or holds "."; otherwise only what lies below it is. Nothing is changed
in place; results share with their arguments. Same meaning as `fieldpath.Set` of structured-merge-diff v6, where the
parent of a field is a field of its own: {a.b} without {a} is {a.b}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

FieldSet = Mapping[str, Any]
"""A set of fields; {} is the empty set at the top and "the step itself" below it."""

SELF: Final = "."
EMPTY: Final[dict[str, Any]] = {}
_PREFIXES = ("f:", "k:", "v:", "i:")


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in either."""
    if not right or left is right:
        return left
    if not left:
        return right
    out = dict(left)
    for step, below in right.items():
        if step in out:
            out[step] = _union_below(out[step], below)
        else:
            out[step] = below
    return out


def _union_below(left: FieldSet, right: FieldSet) -> FieldSet:
    if not left:
        return right if not right or SELF in right else {SELF: EMPTY, **right}
    if not right:
        return left if SELF in left else {SELF: EMPTY, **left}
    return union(left, right)


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in `left` and not in `right`; a field stays although its parent goes."""
    if not left or not right:
        return left
    out: dict[str, Any] | None = None
    for step, below in left.items():
        other = right.get(step)
        if other is None:
            continue
        kept = _difference_below(below, other) if step != SELF else None
        if kept is below:
            continue
        out = dict(left) if out is None else out
        if kept is None:
            del out[step]
        else:
            out[step] = kept
    return left if out is None else out


def _difference_below(left: FieldSet, right: FieldSet) -> FieldSet | None:
    """None when nothing is left of the step."""
    if not left:
        return None if not right or SELF in right else left
    if not right:
        kept: FieldSet = {step: below for step, below in left.items() if step != SELF} if SELF in left else left
    else:
        kept = difference(left, right)
    if kept is left:
        return left
    if not kept:
        return None
    return EMPTY if len(kept) == 1 and SELF in kept else kept


def recursive_difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in `left` and neither in `right` nor below a field of it."""
    if not left or not right:
        return left
    out: dict[str, Any] = {}
    for step, below in left.items():
        other = right.get(step)
        if other is None:
            out[step] = below
        elif other and SELF not in other:
            kept = recursive_difference(below, other) if below else below
            if kept or not below:
                out[step] = EMPTY if len(kept) == 1 and SELF in kept else kept
    return out


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in both."""
    if not left or not right:
        return EMPTY
    if left is right:
        return left
    out: dict[str, Any] = {}
    for step, below in left.items():
        other = right.get(step)
        if other is None:
            continue
        if step == SELF:
            out[SELF] = EMPTY
            continue
        kept = _intersection_below(below, other)
        if kept is not None:
            out[step] = kept
    return out


def _intersection_below(left: FieldSet, right: FieldSet) -> FieldSet | None:
    if not left:
        return EMPTY if not right or SELF in right else None
    if not right:
        return EMPTY if SELF in left else None
    kept = intersection(left, right)
    if not kept:
        return None
    return EMPTY if len(kept) == 1 and SELF in kept else kept


def with_self(below: FieldSet | None) -> FieldSet:
    """The part below a step, with the step itself put in; None: there was nothing."""
    if not below:
        return EMPTY
    return below if SELF in below else {SELF: EMPTY, **below}


def has(fields: FieldSet, path: tuple[str, ...]) -> bool:
    """Whether the field at the end of these steps is in the set."""
    for step in path:
        below = fields.get(step)
        if below is None:
            return False
        fields = below
    return not fields or SELF in fields


def paths(fields: FieldSet, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field: at each level the fields themselves first, then what lies below them, both in order."""
    steps = sorted(step for step in fields if step != SELF)
    for step in steps:
        if not fields[step] or SELF in fields[step]:
            yield (*above, step)
    for step in steps:
        if fields[step]:
            yield from paths(fields[step], (*above, step))


def in_order(fields: FieldSet) -> dict[str, Any]:
    """The set with its steps sorted, as upstream writes it."""
    return {step: in_order(fields[step]) if fields[step] else EMPTY for step in sorted(fields)}


def is_sound(fields: Any) -> bool:
    """Whether a client's FieldsV1 can be read at all."""
    if not isinstance(fields, Mapping):
        return False
    return all((step == SELF or step[:2] in _PREFIXES) and is_sound(below) for step, below in fields.items())


# Steps

_KEY_STEPS: dict[tuple[tuple[str, ...], tuple[Any, ...]], str] = {}
_KEY_STEPS_LIMIT = 8_192
_PLAIN_CLASSES = (str, int)
"""Classes whose equal values have one text: True would hide behind 1."""


def key_step(names: tuple[str, ...], values: tuple[Any, ...]) -> str:
    """`k:{"name":"app"}`; names sorted. The same few keys are written over and over, so they are remembered."""
    if not all(value.__class__ in _PLAIN_CLASSES for value in values):
        return _key_step(names, values)
    known = _KEY_STEPS.get((names, values))
    if known is None:
        if len(_KEY_STEPS) >= _KEY_STEPS_LIMIT:
            _KEY_STEPS.clear()
        known = _KEY_STEPS[names, values] = _key_step(names, values)
    return known


def _key_step(names: tuple[str, ...], values: tuple[Any, ...]) -> str:
    return "k:{" + ",".join([f"{_json(name)}:{_json(value)}" for name, value in zip(names, values)]) + "}"


def value_step(value: Any) -> str:
    """`v:"a.example.com/x"`."""
    return "v:" + _json(value)


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if "<" in text or ">" in text or "&" in text:
        text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return text


def path_text(path: tuple[str, ...]) -> str:
    """As conflicts name a field: `.spec.ports[name="h"].port`."""
    return "".join([step_text(step) for step in path])


def step_text(step: str) -> str:
    """One step of a path, as messages show it."""
    kind, rest = step[:2], step[2:]
    if kind == "f:":
        return f".{rest}"
    if kind == "k:":
        keys = json.loads(rest)
        return "[" + ",".join([f"{name}={shown(keys[name])}" for name in sorted(keys)]) + "]"
    if kind == "v:":
        return f"[={shown(json.loads(rest))}]"
    return f"[{rest}]"


def shown(value: Any) -> str:
    """A key's or a manager's value, quoted when it is text."""
    return json.dumps(value, ensure_ascii=False)
