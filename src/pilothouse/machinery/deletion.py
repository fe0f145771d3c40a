"""What deleting an object leads to: at once, after a grace period, or when its finalizers are gone (apiserver 1.36
`rest/delete.go`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.clock import parse_rfc3339, rfc3339
from pilothouse.base.errors import BadRequest
from pilothouse.machinery.kind import Kind

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
_FINALIZER_OF = {"Orphan": ORPHAN, "Foreground": FOREGROUND, "Background": ""}


@dataclass(frozen=True, slots=True)
class Plan:
    """object: its form after the deletion was asked for; marked: that form must be stored; removed: then it goes
    away."""

    object: Object
    marked: bool
    removed: bool


def plan(kind: Kind, obj: Object, grace_s: int | None, propagation: str, now_s: float) -> Plan:
    """Decide one deletion request. propagation: Background, Foreground or Orphan; BadRequest when it is none of
    them."""
    if propagation not in _FINALIZER_OF:
        raise BadRequest(
            f'invalid propagationPolicy "{propagation}": must be one of "Background", "Foreground" or "Orphan"'
        )
    metadata = dict(obj["metadata"])
    finalizers = _finalizers(metadata, propagation)
    if finalizers != metadata.get("finalizers", []):
        metadata["finalizers"] = finalizers
    if kind.strategy.grace_s is not None:
        _grace(kind, obj, metadata, grace_s, now_s)
    held = bool(finalizers) or (kind.strategy.held is not None and kind.strategy.held(obj))
    if held and "deletionTimestamp" not in metadata:
        _mark(metadata, now_s, 0)
    # Deleted for good unless something still holds it or its grace period runs.
    removed = not held and not metadata.get("deletionGracePeriodSeconds", 0)
    marked = metadata != obj["metadata"]
    body = _prepared(kind, {**obj, "metadata": metadata} if marked else obj, obj)
    return Plan(body, marked, removed)


def _prepared(kind: Kind, body: Object, old: Object) -> Object:
    return body if body is old or kind.strategy.prepare is None else kind.strategy.prepare(body, old)


def is_over(kind: Kind, obj: Object) -> bool:
    """A deleted object whose last hold went away with this update."""
    metadata = obj["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds"):
        return False
    return not (kind.strategy.held is not None and kind.strategy.held(obj))


def _finalizers(metadata: dict[str, Any], propagation: str) -> list[str]:
    wanted = _FINALIZER_OF[propagation]
    others = [name for name in metadata.get("finalizers", ()) if name not in (ORPHAN, FOREGROUND)]
    return [*others, wanted] if wanted else others


def _grace(kind: Kind, obj: Object, metadata: dict[str, Any], grace_s: int | None, now_s: float) -> None:
    assert kind.strategy.grace_s is not None
    period_s = kind.strategy.grace_s(obj, grace_s)
    if "deletionTimestamp" not in metadata:
        _mark(metadata, now_s, period_s)
        return
    running_s = metadata.get("deletionGracePeriodSeconds", 0)
    # A grace period that runs can only become shorter.
    if grace_s is not None and period_s < running_s:
        asked_s = parse_rfc3339(metadata["deletionTimestamp"]) - running_s
        metadata["deletionTimestamp"] = rfc3339(asked_s + period_s)
        metadata["deletionGracePeriodSeconds"] = period_s


def _mark(metadata: dict[str, Any], now_s: float, period_s: int) -> None:
    metadata["deletionTimestamp"] = rfc3339(now_s + period_s)
    metadata["deletionGracePeriodSeconds"] = period_s
    if metadata.get("generation"):
        metadata["generation"] += 1
