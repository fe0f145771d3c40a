"""The kind discovery.k8s.io/EndpointSlice: names, defaults, rules and columns.

Source: Kubernetes 1.36 `pkg/apis/discovery/v1/defaults.go`, `pkg/apis/discovery/validation`, `pkg/printers`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names, wording
from pilothouse.engines.schema.sharing import change, change_each, fill
from pilothouse.engines.schema.structure import fresh
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_MAX_ENDPOINTS, _MAX_PORTS, _MAX_ADDRESSES = 1000, 20000, 100
_SHOWN = 3


def default(obj: Object) -> Object:
    out: Object = change(obj, "ports", lambda ports: change_each(ports, _default_port))
    return out


def _default_port(port: Any) -> Any:
    return fill(port, {"name": "", "protocol": "TCP"})


def validate(new: Object, old: Object | None) -> list[Cause]:
    address_type = new.get("addressType", "")
    causes: list[Cause] = []
    if not address_type:
        causes.append(wording.required("addressType"))
    elif address_type not in _ADDRESS_TYPES:
        causes.append(wording.unsupported("addressType", address_type, _ADDRESS_TYPES))
    causes += _endpoints_causes(new.get("endpoints") or (), address_type, (old or {}).get("endpoints") or ())
    causes += _ports_causes(new.get("ports") or ())
    if old is not None and address_type != old.get("addressType"):
        causes.append(wording.invalid("addressType", address_type, "field is immutable"))
    return causes


def _endpoints_causes(
    endpoints: Sequence[Mapping[str, Any]], address_type: str, accepted: Sequence[Mapping[str, Any]]
) -> list[Cause]:
    if len(endpoints) > _MAX_ENDPOINTS:
        return [wording.too_many("endpoints", len(endpoints), _MAX_ENDPOINTS)]
    causes: list[Cause] = []
    # Slices change one endpoint at a time: those that were stored as they are have been looked at before.
    for index in fresh(endpoints, accepted):
        endpoint = endpoints[index]
        field = f"endpoints[{index}]"
        addresses = endpoint.get("addresses") or ()
        if not addresses:
            causes.append(wording.required(f"{field}.addresses", "must contain at least 1 address"))
        elif len(addresses) > _MAX_ADDRESSES:
            causes.append(wording.too_many(f"{field}.addresses", len(addresses), _MAX_ADDRESSES))
        for number, address in enumerate(addresses):
            causes += _address_causes(address, address_type, f"{field}.addresses[{number}]")
        for name in ("nodeName", "hostname"):
            if endpoint.get(name):
                rule = names.dns_label if name == "hostname" else names.dns_subdomain
                causes += [wording.invalid(f"{field}.{name}", endpoint[name], text) for text in rule(endpoint[name])]
    return causes


def _address_causes(address: str, address_type: str, field: str) -> list[Cause]:
    if address_type == "FQDN":
        return [wording.invalid(field, address, text) for text in names.dns_subdomain(address)]
    version = {"IPv4": 4, "IPv6": 6}.get(address_type)
    if version is None:
        return []
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        text = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        return [wording.invalid(field, address, text)]
    if found.version != version:
        return [wording.invalid(field, address, f"must be a valid {address_type} address")]
    if found.is_unspecified:
        return [wording.invalid(field, address, f"may not be unspecified ({address})")]
    if found.is_loopback or found.is_link_local:
        where = (
            "loopback range (127.0.0.0/8, ::1/128)"
            if found.is_loopback
            else "link-local range (169.254.0.0/16, fe80::/10)"
        )
        return [wording.invalid(field, address, f"may not be in the {where}")]
    return []


def _ports_causes(ports: Sequence[Mapping[str, Any]]) -> list[Cause]:
    if len(ports) > _MAX_PORTS:
        return [wording.too_many("ports", len(ports), _MAX_PORTS)]
    causes: list[Cause] = []
    seen: dict[str, None] = {}
    for index, port in enumerate(ports):
        field, name = f"ports[{index}]", port.get("name", "")
        if name:
            causes += [wording.invalid(f"{field}.name", name, text) for text in names.dns_label(name)]
        if name in seen:
            causes.append(wording.duplicate(f"{field}.name", name))
        seen[name] = None
        if not port.get("protocol"):
            causes.append(wording.required(f"{field}.protocol"))
        elif port["protocol"] not in _PROTOCOLS:
            causes.append(wording.unsupported(f"{field}.protocol", port["protocol"], _PROTOCOLS))
        number = port.get("port")
        if number is not None and not 1 <= number <= 65535:
            causes.append(wording.invalid(f"{field}.port", number, "must be between 1 and 65535, inclusive"))
        if port.get("appProtocol"):
            texts = names.qualified_name(port["appProtocol"])
            causes += [wording.invalid(f"{field}.appProtocol", port["appProtocol"], text) for text in texts]
    return causes


def _listed(values: Sequence[str]) -> str:
    if len(values) <= _SHOWN:
        return ",".join(values)
    return f"{','.join(values[:_SHOWN])} + {len(values) - _SHOWN} more..."


def _ports(obj: Object, _now_s: float) -> str:
    ports = obj.get("ports") or ()
    return _listed([str(p["port"]) if p.get("port") else "*" for p in ports]) if ports else "<unset>"


def _endpoints(obj: Object, _now_s: float) -> str:
    endpoints = obj.get("endpoints") or ()
    return _listed([a for endpoint in endpoints for a in endpoint["addresses"]]) if endpoints else "<unset>"


KIND = Kind(
    group="discovery.k8s.io",
    version="v1",
    kind="EndpointSlice",
    plural="endpointslices",
    schema=Component("apis_discovery.k8s.io_v1.json", "io.k8s.api.discovery.v1.EndpointSlice"),
    default=default,
    validate=validate,
    strategy=Strategy(status=False),
    columns=(
        NAME,
        Column("AddressType", lambda obj, _now_s: obj["addressType"]),
        Column("Ports", _ports),
        Column("Endpoints", _endpoints),
        AGE,
    ),
)
