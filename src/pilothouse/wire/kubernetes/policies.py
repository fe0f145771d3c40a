"""Checks on writes that need to know who asks: nobody may give rights that they do not have (kubernetes 1.36
`pkg/registry/rbac`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import ForbiddenWrite
from pilothouse.machinery import authz
from pilothouse.machinery.authn import MASTERS
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.request import Request
from pilothouse.wire.kubernetes.resources import Resource


def check(
    context: Context, request: Request, resource: Resource, obj: Object, old: Object | None, subresource: str = ""
) -> None:
    """Refuse a role with rights its writer lacks, and a binding to a role whose rights its writer lacks."""
    if resource.group != authz.GROUP or subresource or MASTERS in request.user.groups:
        return
    target = request.target
    assert target is not None
    namespace = target.namespace if resource.namespaced else ""
    name = (obj.get("metadata") or {}).get("name", "")
    if resource.kind_name in ("Role", "ClusterRole"):
        if old is not None and old.get("rules") == obj.get("rules"):
            return
        wanted, verb = obj.get("rules") or [], "escalate"
        asked = authz.Attributes(verb, authz.GROUP, resource.plural, "", namespace, name)
    else:
        reference = obj.get("roleRef") or {}
        wanted, verb = context.rbac.role_rules(reference, namespace) if reference.get("name") else [], "bind"
        plural = "clusterroles" if reference.get("kind") == "ClusterRole" else "roles"
        asked = authz.Attributes(verb, authz.GROUP, plural, "", namespace, reference.get("name", ""))
    if context.rbac.allows(request.user, asked) or context.rbac.covers(request.user, namespace, wanted):
        return
    raise _escalation(context, request, resource, name, namespace, wanted)


def _escalation(
    context: Context, request: Request, resource: Resource, name: str, namespace: str, wanted: list[Mapping[str, Any]]
) -> ForbiddenWrite:
    user = request.user
    missing = [rule for rule in wanted if not context.rbac.covers(user, namespace, [rule])]
    listed = "\n".join(_shown(rule) for rule in missing)
    groups = " ".join(f'"{group}"' for group in user.groups)
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    return ForbiddenWrite(
        f'{resource.qualified} "{name}" is forbidden: user "{user.name}" (groups=[{groups}]) is attempting to grant '
        f"RBAC permissions not currently held:\n{listed}",
        details=details,
    )


def _shown(rule: Mapping[str, Any]) -> str:
    """A rule in Go's compact form: {APIGroups:[""], Resources:["pods"], Verbs:["get"]}."""
    parts = []
    for label, field in (
        ("APIGroups", "apiGroups"),
        ("Resources", "resources"),
        ("ResourceNames", "resourceNames"),
        ("NonResourceURLs", "nonResourceURLs"),
        ("Verbs", "verbs"),
    ):
        if rule.get(field):
            parts.append(f"{label}:[{' '.join(chr(34) + value + chr(34) for value in rule[field])}]")
    return "{" + ", ".join(parts) + "}"
