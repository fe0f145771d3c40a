"""The admission hook of LimitRanges: defaults and refusals at the creation of pods and claims (plug-in LimitRanger).

A line in the list of hooks that a write path is made with.
"""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import ForbiddenWrite
from pilothouse.engines.schema.podspec import qos_class
from pilothouse.kinds.core.limitrange.decide import refusals_of_claim, refusals_of_pod, with_defaults
from pilothouse.machinery.admission import CREATE, Request
from pilothouse.store.memory import Store

KIND_NAME = "LimitRange"


def limit_ranger(request: Request, store: Store) -> Object:
    """The pod with the namespace's defaults; ForbiddenWrite when it, or a claim, asks for too much or too little."""
    name = request.kind.name
    if request.subresource or name not in ("Pod", "PersistentVolumeClaim"):
        return request.object
    if name == "Pod" and request.operation != CREATE:
        return request.object
    limits = _limits(store, request.object["metadata"].get("namespace", ""))
    if not limits:
        return request.object
    if name == "PersistentVolumeClaim":
        broken, admitted = refusals_of_claim(request.object, limits), request.object
    else:
        admitted = _with_quality(with_defaults(request.object, limits), request.object)
        broken = refusals_of_pod(admitted, limits)
    if broken:
        raise _forbidden(request, broken)
    return admitted


def _with_quality(pod: Object, before: Object) -> Object:
    """The pod's quality of service follows from what it now asks for."""
    if pod is before or not pod.get("status"):
        return pod
    return {**pod, "status": {**pod["status"], "qosClass": qos_class(pod["spec"])}}


def _limits(store: Store, namespace: str) -> list[Any]:
    found = store.list(KIND_NAME, namespace)
    return [entry for stored in found for entry in (stored.object.get("spec") or {}).get("limits") or ()]


def _forbidden(request: Request, broken: list[str]) -> ForbiddenWrite:
    name, plural = request.object["metadata"].get("name", ""), request.kind.plural
    why = broken[0] if len(broken) == 1 else f"[{', '.join(dict.fromkeys(broken))}]"
    details = {"name": name, "kind": plural}
    return ForbiddenWrite(f'{request.kind.resource} "{name}" is forbidden: {why}', details=details)
