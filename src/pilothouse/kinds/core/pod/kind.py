"""Pod as Kubernetes 1.36 stores it: defaults, rules, what may change, how it is bound and how it goes (pod
strategy)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import BadRequest, Cause, Conflict
from pilothouse.engines.schema import podspec, wording
from pilothouse.engines.schema.sharing import change, fill
from pilothouse.kinds.core.pod.columns import COLUMNS
from pilothouse.machinery.kind import Component, Kind, Strategy

_MAY_CHANGE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_FREE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "containers", "initContainers")


def default(obj: Object) -> Object:
    changed: Object = change(obj, "spec", podspec.default_pod)
    return changed


def prepare(new: Object, old: Object | None) -> Object:
    """A new pod is Pending, whatever was sent."""
    if old is not None:
        return new
    return {**new, "status": {"phase": "Pending", "qosClass": podspec.qos_class(new.get("spec") or {})}}


def prepare_status(status: Any, stored: Object) -> Any:
    """The quality of service stays when a writer leaves it out."""
    qos = stored.get("status", {}).get("qosClass")
    return fill(status, {"qosClass": qos}) if qos else status


def validate(new: Object, old: Object | None) -> list[Cause]:
    spec = new.get("spec") or {}
    out = podspec.pod_spec_causes(spec)
    if old is not None and spec is not old["spec"]:
        out += _update_causes(spec, old["spec"])
    return out


def _update_causes(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Cause]:
    if _fixed(new) != _fixed(old):
        return [wording.forbidden("spec", _MAY_CHANGE)]
    out: list[Cause] = []
    for key in ("containers", "initContainers"):
        before, after = old.get(key, ()), new.get(key, ())
        if [_imageless(c) for c in before] != [_imageless(c) for c in after]:
            return [wording.forbidden("spec", _MAY_CHANGE)]
    kept = new.get("tolerations", ())
    if any(toleration not in kept for toleration in old.get("tolerations", ())):
        text = "existing toleration can not be modified except its tolerationSeconds"
        out.append(wording.forbidden("spec.tolerations", text))
    if new.get("terminationGracePeriodSeconds") != old.get("terminationGracePeriodSeconds"):
        out.append(wording.forbidden("spec", _MAY_CHANGE))
    return out


def _fixed(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key not in _FREE}


def _imageless(container: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in container.items() if key != "image"}


def add_ephemeral(sent: Object, stored: Object) -> tuple[Object, list[Cause]]:
    """The ephemeralcontainers subresource: containers may come, none may change or go."""
    wanted = (sent.get("spec") or {}).get("ephemeralContainers") or []
    spec = podspec.default_pod({**stored["spec"], "ephemeralContainers": wanted})
    before = stored["spec"].get("ephemeralContainers") or []
    after = spec["ephemeralContainers"]
    out: list[Cause] = []
    by_name = {container.get("name"): container for container in after}
    for container in before:
        if by_name.get(container["name"]) != container:
            text = f'existing ephemeral containers "{container["name"]}" may not be changed'
            if container["name"] not in by_name:
                text = f'existing ephemeral containers "{container["name"]}" may not be removed'
            out.append(wording.forbidden("spec.ephemeralContainers", f"{text}\n"))
    return {**stored, "spec": spec}, out


def resize(sent: Object, stored: Object) -> tuple[Object, list[Cause]]:
    """The resize subresource: resources of containers change as long as the quality of service stays."""
    asked = {c.get("name"): c for c in (sent.get("spec") or {}).get("containers") or ()}
    containers = [
        {**container, "resources": asked[container["name"]].get("resources") or {}}
        if container["name"] in asked
        else container
        for container in stored["spec"]["containers"]
    ]
    spec = podspec.default_pod({**stored["spec"], "containers": containers})
    before = stored.get("status", {}).get("qosClass") or podspec.qos_class(stored["spec"])
    if podspec.qos_class(spec) != before:
        return stored, [wording.invalid("spec", before, "Pod QOS Class may not change as a result of resizing")]
    return {**stored, "spec": spec}, podspec.pod_spec_causes(spec)


def grace_s(obj: Object, asked_s: int | None) -> int:
    """Seconds a deletion waits (`podStrategy.CheckGracefulDelete`): none before it is bound or after it ended."""
    period_s: int = obj["spec"].get("terminationGracePeriodSeconds", 0) if asked_s is None else asked_s
    if not obj["spec"].get("nodeName") or obj.get("status", {}).get("phase") in ("Failed", "Succeeded"):
        return 0
    return 1 if period_s < 0 else period_s


def bind(obj: Object, binding: Mapping[str, Any], now: str) -> Object:
    """The pod on its node (`BindingREST.assignPod`). binding: {"target": {"name": node}}; Conflict when it has one
    already."""
    name = obj["metadata"]["name"]
    target = binding.get("target")
    node = target.get("name") if isinstance(target, Mapping) else None
    if not node or not isinstance(node, str):
        raise BadRequest("target.name: Required value")
    prefix = f'Operation cannot be fulfilled on pods/binding "{name}": '
    if "deletionTimestamp" in obj["metadata"]:
        raise Conflict(f"{prefix}pod {name} is being deleted, cannot be assigned to a host")
    if obj["spec"].get("nodeName"):
        raise Conflict(f'{prefix}pod {name} is already assigned to node "{obj["spec"]["nodeName"]}"')
    status = obj.get("status", {})
    others = [c for c in status.get("conditions", ()) if c.get("type") != "PodScheduled"]
    scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    return {
        **obj,
        "spec": {**obj["spec"], "nodeName": node},
        "status": {**status, "conditions": [*others, scheduled]},
    }


KIND = Kind(
    "",
    "v1",
    "Pod",
    "pods",
    Component("api_v1.json", "io.k8s.api.core.v1.Pod"),
    singular="pod",
    short_names=("po",),
    categories=("all",),
    default=default,
    validate=validate,
    strategy=Strategy(
        prepare=prepare,
        prepare_status=prepare_status,
        status_writes_labels=True,
        grace_s=grace_s,
        bind=bind,
        parts={"ephemeralcontainers": add_ephemeral, "resize": resize},
    ),
    columns=COLUMNS,
)
