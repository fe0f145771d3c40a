"""Endpoints as Kubernetes 1.36 stores it: ports default to TCP. Deprecated upstream since 1.33, and still served.

Source: `pkg/apis/core/v1/defaults.go`, printers.
"""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.engines.schema.sharing import change, each, fill
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

SHOWN = 3
"""Addresses in the column; the others are counted."""


def default(obj: Object) -> Object:
    out: Object = change(obj, "subsets", each(lambda subset: change(subset, "ports", each(_default_port))))
    return out


def _default_port(port: Any) -> Any:
    return fill(port, {"protocol": "TCP"})


def _endpoints(obj: Object, _now_s: float) -> str:
    listed: list[str] = []
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or [{}]:
            for address in subset.get("addresses") or ():
                ip = f"[{address['ip']}]" if ":" in address["ip"] and port else address["ip"]
                listed.append(f"{ip}:{port['port']}" if port else ip)
    if not listed:
        return "<none>"
    more = f" + {len(listed) - SHOWN} more..." if len(listed) > SHOWN else ""
    return ",".join(listed[:SHOWN]) + more


KIND = Kind(
    "",
    "v1",
    "Endpoints",
    "endpoints",
    Component("api_v1.json", "io.k8s.api.core.v1.Endpoints"),
    singular="endpoints",
    short_names=("ep",),
    default=default,
    strategy=Strategy(status=False, generation=False, create_on_replace=True),
    columns=(NAME, Column("Endpoints", _endpoints), AGE),
)
