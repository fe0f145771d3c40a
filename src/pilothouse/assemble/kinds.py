"""Every kind Pilothouse knows and every controller it runs, as two written lists. Adding a kind is one line here."""

from __future__ import annotations

from pilothouse.kinds.apps.controllerrevision.kind import KIND as CONTROLLERREVISION
from pilothouse.kinds.apps.daemonset import controller as daemonset
from pilothouse.kinds.apps.daemonset.kind import KIND as DAEMONSET
from pilothouse.kinds.apps.deployment import controller as deployment
from pilothouse.kinds.apps.deployment.kind import KIND as DEPLOYMENT
from pilothouse.kinds.apps.replicaset import controller as replicaset
from pilothouse.kinds.apps.replicaset.kind import KIND as REPLICASET
from pilothouse.kinds.apps.statefulset import controller as statefulset
from pilothouse.kinds.apps.statefulset.kind import KIND as STATEFULSET
from pilothouse.kinds.autoscaling.horizontalpodautoscaler import controller as horizontalpodautoscaler
from pilothouse.kinds.autoscaling.horizontalpodautoscaler.kind import KIND as HORIZONTALPODAUTOSCALER
from pilothouse.kinds.batch.cronjob import controller as cronjob
from pilothouse.kinds.batch.cronjob.kind import KIND as CRONJOB
from pilothouse.kinds.batch.job import controller as job
from pilothouse.kinds.batch.job import ttl
from pilothouse.kinds.batch.job.kind import KIND as JOB
from pilothouse.kinds.core.configmap.kind import KIND as CONFIGMAP
from pilothouse.kinds.core.endpoints import controller as endpoints
from pilothouse.kinds.core.endpoints.kind import KIND as ENDPOINTS
from pilothouse.kinds.core.event.kind import KIND as EVENT
from pilothouse.kinds.core.limitrange.kind import KIND as LIMITRANGE
from pilothouse.kinds.core.namespace import controller as namespace
from pilothouse.kinds.core.namespace.kind import KIND as NAMESPACE
from pilothouse.kinds.core.node.kind import KIND as NODE
from pilothouse.kinds.core.persistentvolumeclaim.kind import KIND as PERSISTENTVOLUMECLAIM
from pilothouse.kinds.core.pod.kind import KIND as POD
from pilothouse.kinds.core.replicationcontroller import controller as replicationcontroller
from pilothouse.kinds.core.replicationcontroller.kind import KIND as REPLICATIONCONTROLLER
from pilothouse.kinds.core.resourcequota import controller as resourcequota
from pilothouse.kinds.core.resourcequota.kind import KIND as RESOURCEQUOTA
from pilothouse.kinds.core.secret.kind import KIND as SECRET
from pilothouse.kinds.core.service.kind import KIND as SERVICE
from pilothouse.kinds.core.serviceaccount import controller as serviceaccount
from pilothouse.kinds.core.serviceaccount.kind import KIND as SERVICEACCOUNT
from pilothouse.kinds.discovery.endpointslice import controller as endpointslice
from pilothouse.kinds.discovery.endpointslice.kind import KIND as ENDPOINTSLICE
from pilothouse.kinds.monitoring.prometheusrule.kind import KIND as PROMETHEUSRULE
from pilothouse.kinds.monitoring.servicemonitor.kind import KIND as SERVICEMONITOR
from pilothouse.kinds.openslo.alertcondition.kind import KIND as OPENSLO_ALERTCONDITION
from pilothouse.kinds.openslo.alertnotificationtarget.kind import KIND as OPENSLO_ALERTNOTIFICATIONTARGET
from pilothouse.kinds.openslo.alertpolicy.kind import KIND as OPENSLO_ALERTPOLICY
from pilothouse.kinds.openslo.datasource.kind import KIND as OPENSLO_DATASOURCE
from pilothouse.kinds.openslo.service.kind import KIND as OPENSLO_SERVICE
from pilothouse.kinds.openslo.sli.kind import KIND as OPENSLO_SLI
from pilothouse.kinds.openslo.slo.kind import KIND as OPENSLO_SLO
from pilothouse.kinds.pilothouse.errorbudgetpolicy.kind import KIND as ERRORBUDGETPOLICY
from pilothouse.kinds.pilothouse.scenario.kind import KIND as SCENARIO
from pilothouse.kinds.policy.poddisruptionbudget import controller as poddisruptionbudget
from pilothouse.kinds.policy.poddisruptionbudget.kind import KIND as PODDISRUPTIONBUDGET
from pilothouse.kinds.pyrra.servicelevelobjective.kind import KIND as SERVICELEVELOBJECTIVE
from pilothouse.kinds.sloth.prometheusservicelevel.kind import KIND as PROMETHEUSSERVICELEVEL
from pilothouse.machinery.client import Client
from pilothouse.machinery.kind import Kinds
from pilothouse.machinery.ports import MetricsReader
from pilothouse.machinery.reconcile import Controller
from pilothouse.store.memory import IndexFunction

KINDS = Kinds(
    [
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
        PROMETHEUSRULE,
        SERVICEMONITOR,
        SCENARIO,
        ERRORBUDGETPOLICY,
        OPENSLO_SLO,
        OPENSLO_SLI,
        OPENSLO_SERVICE,
        OPENSLO_DATASOURCE,
        OPENSLO_ALERTPOLICY,
        OPENSLO_ALERTCONDITION,
        OPENSLO_ALERTNOTIFICATIONTARGET,
        PROMETHEUSSERVICELEVEL,
        SERVICELEVELOBJECTIVE,
    ]
)


def controllers(client: Client, metrics: MetricsReader) -> list[Controller]:
    """The controllers of a cluster, in the order in which their tasks start."""
    return [
        namespace.NamespaceController(),
        serviceaccount.ServiceAccountsController(),
        deployment.DeploymentController(client),
        replicaset.ReplicaSetController(client),
        statefulset.StatefulSetController(client),
        daemonset.DaemonSetController(client),
        job.JobController(client),
        ttl.TtlController(),
        cronjob.CronJobController(),
        replicationcontroller.ReplicationController(client),
        endpointslice.EndpointSliceController(client),
        endpoints.EndpointsController(),
        resourcequota.ResourceQuotaController(client),
        poddisruptionbudget.BudgetController(client),
        horizontalpodautoscaler.HorizontalController(metrics),
    ]


def indexes() -> dict[str, dict[str, IndexFunction]]:
    """{kind: {index: function}} that the controllers read by; two that ask for the same index share it."""
    out: dict[str, dict[str, IndexFunction]] = {}
    for module in (
        deployment,
        replicaset,
        statefulset,
        daemonset,
        job,
        cronjob,
        replicationcontroller,
        endpointslice,
        endpoints,
        poddisruptionbudget,
        horizontalpodautoscaler,
    ):
        for kind, functions in module.INDEXES.items():
            out.setdefault(kind, {}).update(functions)
    return out
