"""Field selectors: their text, and which fields of which kinds may be selected by (apimachinery 1.36 `fields`, the
label conversion functions of each API group)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import BadRequest
from pilothouse.wire.kubernetes.resources import Resource

_ALWAYS = ("metadata.name", "metadata.namespace")
_OF_KIND: dict[str, tuple[str, ...]] = {
    "Pod": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    "Node": ("spec.unschedulable",),
    "Namespace": ("status.phase",),
    "Secret": ("type",),
    "Service": ("spec.clusterIP", "spec.type"),
    "ReplicationController": ("status.replicas",),
    "Event": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "batch/Job": ("status.successful",),
    "certificates.k8s.io/CertificateSigningRequest": ("spec.signerName",),
}
_WORDED_SHORTLY = ("Pod", "Node", "Namespace", "Secret", "Service", "Event", "ReplicationController")
_RENAMED = {
    "regarding.kind": "involvedObject.kind",
    "regarding.namespace": "involvedObject.namespace",
    "regarding.name": "involvedObject.name",
    "regarding.uid": "involvedObject.uid",
    "regarding.apiVersion": "involvedObject.apiVersion",
    "regarding.resourceVersion": "involvedObject.resourceVersion",
    "regarding.fieldPath": "involvedObject.fieldPath",
    "reportingController": "reportingComponent",
}

Matcher = Callable[[Object], bool]
Term = tuple[str, str, str]
"""(field, "=" or "!=", value)."""


def terms_of(text: str) -> list[Term]:
    """The terms of a selector's text; BadRequest for anything else than =, == and !=."""
    out: list[Term] = []
    for part in _split(text):
        if not part:
            continue
        for operator, meaning in (("!=", "!="), ("==", "="), ("=", "=")):
            left, found, right = part.partition(operator)
            if found:
                out.append((left, meaning, right.replace("\\,", ",").replace("\\=", "=").replace("\\\\", "\\")))
                break
        else:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{part}'")
    return out


def _split(text: str) -> list[str]:
    parts, current, escaped = [], "", False
    for char in text:
        if escaped or char != ",":
            current += char
            escaped = char == "\\" and not escaped
            continue
        parts.append(current)
        current = ""
    return [*parts, current]


def known_terms(resource: Resource, text: str) -> list[Term]:
    """The terms, after looking whether the kind can be selected by their fields."""
    terms = terms_of(text)
    kind_name = resource.kind.name if resource.kind is not None else ""
    own: tuple[str, ...] = _OF_KIND.get(kind_name, ())
    if resource.custom is not None:
        own = tuple(entry["jsonPath"].lstrip(".") for entry in resource.custom.get("selectableFields") or ())
    for number, (name, operator, value) in enumerate(terms):
        name = _RENAMED.get(name, name) if kind_name == "Event" else name
        terms[number] = (name, operator, value)
        if name in _ALWAYS or name in own:
            continue
        if kind_name in _WORDED_SHORTLY or own:
            raise BadRequest(f"field label not supported: {name}")
        raise BadRequest(
            f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            if resource.custom is None
            else f"field label not supported: {name}"
        )
    return terms


def matcher(terms: list[Term]) -> Matcher:
    """A test of objects."""

    def matches(obj: Object) -> bool:
        return all((value_of(obj, name) == value) == (operator == "=") for name, operator, value in terms)

    return matches


def value_of(obj: Object, name: str) -> str:
    """A field as selectors compare it: text, "" when it is absent."""
    if name == "source":
        return str((obj.get("source") or {}).get("component") or obj.get("reportingComponent") or "")
    if name == "status.successful":
        return str((obj.get("status") or {}).get("succeeded", 0))
    if name == "status.podIPs":
        return ",".join(entry.get("ip", "") for entry in (obj.get("status") or {}).get("podIPs") or ())
    value: Any = obj
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if value is None:
        return "false" if name in ("spec.unschedulable", "spec.hostNetwork") else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
