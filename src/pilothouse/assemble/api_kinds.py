"""The kinds that the API stores: those of the cluster, those that only the API has, and the rest of upstream's by
schema alone."""

from __future__ import annotations

from pilothouse.assemble.cluster_kinds import CLUSTER_KINDS
from pilothouse.kinds.apiextensions.customresourcedefinition.kind import KIND as CUSTOMRESOURCEDEFINITION
from pilothouse.kinds.coordination.lease.kind import KIND as LEASE
from pilothouse.kinds.core.persistentvolume.kind import KIND as PERSISTENTVOLUME
from pilothouse.kinds.networking.ingress.kind import KIND as INGRESS
from pilothouse.kinds.networking.ingressclass.kind import KIND as INGRESSCLASS
from pilothouse.kinds.networking.networkpolicy.kind import KIND as NETWORKPOLICY
from pilothouse.kinds.rbac.clusterrole.kind import KIND as CLUSTERROLE
from pilothouse.kinds.rbac.clusterrolebinding.kind import KIND as CLUSTERROLEBINDING
from pilothouse.kinds.rbac.role.kind import KIND as ROLE
from pilothouse.kinds.rbac.rolebinding.kind import KIND as ROLEBINDING
from pilothouse.kinds.scheduling.priorityclass.kind import KIND as PRIORITYCLASS
from pilothouse.kinds.schema_only import schema_only
from pilothouse.machinery.kind import Kinds

API_KINDS = (
    ROLE,
    CLUSTERROLE,
    ROLEBINDING,
    CLUSTERROLEBINDING,
    CUSTOMRESOURCEDEFINITION,
    PERSISTENTVOLUME,
    LEASE,
    PRIORITYCLASS,
    NETWORKPOLICY,
    INGRESS,
    INGRESSCLASS,
)


def served_kinds() -> Kinds:
    """Every kind that the API stores when nobody has defined one."""
    own = {kind.name: kind for kind in API_KINDS}
    for kind in CLUSTER_KINDS:
        own.setdefault(kind.name, kind)
    return Kinds([*own.values(), *schema_only([*own])])
