"""The rules of roles and bindings that several kinds share (kubernetes 1.36 `pkg/apis/rbac/validation`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names, wording

GROUP = "rbac.authorization.k8s.io"
_SUBJECT_KINDS = ("ServiceAccount", "User", "Group")


def path_segment(name: str) -> tuple[str, ...]:
    """Names that may be anything that fits into a path: of roles and their bindings."""
    if name in (".", ".."):
        return (f"may not be '{name}'",)
    return tuple(f"may not contain '{mark}'" for mark in "/%" if mark in name)


def role_causes(rules: list[Mapping[str, Any]] | None, *, namespaced: bool) -> list[Cause]:
    """What is wrong with the rules of a role."""
    out: list[Cause] = []
    for index, rule in enumerate(rules or ()):
        field = f"rules[{index}]"
        if not rule.get("verbs"):
            out.append(wording.required(f"{field}.verbs", "verbs must contain at least one value"))
        urls = rule.get("nonResourceURLs")
        if urls:
            if namespaced:
                text = "namespaced rules cannot apply to non-resource URLs"
                out.append(wording.invalid(f"{field}.nonResourceURLs", urls, text))
            elif rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                text = "rules cannot apply to both regular resources and non-resource URLs"
                out.append(wording.invalid(f"{field}.nonResourceURLs", urls, text))
            continue
        if not rule.get("apiGroups"):
            text = "resource rules must supply at least one api group"
            out.append(wording.required(f"{field}.apiGroups", text))
        if not rule.get("resources"):
            text = "resource rules must supply at least one resource"
            out.append(wording.required(f"{field}.resources", text))
    return out


def default_binding(obj: Any) -> Any:
    """Users and groups belong to the RBAC group, and so does a role reference that says nothing."""
    out = obj
    reference = obj.get("roleRef")
    if isinstance(reference, Mapping) and not reference.get("apiGroup"):
        out = {**out, "roleRef": {**reference, "apiGroup": GROUP}}
    subjects = obj.get("subjects")
    if subjects:
        made = [_default_subject(subject) for subject in subjects]
        if any(new is not old for new, old in zip(made, subjects)):
            out = {**out, "subjects": made}
    return out


def _default_subject(subject: Any) -> Any:
    if subject.get("kind") in ("User", "Group") and not subject.get("apiGroup"):
        return {**subject, "apiGroup": GROUP}
    return subject


def binding_causes(new: Mapping[str, Any], old: Mapping[str, Any] | None, *, namespaced: bool) -> list[Cause]:
    """What is wrong with a binding, and with changing its role."""
    reference = new.get("roleRef") or {}
    out: list[Cause] = []
    if reference.get("apiGroup") != GROUP:
        out.append(wording.unsupported("roleRef.apiGroup", reference.get("apiGroup", ""), (GROUP,)))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if reference.get("kind") not in kinds:
        out.append(wording.unsupported("roleRef.kind", reference.get("kind", ""), kinds))
    name = reference.get("name")
    if not name:
        out.append(wording.required("roleRef.name"))
    else:
        out += [wording.invalid("roleRef.name", name, text) for text in path_segment(name)]
    for index, subject in enumerate(new.get("subjects") or ()):
        out += _subject_causes(subject, f"subjects[{index}]", namespaced)
    if old is not None and old.get("roleRef") != reference:
        shown = {"APIGroup": reference.get("apiGroup"), "Kind": reference.get("kind"), "Name": reference.get("name")}
        out.append(wording.invalid("roleRef", shown, "cannot change roleRef"))
    return out


def _subject_causes(subject: Mapping[str, Any], field: str, namespaced: bool) -> list[Cause]:
    out: list[Cause] = []
    kind, name = subject.get("kind", ""), subject.get("name", "")
    if not name:
        out.append(wording.required(f"{field}.name"))
    if kind == "ServiceAccount":
        if name:
            out += [wording.invalid(f"{field}.name", name, text) for text in names.dns_subdomain(name)]
        if subject.get("apiGroup"):
            out.append(wording.unsupported(f"{field}.apiGroup", subject["apiGroup"], ("",)))
        if not namespaced and not subject.get("namespace"):
            out.append(wording.required(f"{field}.namespace"))
    elif kind in ("User", "Group"):
        if subject.get("apiGroup") != GROUP:
            out.append(wording.unsupported(f"{field}.apiGroup", subject.get("apiGroup", ""), (GROUP,)))
    else:
        out.append(wording.unsupported(f"{field}.kind", kind, _SUBJECT_KINDS))
    return out
