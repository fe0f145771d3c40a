"""Which Endpoints a Service has: what its EndpointSlices say, in the older form.

Source: `pkg/controller/endpoint`, `endpoints.RepackSubsets`, Kubernetes 1.36. Upstream reads pods again; the slices
hold the same choice, made once. Called by `controller.py`; performs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilothouse.base.actions import Create, Decision, Delete, Object, Patch

KIND_NAME = "Endpoints"
MANAGED_BY, MANAGER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
HEADLESS = "service.kubernetes.io/headless"
MAX_ADDRESSES = 1000
"""Upstream's limit; what is beyond it is left out, and an annotation says so."""


def decide(service: Object | None, slices: Sequence[Object], present: Object | None) -> Decision:
    """service: None when it is gone. slices: those of the Service; present: its Endpoints as stored."""
    if service is None:
        if present is None or _manager(present) != MANAGER:
            return Decision()
        meta = present["metadata"]
        return Decision((Delete(KIND_NAME, meta["namespace"], meta["name"], uid=meta["uid"]),))
    if not (service.get("spec") or {}).get("selector"):
        return Decision()
    wanted = _wanted(service, slices)
    meta = wanted["metadata"]
    if present is None:
        return Decision((Create(KIND_NAME, wanted),))
    patch = _difference(present, wanted)
    return Decision((Patch(KIND_NAME, meta["namespace"], meta["name"], patch),)) if patch else Decision()


def _manager(endpoints: Object) -> str:
    return str((endpoints["metadata"].get("labels") or {}).get(MANAGED_BY, ""))


def _wanted(service: Object, slices: Sequence[Object]) -> dict[str, Any]:
    source = service["metadata"]
    labels = {**(source.get("labels") or {}), MANAGED_BY: MANAGER}
    if service["spec"].get("clusterIP") == "None":
        labels[HEADLESS] = ""
    subsets, cut = _subsets(service, slices)
    metadata: dict[str, Any] = {"name": source["name"], "namespace": source["namespace"], "labels": labels}
    if cut:
        metadata["annotations"] = {OVER_CAPACITY: "truncated"}
    wanted: dict[str, Any] = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
    return {**wanted, "subsets": subsets} if subsets else wanted


def _subsets(service: Object, slices: Sequence[Object]) -> tuple[list[dict[str, Any]], bool]:
    """Addresses grouped by their ports, and whether some were left out."""
    family = (service["spec"].get("ipFamilies") or ["IPv4"])[0]
    groups: dict[str, dict[str, Any]] = {}
    count, cut = 0, False
    for slice_ in slices:
        if slice_.get("addressType") != family:
            continue
        ports = sorted((_port(port) for port in slice_.get("ports") or ()), key=repr)
        group = groups.setdefault(repr(ports), {"ports": ports, "ready": {}, "waiting": {}})
        for endpoint in slice_.get("endpoints") or ():
            conditions = endpoint.get("conditions") or {}
            if conditions.get("terminating"):
                continue
            if count >= MAX_ADDRESSES:
                cut = True
                break
            count += 1
            address = _address(endpoint)
            group["ready" if conditions.get("ready", True) else "waiting"][address["ip"]] = address
    return [_subset(group) for _, group in sorted(groups.items()) if group["ready"] or group["waiting"]], cut


def _subset(group: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, part in (("addresses", "ready"), ("notReadyAddresses", "waiting")):
        if group[part]:
            out[key] = [address for _, address in sorted(group[part].items())]
    if group["ports"]:
        out["ports"] = group["ports"]
    return out


def _port(port: Mapping[str, Any]) -> dict[str, Any]:
    return {key: port[key] for key in ("name", "port", "protocol", "appProtocol") if port.get(key)}


def _address(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {"ip": endpoint["addresses"][0]}
    for key in ("hostname", "nodeName", "targetRef"):
        if endpoint.get(key):
            out[key] = endpoint[key]
    return out


def _difference(present: Object, wanted: Mapping[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    if (present.get("subsets") or []) != wanted.get("subsets", []):
        patch["subsets"] = wanted.get("subsets")
    metadata: dict[str, Any] = {}
    before, labels = present["metadata"].get("labels") or {}, wanted["metadata"]["labels"]
    if before != labels:
        metadata["labels"] = {**dict.fromkeys(key for key in before if key not in labels), **labels}
    mark = (present["metadata"].get("annotations") or {}).get(OVER_CAPACITY)
    new_mark = (wanted["metadata"].get("annotations") or {}).get(OVER_CAPACITY)
    if mark != new_mark:
        metadata["annotations"] = {OVER_CAPACITY: new_mark}
    return {**patch, "metadata": metadata} if metadata else patch
