"""Warnings that a write answers with besides the object (kubernetes 1.36 `pkg/api/*/warnings.go`, deprecations)."""

from __future__ import annotations

from pilothouse.base.actions import Object
from pilothouse.wire.kubernetes.request import Request
from pilothouse.wire.kubernetes.resources import Resource

ENDPOINTS = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"


def of_resource(request: Request, resource: Resource) -> None:
    """Warnings that every request for a deprecated resource gets."""
    if resource.group == "" and resource.plural == "endpoints":
        request.warnings.append(ENDPOINTS)


def add(request: Request, resource: Resource, obj: Object) -> None:
    """Warnings about what was written."""
    return
