"""Cluster addresses and node ports: given when a service is stored, kept as long as it lives
(registry/core/service/storage/alloc.go).

An address depends on the service's name only, moved on while it is taken, so that the same files get the same
addresses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pilothouse.base.actions import Object

_NETWORK = (10, 96)
_HOSTS = 65_534
"""Addresses of 10.96.0.0/16, kubeadm's default service range."""
_NODE_PORTS = (30_000, 2_768)
"""First and count: upstream's default --service-node-port-range."""

AllServices = Callable[[], Iterable[Object]]


def allocate(new: Object, old: Object | None, services: AllServices) -> Object:
    """The service with clusterIP(s), families and nodePorts; what it had stays."""
    spec = dict(new["spec"])
    before = old["spec"] if old is not None else {}
    if spec["type"] == "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            spec.pop(field, None)
    else:
        _address(new, spec, before, services)
    if _wants_node_ports(spec):
        _node_ports(new, spec, before, services)
    if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
        _health_port(new, spec, before, services)
    return new if spec == new["spec"] else {**new, "spec": spec}


def _address(obj: Object, spec: dict[str, Any], before: Mapping[str, Any], services: AllServices) -> None:
    if not spec.get("clusterIP"):
        spec["clusterIP"] = before.get("clusterIP") or _free_address(obj, services)
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    if spec["clusterIP"] == "None" and not spec.get("selector"):
        spec.setdefault("ipFamilies", ["IPv4", "IPv6"])
        spec.setdefault("ipFamilyPolicy", "RequireDualStack")
    else:
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")


def _free_address(obj: Object, services: AllServices) -> str:
    used = {service["spec"].get("clusterIP") for service in services()}
    first = _digest(obj, "address") % _HOSTS
    for step in range(_HOSTS):
        number = (first + step) % _HOSTS + 1
        address = f"{_NETWORK[0]}.{_NETWORK[1]}.{number // 256}.{number % 256}"
        if address not in used:
            return address
    return ""


def _wants_node_ports(spec: Mapping[str, Any]) -> bool:
    if spec["type"] == "NodePort":
        return True
    return spec["type"] == "LoadBalancer" and bool(spec.get("allocateLoadBalancerNodePorts", True))


def _node_ports(obj: Object, spec: dict[str, Any], before: Mapping[str, Any], services: AllServices) -> None:
    had = {(p.get("protocol"), p.get("port")): p.get("nodePort") for p in before.get("ports", ())}
    used: dict[int, None] = {}
    ports = []
    for port in spec.get("ports", ()):
        if not port.get("nodePort"):
            number = had.get((port.get("protocol"), port.get("port")))
            if number is None:
                if not used:
                    used = {
                        p["nodePort"]: None for s in services() for p in s["spec"].get("ports", ()) if p.get("nodePort")
                    }
                number = _free_port(obj, port, used)
                used[number] = None
            port = {**port, "nodePort": number}
        ports.append(port)
    spec["ports"] = ports


def _used_ports(services: AllServices) -> dict[int, None]:
    specs = [service["spec"] for service in services()]
    ports = [port.get("nodePort") for spec in specs for port in spec.get("ports", ())]
    return dict.fromkeys(port for port in [*ports, *(spec.get("healthCheckNodePort") for spec in specs)] if port)


def _health_port(obj: Object, spec: dict[str, Any], before: Mapping[str, Any], services: AllServices) -> None:
    if not spec.get("healthCheckNodePort"):
        used = _used_ports(services) | dict.fromkeys(port.get("nodePort", 0) for port in spec.get("ports", ()))
        spec["healthCheckNodePort"] = before.get("healthCheckNodePort") or _free_port(obj, {"port": "health"}, used)


def _free_port(obj: Object, port: Mapping[str, Any], used: Mapping[int, None]) -> int:
    low, count = _NODE_PORTS
    first = _digest(obj, f"{port.get('protocol')}{port.get('port')}") % count
    return next(
        (low + (first + step) % count for step in range(count) if low + (first + step) % count not in used), low
    )


def _digest(obj: Object, what: str) -> int:
    metadata = obj["metadata"]
    text = f"{metadata.get('namespace', '')}/{metadata['name']}/{what}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
