"""Lease as Kubernetes 1.36 stores it (`pkg/apis/coordination/validation`)."""

from __future__ import annotations

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy


def validate(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    spec = new.get("spec") or {}
    out: list[Cause] = []
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        out.append(wording.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    if spec.get("leaseTransitions", 0) < 0:
        field = "spec.leaseTransitions"
        out.append(wording.negative(field, spec["leaseTransitions"]))
    return out


KIND = Kind(
    "coordination.k8s.io",
    "v1",
    "Lease",
    "leases",
    Component("apis_coordination.k8s.io_v1.json", "io.k8s.api.coordination.v1.Lease"),
    singular="lease",
    validate=validate,
    strategy=Strategy(status=False, generation=False, create_on_replace=True),
    columns=(
        NAME,
        Column("Holder", lambda obj, _now: (obj.get("spec") or {}).get("holderIdentity", "")),
        AGE,
    ),
)
