"""Targets from cluster objects, with the `__meta_kubernetes_…` labels of Prometheus' own discovery.

Roles pod and endpointslice of `discovery/kubernetes` (Prometheus 3), as pure functions from objects to groups.
`monitors` turns ServiceMonitors, PodMonitors and annotations into scrape configs over these groups. No store, no
watch: the caller lists objects and calls again when they change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.signals.metrics.scrape_config import TargetGroup

META = "__meta_kubernetes_"
_NOT_A_NAME = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(frozen=True, slots=True)
class ClusterObjects:
    """What discovery looks at: wire-shaped objects in creation order."""

    pods: Sequence[Object] = ()
    services: Sequence[Object] = ()
    endpoint_slices: Sequence[Object] = ()


def label_name(text: str) -> str:
    """A Kubernetes key as a label name: everything odd becomes an underscore."""
    return _NOT_A_NAME.sub("_", text)


def object_labels(obj: Object, role: str) -> dict[str, str]:
    """Name, labels and annotations of an object under its role's prefix."""
    metadata = obj.get("metadata") or {}
    found = {f"{META}{role}_name": metadata.get("name", "")}
    for kind in ("label", "annotation"):
        for key, value in (metadata.get(f"{kind}s") or {}).items():
            found[f"{META}{role}_{kind}_{label_name(key)}"] = str(value)
            found[f"{META}{role}_{kind}present_{label_name(key)}"] = "true"
    return found


def pod_labels(pod: Object) -> dict[str, str]:
    """What is known of a pod as a whole."""
    status, spec, metadata = pod.get("status") or {}, pod.get("spec") or {}, pod.get("metadata") or {}
    ready = next((c.get("status") for c in status.get("conditions") or () if c.get("type") == "Ready"), "Unknown")
    found = {
        f"{META}pod_ip": status.get("podIP", ""),
        f"{META}pod_ready": str(ready).lower(),
        f"{META}pod_phase": status.get("phase", ""),
        f"{META}pod_node_name": spec.get("nodeName", ""),
        f"{META}pod_host_ip": status.get("hostIP", ""),
        f"{META}pod_uid": metadata.get("uid", ""),
        **object_labels(pod, "pod"),
    }
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            found[f"{META}pod_controller_kind"] = owner.get("kind", "")
            found[f"{META}pod_controller_name"] = owner.get("name", "")
    return found


def pod_groups(objects: ClusterObjects, namespaces: Iterable[str] | None = None) -> list[TargetGroup]:
    """Role pod: one target per container port, one without port for a container that declares none."""
    wanted = None if namespaces is None else list(namespaces)
    groups = []
    for pod in objects.pods:
        namespace, name = _identity(pod)
        if (wanted is not None and namespace not in wanted) or not (pod.get("status") or {}).get("podIP"):
            continue
        labels = {**pod_labels(pod), f"{META}namespace": namespace}
        groups.append(TargetGroup(tuple(_container_targets(pod)), labels, f"pod/{namespace}/{name}"))
    return groups


def _identity(obj: Object) -> tuple[str, str]:
    metadata = obj.get("metadata") or {}
    return metadata.get("namespace", ""), metadata.get("name", "")


def _containers(pod: Object) -> list[tuple[Mapping[str, Any], bool]]:
    spec = pod.get("spec") or {}
    own = [(container, False) for container in spec.get("containers") or ()]
    return own + [(container, True) for container in spec.get("initContainers") or ()]


def _container_targets(pod: Object) -> Iterable[dict[str, str]]:
    address = pod["status"]["podIP"]
    for container, init in _containers(pod):
        if not container.get("ports"):
            yield {"__address__": address, **_container_labels(container, None, init)}
        for port in container.get("ports") or ():
            yield {"__address__": _join(address, port["containerPort"]), **_container_labels(container, port, init)}


