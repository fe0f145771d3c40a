"""PriorityClass as Kubernetes 1.36 stores it (`pkg/apis/scheduling`)."""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.sharing import fill
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

HIGHEST_OF_USERS = 1_000_000_000


def default(obj: Object) -> Object:
    filled: Object = fill(obj, {"preemptionPolicy": "PreemptLowerPriority"})
    return filled


def prepare(new: Object, old: Object | None) -> Object:
    """The generation stays as it was made: nothing of a class is a specification."""
    if old is None:
        return {**new, "metadata": {**new["metadata"], "generation": 1}}
    return new


def validate(new: Object, old: Object | None) -> list[Cause]:
    out: list[Cause] = []
    value, name = new.get("value", 0), new["metadata"]["name"]
    if value > HIGHEST_OF_USERS and not name.startswith("system-"):
        text = f"maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}"
        out.append(wording.forbidden("value", text))
    if old is not None and old.get("value", 0) != value:
        out.append(wording.forbidden("value", "may not be changed in an update."))
    return out


def _value(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
    return obj.get("value", 0)


KIND = Kind(
    "scheduling.k8s.io",
    "v1",
    "PriorityClass",
    "priorityclasses",
    Component("apis_scheduling.k8s.io_v1.json", "io.k8s.api.scheduling.v1.PriorityClass"),
    singular="priorityclass",
    short_names=("pc",),
    namespaced=False,
    default=default,
    validate=validate,
    strategy=Strategy(status=False, generation=False, prepare=prepare),
    columns=(
        NAME,
        Column("Value", _value, "integer"),
        Column("Global-Default", lambda obj, _now: bool(obj.get("globalDefault")), "boolean"),
        AGE,
        Column("PreemptionPolicy", lambda obj, _now: obj.get("preemptionPolicy", ""), wide=True),
    ),
)
