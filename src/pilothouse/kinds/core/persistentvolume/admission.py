"""Volumes and claims are protected while they are in use (plug-in StorageObjectInUseProtection, Kubernetes 1.36)."""

from __future__ import annotations

from pilothouse.base.actions import Object
from pilothouse.machinery.admission import CREATE, Request
from pilothouse.store.memory import Store

FINALIZERS = {
    "PersistentVolume": "kubernetes.io/pv-protection",
    "PersistentVolumeClaim": "kubernetes.io/pvc-protection",
}


def storage_protection(request: Request, store: Store) -> Object:  # noqa: ARG001 - the common signature
    """A new volume or claim with the finalizer that keeps it until nobody uses it."""
    finalizer = FINALIZERS.get(request.kind.name)
    if finalizer is None or request.operation != CREATE or request.subresource:
        return request.object
    metadata = request.object["metadata"]
    finalizers = [*metadata.get("finalizers", ())]
    if finalizer in finalizers:
        return request.object
    return {**request.object, "metadata": {**metadata, "finalizers": [*finalizers, finalizer]}}
