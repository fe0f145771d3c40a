"""What a LimitRange makes of a pod or a claim: defaults for its containers, and why it is refused.

Source: `plugin/pkg/admission/limitranger`, Kubernetes 1.36. Pure; `admission.py` asks it at each creation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pilothouse.base import quantity
from pilothouse.base.actions import Object

ANNOTATION = "kubernetes.io/limit-ranger"
_LISTS = (("containers", "container"), ("initContainers", "init container"))
Amounts = Mapping[str, Any]


def with_defaults(pod: Object, limits: Sequence[Mapping[str, Any]]) -> Object:
    """The pod with requests and limits where its containers have none, and an annotation that says which.

    limits: the entries of the LimitRanges' `spec.limits`.
    """
    for entry in limits:
        if entry.get("type") == "Container":
            pod = _with_entry(pod, entry)
    return pod


def _with_entry(pod: Object, entry: Mapping[str, Any]) -> Object:
    defaults = {"requests": entry.get("defaultRequest") or {}, "limits": entry.get("default") or {}}
    said: list[str] = []
    spec = dict(pod["spec"])
    for key, word in _LISTS:
        if spec.get(key):
            spec[key] = [_filled(container, defaults, word, said) for container in spec[key]]
    if not said:
        return pod
    metadata = pod["metadata"]
    text = f"LimitRanger plugin set: {'; '.join(said)}"
    annotations = {**(metadata.get("annotations") or {}), ANNOTATION: text}
    return {**pod, "metadata": {**metadata, "annotations": annotations}, "spec": spec}


def _filled(
    container: Mapping[str, Any], defaults: Mapping[str, Amounts], word: str, said: list[str]
) -> Mapping[str, Any]:
    resources = dict(container.get("resources") or {})
    changed = False
    for part in ("requests", "limits"):
        given = resources.get(part) or {}
        missing = {name: value for name, value in defaults[part].items() if name not in given}
        if missing:
            resources[part] = {**given, **missing}
            said.append(f"{', '.join(sorted(missing))} {part[:-1]} for {word} {container['name']}")
            changed = True
    return {**container, "resources": resources} if changed else container


def refusals_of_pod(pod: Object, limits: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the pod breaks; [] when it may be made."""
    out: list[str] = []
    containers = [c for key, _ in _LISTS for c in pod["spec"].get(key) or ()]
    for entry in limits:
        if entry.get("type") == "Container":
            for container in containers:
                resources = container.get("resources") or {}
                out += _broken(entry, resources.get("requests") or {}, resources.get("limits") or {})
        elif entry.get("type") == "Pod":
            out += _broken(entry, _total(pod, "requests"), _total(pod, "limits"))
    return out


def refusals_of_claim(claim: Object, limits: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a PersistentVolumeClaim breaks. It has no limits: what it requests is what it may use at most."""
    out: list[str] = []
    requests = ((claim["spec"].get("resources") or {}).get("requests")) or {}
    for entry in limits:
        if entry.get("type") != "PersistentVolumeClaim":
            continue
        out += [_below(entry, name, least, requests, {}) for name, least in _sorted(entry.get("min"))]
        for name, most in _sorted(entry.get("max")):
            if name in requests and _value(requests[name]) > _value(most):
                text = f"maximum {name} usage per {entry['type']} is {most}"
                out.append(f"{text}, but request is {requests[name]}")
    return [text for text in out if text]


def _broken(entry: Mapping[str, Any], requests: Amounts, limits: Amounts) -> list[str]:
    out = [_below(entry, name, value, requests, limits) for name, value in _sorted(entry.get("min"))]
    out += [_above(entry, name, value, requests, limits) for name, value in _sorted(entry.get("max"))]
    out += [
        _beyond_ratio(entry, name, value, requests, limits)
        for name, value in _sorted(entry.get("maxLimitRequestRatio"))
    ]
    return [text for text in out if text]


def _sorted(amounts: Amounts | None) -> Iterable[tuple[str, Any]]:
    return sorted((amounts or {}).items())


def _below(entry: Mapping[str, Any], name: str, least: Any, requests: Amounts, limits: Amounts) -> str:
    text = f"minimum {name} usage per {entry['type']} is {least}"
    if name not in requests:
        return f"{text}.  No request is specified"
    for word, given in (("request", requests), ("limit", limits)):
        if name in given and _value(given[name]) < _value(least):
            return f"{text}, but {word} is {given[name]}"
    return ""


def _above(entry: Mapping[str, Any], name: str, most: Any, requests: Amounts, limits: Amounts) -> str:
    text = f"maximum {name} usage per {entry['type']} is {most}"
    if name not in limits:
        return f"{text}.  No limit is specified"
    for word, given in (("limit", limits), ("request", requests)):
        if name in given and _value(given[name]) > _value(most):
            return f"{text}, but {word} is {given[name]}"
    return ""


def _beyond_ratio(entry: Mapping[str, Any], name: str, most: Any, requests: Amounts, limits: Amounts) -> str:
    text = f"{name} max limit to request ratio per {entry['type']} is {most}"
    request, limit = (_value(given.get(name, "0")) for given in (requests, limits))
    if not request:
        return f"{text}, but no request is specified or request is 0"
    if not limit:
        return f"{text}, but no limit is specified or limit is 0"
    ratio = limit / request
    return f"{text}, but provided ratio is {float(ratio):f}" if ratio > _value(most) else ""


def _value(text: Any) -> Any:
    return quantity.parse(str(text))


def _total(pod: Object, part: str) -> Amounts:
    """What the pod's containers ask for together, of resources that each of them names."""
    asked = [(c.get("resources") or {}).get(part) or {} for c in pod["spec"].get("containers") or ()]
    init = [(c.get("resources") or {}).get(part) or {} for c in pod["spec"].get("initContainers") or ()]
    out: dict[str, Any] = {}
    for name in asked[0] if asked else ():
        if all(name in given for given in asked):
            total = max([sum(_value(given[name]) for given in asked), *(_value(g.get(name, "0")) for g in init)])
            milli = -(-(total * 1000).numerator // (total * 1000).denominator)
            out[name] = quantity.format_milli(milli)
    return out
