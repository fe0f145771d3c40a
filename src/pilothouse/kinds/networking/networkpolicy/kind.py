"""NetworkPolicy as Kubernetes 1.36 stores it (`pkg/apis/networking`)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from pilothouse.base import selectors
from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.sharing import change, each, fill
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_TYPES = ("Egress", "Ingress")


def default(obj: Object) -> Object:
    """`SetDefaults_NetworkPolicy`: ports are TCP, and the types follow from the rules that are there."""
    changed: Object = change(obj, "spec", _spec)
    return changed


def _spec(spec: Any) -> Any:
    for direction in ("ingress", "egress"):
        spec = change(spec, direction, each(_rule))
    if not spec.get("policyTypes"):
        spec = {**spec, "policyTypes": ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]}
    return spec


def _rule(rule: Any) -> Any:
    return change(rule, "ports", each(lambda port: fill(port, {"protocol": "TCP"})))


def validate(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    spec = new.get("spec") or {}
    out: list[Cause] = []
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for number, rule in enumerate(spec.get(direction) or ()):
            field = f"spec.{direction}[{number}]"
            for index, port in enumerate(rule.get("ports") or ()):
                out += _port_causes(port, f"{field}.ports[{index}]")
            for index, peer in enumerate(rule.get(peers) or ()):
                out += _peer_causes(peer, f"{field}.{peers}[{index}]")
    for index, kind in enumerate(spec.get("policyTypes") or ()):
        if kind not in _TYPES:
            out.append(wording.unsupported(f"spec.policyTypes[{index}]", kind, _TYPES))
    return out


def _port_causes(port: Mapping[str, Any], field: str) -> list[Cause]:
    out: list[Cause] = []
    if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
        out.append(wording.unsupported(f"{field}.protocol", port.get("protocol"), ("SCTP", "TCP", "UDP")))
    number = port.get("port")
    if isinstance(number, int) and not 1 <= number <= 65_535:
        out.append(wording.invalid(f"{field}.port", number, "must be between 1 and 65535, inclusive"))
    end = port.get("endPort")
    if end is not None and isinstance(number, int) and end < number:
        out.append(wording.invalid(f"{field}.endPort", end, "must be greater than or equal to `port`"))
    return out


def _peer_causes(peer: Mapping[str, Any], field: str) -> list[Cause]:
    block = peer.get("ipBlock")
    if not any(name in peer for name in ("ipBlock", "podSelector", "namespaceSelector")):
        return [wording.required(field, "must specify a peer")]
    if block is None:
        return []
    if "podSelector" in peer or "namespaceSelector" in peer:
        text = "may not specify both ipBlock and another peer"
        return [wording.forbidden(field, text)]
    try:
        ipaddress.ip_network(block.get("cidr", ""), strict=False)
    except ValueError:
        text = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
        return [wording.invalid(f"{field}.ipBlock.cidr", block.get("cidr", ""), text)]
    return []


def _selector(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
    chosen = selectors.from_object((obj.get("spec") or {}).get("podSelector") or {})
    parts = [f"{one.key}={one.values[0]}" for one in chosen.requirements if one.operator == "In" and one.values]
    return ",".join(parts) or "<none>"


KIND = Kind(
    "networking.k8s.io",
    "v1",
    "NetworkPolicy",
    "networkpolicies",
    Component("apis_networking.k8s.io_v1.json", "io.k8s.api.networking.v1.NetworkPolicy"),
    singular="networkpolicy",
    short_names=("netpol",),
    default=default,
    validate=validate,
    strategy=Strategy(status=False),
    columns=(NAME, Column("Pod-Selector", _selector), AGE),
)
