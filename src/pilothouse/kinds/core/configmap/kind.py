"""ConfigMap as Kubernetes 1.36 stores it (`pkg/apis/core/validation` ValidateConfigMap)."""

from __future__ import annotations

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names, wording
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

BYTES = 1024 * 1024
"""All keys and values together: upstream's MaxSecretSize, for ConfigMaps too."""


def validate(new: Object, old: Object | None) -> list[Cause]:
    out: list[Cause] = []
    data, binary = new.get("data") or {}, new.get("binaryData") or {}
    for field, values in (("data", data), ("binaryData", binary)):
        for key in values:
            out += [wording.invalid(f"{field}[{key}]", key, text) for text in names.data_key(key)]
            if field == "binaryData" and key in data:
                out.append(wording.invalid(f"{field}[{key}]", key, "duplicate of key present in data"))
    size = sum(len(value.encode()) for value in data.values()) + sum(len(value) * 3 // 4 for value in binary.values())
    if size > BYTES:
        out.append(wording.too_long("[]", BYTES))
    return out + immutable_causes(new, old, ("data", "binaryData"))


def immutable_causes(new: Object, old: Object | None, fields: tuple[str, ...]) -> list[Cause]:
    """What may not change once `immutable: true` is stored."""
    if old is None or not old.get("immutable"):
        return []
    out = []
    if not new.get("immutable"):
        out.append(wording.forbidden("immutable", "field is immutable when `immutable` is set"))
    return out + [
        wording.forbidden(field, "field is immutable when `immutable` is set")
        for field in fields
        if new.get(field) != old.get(field)
    ]


KIND = Kind(
    "",
    "v1",
    "ConfigMap",
    "configmaps",
    Component("api_v1.json", "io.k8s.api.core.v1.ConfigMap"),
    singular="configmap",
    short_names=("cm",),
    validate=validate,
    strategy=Strategy(status=False, generation=False),
    columns=(
        NAME,
        Column("Data", lambda obj, _now: len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), "integer"),
        AGE,
    ),
)
