"""The kinds of Kubernetes itself that have rules of their own, in the order in which reports list them."""

from __future__ import annotations

from pilothouse.kinds.apps.controllerrevision.kind import KIND as CONTROLLERREVISION
from pilothouse.kinds.apps.daemonset.kind import KIND as DAEMONSET
from pilothouse.kinds.apps.deployment.kind import KIND as DEPLOYMENT
from pilothouse.kinds.apps.replicaset.kind import KIND as REPLICASET
from pilothouse.kinds.apps.statefulset.kind import KIND as STATEFULSET
from pilothouse.kinds.autoscaling.horizontalpodautoscaler.kind import KIND as HORIZONTALPODAUTOSCALER
from pilothouse.kinds.batch.cronjob.kind import KIND as CRONJOB
from pilothouse.kinds.batch.job.kind import KIND as JOB
from pilothouse.kinds.core.configmap.kind import KIND as CONFIGMAP
from pilothouse.kinds.core.endpoints.kind import KIND as ENDPOINTS
from pilothouse.kinds.core.event.kind import KIND as EVENT
from pilothouse.kinds.core.limitrange.kind import KIND as LIMITRANGE
from pilothouse.kinds.core.namespace.kind import KIND as NAMESPACE
from pilothouse.kinds.core.node.kind import KIND as NODE
from pilothouse.kinds.core.persistentvolumeclaim.kind import KIND as PERSISTENTVOLUMECLAIM
from pilothouse.kinds.core.pod.kind import KIND as POD
from pilothouse.kinds.core.replicationcontroller.kind import KIND as REPLICATIONCONTROLLER
from pilothouse.kinds.core.resourcequota.kind import KIND as RESOURCEQUOTA
from pilothouse.kinds.core.secret.kind import KIND as SECRET
from pilothouse.kinds.core.service.kind import KIND as SERVICE
from pilothouse.kinds.core.serviceaccount.kind import KIND as SERVICEACCOUNT
from pilothouse.kinds.discovery.endpointslice.kind import KIND as ENDPOINTSLICE
from pilothouse.kinds.policy.poddisruptionbudget.kind import KIND as PODDISRUPTIONBUDGET

CLUSTER_KINDS = (
    NAMESPACE,
    NODE,
    POD,
    SERVICE,
    ENDPOINTS,
    CONFIGMAP,
    SECRET,
    SERVICEACCOUNT,
    PERSISTENTVOLUMECLAIM,
    REPLICATIONCONTROLLER,
    RESOURCEQUOTA,
    LIMITRANGE,
    EVENT,
    DEPLOYMENT,
    REPLICASET,
    STATEFULSET,
    DAEMONSET,
    CONTROLLERREVISION,
    JOB,
    CRONJOB,
    HORIZONTALPODAUTOSCALER,
    PODDISRUPTIONBUDGET,
    ENDPOINTSLICE,
)
