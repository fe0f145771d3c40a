"""The admission hook of ResourceQuotas: refuses what goes beyond them (plug-in ResourceQuota).

A line in the list of hooks that a write path is made with, after the one of LimitRanges: their defaults count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import ForbiddenWrite
from pilothouse.kinds.core.resourcequota.decide import KIND_NAME, refusal, total
from pilothouse.kinds.core.resourcequota.usage import Usage, applies, missing_of, usage_of
from pilothouse.machinery.admission import Request
from pilothouse.machinery.kind import Kind
from pilothouse.store.memory import Store, Stored


def resource_quota(request: Request, store: Store) -> Object:
    """The object as it is; ForbiddenWrite when a quota of its namespace has no room for it."""
    kind, obj = request.kind, request.object
    if request.subresource or not kind.namespaced:
        return obj
    namespace = obj["metadata"].get("namespace", "")
    for quota in store.list(KIND_NAME, namespace):
        spec: Mapping[str, Any] = quota.object.get("spec") or {}
        if applies(spec, kind.plural, obj):
            why = _why_not(request, store, quota.object["metadata"]["name"], spec)
            if why:
                raise _forbidden(request, why)
    return obj


def _why_not(request: Request, store: Store, name: str, spec: Mapping[str, Any]) -> str:
    kind, obj, hard = request.kind, request.object, spec.get("hard") or {}
    more = {key: value for key, value in usage_of(kind.plural, kind.group, obj).items() if key in hard}
    if request.old is not None:
        before = usage_of(kind.plural, kind.group, request.old)
        more = {key: value - before.get(key, 0) for key, value in more.items()}
    elif kind.name == "Pod":
        missing = missing_of(obj, hard)
        if missing:
            return f"failed quota: {name}: must specify {missing}"
    if not any(value > 0 for value in more.values()):
        return ""
    namespace = obj["metadata"]["namespace"]
    there = [stored for stored in store.list(kind.name, namespace) if applies(spec, kind.plural, stored.object)]
    used = total((_usage(stored, kind) for stored in there), more)
    return refusal(name, hard, used, more)


def _usage(stored: Stored, kind: Kind) -> Usage:
    return usage_of(kind.plural, kind.group, stored.object)


def _forbidden(request: Request, why: str) -> ForbiddenWrite:
    name, kind = request.object["metadata"].get("name", ""), request.kind
    details: dict[str, Any] = {"name": name, "kind": kind.plural}
    if kind.group:
        details["group"] = kind.group
    return ForbiddenWrite(f'{kind.resource} "{name}" is forbidden: {why}', details=details)
