"""Ingress as Kubernetes 1.36 stores it (`pkg/apis/networking/validation`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names, wording
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_WILDCARD = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', "
    "regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_HOSTS_SHOWN = 3


def prepare(new: Object, old: Object | None) -> Object:
    """A new ingress has no address."""
    return {**new, "status": {"loadBalancer": {}}} if old is None else new


def validate(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    spec: Mapping[str, Any] = new.get("spec") or {}
    rules, backend = spec.get("rules"), spec.get("defaultBackend")
    out: list[Cause] = []
    if not rules and backend is None:
        text = "either `defaultBackend` or `rules` must be specified"
        out.append(wording.invalid("spec", None, text))
    if backend is not None:
        out += _backend_causes(backend, "spec.defaultBackend")
    for index, rule in enumerate(rules or ()):
        out += _rule_causes(rule, f"spec.rules[{index}]")
    for index, tls in enumerate(spec.get("tls") or ()):
        for number, host in enumerate(tls.get("hosts") or ()):
            out += _host_causes(host, f"spec.tls[{index}].hosts[{number}]")
    name = spec.get("ingressClassName")
    if name is not None:
        out += [wording.invalid("spec.ingressClassName", name, text) for text in names.dns_subdomain(name)]
    return out


def _host_causes(host: str, field: str) -> list[Cause]:
    if "*" in host:
        rest = host.removeprefix("*.")
        good = host.startswith("*.") and not names.dns_subdomain(rest)
        return [] if good else [wording.invalid(field, host, _WILDCARD)]
    return [wording.invalid(field, host, text) for text in names.dns_subdomain(host)]


def _rule_causes(rule: Mapping[str, Any], field: str) -> list[Cause]:
    out = _host_causes(rule["host"], f"{field}.host") if rule.get("host") else []
    http = rule.get("http")
    if http is None:
        return out
    if not http.get("paths"):
        out.append(wording.required(f"{field}.http.paths"))
    for index, path in enumerate(http.get("paths") or ()):
        out += _path_causes(path, f"{field}.http.paths[{index}]")
    return out


def _path_causes(path: Mapping[str, Any], field: str) -> list[Cause]:
    kind, text = path.get("pathType"), path.get("path", "")
    if not kind:
        return [wording.required(f"{field}.pathType", "pathType must be specified")]
    out: list[Cause] = []
    if kind not in _PATH_TYPES:
        out.append(wording.unsupported(f"{field}.pathType", kind, _PATH_TYPES))
    elif kind in ("Exact", "Prefix") and not text.startswith("/"):
        out.append(wording.invalid(f"{field}.path", text, "must be an absolute path"))
    elif kind in ("Exact", "Prefix"):
        for part in ("//", "/./", "/../", "%2f", "%2F"):
            if part in text:
                out.append(wording.invalid(f"{field}.path", text, f"must not contain '{part}'"))
    return out + _backend_causes(path.get("backend") or {}, f"{field}.backend")


def _backend_causes(backend: Mapping[str, Any], field: str) -> list[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [wording.invalid(field, "", "cannot set both resource and service backends")]
    if service is None and resource is None:
        return [wording.invalid(field, "", "resource or service backend is required")]
    if service is None:
        return []
    out: list[Cause] = []
    if not service.get("name"):
        out.append(wording.required(f"{field}.service.name"))
    else:
        out += [
            wording.invalid(f"{field}.service.name", service["name"], m) for m in names.dns1035_label(service["name"])
        ]
    port = service.get("port") or {}
    if port.get("name") and port.get("number"):
        out.append(wording.invalid(field, "", "cannot set both port name & port number"))
    elif port.get("name"):
        out += [wording.invalid(f"{field}.service.port.name", port["name"], m) for m in names.port_name(port["name"])]
    elif not 1 <= port.get("number", 0) <= 65_535:
        if port.get("number"):
            text = "must be between 1 and 65535, inclusive"
            out.append(wording.invalid(f"{field}.service.port.number", port["number"], text))
        else:
            out.append(wording.required(field, "port name or number is required"))
    return out


def _hosts(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
    hosts = [rule["host"] for rule in obj["spec"].get("rules") or () if rule.get("host")]
    if not hosts:
        return "*"
    shown = ",".join(hosts[:_HOSTS_SHOWN])
    return f"{shown} + {len(hosts) - _HOSTS_SHOWN} more..." if len(hosts) > _HOSTS_SHOWN else shown


def _address(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
    points = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(point.get("ip") or point.get("hostname", "") for point in points)


KIND = Kind(
    "networking.k8s.io",
    "v1",
    "Ingress",
    "ingresses",
    Component("apis_networking.k8s.io_v1.json", "io.k8s.api.networking.v1.Ingress"),
    singular="ingress",
    short_names=("ing",),
    validate=validate,
    strategy=Strategy(prepare=prepare),
    columns=(
        NAME,
        Column("Class", lambda obj, _now: obj["spec"].get("ingressClassName") or "<none>"),
        Column("Hosts", _hosts),
        Column("Address", _address),
        Column("Ports", lambda obj, _now: "80, 443" if obj["spec"].get("tls") else "80"),
        AGE,
    ),
)
