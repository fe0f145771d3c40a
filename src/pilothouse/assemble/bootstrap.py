"""What a fresh API holds before anybody writes: namespaces, the built-in roles and bindings, the API's own Service."""

from __future__ import annotations

from pilothouse.engines.schema.openapi import read_document
from pilothouse.machinery import authz
from pilothouse.machinery.write_path import WritePath

_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_MANAGER = "kube-apiserver"
_KINDS = {
    "clusterroles": (authz.CLUSTER_ROLE, "ClusterRole"),
    "clusterrolebindings": (authz.CLUSTER_ROLE_BINDING, "ClusterRoleBinding"),
    "roles": (authz.ROLE, "Role"),
    "rolebindings": (authz.ROLE_BINDING, "RoleBinding"),
}


def fill(write_path: WritePath) -> None:
    """Create what is missing; what somebody changed stays."""
    store = write_path.store
    for name in _NAMESPACES:
        if store.get("Namespace", "", name) is None:
            write_path.create(
                "Namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager=_MANAGER
            )
    for part, (kind, shown) in _KINDS.items():
        for obj in read_document("kubernetes-openapi/bootstrap-rbac.json")[part]:
            metadata = obj["metadata"]
            if store.get(kind, metadata.get("namespace", ""), metadata["name"]) is None:
                write_path.create(kind, {**obj, "apiVersion": f"{authz.GROUP}/v1", "kind": shown}, manager=_MANAGER)
