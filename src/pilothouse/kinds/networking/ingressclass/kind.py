"""IngressClass as Kubernetes 1.36 stores it (`pkg/apis/networking/validation`)."""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.sharing import change, fill
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy


def default(obj: Object) -> Object:
    """Parameters are of the whole cluster unless they say otherwise."""
    changed: Object = change(
        obj, "spec", lambda spec: change(spec, "parameters", lambda one: fill(one, {"scope": "Cluster"}))
    )
    return changed


def validate(new: Object, old: Object | None) -> list[Cause]:
    controller = (new.get("spec") or {}).get("controller", "")
    out: list[Cause] = []
    if len(controller) > 250:
        out.append(wording.too_long("spec.controller", 250))
    if old is not None and (old.get("spec") or {}).get("controller", "") != controller:
        out.append(wording.invalid("spec.controller", controller, "field is immutable"))
    return out


def _parameters(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
    found = (obj.get("spec") or {}).get("parameters")
    if not found:
        return "<none>"
    group = f".{found['apiGroup']}" if found.get("apiGroup") else ""
    return f"{found.get('kind', '')}{group}/{found.get('name', '')}"


KIND = Kind(
    "networking.k8s.io",
    "v1",
    "IngressClass",
    "ingressclasses",
    Component("apis_networking.k8s.io_v1.json", "io.k8s.api.networking.v1.IngressClass"),
    singular="ingressclass",
    namespaced=False,
    default=default,
    validate=validate,
    strategy=Strategy(status=False),
    columns=(
        NAME,
        Column("Controller", lambda obj, _now: (obj.get("spec") or {}).get("controller", "")),
        Column("Parameters", _parameters),
        AGE,
    ),
)
