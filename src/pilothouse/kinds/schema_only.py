"""Kinds that the API serves by their schema alone: no rules beyond metadata, no controller.

Made from the discovery data for every listed resource that has no folder of its own; nothing is written per kind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pilothouse.engines.schema.openapi import read_document
from pilothouse.machinery.kind import Component, Kind, Strategy

_GENERATED = frozenset(
    (
        "admissionregistration.k8s.io/MutatingAdmissionPolicy",
        "admissionregistration.k8s.io/MutatingAdmissionPolicyBinding",
        "admissionregistration.k8s.io/MutatingWebhookConfiguration",
        "admissionregistration.k8s.io/ValidatingAdmissionPolicy",
        "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding",
        "admissionregistration.k8s.io/ValidatingWebhookConfiguration",
        "flowcontrol.apiserver.k8s.io/FlowSchema",
        "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration",
        "networking.k8s.io/IngressClass",
        "resource.k8s.io/DeviceClass",
        "resource.k8s.io/ResourceSlice",
    )
)
"""Kinds whose metadata carries a generation (each kind's strategy upstream)."""


def schema_only(known: Collection[str]) -> list[Kind]:
    """A kind for every stored resource of the discovery data whose name is not in `known`."""
    discovery = read_document("kubernetes-openapi/discovery.json")
    out: list[Kind] = []
    taken = set(known)
    for part in ("api", "apis"):
        for group in discovery[part]["items"]:
            name = group["metadata"].get("name", "")
            for version in group["versions"]:
                for entry in version["resources"]:
                    kind = entry["responseKind"]["kind"]
                    full = f"{name}/{kind}" if name else kind
                    if full in taken or "create" not in entry["verbs"] or "list" not in entry["verbs"]:
                        continue
                    taken.add(full)
                    out.append(_kind(name, version["version"], entry))
    return out


def _kind(group: str, version: str, entry: Mapping[str, Any]) -> Kind:
    name = entry["responseKind"]["kind"]
    document = f"apis_{group}_{version}.json" if group else f"api_{version}.json"
    full = f"{group}/{name}" if group else name
    subresources = {sub["subresource"] for sub in entry.get("subresources", ())}
    return Kind(
        group,
        version,
        name,
        entry["resource"],
        Component(document, component_of(document, group, version, name)),
        singular=entry.get("singularResource", ""),
        short_names=tuple(entry.get("shortNames", ())),
        categories=tuple(entry.get("categories", ())),
        namespaced=entry["scope"] == "Namespaced",
        strategy=Strategy(
            status="status" in subresources, scale="scale" in subresources, generation=full in _GENERATED
        ),
    )


def component_of(document: str, group: str, version: str, kind: str) -> str:
    """The name of the component that a document gives to a kind."""
    wanted = {"group": group, "version": version, "kind": kind}
    schemas = read_document(f"kubernetes-openapi/{document}")["components"]["schemas"]
    for name, schema in schemas.items():
        if wanted in schema.get("x-kubernetes-group-version-kind", ()):
            return str(name)
    raise KeyError(f"{document} describes no {kind}")
