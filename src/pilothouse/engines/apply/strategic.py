"""Strategic merge patch: a merge patch that knows which lists are merged, by which key, and obeys directives.

    $patch: replace | delete             of a map, or of an item of a merged list
    $deleteFromPrimitiveList/FIELD       values to take out of a list of scalars
    $setElementOrder/FIELD               the order of a merged list
    $retainKeys                          the only keys a map keeps

Pure: the original is shared, never changed. Same results as apimachinery 1.36 `util/strategicpatch/patch.go`, its
errors and its oddities among them: where the original has nothing to merge with, parts of the patch that carry `$patch`
are left out as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pilothouse.engines.apply import go_text
from pilothouse.engines.apply.shapes import FieldPart, Part

DIRECTIVE: Final = "$patch"
RETAIN_KEYS: Final = "$retainKeys"
_DELETE_FROM: Final = "$deleteFromPrimitiveList"
_ELEMENT_ORDER: Final = "$setElementOrder"
_REPLACE, _DELETE, _MERGE = "replace", "delete", "merge"


class StrategicError(ValueError):
    """A patch that cannot be applied. code: the HTTP status upstream answers with (400, 422 or, for most, 500)."""

    def __init__(self, message: str, code: int = 500) -> None:
        super().__init__(message)
        self.code = code


def apply_strategic_patch(part: Part, original: Mapping[str, Any], patch: Mapping[str, Any]) -> Mapping[str, Any]:
    """The patched object; `original` itself when nothing differs. Raises StrategicError."""
    result: Mapping[str, Any] = _maps(part, original, patch)
    return result


def _bad_format(what: str) -> StrategicError:
    return StrategicError(f"invalid patch format of {what}", 400)


# Maps


def _maps(part: Part, original: Any, patch: Mapping[str, Any]) -> Any:
    if DIRECTIVE in patch:
        return _directed(patch)
    kept = _retained(original, patch) if RETAIN_KEYS in patch else original
    out: dict[str, Any] = dict(kept)
    done = _ordered_lists(part, out, patch)
    for key, value in patch.items():
        if key == RETAIN_KEYS or key.startswith(_ELEMENT_ORDER) or key in done:
            continue
        if key.startswith(_DELETE_FROM):
            name = _directive_field(key, _DELETE_FROM, "primitive list")
            stored = out.get(name)
            if isinstance(stored, list) and isinstance(value, list):
                out[name] = _merged_list(part, name, stored, value, deletes=True)
        elif value is None:
            out.pop(key, None)
        else:
            _put(part, out, key, value)
    return original if out == original and _same_types(out, original) else out


def _same_types(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Equal maps may still hide true for 1."""
    return all(value is right[key] or value.__class__ is right[key].__class__ for key, value in left.items())


def _put(part: Part, out: dict[str, Any], key: str, value: Any) -> None:
    before = out.get(key)
    if key not in out or before.__class__ is not value.__class__:
        plain, keep = _plain(value)
        if keep:
            out[key] = plain
        else:
            out.pop(key, None)
    elif value.__class__ is dict:
        field = _declared(part, key)
        out[key] = _without_nulls(value) if field.replaces else _maps(field.part, before, value)
    elif isinstance(value, list) and isinstance(before, list):
        out[key] = _merged_list(part, key, before, value)
    else:
        out[key] = value


def _declared(part: Part, key: str) -> FieldPart:
    field = part.fields.get(key)
    if field is None:
        if not part.fields:
            raise StrategicError("merging an object in json but data type is not struct, instead is: map")
        raise StrategicError(f"unable to find api field in struct for the json field {key!r}".replace("'", '"'))
    return field


def _directed(patch: Mapping[str, Any]) -> Any:
    directive = patch[DIRECTIVE]
    if directive == _REPLACE:
        return {key: value for key, value in patch.items() if key != DIRECTIVE}
    if directive == _DELETE:
        return {}
    raise _unknown_directive(directive, patch)


def _unknown_directive(directive: Any, patch: Any) -> StrategicError:
    return StrategicError(f"unknown patch type: {go_text.plain(directive)} in map: {go_text.plain(patch)}")


