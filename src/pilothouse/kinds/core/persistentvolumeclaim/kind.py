"""PersistentVolumeClaim as Kubernetes 1.36 stores it: a new claim is Pending, its spec is fixed but for its size.

Source: `pkg/apis/core/validation` (ValidatePersistentVolumeClaim and its update), its strategy in `pkg/registry/core`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base import quantity
from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.sharing import change, fill
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_SHORT = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_FIXED = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def default(obj: Object) -> Object:
    out: Object = change(obj, "spec", lambda spec: fill(spec, {"volumeMode": "Filesystem"}))
    return out


def prepare(new: Object, old: Object | None) -> Object:
    return {**new, "status": {"phase": "Pending"}} if old is None else new


def validate(new: Object, old: Object | None) -> list[Cause]:
    spec: Mapping[str, Any] = new.get("spec") or {}
    causes = claim_causes(spec, "spec")
    if old is not None and _fixed(spec) != _fixed(old["spec"]):
        causes.append(wording.forbidden("spec", _FIXED))
    return causes


def claim_causes(spec: Mapping[str, Any], field: str) -> list[Cause]:
    modes = spec.get("accessModes") or ()
    causes = [] if modes else [wording.required(f"{field}.accessModes", "at least 1 access mode is required")]
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        text = "may not use ReadWriteOncePod with other access modes"
        causes.append(wording.forbidden(f"{field}.accessModes", text))
    wanted = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if wanted is None:
        causes.append(wording.required(f"{field}.resources[storage]"))
    elif quantity.parse(str(wanted)) <= 0:
        causes.append(wording.invalid(f"{field}.resources[storage]", wanted, "must be greater than zero"))
    return causes


def _fixed(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in spec.items() if k not in ("resources", "volumeName", "volumeAttributesClassName")}


def _phase(obj: Object, _now_s: float) -> str:
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    return str((obj.get("status") or {}).get("phase", ""))


def _bound(obj: Object) -> bool:
    return bool((obj.get("spec") or {}).get("volumeName"))


def _capacity(obj: Object, _now_s: float) -> str:
    if not _bound(obj):
        return ""
    return str(((obj.get("status") or {}).get("capacity") or {}).get("storage", ""))


def _modes(obj: Object, _now_s: float) -> str:
    if not _bound(obj):
        return ""
    given = (obj.get("status") or {}).get("accessModes") or ()
    return ",".join(_SHORT[mode] for mode in _SHORT if mode in given)


def _spec(name: str, absent: str = "") -> Any:
    return lambda obj, _now_s: (obj.get("spec") or {}).get(name) or absent


KIND = Kind(
    "",
    "v1",
    "PersistentVolumeClaim",
    "persistentvolumeclaims",
    Component("api_v1.json", "io.k8s.api.core.v1.PersistentVolumeClaim"),
    singular="persistentvolumeclaim",
    short_names=("pvc",),
    default=default,
    validate=validate,
    strategy=Strategy(generation=False, prepare=prepare),
    columns=(
        NAME,
        Column("Status", _phase),
        Column("Volume", _spec("volumeName")),
        Column("Capacity", _capacity),
        Column("Access Modes", _modes),
        Column("StorageClass", _spec("storageClassName")),
        Column("VolumeAttributesClass", _spec("volumeAttributesClassName", "<unset>")),
        AGE,
        Column("VolumeMode", _spec("volumeMode"), wide=True),
    ),
)
