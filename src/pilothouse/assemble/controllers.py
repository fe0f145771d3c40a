"""The controllers of a cluster as a written list, and the indexes they read by. Adding a controller is one line here.

Apart from the kinds: an API that runs no controllers need not load them.
"""

from __future__ import annotations

from pilothouse.kinds.apps.daemonset import controller as daemonset
from pilothouse.kinds.apps.deployment import controller as deployment
from pilothouse.kinds.apps.replicaset import controller as replicaset
from pilothouse.kinds.apps.statefulset import controller as statefulset
from pilothouse.kinds.argoproj.analysisrun import controller as analysisrun
from pilothouse.kinds.argoproj.analysisrun.providers import NoProviders, Providers
from pilothouse.kinds.argoproj.experiment import controller as experiment
from pilothouse.kinds.argoproj.rollout import controller as rollout
from pilothouse.kinds.autoscaling.horizontalpodautoscaler import controller as horizontalpodautoscaler
from pilothouse.kinds.batch.cronjob import controller as cronjob
from pilothouse.kinds.batch.job import controller as job
from pilothouse.kinds.batch.job import ttl
from pilothouse.kinds.core.endpoints import controller as endpoints
from pilothouse.kinds.core.namespace import controller as namespace
from pilothouse.kinds.core.replicationcontroller import controller as replicationcontroller
from pilothouse.kinds.core.resourcequota import controller as resourcequota
from pilothouse.kinds.core.serviceaccount import controller as serviceaccount
from pilothouse.kinds.discovery.endpointslice import controller as endpointslice
from pilothouse.kinds.policy.poddisruptionbudget import controller as poddisruptionbudget
from pilothouse.machinery.client import Client
from pilothouse.machinery.ports import MetricsReader
from pilothouse.machinery.reconcile import Controller
from pilothouse.store.memory import IndexFunction


def controllers(client: Client, metrics: MetricsReader, providers: Providers | None = None) -> list[Controller]:
    """The controllers of a cluster, in the order in which their tasks start. providers: what analyses measure with."""
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
        rollout.RolloutController(client),
        analysisrun.AnalysisRunController(providers or NoProviders()),
        experiment.ExperimentController(),
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
        rollout,
    ):
        for kind, functions in module.INDEXES.items():
            out.setdefault(kind, {}).update(functions)
    return out