def _retained(original: Mapping[str, Any], patch: Mapping[str, Any]) -> Mapping[str, Any]:
    names = patch[RETAIN_KEYS]
    if names.__class__ is not list:
        raise _bad_format("retainKeys")
    for key, value in patch.items():
        directed = key == RETAIN_KEYS or key.startswith((_DELETE_FROM, _ELEMENT_ORDER))
        if value is not None and not directed and key not in names:
            raise _bad_format("retainKeys")
    return {key: value for key, value in original.items() if key in names}


def _directive_field(key: str, prefix: str, what: str) -> str:
    head, slash, name = key.partition("/")
    if not slash or head != prefix:
        raise _bad_format(what)
    return name


def _plain(value: Any) -> tuple[Any, bool]:
    """A part of a patch as a value: without nulls and directives; False when it is to be left out itself."""
    if isinstance(value, Mapping):
        if DIRECTIVE in value:
            return None, False
        out = {}
        for key, entry in value.items():
            plain, keep = _plain(entry) if entry is not None else (None, False)
            if keep:
                out[key] = plain
        return out, True
    if value.__class__ is list:
        return [plain for plain, keep in map(_plain, value) if keep], True
    return value, True


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(entry) for key, entry in value.items() if entry is not None}
    return [_without_nulls(entry) for entry in value] if value.__class__ is list else value


# Lists


def _merged_list(part: Part, name: str, original: list[Any], patch: list[Any], *, deletes: bool = False) -> list[Any]:
    """One list of the object with the patch's laid over it; `deletes`: the patch lists what goes."""
    field = _declared(part, name)
    if not field.merges:
        return patch
    if not original and not patch:
        return original
    if not _are_maps(original, patch):
        if deletes:
            return [value for value in original if value not in patch]
        merged = _distinct([*original, *patch])
        return _in_order(*_parted(merged, patch, ""), patch, original, "")
    if not field.merge_key:
        raise StrategicError("cannot merge lists without merge key for type struct")
    return _merged_items(field, original, patch)


def _merged_items(field: FieldPart, original: list[Any], patch: list[Any]) -> list[Any]:
    key = field.merge_key
    original, patch = _special_items(original, patch, key)
    merged = list(original)
    for item in patch:
        value = _key_of(item, key)
        at = _find(merged, key, value)
        if at is None:
            merged.append(_plain(item)[0])
        else:
            merged[at] = _maps(field.part.item, merged[at], item)
    return _in_order(*_parted(merged, patch, key), patch, original, key)


