"""ClusterRoleBinding as Kubernetes 1.36 stores it: who holds a role's rights (`pkg/apis/rbac`)."""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema.rbac_rules import binding_causes, default_binding, path_segment
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy


def default(obj: Object) -> Object:
    changed: Object = default_binding(obj)
    return changed


def validate(new: Object, old: Object | None) -> list[Cause]:
    return binding_causes(new, old, namespaced=False)


def _role(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
    return f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}"


def _subjects(kind: str) -> Any:
    def value(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
        found = [subject for subject in obj.get("subjects") or () if subject.get("kind") == kind]
        if kind == "ServiceAccount":
            return ", ".join(f"{subject.get('namespace', '')}/{subject['name']}" for subject in found)
        return ", ".join(subject["name"] for subject in found)

    return value


KIND = Kind(
    "rbac.authorization.k8s.io",
    "v1",
    "ClusterRoleBinding",
    "clusterrolebindings",
    Component("apis_rbac.authorization.k8s.io_v1.json", "io.k8s.api.rbac.v1.ClusterRoleBinding"),
    singular="clusterrolebinding",
    namespaced=False,
    default=default,
    validate=validate,
    strategy=Strategy(status=False, generation=False, name_causes=path_segment, create_on_replace=True),
    columns=(
        NAME,
        Column("Role", _role),
        AGE,
        Column("Users", _subjects("User"), wide=True),
        Column("Groups", _subjects("Group"), wide=True),
        Column("ServiceAccounts", _subjects("ServiceAccount"), wide=True),
    ),
)
