"""What is wrong with a container: ports, environment, mounts, resources, probes (Kubernetes 1.36 core `validation.go`).

Fields in causes are relative to the pod spec (`containers[0].image`); `podspec` puts the spec's own path in front.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pilothouse.base import quantity
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names, wording

_PORT_RANGE = "must be between 1 and 65535, inclusive"
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage")


def container_causes(
    container: Mapping[str, Any], field: str, volumes: Iterable[str], host_network: bool
) -> list[Cause]:
    """Causes for one container of any list; `volumes`: names that a mount may refer to."""
    out: list[Cause] = []
    name = container.get("name", "")
    if not name:
        out.append(wording.required(f"{field}.name"))
    else:
        out += [wording.invalid(f"{field}.name", name, text) for text in names.dns_label(name)]
    image = container.get("image", "")
    if not image:
        out.append(wording.required(f"{field}.image"))
    elif image != image.strip():
        out.append(wording.invalid(f"{field}.image", image, "must not have leading or trailing whitespace"))
    out += _ports(container.get("ports", ()), f"{field}.ports", host_network)
    out += _environment(container.get("env", ()), f"{field}.env")
    for index, source in enumerate(container.get("envFrom", ())):
        out += _environment_source(source, f"{field}.envFrom[{index}]")
    out += _mounts(container.get("volumeMounts", ()), f"{field}.volumeMounts", tuple(volumes))
    out += resource_causes(container.get("resources") or {}, f"{field}.resources")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe) is not None:
            out += _probe(container[probe], f"{field}.{probe}", only_once=probe != "readinessProbe")
    for hook, handler in (container.get("lifecycle") or {}).items():
        if isinstance(handler, Mapping):
            out += _handler(handler, f"{field}.lifecycle.{hook}")
    return out


def port_causes(port: Any, field: str) -> list[Cause]:
    """Causes for a port that may be a number or a port name."""
    if isinstance(port, str):
        if not port:
            return [wording.required(field)]
        return [wording.invalid(field, port, text) for text in names.port_name(port)]
    return [] if isinstance(port, int) and 0 < port < 65536 else [wording.invalid(field, port or 0, _PORT_RANGE)]


def _ports(ports: Iterable[Mapping[str, Any]], field: str, host_network: bool) -> list[Cause]:
    out: list[Cause] = []
    seen: list[str] = []
    for index, port in enumerate(ports):
        at = f"{field}[{index}]"
        name, number, host = port.get("name", ""), port.get("containerPort", 0), port.get("hostPort", 0)
        if name:
            problems = names.port_name(name)
            out += [wording.invalid(f"{at}.name", name, text) for text in problems]
            if not problems and name in seen:
                out.append(wording.duplicate(f"{at}.name", name))
            seen.append(name)
        if number == 0:
            out.append(wording.required(f"{at}.containerPort"))
        else:
            out += port_causes(number, f"{at}.containerPort")
        if host:
            out += port_causes(host, f"{at}.hostPort")
        if host_network and host != number:
            out.append(wording.invalid(f"{at}.hostPort", host, "must match `containerPort` when `hostNetwork` is true"))
    return out


def _environment(variables: Iterable[Mapping[str, Any]], field: str) -> list[Cause]:
    out: list[Cause] = []
    for index, variable in enumerate(variables):
        at = f"{field}[{index}]"
        name = variable.get("name", "")
        if not name:
            out.append(wording.required(f"{at}.name"))
        else:
            out += [wording.invalid(f"{at}.name", name, text) for text in names.environment_name(name)]
        if variable.get("valueFrom") is not None:
            out += _value_from(variable, f"{at}.valueFrom")
    return out


def _value_from(variable: Mapping[str, Any], field: str) -> list[Cause]:
    source = variable["valueFrom"]
    given = [key for key in _ENV_SOURCES if key in source]
    out: list[Cause] = []
    if not given:
        listed = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        return [wording.invalid(field, "", f"must specify one of: {listed}")]
    if variable.get("value"):
        out.append(wording.invalid(field, "", "may not be specified when `value` is not empty"))
    elif len(given) > 1:
        out.append(wording.invalid(field, "", "may not have more than one field specified at a time"))
    for key in ("configMapKeyRef", "secretKeyRef"):
        reference = source.get(key)
        if reference is not None:
            if not reference.get("name"):
                out.append(wording.required(f"{field}.{key}.name"))
            if not reference.get("key"):
                out.append(wording.required(f"{field}.{key}.key"))
            else:
                out += [
                    wording.invalid(f"{field}.{key}.key", reference["key"], m) for m in names.data_key(reference["key"])
                ]
    if source.get("fieldRef") is not None:
        out += _field_reference(source["fieldRef"], f"{field}.fieldRef")
    if source.get("resourceFieldRef") is not None and not source["resourceFieldRef"].get("resource"):
        out.append(wording.required(f"{field}.resourceFieldRef.resource"))
    return out


def _field_reference(reference: Mapping[str, Any], field: str) -> list[Cause]:
    path = reference.get("fieldPath", "")
    if not path:
        return [wording.required(f"{field}.fieldPath")]
    if path in _ENV_FIELDS or path.startswith(("metadata.labels['", "metadata.annotations['")):
        return []
    return [wording.unsupported(f"{field}.fieldPath", path, sorted(_ENV_FIELDS))]


def _environment_source(source: Mapping[str, Any], field: str) -> list[Cause]:
    given = [key for key in ("configMapRef", "secretRef") if source.get(key) is not None]
    if not given:
        return [wording.invalid(field, "", "must specify one of: `configMapRef` or `secretRef`")]
    out = [wording.required(f"{field}.{key}.name") for key in given if not source[key].get("name")]
    if len(given) > 1:
        out.append(wording.invalid(field, "", "may not have more than one field specified at a time"))
    return out


def _mounts(mounts: Iterable[Mapping[str, Any]], field: str, volumes: tuple[str, ...]) -> list[Cause]:
    out: list[Cause] = []
    seen: list[str] = []
    for index, mount in enumerate(mounts):
        at = f"{field}[{index}]"
        name, path = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            out.append(wording.required(f"{at}.name"))
        elif name not in volumes:
            out.append(wording.not_found(f"{at}.name", name))
        if not path:
            out.append(wording.required(f"{at}.mountPath"))
        elif path in seen:
            out.append(wording.invalid(f"{at}.mountPath", path, "must be unique"))
        seen.append(path)
        sub_path = mount.get("subPath", "")
        if sub_path.startswith("/"):
            out.append(wording.invalid(f"{at}.subPath", sub_path, "must be a relative path"))
        elif ".." in sub_path.split("/"):
            out.append(wording.invalid(f"{at}.subPath", sub_path, "must not contain '..'"))
    return out


def resource_causes(resources: Mapping[str, Any], field: str) -> list[Cause]:
    """Causes for `v1.ResourceRequirements`: no negative amounts, known resource names, requests within limits."""
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    out: list[Cause] = []
    for name, text in limits.items():
        out += _amount(name, text, f"{field}.limits[{name}]")
    for name, text in requests.items():
        out += _amount(name, text, f"{field}.requests[{name}]")
        if name in limits and quantity.parse(text) > quantity.parse(limits[name]):
            detail = f"must be less than or equal to {name} limit of {limits[name]}"
            out.append(wording.invalid(f"{field}.requests", text, detail))
    return out


def _amount(name: str, text: str, field: str) -> list[Cause]:
    out = [wording.invalid(field, name, problem) for problem in names.qualified_name(name)]
    if not out and "/" not in name and name not in _STANDARD_RESOURCES and not name.startswith("hugepages-"):
        out.append(wording.invalid(field, name, "must be a standard resource for containers"))
    if quantity.parse(text) < 0:
        out.append(wording.negative(field, text))
    return out


def _probe(probe: Mapping[str, Any], field: str, *, only_once: bool) -> list[Cause]:
    out = _handler(probe, field)
    for key in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if probe.get(key, 0) < 0:
            out.append(wording.negative(f"{field}.{key}", probe[key]))
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        out.append(wording.invalid(f"{field}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    if only_once and probe.get("successThreshold", 1) != 1:
        out.append(wording.invalid(f"{field}.successThreshold", probe["successThreshold"], "must be 1"))
    return out


def _handler(holder: Mapping[str, Any], field: str) -> list[Cause]:
    given = [key for key in _HANDLERS if holder.get(key) is not None]
    if not given:
        return [wording.required(field, "must specify a handler type")]
    out = [wording.forbidden(f"{field}.{key}", "may not specify more than 1 handler type") for key in given[1:]]
    kind, action = given[0], holder[given[0]]
    if kind == "exec" and not action.get("command"):
        out.append(wording.required(f"{field}.exec.command"))
    elif kind == "httpGet" and not action.get("path"):
        out.append(wording.required(f"{field}.httpGet.path"))
    if kind in ("httpGet", "tcpSocket", "grpc"):
        out += port_causes(action.get("port", 0), f"{field}.{kind}.port")
    return out
