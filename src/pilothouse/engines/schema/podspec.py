"""Pod specs and pod templates: defaults, rules and quality of service, shared by pods and everything that stamps them.

Pure and remembered by identity: a template that a thousand pods share is defaulted and checked once. Source:
Kubernetes 1.36 `pkg/apis/core/v1/defaults.go`, `pkg/apis/core/validation/validation.go`, `pkg/apis/core/helper/qos`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pilothouse.base import quantity
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names, wording
from pilothouse.engines.schema.container_rules import container_causes
from pilothouse.engines.schema.identity_cache import by_identity
from pilothouse.engines.schema.pod_defaults import default_pod, default_pod_spec, default_template
from pilothouse.engines.schema.selector_rules import node_selector_causes, node_term_causes, selector_causes

__all__ = ["default_pod", "default_pod_spec", "default_template", "pod_spec_causes", "qos_class", "template_causes"]

_VOLUME_SOURCES = (
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "flocker",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "scaleIO",
    "projected",
    "csi",
    "ephemeral",
    "image",
)
"""In the order in which upstream looks: the first one given stands, the others are refused."""
_MUST_NAME = {
    "secret": "secretName",
    "configMap": "name",
    "hostPath": "path",
    "persistentVolumeClaim": "claimName",
    "nfs": "server",
    "csi": "driver",
}
_NAMED = {
    "serviceAccountName": names.dns_subdomain,
    "nodeName": names.dns_subdomain,
    "priorityClassName": names.dns_subdomain,
    "hostname": names.dns_label,
    "subdomain": names.dns_label,
}
_MODE_TEXT = "must be a number between 0 and 0777 (octal), both inclusive"


def template_causes(template: Mapping[str, Any], field: str) -> list[Cause]:
    """Causes for a pod template at `field`, e.g. "spec.template"."""
    metadata = template.get("metadata") or {}
    out = names.label_causes(metadata.get("labels"), f"{field}.metadata.labels")
    out += names.annotation_causes(metadata.get("annotations"), f"{field}.metadata.annotations")
    return out + pod_spec_causes(template.get("spec") or {}, f"{field}.spec")


def pod_spec_causes(spec: Mapping[str, Any], field: str = "spec") -> list[Cause]:
    """Causes for a defaulted pod spec at `field`."""
    return [Cause(c.reason, c.message, f"{field}.{c.field}" if c.field else field) for c in _spec_causes(spec)]


@by_identity
def _spec_causes(spec: Mapping[str, Any]) -> tuple[Cause, ...]:
    """All causes, fields relative to the spec."""
    out: list[Cause] = []
    volumes = spec.get("volumes", ())
    out += _volumes(volumes)
    out += _containers(spec, [volume.get("name", "") for volume in volumes])
    policy = spec.get("restartPolicy", "")
    if policy not in ("Always", "OnFailure", "Never"):
        out.append(
            wording.unsupported("restartPolicy", policy, ("Always", "OnFailure", "Never"))
            if policy
            else wording.required("restartPolicy")
        )
    if spec.get("dnsPolicy") == "None" and not (spec.get("dnsConfig") or {}).get("nameservers"):
        out.append(
            wording.required(
                "dnsConfig.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"
            )
        )
    out += names.label_causes(spec.get("nodeSelector"), "nodeSelector")
    out += _affinity(spec.get("affinity") or {})
    out += _spread(spec.get("topologySpreadConstraints", ()))
    out += _tolerations(spec.get("tolerations", ()))
    out += _numbers(spec)
    for key, rule in _NAMED.items():
        if spec.get(key):
            out += [wording.invalid(key, spec[key], text) for text in rule(spec[key])]
    return tuple(out)


def _numbers(spec: Mapping[str, Any]) -> list[Cause]:
    out: list[Cause] = []
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2**31 - 1:
        out.append(wording.invalid("activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"))
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        out.append(wording.negative("terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"]))
    return out


def _containers(spec: Mapping[str, Any], volumes: list[str]) -> list[Cause]:
    out: list[Cause] = []
    seen: list[str] = []
    if not spec.get("containers"):
        out.append(wording.required("containers"))
    for key in ("containers", "initContainers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(key, ())):
            field = f"{key}[{index}]"
            out += container_causes(container, field, volumes, bool(spec.get("hostNetwork")))
            name = container.get("name", "")
            if name and name in seen:
                out.append(wording.duplicate(f"{field}.name", name))
            seen.append(name)
            if key == "initContainers" and container.get("restartPolicy") != "Always":
                out += [
                    wording.forbidden(
                        f"{field}.{probe}", "may not be set for init containers without restartPolicy=Always"
                    )
                    for probe in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
                    if container.get(probe)
                ]
    return out


def _volumes(volumes: Iterable[Mapping[str, Any]]) -> list[Cause]:
    out: list[Cause] = []
    seen: list[str] = []
    for index, volume in enumerate(volumes):
        field = f"volumes[{index}]"
        name = volume.get("name", "")
        if not name:
            out.append(wording.required(f"{field}.name"))
        else:
            problems = names.dns_label(name)
            out += [wording.invalid(f"{field}.name", name, text) for text in problems]
            if not problems and name in seen:
                out.append(wording.duplicate(f"{field}.name", name))
        seen.append(name)
        out += _source(volume, field)
    return out


def _source(volume: Mapping[str, Any], field: str) -> list[Cause]:
    given = [key for key in _VOLUME_SOURCES if volume.get(key) is not None]
    if not given:
        return [wording.required(field, "must specify a volume type")]
    out = [wording.forbidden(f"{field}.{key}", "may not specify more than 1 volume type") for key in given[1:]]
    kind, source = given[0], volume[given[0]]
    if kind in _MUST_NAME and not source.get(_MUST_NAME[kind]):
        out.append(wording.required(f"{field}.{kind}.{_MUST_NAME[kind]}"))
    mode = source.get("defaultMode")
    if mode is not None and not 0 <= mode <= 0o777:
        out.append(wording.invalid(f"{field}.{kind}.defaultMode", mode, _MODE_TEXT))
    for index, item in enumerate(source.get("items", ()) if kind in ("secret", "configMap") else ()):
        at = f"{field}.{kind}.items[{index}]"
        out += [wording.required(f"{at}.{key}") for key in ("key", "path") if not item.get(key)]
    limit = source.get("sizeLimit")
    if kind == "emptyDir" and limit is not None and quantity.parse(limit) < 0:
        out.append(
            wording.forbidden(f"{field}.emptyDir.sizeLimit", "SizeLimit field must be a valid resource quantity")
        )
    return out


def _tolerations(tolerations: Iterable[Mapping[str, Any]]) -> list[Cause]:
    out: list[Cause] = []
    for index, toleration in enumerate(tolerations):
        field = f"tolerations[{index}]"
        key, operator = toleration.get("key", ""), toleration.get("operator", "")
        if key:
            out += [wording.invalid(f"{field}.key", key, text) for text in names.qualified_name(key)]
        elif operator != "Exists":
            text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            out.append(wording.invalid(f"{field}.operator", operator, text))
        if "tolerationSeconds" in toleration and toleration.get("effect") != "NoExecute":
            text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            out.append(wording.invalid(f"{field}.effect", toleration.get("effect", ""), text))
        value = toleration.get("value", "")
        if operator in ("", "Equal"):
            out += [wording.invalid(f"{field}.operator", value, text) for text in names.label_value(value)]
        elif operator == "Exists" and value:
            text = "value must be empty when `operator` is 'Exists'"
            out.append(wording.invalid(f"{field}.operator", dict(toleration), text))
    return out


def _affinity(affinity: Mapping[str, Any]) -> list[Cause]:
    out: list[Cause] = []
    node = affinity.get("nodeAffinity") or {}
    required, preferred = (
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    )
    if node.get(required) is not None:
        out += node_selector_causes(node[required], f"affinity.nodeAffinity.{required}")
    for index, term in enumerate(node.get(preferred, ())):
        field = f"affinity.nodeAffinity.{preferred}[{index}]"
        out += _weight(term, field) + node_term_causes(term.get("preference") or {}, f"{field}.preference")
    for word in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(word) or {}
        for index, term in enumerate(rules.get(required, ())):
            out += _pod_term(term, f"affinity.{word}.{required}[{index}]")
        for index, weighted in enumerate(rules.get(preferred, ())):
            field = f"affinity.{word}.{preferred}[{index}]"
            out += _weight(weighted, field) + _pod_term(
                weighted.get("podAffinityTerm") or {}, f"{field}.podAffinityTerm"
            )
    return out


def _weight(term: Mapping[str, Any], field: str) -> list[Cause]:
    weight = term.get("weight", 0)
    return [] if 1 <= weight <= 100 else [wording.invalid(f"{field}.weight", weight, "must be in the range 1-100")]


def _pod_term(term: Mapping[str, Any], field: str) -> list[Cause]:
    out = selector_causes(term.get("labelSelector"), f"{field}.labelSelector")
    key = term.get("topologyKey", "")
    if not key:
        return [*out, wording.required(f"{field}.topologyKey", "can not be empty")]
    return out + [wording.invalid(f"{field}.topologyKey", key, text) for text in names.qualified_name(key)]


def _spread(constraints: Iterable[Mapping[str, Any]]) -> list[Cause]:
    out: list[Cause] = []
    seen: list[tuple[str, str]] = []
    for index, constraint in enumerate(constraints):
        field = f"topologySpreadConstraints[{index}]"
        skew, key, when = (
            constraint.get("maxSkew", 0),
            constraint.get("topologyKey", ""),
            constraint.get("whenUnsatisfiable", ""),
        )
        if skew <= 0:
            out.append(wording.invalid(f"{field}.maxSkew", skew, "must be greater than zero"))
        if not key:
            out.append(wording.required(f"{field}.topologyKey", "can not be empty"))
        if when not in ("DoNotSchedule", "ScheduleAnyway"):
            out.append(wording.unsupported(f"{field}.whenUnsatisfiable", when, ("DoNotSchedule", "ScheduleAnyway")))
        if (key, when) in seen:
            out.append(wording.duplicate(f"{field}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {when}}}"))
        seen.append((key, when))
        out += selector_causes(constraint.get("labelSelector"), f"{field}.labelSelector")
    return out


@by_identity
def qos_class(spec: Mapping[str, Any]) -> str:
    """Guaranteed, Burstable or BestEffort of a pod's spec: from the cpu and memory of all its containers."""
    requested = False
    guaranteed = True
    for container in [*spec.get("containers", ()), *spec.get("initContainers", ())]:
        resources = container.get("resources") or {}
        requests, limits = _positive(resources.get("requests")), _positive(resources.get("limits"))
        requested = requested or bool(requests or limits)
        if set(limits) != {"cpu", "memory"} or any(requests.get(key, value) != value for key, value in limits.items()):
            guaranteed = False
    if not requested:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _positive(amounts: Mapping[str, str] | None) -> dict[str, Any]:
    parsed = {key: quantity.parse(text) for key, text in (amounts or {}).items() if key in ("cpu", "memory")}
    return {key: value for key, value in parsed.items() if value > 0}
