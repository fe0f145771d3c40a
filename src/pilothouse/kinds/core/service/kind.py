"""Service as Kubernetes 1.36 stores it: defaults, addresses, node ports and rules (`pkg/apis/core`,
`pkg/registry/core/service`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names, wording
from pilothouse.engines.schema.container_rules import port_causes
from pilothouse.engines.schema.sharing import change, change_each, fill
from pilothouse.kinds.core.service.addresses import allocate
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_REACHED_FROM_OUTSIDE = ("NodePort", "LoadBalancer")


def default(obj: Object) -> Object:
    """`SetDefaults_Service`."""
    changed: Object = change(fill(obj, {"spec": {}}), "spec", _spec)
    return changed


def _spec(spec: Any) -> Any:
    spec = fill(spec, {"sessionAffinity": "None", "type": "ClusterIP"})
    kind = spec["type"]
    if spec["sessionAffinity"] == "ClientIP":
        spec = fill(spec, {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10_800}}})
    if kind in _REACHED_FROM_OUTSIDE or (kind == "ClusterIP" and spec.get("externalIPs")):
        spec = fill(spec, {"externalTrafficPolicy": "Cluster"})
    if kind in ("ClusterIP", *_REACHED_FROM_OUTSIDE):
        spec = fill(spec, {"internalTrafficPolicy": "Cluster"})
    if kind == "LoadBalancer":
        spec = fill(spec, {"allocateLoadBalancerNodePorts": True})
    return change(spec, "ports", lambda ports: change_each(ports, _port))


def _port(port: Any) -> Any:
    port = fill(port, {"protocol": "TCP"})
    return {**port, "targetPort": port.get("port", 0)} if port.get("targetPort") in (None, 0, "") else port


def validate(new: Object, old: Object | None) -> list[Cause]:
    """`ValidateService` and `ValidateServiceUpdate`."""
    spec = new["spec"]
    out: list[Cause] = []
    if spec["type"] not in _TYPES:
        out.append(wording.unsupported("spec.type", spec["type"], _TYPES))
    if spec["type"] == "ExternalName":
        out += _external_name(spec.get("externalName", ""))
    elif not spec.get("ports") and spec.get("clusterIP") != "None":
        out.append(wording.required("spec.ports"))
    out += _ports(spec.get("ports", ()))
    out += names.label_causes(spec.get("selector"), "spec.selector")
    if old is not None:
        before = old["spec"].get("clusterIP")
        if before and spec["type"] != "ExternalName" and spec.get("clusterIP") != before:
            out.append(wording.invalid("spec.clusterIPs[0]", [spec.get("clusterIP", "")], "may not change once set"))
    return out


def _external_name(name: str) -> list[Cause]:
    if not name:
        return [wording.required("spec.externalName")]
    return [wording.invalid("spec.externalName", name, m) for m in names.dns_subdomain(name.removesuffix("."))]


def _ports(ports: Any) -> list[Cause]:
    out: list[Cause] = []
    named: list[str] = []
    used: list[tuple[Any, Any]] = []
    for index, port in enumerate(ports):
        field = f"spec.ports[{index}]"
        name = port.get("name", "")
        if not name and len(ports) > 1:
            out.append(wording.required(f"{field}.name"))
        elif name:
            out += [wording.invalid(f"{field}.name", name, text) for text in names.dns_label(name)]
            if name in named:
                out.append(wording.duplicate(f"{field}.name", name))
        named.append(name)
        out += port_causes(port.get("port", 0), f"{field}.port")
        out += port_causes(port.get("targetPort", 0), f"{field}.targetPort")
        key = (port.get("protocol"), port.get("port"))
        if key in used:
            out.append(wording.duplicate(field, {"protocol": key[0], "port": key[1]}))
        used.append(key)
    return out


def _external_address(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
    spec = obj["spec"]
    given = spec.get("externalIPs", [])
    if spec["type"] == "ExternalName":
        return spec.get("externalName", "")
    if spec["type"] == "LoadBalancer":
        ingress = (obj.get("status", {}).get("loadBalancer") or {}).get("ingress", ())
        addresses = [entry.get("ip") or entry.get("hostname", "") for entry in ingress] + given
        return ",".join(addresses) or "<pending>"
    return ",".join(given) or "<none>"


def _ports_cell(obj: Object, now_s: float) -> Any:  # noqa: ARG001
    return ",".join(map(_port_text, obj["spec"].get("ports", ()))) or "<none>"


def _port_text(port: Mapping[str, Any]) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node}/{port['protocol']}"


def _selector(obj: Object, now_s: float) -> Any:  # noqa: ARG001
    return ",".join(f"{k}={v}" for k, v in sorted((obj["spec"].get("selector") or {}).items())) or "<none>"


KIND = Kind(
    "",
    "v1",
    "Service",
    "services",
    Component("api_v1.json", "io.k8s.api.core.v1.Service"),
    singular="service",
    short_names=("svc",),
    categories=("all",),
    default=default,
    validate=validate,
    # Since 1.36 a service may be named as any DNS label: "1bad" passes (gate RelaxedServiceNameValidation).
    strategy=Strategy(generation=False, name_causes=names.dns_label, allocate=allocate, status_writes_labels=True),
    columns=(
        NAME,
        Column("Type", lambda obj, _now: obj["spec"]["type"]),
        Column("Cluster-IP", lambda obj, _now: obj["spec"].get("clusterIP") or "<none>"),
        Column("External-IP", _external_address),
        Column("Port(s)", _ports_cell),
        AGE,
        Column("Selector", _selector, wide=True),
    ),
)