def _container_labels(container: Mapping[str, Any], port: Mapping[str, Any] | None, init: bool) -> dict[str, str]:
    found = {
        f"{META}pod_container_name": container.get("name", ""),
        f"{META}pod_container_image": container.get("image", ""),
        f"{META}pod_container_init": "true" if init else "false",
    }
    if port is not None:
        found[f"{META}pod_container_port_name"] = port.get("name", "")
        found[f"{META}pod_container_port_number"] = str(port["containerPort"])
        found[f"{META}pod_container_port_protocol"] = port.get("protocol", "TCP")
    return found


def _join(address: str, port: Any) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def endpoint_groups(objects: ClusterObjects, namespaces: Iterable[str] | None = None) -> list[TargetGroup]:
    """Role endpointslice: one target per address and port, then the pods' other container ports."""
    wanted = None if namespaces is None else list(namespaces)
    pods = {_identity(pod): pod for pod in objects.pods}
    services = {_identity(service): service for service in objects.services}
    groups = []
    for slice_ in objects.endpoint_slices:
        namespace, name = _identity(slice_)
        if wanted is not None and namespace not in wanted:
            continue
        labels = {f"{META}namespace": namespace, f"{META}endpointslice_address_type": slice_.get("addressType", "")}
        labels |= object_labels(slice_, "endpointslice")
        owner = (slice_["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
        service = services.get((namespace, owner))
        if service is not None:
            labels |= object_labels(service, "service")
        targets = _endpoint_targets(slice_, namespace, pods)
        groups.append(TargetGroup(tuple(targets), labels, f"endpointslice/{namespace}/{name}"))
    return groups


def _endpoint_targets(slice_: Object, namespace: str, pods: Mapping[tuple[str, str], Object]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    served: dict[tuple[str, str], list[Any]] = {}
    for endpoint in slice_.get("endpoints") or ():
        reference = endpoint.get("targetRef") or {}
        key = (reference.get("namespace") or namespace, reference.get("name", ""))
        pod = pods.get(key) if reference.get("kind") == "Pod" else None
        for port in slice_.get("ports") or ():
            for address in endpoint.get("addresses") or ():
                target = _endpoint_labels(address, endpoint, port)
                if pod is not None:
                    served.setdefault(key, []).append(port.get("port"))
                    target |= pod_labels(pod) | _matching_port(pod, port.get("port"))
                found.append(target)
    for key, ports in served.items():
        found += _other_ports(pods[key], ports)
    return found


def _endpoint_labels(address: str, endpoint: Mapping[str, Any], port: Mapping[str, Any]) -> dict[str, str]:
    prefix = f"{META}endpointslice_"
    number = port.get("port")
    found = {"__address__": address if number is None else _join(address, number)}
    given = {
        "port_name": port.get("name"),
        "port_protocol": port.get("protocol"),
        "port": number,
        "port_app_protocol": port.get("appProtocol"),
        "endpoint_hostname": endpoint.get("hostname"),
        "endpoint_node_name": endpoint.get("nodeName"),
        "endpoint_zone": endpoint.get("zone"),
    }
    if endpoint.get("targetRef"):
        given |= {f"address_target_{part}": endpoint["targetRef"].get(part) for part in ("kind", "name")}
    found |= {prefix + name: str(value) for name, value in given.items() if value is not None}
    for condition, value in (endpoint.get("conditions") or {}).items():
        if value is not None:
            found[f"{prefix}endpoint_conditions_{condition}"] = "true" if value else "false"
    return found


def _matching_port(pod: Object, number: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for container, init in _containers(pod):
        port = next((p for p in container.get("ports") or () if p["containerPort"] == number), None)
        if port is not None and number is not None:
            found |= _container_labels(container, port, init)
    return found


def _other_ports(pod: Object, served: Sequence[Any]) -> Iterable[dict[str, str]]:
    address = (pod.get("status") or {}).get("podIP", "")
    if not address:
        return
    whole = pod_labels(pod)
    for container, init in _containers(pod):
        for port in container.get("ports") or ():
            if port["containerPort"] not in served:
                own = _container_labels(container, port, init)
                yield {"__address__": _join(address, port["containerPort"]), **own, **whole}
