"""Reads what an Experiment's decision needs and says which changes concern which Experiment."""

from __future__ import annotations

from pilothouse.base.actions import Decision, Object
from pilothouse.base.errors import ApiError, Conflict, NotFound
from pilothouse.engines.rolling.views import ReplicaSetView
from pilothouse.kinds.argoproj.experiment.decide import decide
from pilothouse.kinds.argoproj.experiment.reading import KIND_NAME, RUN_KIND, SET_KIND, Observed
from pilothouse.machinery.client import Client
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key, owner_key
from pilothouse.store.memory import IndexFunction

INDEXES: dict[str, dict[str, IndexFunction]] = {}
"""The indexes that the store must have for this controller: none."""
_TEMPLATES = {False: "argoproj.io/AnalysisTemplate", True: "argoproj.io/ClusterAnalysisTemplate"}


class ExperimentController:
    """Runs Experiments (the experiment controller of Argo Rollouts)."""

    name = "experiments-controller"
    watches = (
        WatchRule(KIND_NAME, own_key),
        WatchRule(SET_KIND, owner_key(KIND_NAME)),
        WatchRule(RUN_KIND, owner_key(KIND_NAME)),
    )

    def reconcile(self, view: ReconcileInput) -> Decision:
        client, namespace = view.client, view.namespace
        stored = client.get(KIND_NAME, namespace, view.name)
        if stored is None:
            return Decision()
        uid = stored.object["metadata"].get("uid", "")
        observed = Observed(
            sets=[s.view(ReplicaSetView) for s in client.owned(SET_KIND, uid)],
            services=[s.object for s in client.owned("Service", uid)],
            find=lambda kind, name: _object(client, kind, namespace, name),
            template=lambda name, cluster: _object(client, _TEMPLATES[cluster], "" if cluster else namespace, name),
            failure=_refusal(view.last_failure),
        )
        return decide(stored.object, observed, view.now_s)


def _object(client: Client, kind: str, namespace: str, name: str) -> Object | None:
    stored = client.get(kind, namespace, name)
    return None if stored is None else stored.object


def _refusal(failure: Exception | None) -> str:
    """Why the last write was refused; an object that changed or went meanwhile is no refusal."""
    if not isinstance(failure, ApiError) or isinstance(failure, Conflict | NotFound):
        return ""
    return failure.message
