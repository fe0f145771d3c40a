"""Warnings that a write answers with besides the object (kubernetes 1.36 `pkg/api/*/warnings.go`, deprecations)."""

from __future__ import annotations

import base64

from pilothouse.base.actions import Object
from pilothouse.wire.kubernetes.request import Request
from pilothouse.wire.kubernetes.resources import Resource

ENDPOINTS = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"


def of_resource(request: Request, resource: Resource) -> None:
    """Warnings that every request for a deprecated resource gets."""
    if resource.group == "" and resource.plural == "endpoints":
        request.warnings.append(ENDPOINTS)
    version = resource.custom
    if version is not None and version.get("deprecated"):
        said = f"{resource.api_version} {resource.kind_name} is deprecated"
        request.warnings.append(version.get("deprecationWarning") or said)


def add(request: Request, obj: Object) -> None:
    """Warnings about what was written."""
    if obj.get("kind") == "Secret" and obj.get("type") == "kubernetes.io/tls":
        request.warnings += _tls_warnings(obj)


def _tls_warnings(secret: Object) -> list[str]:
    """A TLS secret whose certificate or key cannot be one (Go's `tls.X509KeyPair` on the data)."""
    data = secret.get("data") or {}
    for field, what in (("tls.crt", "certificate"), ("tls.key", "key")):
        try:
            text = base64.b64decode(data.get(field, ""))
        except ValueError:
            continue
        if b"-----BEGIN " not in text:
            return [f"tls: failed to find any PEM data in {what} input"]
    return []
