"""The kind apps/ControllerRevision: names, rules and columns. Its data never changes once it is stored.

Source: Kubernetes 1.36 `pkg/apis/apps/validation` (ValidateControllerRevision), `pkg/registry/apps/controllerrevision`.
"""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy


def validate(new: Object, old: Object | None) -> list[Cause]:
    causes: list[Cause] = []
    if old is not None and new.get("data") != old.get("data"):
        causes.append(wording.invalid("data", new.get("data"), "field is immutable"))
    if new.get("data") is None:
        causes.append(wording.required("data", "data is mandatory"))
    number = new.get("revision", 0)
    if number < 0:
        causes.append(wording.negative("revision", number))
    return causes


def _controller(obj: Object, _now_s: float) -> str:
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            group = reference["apiVersion"].rpartition("/")[0]
            kind = reference["kind"].lower()
            return f"{kind}.{group}/{reference['name']}" if group else f"{kind}/{reference['name']}"
    return "<none>"


def _revision(obj: Object, _now_s: float) -> Any:
    return obj.get("revision", 0)


KIND = Kind(
    group="apps",
    version="v1",
    kind="ControllerRevision",
    plural="controllerrevisions",
    schema=Component("apis_apps_v1.json", "io.k8s.api.apps.v1.ControllerRevision"),
    validate=validate,
    strategy=Strategy(status=False, generation=False),
    columns=(NAME, Column("Controller", _controller), Column("Revision", _revision, type="integer"), AGE),
)
