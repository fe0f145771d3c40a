"""ConfigMaps and Secrets that a pod needs before it can start: what is missing, in the kubelet's words.

After kubelet 1.36 `kubelet_pods.go makeEnvironmentVariables` and the volume plugins. Reads the client, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.machinery.client import Client


def missing_in_environment(client: Client, pod: Object, container: Mapping[str, Any]) -> str:
    """Why the container's environment cannot be made; "" when it can."""
    namespace = pod["metadata"].get("namespace", "")
    for kind, reference, key in _environment(container):
        name = reference.get("name", "")
        if reference.get("optional"):
            continue
        stored = client.get(kind, namespace, name)
        if stored is None:
            return f'{kind.lower()} "{name}" not found'
        if key and not _has_key(stored.object, key):
            return f"couldn't find key {key} in {kind} {namespace}/{name}"
    return ""


def missing_volume(client: Client, pod: Object) -> str:
    """The FailedMount message of the first volume whose source is missing; "" when all are there."""
    namespace = pod["metadata"].get("namespace", "")
    for volume in pod["spec"].get("volumes") or ():
        for kind, name, optional in _sources(volume):
            if not optional and client.get(kind, namespace, name) is None:
                return f'MountVolume.SetUp failed for volume "{volume["name"]}" : {kind.lower()} "{name}" not found'
    return ""


def _environment(container: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    for source in container.get("envFrom") or ():
        for kind, field in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if source.get(field):
                yield kind, source[field], ""
    for variable in container.get("env") or ():
        origin = variable.get("valueFrom") or {}
        for kind, field in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
            if origin.get(field):
                yield kind, origin[field], origin[field].get("key", "")


def _sources(volume: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    if volume.get("configMap"):
        yield "ConfigMap", volume["configMap"].get("name", ""), bool(volume["configMap"].get("optional"))
    if volume.get("secret"):
        yield "Secret", volume["secret"].get("secretName", ""), bool(volume["secret"].get("optional"))
    for source in (volume.get("projected") or {}).get("sources") or ():
        for kind, field in (("ConfigMap", "configMap"), ("Secret", "secret")):
            if source.get(field):
                yield kind, source[field].get("name", ""), bool(source[field].get("optional"))


def _has_key(obj: Object, key: str) -> bool:
    return any(key in (obj.get(field) or {}) for field in ("data", "binaryData", "stringData"))
