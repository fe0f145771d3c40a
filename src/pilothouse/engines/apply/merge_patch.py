"""JSON merge patch (RFC 7386), sharing every part of the object that the patch does not touch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """The patched value. Neither argument changes; when nothing differs, `target` itself comes back.

    null in the patch removes a key; anything that is not an object replaces the target as a whole.
    """
    if patch.__class__ is not dict and not isinstance(patch, Mapping):
        return target if _same(target, patch) else patch
    if target.__class__ is not dict and not isinstance(target, Mapping):
        return _without_nulls(patch)
    out: dict[str, Any] | None = None
    for key, value in patch.items():
        if value is None:
            if key in target:
                out = dict(target) if out is None else out
                del out[key]
            continue
        if key in target:
            before = target[key]
            after = apply_merge_patch(before, value)
            if after is before:
                continue
        else:
            after = apply_merge_patch(None, value)
        out = dict(target) if out is None else out
        out[key] = after
    return target if out is None else out


def _same(left: Any, right: Any) -> bool:
    """Equal in JSON's sense: Python's True == 1 must not hide a change of type."""
    return left is right or (left == right and type(left) is type(right))


def _without_nulls(patch: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nulls(value) if isinstance(value, Mapping) else value
        for key, value in patch.items()
        if value is not None
    }


def merge_patch_between(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest merge patch that turns `old` into `new`; {} when they are equal."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if key in old and _same(before, value):
            continue
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            inner = merge_patch_between(before, value)
            if inner:
                patch[key] = inner
        else:
            patch[key] = value
    return patch
