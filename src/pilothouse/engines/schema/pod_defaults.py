"""Defaults of pod specs and pod templates (Kubernetes 1.36 `pkg/apis/core/v1/defaults.go`), beyond those in the
schema data."""

from __future__ import annotations

from typing import Any

from pilothouse.engines.schema.identity_cache import by_identity
from pilothouse.engines.schema.sharing import change, change_each, each, fill

_SPEC = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_HTTP = {"path": "/", "scheme": "HTTP"}
_MODE = {"defaultMode": 0o644}
_CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
_NO_SOURCE = frozenset({"name"})


@by_identity
def default_pod_spec(spec: Any) -> Any:
    """The spec as a workload's template stores it: what holds for pods alone (`default_pod`) is not filled here."""
    spec = fill(spec, _SPEC)
    if spec.get("serviceAccountName"):
        spec = fill(spec, {"serviceAccount": spec["serviceAccountName"]})
    elif spec.get("serviceAccount"):
        spec = fill(spec, {"serviceAccountName": spec["serviceAccount"]})
    for key in _CONTAINER_LISTS:
        spec = change(spec, key, each(_container))
        if spec.get("hostNetwork"):
            spec = change(spec, key, each(_host_ports))
    return change(spec, "volumes", each(_volume))


def default_template(template: Any) -> Any:
    """A pod template (`spec.template` of a workload) with its pod spec defaulted."""
    return change(template, "spec", default_pod_spec)


@by_identity
def default_pod(spec: Any) -> Any:
    """A pod's own spec: as a template's, and requests taken from limits, service links, priority and the tolerations
    that keep a pod five minutes on a node that is not ready (admission plug-ins Priority and
    DefaultTolerationSeconds)."""
    spec = default_pod_spec(spec)
    for key in _CONTAINER_LISTS[:2]:
        spec = change(spec, key, each(_requests_from_limits))
    spec = fill(spec, {"enableServiceLinks": True, "priority": _PRIORITIES.get(spec.get("priorityClassName", ""), 0)})
    spec = fill(spec, {"preemptionPolicy": "PreemptLowerPriority"})
    return _patient(spec)


_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
_PATIENCE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def _patient(spec: Any) -> Any:
    tolerations = spec.get("tolerations", [])
    added = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in _PATIENCE
        if not any(t.get("key", key) == key and t.get("effect", "NoExecute") == "NoExecute" for t in tolerations)
    ]
    return {**spec, "tolerations": [*tolerations, *added]} if added else spec


def image_tag(image: str) -> str:
    """The tag of an image reference; "latest" when it has neither tag nor digest, "" when only a digest."""
    reference, _, digest = image.partition("@")
    tag = reference.rpartition("/")[2].partition(":")[2]
    return tag or ("" if digest else "latest")


def _container(container: Any) -> Any:
    latest = image_tag(container.get("image", "")) == "latest"
    container = fill(
        container,
        {
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "Always" if latest else "IfNotPresent",
        },
    )
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        container = change(container, probe, _probe)
    container = change(container, "lifecycle", _lifecycle)
    return change(container, "env", each(_variable))


def _probe(probe: Any) -> Any:
    probe = fill(probe, _PROBE)
    probe = change(probe, "grpc", lambda grpc: fill(grpc, {"service": ""}))
    return change(probe, "httpGet", lambda get: fill(get, _HTTP))


def _lifecycle(lifecycle: Any) -> Any:
    for hook in ("postStart", "preStop"):
        lifecycle = change(lifecycle, hook, lambda h: change(h, "httpGet", lambda get: fill(get, _HTTP)))
    return lifecycle


def _variable(variable: Any) -> Any:
    return change(variable, "valueFrom", _field_reference)


def _field_reference(holder: Any) -> Any:
    return change(holder, "fieldRef", lambda reference: fill(reference, {"apiVersion": "v1"}))


def _host_ports(container: Any) -> Any:
    return change(container, "ports", each(lambda port: fill(port, {"hostPort": port.get("containerPort", 0)})))


def _requests_from_limits(container: Any) -> Any:
    return change(container, "resources", _completed)


def _completed(resources: Any) -> Any:
    limits = resources.get("limits")
    if not limits:
        return resources
    requests = fill(resources.get("requests", {}), limits)
    return resources if requests is resources.get("requests") else {**resources, "requests": requests}


def _volume(volume: Any) -> Any:
    if volume.keys() <= _NO_SOURCE:
        return {**volume, "emptyDir": {}}
    for source in ("secret", "configMap"):
        volume = change(volume, source, lambda value: fill(value, _MODE))
    volume = change(volume, "downwardAPI", lambda value: change(fill(value, _MODE), "items", each(_field_reference)))
    volume = change(volume, "projected", lambda value: change(fill(value, _MODE), "sources", each(_projection)))
    volume = change(volume, "ephemeral", _claim)
    return change(volume, "hostPath", lambda value: fill(value, {"type": ""}))


def _projection(source: Any) -> Any:
    source = change(source, "serviceAccountToken", lambda token: fill(token, {"expirationSeconds": 3600}))
    return change(
        source, "downwardAPI", lambda value: change(value, "items", lambda items: change_each(items, _field_reference))
    )


def _claim(ephemeral: Any) -> Any:
    return change(
        ephemeral,
        "volumeClaimTemplate",
        lambda claim: change(claim, "spec", lambda spec: fill(spec, {"volumeMode": "Filesystem"})),
    )
