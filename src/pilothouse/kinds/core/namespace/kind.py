"""Namespace as Kubernetes 1.36 stores it: its name as a label, a finalizer in its spec, a phase."""

from __future__ import annotations

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names
from pilothouse.kinds.core.namespace.decide import FINALIZER
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

NAME_LABEL = "kubernetes.io/metadata.name"


def default(obj: Object) -> Object:
    """The label that selectors use to name a namespace (`SetDefaults_Namespace`)."""
    metadata = obj["metadata"]
    labels = metadata.get("labels") or {}
    name = metadata.get("name", "")
    if not name or labels.get(NAME_LABEL) == name:
        return obj
    return {**obj, "metadata": {**metadata, "labels": {**labels, NAME_LABEL: name}}}


def prepare(new: Object, old: Object | None) -> Object:
    """A new namespace is held by its finalizer; one that is being deleted is Terminating."""
    spec = new.get("spec") or {}
    if old is None:
        finalizers = [*spec.get("finalizers", ())]
        if FINALIZER not in finalizers:
            finalizers.append(FINALIZER)
        return {**new, "spec": {**spec, "finalizers": finalizers}, "status": {"phase": "Active"}}
    if "deletionTimestamp" in new["metadata"]:
        # A namespace goes by its own finalizers, not by a grace period: upstream stores none.
        metadata = {key: value for key, value in new["metadata"].items() if key != "deletionGracePeriodSeconds"}
        return {**new, "metadata": metadata, "status": {**new.get("status", {}), "phase": "Terminating"}}
    return new


def finalize(sent: Object, stored: Object) -> tuple[Object, list[Cause]]:
    """The finalize subresource: whoever cleaned up takes their finalizer away; labels are written too."""
    finalizers = (sent.get("spec") or {}).get("finalizers") or []
    spec = {**(stored.get("spec") or {}), "finalizers": finalizers}
    if not finalizers:
        del spec["finalizers"]
    kept = {key: value for key, value in stored["metadata"].items() if key not in ("labels", "annotations")}
    asked = sent.get("metadata") or {}
    given = {field: asked[field] for field in ("labels", "annotations") if asked.get(field)}
    return default({**stored, "metadata": {**kept, **given}, "spec": spec}), []


def held(obj: Object) -> bool:
    return bool((obj.get("spec") or {}).get("finalizers"))


KIND = Kind(
    "",
    "v1",
    "Namespace",
    "namespaces",
    Component("api_v1.json", "io.k8s.api.core.v1.Namespace"),
    singular="namespace",
    short_names=("ns",),
    namespaced=False,
    default=default,
    strategy=Strategy(
        generation=False, name_causes=names.dns_label, prepare=prepare, held=held, parts={"finalize": finalize}
    ),
    columns=(NAME, Column("Status", lambda obj, _now: obj.get("status", {}).get("phase", "")), AGE),
)
