"""Event as Kubernetes 1.36 stores it (`legacyValidateEvent`). Those of our own controllers live in
`machinery.events`."""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.sharing import fill
from pilothouse.machinery.columns import NAME, since
from pilothouse.machinery.kind import Column, Component, Kind, Strategy


def default(obj: Object) -> Object:
    """The fields that Go writes even when they are empty."""
    filled: Object = fill(obj, {"source": {}, "eventTime": None, "reportingComponent": "", "reportingInstance": ""})
    return filled


def validate(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    namespace = (new.get("involvedObject") or {}).get("namespace", "")
    here = new["metadata"]["namespace"]
    if namespace == here or (not namespace and here == "default"):
        return []
    if not namespace:
        return [wording.invalid("involvedObject.namespace", "", "must match `metadata.namespace`")]
    return [wording.invalid("involvedObject.namespace", namespace, "does not match event.namespace")]


def _object(obj: Object, now_s: float) -> Any:  # noqa: ARG001
    involved = obj["involvedObject"]
    kind = involved.get("kind", "").lower()
    return f"{kind}/{involved.get('name', '')}" if kind else involved.get("name", "")


def _last_seen(obj: Object, now_s: float) -> Any:
    return since(obj.get("lastTimestamp") or obj.get("eventTime") or obj["metadata"].get("creationTimestamp"), now_s)


KIND = Kind(
    "",
    "v1",
    "Event",
    "events",
    Component("api_v1.json", "io.k8s.api.core.v1.Event"),
    singular="event",
    short_names=("ev",),
    default=default,
    validate=validate,
    strategy=Strategy(status=False, generation=False),
    columns=(
        Column("Last Seen", _last_seen),
        Column("Type", lambda obj, _now: obj.get("type", "")),
        Column("Reason", lambda obj, _now: obj.get("reason", "")),
        Column("Object", _object),
        Column("Subobject", lambda obj, _now: obj["involvedObject"].get("fieldPath", ""), wide=True),
        Column("Source", lambda obj, _now: (obj.get("source") or {}).get("component", ""), wide=True),
        Column("Message", lambda obj, _now: obj.get("message", "").strip()),
        Column("First Seen", lambda obj, now_s: since(obj.get("firstTimestamp"), now_s), wide=True),
        Column("Count", lambda obj, _now: obj.get("count", 0), wide=True),
        Column(NAME.name, NAME.value, format="name", wide=True),
    ),
)
