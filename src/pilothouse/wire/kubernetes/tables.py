"""Tables and partial objects: what `kubectl get` shows without knowing the kind (apiserver 1.36
`endpoints/handlers/response.go`)."""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.machinery.columns import name_of
from pilothouse.machinery.kind import Column
from pilothouse.wire.kubernetes.printer_columns import custom_columns
from pilothouse.wire.kubernetes.resources import Resource

_NAME_TEXT = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a "
    "client to request the generation of an appropriate name automatically. Name is primarily intended for creation "
    "idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
_CREATED_TEXT = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed "
    "to be set in happens-before order across separate operations. Clients may not set this value. It is represented "
    "in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
_PLAIN = (
    Column("Name", name_of, format="name"),
    Column("Created At", lambda obj, _now: obj["metadata"].get("creationTimestamp"), "date"),
)


def partial(obj: Object, version: str) -> Object:
    """Only the metadata; version "" leaves the type out (items of a list keep it, as upstream)."""
    out = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version or 'v1'}", "metadata": obj["metadata"]}
    return out if version else {"metadata": obj["metadata"]}


def columns_of(resource: Resource) -> tuple[Column, ...]:
    """The columns a resource shows."""
    if resource.custom is not None:
        return custom_columns(resource.custom)
    if resource.kind is not None and resource.kind.columns:
        return resource.kind.columns
    return _PLAIN


def table(
    resource: Resource, objects: list[Object], version: str, include: str, now_s: float, metadata: dict[str, Any]
) -> Object:
    """A `meta.k8s.io` Table. include: Metadata, Object or None (what each row carries)."""
    columns = columns_of(resource)
    rows = []
    for obj in objects:
        row: dict[str, Any] = {"cells": [column.value(obj, now_s) for column in columns]}
        conditions = _row_conditions(obj)
        if conditions:
            row["conditions"] = conditions
        if include == "Object":
            row["object"] = obj
        elif include != "None":
            row["object"] = partial(obj, version)
        else:
            row["object"] = None
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": metadata,
        "columnDefinitions": [
            {
                "name": column.name,
                "type": column.type,
                "format": column.format,
                "description": _description(resource, column),
                "priority": 1 if column.wide else 0,
            }
            for column in columns
        ],
        "rows": rows,
    }


def _row_conditions(obj: Object) -> list[dict[str, Any]]:
    """Pods that ended: the row says so, and clients may hide it."""
    if obj.get("kind") != "Pod":
        return []
    phase = (obj.get("status") or {}).get("phase")
    if phase == "Succeeded":
        text = "The pod has completed successfully."
    elif phase == "Failed":
        text = "The pod failed."
    else:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": text}]


def _description(resource: Resource, column: Column) -> str:
    if column.format == "name" and column.name == "Name":
        return _NAME_TEXT
    if column.name in ("Age", "Created At"):
        return _CREATED_TEXT
    if resource.custom is not None:
        for entry in resource.custom.get("additionalPrinterColumns") or ():
            if entry["name"] == column.name:
                return str(
                    entry.get("description")
                    or f"Custom resource definition column (in JSONPath format): {entry['jsonPath']}"
                )
    return ""
