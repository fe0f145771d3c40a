"""What is read of Services, EndpointSlices and Pods, and how a Pod becomes an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.engines.rolling.views import PodView

Endpoint = Mapping[str, Any]
Identity = tuple[str, ...]


class ServiceMeta(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    deletionTimestamp: str | None = None
    labels: Any = None


class ServiceSpec(msgspec.Struct, frozen=True, gc=False):
    type: str = "ClusterIP"
    clusterIP: str = ""
    publishNotReadyAddresses: bool = False
    selector: Any = None
    ports: Any = None
    ipFamilies: Any = None


_NO_SPEC = ServiceSpec()


class ServiceView(msgspec.Struct, frozen=True, gc=False):
    metadata: ServiceMeta
    spec: ServiceSpec = _NO_SPEC


class SliceMeta(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: Any = None
    ownerReferences: Any = None


class SliceView(msgspec.Struct, frozen=True, gc=False):
    metadata: SliceMeta
    addressType: str = "IPv4"
    endpoints: Any = None
    ports: Any = None


def addresses(pod: PodView, address_type: str) -> list[str]:
    """The pod's addresses of one family, in the order of its status."""
    status = pod.status
    ips = [entry["ip"] for entry in status.podIPs or () if entry.get("ip")] or ([status.podIP] if status.podIP else [])
    return [ip for ip in ips if (":" in ip) == (address_type == "IPv6")]


def belongs(pod: PodView) -> bool:
    """Whether a pod can be an endpoint at all: it has an address and has not ended; terminating ones stay in."""
    return not pod.ended and bool(pod.status.podIPs or pod.status.podIP)


@dataclass(slots=True)
class Made:
    """A pod's endpoint, kept with the pod's version: Services of thousands of pods look at it after every change.

    made_for: all that it depends on besides the pod. endpoint: becomes the stored one when that is equal, so that the
    next look compares by identity.
    """

    made_for: tuple[str, str, bool, str]
    identity: Identity
    endpoint: Endpoint


def made_endpoint(pod: PodView, service: ServiceView, address_type: str, zone: str) -> Made:
    """The endpoint of one pod; zone is "" when its node has none."""
    spec = pod.spec
    hostname = ""
    if spec.hostname and spec.subdomain == service.metadata.name:
        hostname = spec.hostname
    made_for = (address_type, zone, service.spec.publishNotReadyAddresses, hostname)
    made = pod.derived
    if made is None or made.made_for != made_for:
        endpoint = _endpoint(pod, *made_for)
        made = pod.derived = Made(made_for, identity(endpoint), endpoint)
    found: Made = made
    return found


def _endpoint(pod: PodView, address_type: str, zone: str, publish_not_ready: bool, hostname: str) -> dict[str, Any]:
    """`ready` is never true while terminating, unless the Service publishes unready addresses."""
    meta = pod.metadata
    terminating = meta.deletionTimestamp is not None
    endpoint: dict[str, Any] = {
        "addresses": addresses(pod, address_type),
        "conditions": {
            "ready": publish_not_ready or (pod.ready and not terminating),
            "serving": pod.ready,
            "terminating": terminating,
        },
        "targetRef": {"kind": "Pod", "namespace": meta.namespace, "name": meta.name, "uid": meta.uid},
    }
    if hostname:
        endpoint["hostname"] = hostname
    if pod.spec.nodeName:
        endpoint["nodeName"] = pod.spec.nodeName
    if zone:
        endpoint["zone"] = zone
    return endpoint


def identity(endpoint: Endpoint) -> Identity:
    """What makes an endpoint the same one although its conditions change."""
    target = endpoint.get("targetRef") or {}
    return (target.get("uid", ""), endpoint.get("nodeName", ""), endpoint.get("hostname", ""), *endpoint["addresses"])


def same_endpoint(left: PodView, right: PodView) -> bool:
    """Whether two versions of a pod give equal endpoints and match the same Services."""
    before, after = left.metadata, right.metadata
    return (
        left.ready == right.ready
        and left.ended == right.ended
        and (before.deletionTimestamp is None) == (after.deletionTimestamp is None)
        and left.spec.nodeName == right.spec.nodeName
        and left.status.podIP == right.status.podIP
        and left.status.podIPs == right.status.podIPs
        and before.labels == after.labels
    )
