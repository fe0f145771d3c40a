"""Every kind Pilothouse knows: those of a cluster (`cluster_kinds`) and its own. Adding a kind is one line."""

from __future__ import annotations

from pilothouse.assemble.cluster_kinds import CLUSTER_KINDS
from pilothouse.kinds.argoproj.analysisrun.kind import KIND as ANALYSISRUN
from pilothouse.kinds.argoproj.analysistemplate.kind import KIND as ANALYSISTEMPLATE
from pilothouse.kinds.argoproj.clusteranalysistemplate.kind import KIND as CLUSTERANALYSISTEMPLATE
from pilothouse.kinds.argoproj.experiment.kind import KIND as EXPERIMENT
from pilothouse.kinds.argoproj.rollout.kind import KIND as ROLLOUT
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
from pilothouse.kinds.pyrra.servicelevelobjective.kind import KIND as SERVICELEVELOBJECTIVE
from pilothouse.kinds.sloth.prometheusservicelevel.kind import KIND as PROMETHEUSSERVICELEVEL
from pilothouse.machinery.kind import Kinds

KINDS = Kinds(
    [
        *CLUSTER_KINDS,
        PROMETHEUSRULE,
        SERVICEMONITOR,
        ROLLOUT,
        ANALYSISTEMPLATE,
        CLUSTERANALYSISTEMPLATE,
        ANALYSISRUN,
        EXPERIMENT,
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
