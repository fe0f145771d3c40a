"""JSON patch (RFC 6902), sharing every part of the object that no operation touches.

It follows what the API server's library does beyond the standard (Kubernetes 1.36): replacing a map key that is not
there adds it, and negative list indexes count from the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

OPERATIONS_LIMIT = 10_000
"""Operations in one patch: upstream's maxJSONPatchOperations."""

_MISSING = object()


class PatchError(ValueError):
    """The patch does not fit the object; the message names the operation and its path."""


def apply_json_patch(target: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """The patched value; `target` stays as it is. Raises PatchError; then nothing at all was applied."""
    if len(operations) > OPERATIONS_LIMIT:
        raise PatchError(f"the allowed maximum operations in a JSON patch is {OPERATIONS_LIMIT}, got {len(operations)}")
    for number, operation in enumerate(operations):
        if not isinstance(operation, Mapping) or not isinstance(operation.get("path"), str):
            raise PatchError(f"operation {number} has no path")
        target = _apply(target, operation)
    return target


def _apply(target: Any, operation: Mapping[str, Any]) -> Any:
    op, path = operation.get("op"), operation["path"]
    if op in ("add", "replace", "test") and "value" not in operation:
        raise PatchError(f"{op} operation does not apply: {path}: missing value")
    match op:
        case "add":
            return _put(target, _steps(path), operation["value"], insert=True, where=path)
        case "replace":
            return _put(target, _steps(path), operation["value"], insert=False, where=path)
        case "remove":
            return _remove(target, _steps(path), path)
        case "test":
            found = _get(target, _steps(path), path, default=None)
            if found != operation["value"] or type(found) is not type(operation["value"]):
                raise PatchError(f"testing value {path} failed")
            return target
        case "copy" | "move":
            source = operation.get("from")
            if not isinstance(source, str):
                raise PatchError(f"{op} operation does not apply: {path}: missing from")
            value = _get(target, _steps(source), source)
            if op == "move":
                if path.startswith(f"{source}/"):
                    raise PatchError(f"move operation does not apply: {source} cannot go into itself")
                target = _remove(target, _steps(source), source)
            return _put(target, _steps(path), value, insert=True, where=path)
    raise PatchError(f"unexpected kind: {op}")


def _steps(path: str) -> list[str]:
    if path == "":
        return []
    if not path.startswith("/"):
        raise PatchError(f"{path}: a path begins with '/'")
    return [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]


def _get(value: Any, steps: list[str], where: str, default: Any = _MISSING) -> Any:
    for number, step in enumerate(steps):
        if isinstance(value, dict):
            value = value.get(step, _MISSING)
        elif isinstance(value, list):
            value = value[_index(step, len(value) - 1, where)]
        else:
            value = _MISSING
        if value is _MISSING:
            if default is not _MISSING and number == len(steps) - 1:
                return default
            raise PatchError(f"{where}: missing path")
    return value


def _put(value: Any, steps: list[str], new: Any, *, insert: bool, where: str) -> Any:
    if not steps:
        return new
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        if rest and step not in value:
            raise PatchError(f"{where}: missing path")
        return {**value, step: _put(value.get(step), rest, new, insert=insert, where=where)}
    if isinstance(value, list):
        out = list(value)
        if rest or not insert:
            at = _index(step, len(value) - 1, where)
            out[at] = _put(value[at], rest, new, insert=insert, where=where)
        else:
            out.insert(len(value) if step == "-" else _index(step, len(value), where), new)
        return out
    raise PatchError(f"{where}: missing path")


def _remove(value: Any, steps: list[str], where: str) -> Any:
    if not steps:
        return None
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict) and step in value:
        if rest:
            return {**value, step: _remove(value[step], rest, where)}
        return {key: entry for key, entry in value.items() if key != step}
    if isinstance(value, list):
        at = _index(step, len(value) - 1, where)
        out = list(value)
        if rest:
            out[at] = _remove(value[at], rest, where)
        else:
            del out[at]
        return out
    raise PatchError(f"remove operation does not apply: {where}: missing path")


def _index(step: str, last: int, where: str) -> int:
    """A list index of at most `last`; negative ones count from the end."""
    digits = step.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or (len(digits) > 1 and digits[0] == "0"):
        raise PatchError(f"{where}: {step!r} is not a list index")
    index = int(step)
    if index < 0:
        index += last + 1
    if not 0 <= index <= last:
        raise PatchError(f"{where}: list index {step} is out of bounds")
    return index
