"""PersistentVolume as Kubernetes 1.36 stores it (`pkg/apis/core`, `pkg/registry/core/persistentvolume`)."""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.sharing import change, fill
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def default(obj: Object) -> Object:
    """`SetDefaults_PersistentVolume`."""
    changed: Object = change(obj, "spec", _spec)
    return changed


def _spec(spec: Any) -> Any:
    spec = fill(spec, {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"})
    return change(spec, "hostPath", lambda path: fill(path, {"type": ""}))


def prepare(new: Object, old: Object | None) -> Object:
    """A new volume is Pending."""
    if old is not None:
        return new
    status = {"phase": "Pending", "lastPhaseTransitionTime": new["metadata"]["creationTimestamp"]}
    return {**new, "status": status}


def validate(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    spec = new.get("spec") or {}
    out: list[Cause] = []
    if not spec.get("capacity"):
        out.append(wording.required("spec.capacity"))
    modes = spec.get("accessModes")
    if not modes:
        out.append(wording.required("spec.accessModes"))
    for mode in modes or ():
        if mode not in _MODES:
            out.append(wording.unsupported("spec.accessModes", mode, _MODES))
    return out


def access_modes(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
    return ",".join(_MODES.get(mode, mode) for mode in dict.fromkeys(obj["spec"].get("accessModes") or ()))


def _claim(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
    claim = obj["spec"].get("claimRef")
    return f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""


def _phase(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
    return "Terminating" if "deletionTimestamp" in obj["metadata"] else obj.get("status", {}).get("phase", "")


KIND = Kind(
    "",
    "v1",
    "PersistentVolume",
    "persistentvolumes",
    Component("api_v1.json", "io.k8s.api.core.v1.PersistentVolume"),
    singular="persistentvolume",
    short_names=("pv",),
    namespaced=False,
    default=default,
    validate=validate,
    strategy=Strategy(generation=False, prepare=prepare),
    columns=(
        NAME,
        Column("Capacity", lambda obj, _now: (obj["spec"].get("capacity") or {}).get("storage", "")),
        Column("Access Modes", access_modes),
        Column("Reclaim Policy", lambda obj, _now: obj["spec"].get("persistentVolumeReclaimPolicy", "")),
        Column("Status", _phase),
        Column("Claim", _claim),
        Column("StorageClass", lambda obj, _now: obj["spec"].get("storageClassName", "")),
        Column("VolumeAttributesClass", lambda obj, _now: obj["spec"].get("volumeAttributesClassName", "<unset>")),
        Column("Reason", lambda obj, _now: obj.get("status", {}).get("reason", "")),
        AGE,
        Column("VolumeMode", lambda obj, _now: obj["spec"].get("volumeMode", "<unset>"), wide=True),
    ),
)
