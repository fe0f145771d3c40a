"""ClusterRole as Kubernetes 1.36 stores it: rights, cluster-wide (`pkg/apis/rbac`)."""

from __future__ import annotations

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema.rbac_rules import path_segment, role_causes
from pilothouse.machinery.kind import Column, Component, Kind, Strategy


def validate(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    return role_causes(new.get("rules"), namespaced=False)


KIND = Kind(
    "rbac.authorization.k8s.io",
    "v1",
    "ClusterRole",
    "clusterroles",
    Component("apis_rbac.authorization.k8s.io_v1.json", "io.k8s.api.rbac.v1.ClusterRole"),
    singular="clusterrole",
    namespaced=False,
    validate=validate,
    strategy=Strategy(status=False, generation=False, name_causes=path_segment, create_on_replace=True),
    columns=(
        Column("Name", lambda obj, _now: obj["metadata"]["name"], format="name"),
        Column("Created At", lambda obj, _now: obj["metadata"]["creationTimestamp"], "date"),
    ),
)
