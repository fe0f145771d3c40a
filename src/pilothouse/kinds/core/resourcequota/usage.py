"""What one object takes of a quota: {resource: amount}, and to which quotas that applies.

Amounts are integers: cpu in milli-cores, everything else in whole units. Source: `pkg/quota/v1/evaluator/core`,
Kubernetes 1.36. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base import quantity
from pilothouse.base.actions import Object
from pilothouse.engines.scheduling.facts import amount_of, pod_requests

_PLAIN = ("cpu", "memory", "ephemeral-storage")
_NAMED = ("configmaps", "persistentvolumeclaims", "replicationcontrollers", "resourcequotas", "secrets", "services")
"""Kinds of the core group that a quota may also name without `count/`."""
_BINARY = ("memory", "storage")
Usage = Mapping[str, int]


def usage_of(plural: str, group: str, obj: Object) -> Usage:
    """What an object of a kind takes. plural: e.g. "pods"; group: "" for the core group."""
    out = {f"count/{plural}.{group}" if group else f"count/{plural}": 1}
    if group:
        return out
    if plural in _NAMED:
        out[plural] = 1
    if plural == "pods":
        out.update(_pod(obj))
    elif plural == "services":
        out.update(_service(obj))
    elif plural == "persistentvolumeclaims":
        out.update(_claim(obj))
    return out


def _pod(pod: Object) -> Usage:
    """Nothing beyond its own existence once it has ended."""
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return {}
    spec = pod["spec"]
    out = {"pods": 1}
    for name, amount in pod_requests(spec)[0].items():
        if name == "pods":
            continue
        out[f"requests.{name}"] = amount
        if name in _PLAIN or name.startswith("hugepages-"):
            out[name] = amount
    for name, amount in pod_requests(_limits_as_requests(spec))[0].items():
        if name in _PLAIN:
            out[f"limits.{name}"] = amount
    return out


def _limits_as_requests(spec: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key in ("containers", "initContainers"):
        out[key] = [
            {**container, "resources": {"requests": (container.get("resources") or {}).get("limits") or {}}}
            for container in spec.get(key) or ()
        ]
    return out


def _service(service: Object) -> Usage:
    spec = service.get("spec") or {}
    balanced = spec.get("type") == "LoadBalancer"
    ports = sum(1 for port in spec.get("ports") or () if port.get("nodePort"))
    on_nodes = spec.get("type") == "NodePort" or (balanced and spec.get("allocateLoadBalancerNodePorts", True))
    listed = len(spec.get("ports") or ())
    return {"services.loadbalancers": int(balanced), "services.nodeports": max(ports, listed) if on_nodes else 0}


def _claim(claim: Object) -> Usage:
    spec = claim.get("spec") or {}
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    out = {"requests.storage": quantity.whole(asked)}
    if spec.get("storageClassName"):
        prefix = f"{spec['storageClassName']}.storageclass.storage.k8s.io"
        out.update({f"{prefix}/requests.storage": out["requests.storage"], f"{prefix}/persistentvolumeclaims": 1})
    return out


def missing_of(pod: Object, hard: Mapping[str, Any]) -> str:
    """The computing resources that a quota limits and containers leave open (`limits.cpu for: a,b; …`); "" if none."""
    wanted = [name for name in sorted(hard) if name.removeprefix("requests.").removeprefix("limits.") in _PLAIN[:2]]
    containers = [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]
    out = []
    for name in wanted:
        part = "limits" if name.startswith("limits.") else "requests"
        resource = name.rpartition(".")[2]
        without = [c["name"] for c in containers if resource not in ((c.get("resources") or {}).get(part) or {})]
        if without:
            out.append(f"{name} for: {','.join(without)}")
    return "; ".join(out)


def applies(quota: Mapping[str, Any], plural: str, obj: Object) -> bool:
    """Whether the quota (its spec) looks at this object at all. Scopes are about pods."""
    scopes = [{"scopeName": name, "operator": "Exists"} for name in quota.get("scopes") or ()]
    scopes += (quota.get("scopeSelector") or {}).get("matchExpressions") or ()
    if not scopes:
        return True
    return plural == "pods" and all(_in_scope(scope, obj) for scope in scopes)


def _in_scope(scope: Mapping[str, Any], pod: Object) -> bool:
    name: str = scope["scopeName"]
    spec = pod["spec"]
    match name:
        case "Terminating" | "NotTerminating":
            return (spec.get("activeDeadlineSeconds") is not None) == (name == "Terminating")
        case "BestEffort" | "NotBestEffort":
            return _best_effort(spec) == (name == "BestEffort")
        case "CrossNamespacePodAffinity":
            return _crosses_namespaces(spec)
        case "PriorityClass":
            return _by_priority(scope, spec.get("priorityClassName", ""))
    return False


def _best_effort(spec: Mapping[str, Any]) -> bool:
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return not any((c.get("resources") or {}).get(part) for c in containers for part in ("requests", "limits"))


def _crosses_namespaces(spec: Mapping[str, Any]) -> bool:
    affinity = spec.get("affinity") or {}
    terms: list[Mapping[str, Any]] = []
    for word in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(word) or {}
        terms += rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [entry.get("podAffinityTerm") or {} for entry in preferred]
    return any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms)


def _by_priority(scope: Mapping[str, Any], priority_class: str) -> bool:
    values: list[str] = scope.get("values") or []
    match scope.get("operator", "Exists"):
        case "Exists":
            return bool(priority_class)
        case "DoesNotExist":
            return not priority_class
        case "In":
            return priority_class in values
    return bool(priority_class) and priority_class not in values


def hard_amount(name: str, value: Any) -> int:
    """A quota's limit in the unit of its resource."""
    return amount_of(_base(name), value)


def text_of(name: str, amount: int) -> str:
    """An amount as a quantity."""
    base = _base(name)
    if base == "cpu":
        return quantity.format_milli(amount)
    if base.endswith(_BINARY) and amount % 1024 == 0:
        return quantity.format_binary(amount)
    return quantity.format_decimal(amount)


def _base(name: str) -> str:
    """The resource behind `requests.cpu`, `gold.storageclass.storage.k8s.io/requests.storage` and the like."""
    return name.rpartition("/")[2].removeprefix("requests.").removeprefix("limits.")
