"""Admission: what may change or refuse a write between defaulting and validation. A hook is a function in a written
list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pilothouse.base.actions import Object
from pilothouse.base.errors import ForbiddenWrite, NotFound
from pilothouse.machinery.kind import Kind
from pilothouse.store.memory import Store

CREATE, UPDATE = "CREATE", "UPDATE"


@dataclass(frozen=True, slots=True)
class Request:
    """One write as a hook sees it. operation: CREATE or UPDATE; old: the stored object of an update."""

    operation: str
    kind: Kind
    object: Object
    old: Object | None
    subresource: str = ""


Hook = Callable[[Request, Store], Object]
"""Gives the object to go on with (the same one, or a new one that shares what stayed), or raises an ApiError."""


def namespace_lifecycle(request: Request, store: Store) -> Object:
    """Nothing is created in a namespace that does not exist or is going away (upstream plug-in NamespaceLifecycle,
    1.36)."""
    if request.operation != CREATE or not request.kind.namespaced:
        return request.object
    metadata = request.object["metadata"]
    namespace = metadata["namespace"]
    stored = store.get("Namespace", "", namespace)
    if stored is None:
        raise NotFound(f'namespaces "{namespace}" not found', details={"name": namespace, "kind": "namespaces"})
    if stored.object["metadata"].get("deletionTimestamp"):
        kind, name = request.kind, metadata.get("name", "")
        details: dict[str, object] = {"name": name, "kind": kind.plural}
        if kind.group:
            details["group"] = kind.group
        details["causes"] = [
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
        ]
        raise ForbiddenWrite(
            f'{kind.resource} "{name}" is forbidden: unable to create new content in namespace {namespace} because '
            f"it is being "
            "terminated",
            details=details,
        )
    return request.object
