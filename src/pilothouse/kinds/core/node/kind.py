"""Node as Kubernetes 1.36 stores it (`ValidateNode`, node strategy, admission TaintNodesByCondition)."""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names, wording
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

NOT_READY = "node.kubernetes.io/not-ready"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_ROLE = "node-role.kubernetes.io/"


def prepare(new: Object, old: Object | None) -> Object:
    """podCIDRs mirrors podCIDR; a new node is tainted until it says that it is ready."""
    spec = new.get("spec") or {}
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        spec = {**spec, "podCIDRs": [spec["podCIDR"]]}
    if old is None and not any(taint.get("key") == NOT_READY for taint in spec.get("taints", ())):
        spec = {**spec, "taints": [*spec.get("taints", ()), {"key": NOT_READY, "effect": "NoSchedule"}]}
    return new if spec is new.get("spec") else {**new, "spec": spec}


def prepare_status(status: Any, stored: Object) -> Any:  # noqa: ARG001 - the common signature
    """Pods may use all there is unless somebody says less (`SetDefaults_NodeStatus`)."""
    if status.get("capacity") and not status.get("allocatable"):
        return {**status, "allocatable": status["capacity"]}
    return status


def _kernel(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
    info = obj.get("status", {}).get("nodeInfo", {})
    version, architecture = info.get("kernelVersion", "") or "<unknown>", info.get("architecture", "")
    return f"{version} ({architecture})" if architecture else version


def validate(new: Object, old: Object | None) -> list[Cause]:
    out: list[Cause] = []
    spec = new.get("spec") or {}
    seen: list[tuple[str, str]] = []
    for index, taint in enumerate(spec.get("taints", ())):
        field = f"spec.taints[{index}]"
        key, effect = taint.get("key", ""), taint.get("effect", "")
        out += [wording.invalid(f"{field}.key", key, text) for text in names.qualified_name(key)]
        out += [wording.invalid(f"{field}.value", taint["value"], m) for m in names.label_value(taint.get("value", ""))]
        if effect not in _EFFECTS:
            at = f"{field}.effect"
            out.append(wording.unsupported(at, effect, _EFFECTS) if effect else wording.required(at))
        if (key, effect) in seen:
            out.append(wording.duplicate(field, taint))
        seen.append((key, effect))
    if old is not None:
        before = old.get("spec") or {}
        if before.get("providerID") and spec.get("providerID") != before["providerID"]:
            out.append(
                wording.forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid')
            )
    return out


def _condition(obj: Object) -> Any:
    for condition in obj.get("status", {}).get("conditions", ()):
        if condition.get("type") == "Ready":
            return condition.get("status")
    return None


def _status(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
    words = [{"True": "Ready", None: "Unknown"}.get(_condition(obj), "NotReady")]
    if (obj.get("spec") or {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(obj: Object, now_s: float) -> Any:  # noqa: ARG001
    labels = obj["metadata"].get("labels") or {}
    roles = sorted(key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE) and key != _ROLE)
    return ",".join(roles) or "<none>"


def _address(kind: str) -> Any:
    def cell(obj: Object, now_s: float) -> Any:  # noqa: ARG001
        for address in obj.get("status", {}).get("addresses", ()):
            if address.get("type") == kind:
                return address.get("address")
        return "<none>"

    return cell


def _info(field: str) -> Any:
    return lambda obj, _now: obj.get("status", {}).get("nodeInfo", {}).get(field, "") or "<unknown>"


KIND = Kind(
    "",
    "v1",
    "Node",
    "nodes",
    Component("api_v1.json", "io.k8s.api.core.v1.Node"),
    singular="node",
    short_names=("no",),
    namespaced=False,
    validate=validate,
    strategy=Strategy(generation=False, prepare=prepare, status_writes_labels=True, prepare_status=prepare_status),
    columns=(
        NAME,
        Column("Status", _status),
        Column("Roles", _roles),
        AGE,
        Column("Version", lambda obj, _now: obj.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", "")),
        Column("Internal-IP", _address("InternalIP"), wide=True),
        Column("External-IP", _address("ExternalIP"), wide=True),
        Column("OS-Image", _info("osImage"), wide=True),
        Column("Kernel-Version", _kernel, wide=True),
        Column("Container-Runtime", _info("containerRuntimeVersion"), wide=True),
    ),
)