def _special_items(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """Obey the items that carry `$patch`; what is left of both lists."""
    plain: list[Any] = []
    replaces = False
    for item in patch:
        if DIRECTIVE not in item:
            plain.append(item)
            continue
        directive = item[DIRECTIVE]
        if directive == _DELETE:
            value = _key_of(item, key)
            original = [other for other in original if not (key in other and other[key] == value)]
        elif directive == _REPLACE:
            replaces = True
        elif directive == _MERGE:
            raise StrategicError("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown_directive(directive, item)
    return (plain, []) if replaces else (original, plain)


def _are_maps(*lists: Iterable[Any]) -> bool:
    """Whether the items of these lists are maps; StrategicError when they are not of one kind, or lists."""
    kinds = [item.__class__ for items in lists for item in items]
    if list in kinds[:1]:
        raise StrategicError("lists of lists are not supported", 422)
    if any(kind is not kinds[0] for kind in kinds):
        raise StrategicError(f"list element types are not identical: {go_text.plain([list(items) for items in lists])}")
    if not kinds:
        raise StrategicError("no elements in any of the given slices")
    return kinds[0] is dict


def _key_of(item: Any, key: str) -> Any:
    if not isinstance(item, Mapping):
        raise StrategicError(f"expected a map[string]interface {{}}, but received a {go_text.type_name(item)}")
    if key not in item:
        raise StrategicError(f"map: {go_text.plain(item)} does not contain declared merge key: {key}")
    return item[key]


def _find(items: list[Any], key: str, value: Any) -> int | None:
    for at, item in enumerate(items):
        if not isinstance(item, Mapping):
            raise StrategicError(f"value for key {at} is not a map")
        if key in item and item[key] == value:
            return at
    return None


def _distinct(values: list[Any]) -> list[Any]:
    """Each value once."""
    out: list[Any] = []
    for value in values:
        if not any(value == other and value.__class__ is other.__class__ for other in out):
            out.append(value)
    return out


# Order


def _ordered_lists(part: Part, out: dict[str, Any], patch: Mapping[str, Any]) -> tuple[str, ...]:
    """Obey `$setElementOrder` in `out`; gives the names of the patch's lists that are merged with it."""
    done = []
    for directive, order in patch.items():
        if not directive.startswith(_ELEMENT_ORDER):
            continue
        if order.__class__ is not list:
            raise StrategicError(f"expected a []interface {{}}, but received a {go_text.type_name(order)}")
        name = _directive_field(directive, _ELEMENT_ORDER, "setElementOrder list")
        before, change = out.get(name), patch.get(name)
        for value, present in ((before, name in out), (change, name in patch)):
            if present and value.__class__ is not list:
                raise StrategicError(f"expected a []interface {{}}, but received a {go_text.type_name(value)}")
        field = _declared(part, name)
        key = field.merge_key
        _demand_order(change or [], order, key)
        if before is None and change is None:
            continue
        merged = _once(part, name, before, change)
        done.append(name)
        _are_maps(before or [], change or [])
        out[name] = _in_order(*_parted(merged, order, key), order, before or [], key)
    return tuple(done)


def _once(part: Part, name: str, before: list[Any] | None, change: list[Any] | None) -> list[Any]:
    if change is None:
        return before or []
    if before is None:
        plain: list[Any] = _plain(change)[0]
        return plain
    return _merged_list(part, name, before, change)


def _demand_order(patch: list[Any], order: list[Any], key: str) -> None:
    """The patch's items stand in the order list, in the same order; deletions need not."""
    if not patch or not order:
        return
    wanted = [item for item in patch if not (key and isinstance(item, Mapping) and DIRECTIVE in item)]
    at = 0
    for step in order:
        if at < len(wanted) and _name(wanted[at], key) == _name(step, key):
            at += 1
    if at < len(wanted):
        raise StrategicError(
            f"The order in patch list:\n{go_text.plain(patch)}\n doesn't match {_ELEMENT_ORDER} list:\n"
            f"{go_text.plain(order)}\n"
        )


def _name(item: Any, key: str) -> Any:
    return _key_of(item, key) if key else item


def _parted(merged: list[Any], named: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """(items that `named` names, the others)."""
    names = [item[key] for item in named if key in item] if key else named
    mine: list[Any] = []
    others: list[Any] = []
    for item in merged:
        (mine if _name(item, key) in names else others).append(item)
    return mine, others


def _in_order(mine: list[Any], others: list[Any], order: list[Any], stored: list[Any], key: str) -> list[Any]:
    """`mine` sorted as `order` names them and `others` as they are stored, woven by where both stand in `stored`."""
    left = _sorted_by(mine, order, key)
    right = _sorted_by(others, stored, key)
    places = [_name(item, key) for item in stored if not key or key in item]
    out: list[Any] = []
    at = 0
    for item in left:
        place = _place(item, places, key)
        # Items that only the server has go before the first of mine that is stored after them; new ones have no place.
        while at < len(right) and 0 <= _place(right[at], places, key) < place:
            out.append(right[at])
            at += 1
        out.append(item)
    return out + right[at:]


def _sorted_by(items: list[Any], order: list[Any], key: str) -> list[Any]:
    names = [_name(item, key) for item in order if not key or key in item]
    return sorted(items, key=lambda item: _place(item, names, key))


def _place(item: Any, names: list[Any], key: str) -> int:
    """Index among these names, -1 when it is not there."""
    name = _name(item, key)
    return names.index(name) if name in names else -1
