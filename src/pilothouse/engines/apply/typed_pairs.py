"""Walks over two values of one shape: what the one becomes when the other is laid over it, and how they differ.

Same meaning as `typed/merge.go` and `typed/compare.go` of structured-merge-diff v6. Objects of built-in kinds lack
fields that Go always writes; a comparison reads those as Go's zero values, so that the first real value in `spec` does
not make the writer own `spec` itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pilothouse.engines.apply import field_sets, shapes
from pilothouse.engines.apply.field_sets import EMPTY, FieldSet
from pilothouse.engines.apply.shapes import Part
from pilothouse.engines.apply.typed_values import MISSING, ShapeError, item_step, item_steps, kind_of

# Merge


def merged(part: Part, live: Any, applied: Any) -> Any:
    """`applied` laid over `live`, field by field; `live` itself when that changes nothing.

    ShapeError when an item of `applied` has no key or one key stands twice.
    """
    if live is MISSING or live is applied:
        return applied
    if applied is MISSING:
        return live
    kind = kind_of(applied, part)
    if kind == "map":
        return _merged_maps(part, live, applied)
    if kind == "list":
        return _merged_lists(part, live, applied)
    return live if _same(live, applied) else applied


def _merged_maps(part: Part, live: Any, applied: Any) -> Any:
    if part.whole or live.__class__ is not dict or not live:
        return live if _same(live, applied) else applied
    if not applied:
        return live
    fields, element = part.fields, part.element
    out: dict[str, Any] | None = None
    for name, entry in applied.items():
        before = live.get(name, MISSING)
        if before is MISSING:
            after = entry
        elif before is entry or (entry.__class__ is str and before == entry):
            continue
        else:
            known = fields.get(name)
            after = merged(known.part if known is not None else element or shapes.ANY, before, entry)
            if after is before:
                continue
        out = dict(live) if out is None else out
        out[name] = after
    return live if out is None else out


def _merged_lists(part: Part, live: Any, applied: Any) -> Any:
    if part.list_kind == shapes.ATOMIC or live.__class__ is not list or not live:
        return live if _same(live, applied) else applied
    if not applied:
        return live
    right = item_steps(part, applied)
    right_items = dict(zip(right, applied))
    if len(right_items) != len(right):
        step = next(step for at, step in enumerate(right) if step in right[:at])
        raise ShapeError(f"duplicate entries for key {field_sets.step_text(step)}")
    left = item_steps(part, live)
    left_items: dict[str, Any] = {}
    for step, item in zip(left, live):
        # Of items that stand twice in the stored list none is merged with: the applied one replaces them.
        left_items[step] = None if step in left_items else item
    out = [
        live[at] if step not in right_items else merged(part.item, left_items.get(step, MISSING), right_items[step])
        for at, step in _order(left, right)
    ]
    return live if len(out) == len(live) and all(new is old for new, old in zip(out, live)) else out


def _order(left: list[str], right: list[str]) -> list[tuple[int, str]]:
    """The order of a merged list, as (index in `left` of items that only stand there, step).

    Items of `right` keep their order among themselves; items that only stand in `left` stay where they are between
    the items that both have.
    """
    in_left, in_right = dict.fromkeys(left), dict.fromkeys(right)
    shared = [step for step in right if step in in_left]
    taken: dict[str, None] = {}
    out: list[tuple[int, str]] = []
    at_left = at_right = at_shared = 0
    while at_left < len(left) or at_right < len(right):
        awaited = shared[at_shared] if at_shared < len(shared) else ""
        step = left[at_left] if at_left < len(left) else ""
        if step and at_right < len(right):
            if step == right[at_right]:
                out.append((at_left, step))
                taken[step] = None
                at_left, at_right, at_shared = at_left + 1, at_right + 1, at_shared + 1
                continue
            if step in in_right and awaited and awaited != step:
                at_left += 1  # Its turn comes later, where `right` has it.
                continue
        if step and step not in in_right:
            out.append((at_left, step))
            at_left += 1
            continue
        if step in taken:
            at_left += 1
        if at_right < len(right):
            step = right[at_right]
            out.append((-1, step))
            taken[step] = None
            at_right += 1
            if awaited == step:
                at_shared += 1
    return out


def _same(left: Any, right: Any) -> bool:
    """Equal as JSON values: true is not 1, and 1 is 1.0."""
    if left is right:
        return True
    if left.__class__ is right.__class__:
        if left.__class__ is dict:
            return len(left) == len(right) and all(
                name in right and _same(entry, right[name]) for name, entry in left.items()
            )
        if left.__class__ is list:
            return len(left) == len(right) and all(_same(one, other) for one, other in zip(left, right))
        return bool(left == right)
    if left.__class__ is bool or right.__class__ is bool:
        return False
    return bool(left == right)


# Comparison


class Differences(NamedTuple):
    """The fields that one value has and the other has not, or has differently."""

    removed: FieldSet
    modified: FieldSet
    added: FieldSet

    def written(self) -> FieldSet:
        """Added or modified."""
        return field_sets.union(self.modified, self.added)


_NOTHING = Differences(EMPTY, EMPTY, EMPTY)

_Trees = tuple[FieldSet | None, FieldSet | None, FieldSet | None]
_NONE: _Trees = (None, None, None)


def differences(part: Part, old: Any, new: Any) -> Differences:
    """How `new` differs from `old`, as sets of fields. Items may stand twice in either."""
    if old is new:
        return _NOTHING
    removed, modified, added = _compared(part, old, new)
    return Differences(removed or EMPTY, modified or EMPTY, added or EMPTY)


def _compared(part: Part, old: Any, new: Any) -> _Trees:
    """For a place: what lies below it in each of the three sets; EMPTY is the place itself, None is nothing."""
    if old is new:
        return _NONE
    if new is MISSING:
        trees = _side(part, old)
        return field_sets.with_self(trees), None, None
    if old is MISSING:
        return None, None, field_sets.with_self(_side(part, new))
    kind, old_kind = kind_of(new, part), kind_of(old, part)
    if kind != old_kind and old is not None and new is not None:
        return _changed_kind(part, old, old_kind, new, kind)
    if kind == "map":
        if part.whole or (not old and not new) or not _both(dict, old, new):
            return _leaf(old, new)
        return _compared_maps(part, old or EMPTY, new or EMPTY)
    if kind == "list":
        if part.list_kind == shapes.ATOMIC or (not old and not new) or not _both(list, old, new):
            return _leaf(old, new)
        return _compared_lists(part, old or [], new or [])
    return _leaf(old, new)


def _both(kind: type, old: Any, new: Any) -> bool:
    """Each is of that class or null."""
    return (old is None or old.__class__ is kind) and (new is None or new.__class__ is kind)


def _leaf(old: Any, new: Any) -> _Trees:
    return _NONE if _same(old, new) else (None, EMPTY, None)


def _changed_kind(part: Part, old: Any, old_kind: str, new: Any, kind: str) -> _Trees:
    """A scalar became a map or the like, where the schema leaves both open."""
    below_old = _side(part, old) if old_kind != "scalar" else None
    below_new = _side(part, new) if kind != "scalar" else None
    modified = EMPTY if "scalar" in (old_kind, kind) or part.free else None
    return below_old or None, modified, below_new or None


def _side(part: Part, value: Any) -> FieldSet | None:
    """Every place below one that only one side has, maps and lists on the way among them; EMPTY for a leaf."""
    kind = kind_of(value, part)
    if kind == "map" and not part.whole and value and value.__class__ is dict:
        fields, element, skip = part.fields, part.element, part.skip
        out = {}
        for name, entry in value.items():
            known = fields.get(name)
            below = known.part if known is not None else element
            if below is not None and name not in skip:
                out["f:" + name] = EMPTY if entry.__class__ is str else field_sets.with_self(_side(below, entry))
        for name in part.nulls:
            out.setdefault("f:" + name, EMPTY)
        return out
    if kind == "list" and part.list_kind != shapes.ATOMIC and value and value.__class__ is list:
        out = {}
        for item in value:
            step = item_step(part, item)
            out[step] = EMPTY if step in out else field_sets.with_self(_side(part.item, item))
        return out
    return EMPTY


def _compared_maps(part: Part, old: Any, new: Any) -> _Trees:
    fields, element, skip = part.fields, part.element, part.skip
    out = _Growing()
    for name, entry in new.items():
        before = old.get(name, MISSING)
        if before is entry or (entry.__class__ is str and before == entry) or name in skip:
            continue
        known = fields.get(name)
        if known is None:
            if element is not None:
                out.put("f:" + name, _compared(element, before, entry))
            continue
        if before is MISSING and known.always:
            before = known.zero
        out.put("f:" + name, _compared(known.part, before, entry))
    for name, before in old.items():
        if name in new or name in skip:
            continue
        known = fields.get(name)
        if known is not None:
            out.put("f:" + name, _compared(known.part, before, known.zero if known.always else MISSING))
        elif element is not None:
            out.put("f:" + name, _compared(element, before, MISSING))
    return out.trees()


class _Growing:
    """Three maps that are made when something goes into them."""

    __slots__ = ("added", "modified", "removed")

    def __init__(self) -> None:
        self.removed: dict[str, Any] | None = None
        self.modified: dict[str, Any] | None = None
        self.added: dict[str, Any] | None = None

    def put(self, step: str, trees: _Trees) -> None:
        removed, modified, added = trees
        if removed is not None:
            self.removed = {} if self.removed is None else self.removed
            self.removed[step] = field_sets.with_self(removed) if step in self.removed and not removed else removed
        if modified is not None:
            self.modified = {} if self.modified is None else self.modified
            self.modified[step] = modified
        if added is not None:
            self.added = {} if self.added is None else self.added
            self.added[step] = added

    def trees(self) -> _Trees:
        return self.removed, self.modified, self.added


def _compared_lists(part: Part, old: list[Any], new: list[Any]) -> _Trees:
    left, right = _by_step(part, old), _by_step(part, new)
    out = _Growing()
    for step in {**left, **right}:
        before, after = left.get(step, ()), right.get(step, ())
        if len(before) <= 1 and len(after) <= 1:
            one = before[0] if before else MISSING
            out.put(step, _compared(part.item, one, after[0] if after else MISSING))
        elif len(before) > 1 and len(after) > 1:
            out.put(step, _leaf(list(before), list(after)))
        elif len(before) > 1:
            added = _compared(part.item, MISSING, after[0])[2] if after else None
            out.put(step, (EMPTY, None, added))
        else:
            removed = _compared(part.item, before[0], MISSING)[0] if before else None
            out.put(step, (removed, None, EMPTY))
    return out.trees()


def _by_step(part: Part, items: list[Any]) -> dict[str, tuple[Any, ...]]:
    out: dict[str, tuple[Any, ...]] = {}
    for item in items:
        step = item_step(part, item)
        out[step] = (*out.get(step, ()), item)
    return out
