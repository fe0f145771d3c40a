"""Who wrote which field: `machinery.applying` for stored objects, and reviews, which nobody stores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from pilothouse.base.actions import Object
from pilothouse.engines.apply import managers, server_side
from pilothouse.machinery import applying
from pilothouse.machinery.kind import Component, Kind
from pilothouse.machinery.write_path import Finish
from pilothouse.wire.kubernetes.resources import Resource

_BY_ADMISSION = {"Pod": ("preemptionPolicy", "priority", "tolerations")}
"""Fields of specs that admission fills upstream: they belong to nobody, unless the sender named them."""


_SHAPES: dict[bytes, Any] = {}
_SHAPES_KEPT = 4_096


def _shared(obj: Object) -> Object:
    """The object with field sets that equal those of others, as most do, held once in memory."""
    entries = obj["metadata"].get("managedFields")
    if not entries:
        return obj
    if len(_SHAPES) > _SHAPES_KEPT:
        _SHAPES.clear()
    made = [
        {**entry, "fieldsV1": _SHAPES.setdefault(orjson.dumps(entry["fieldsV1"]), entry["fieldsV1"])}
        if "fieldsV1" in entry
        else entry
        for entry in entries
    ]
    return {**obj, "metadata": {**obj["metadata"], "managedFields": made}}


def finish_create(resource: Resource, manager: str, now: str, sent: Object) -> Finish:
    """Like `finish_update`, for a new object that came as `sent`."""
    touch = applying.finish(manager, now, resource.api_version)
    named = sent.get("spec") or {}

    def finish(kind: Kind, new: Object, old: Object | None, subresource: str) -> Object:
        filled = [field for field in _BY_ADMISSION.get(kind.name, ()) if field not in named]
        if not filled:
            return _shared(touch(kind, new, old, subresource))
        spec = {key: value for key, value in new["spec"].items() if key not in filled}
        owned = _shared(touch(kind, {**new, "spec": spec}, old, subresource))
        return {**new, "metadata": owned["metadata"]}

    return finish


def finish_update(resource: Resource, manager: str, now: str) -> Finish:
    """The last touch of a create, update or patch by `manager`: its entry in managedFields."""
    touch = applying.finish(manager, now, resource.api_version)

    def finish(kind: Kind, new: Object, old: Object | None, subresource: str) -> Object:
        if old is not None and (new is old or new == old):
            return old
        return touch(kind, new, old, subresource)

    return finish


def of_review(review: Object, source: Component, manager: str, now: str, subresource: str = "") -> Object:
    """A review as it is answered, with the entry of who sent it; its status is nobody's."""
    sent: Mapping[str, Any] = {key: value for key, value in review.items() if key != "status"}
    who = server_side.Writer(manager, review["apiVersion"], now, subresource)
    managed = server_side.updated(applying.part_of(source), {}, sent, {}, who)
    return applying.with_entries(review, managers.written(managed))
