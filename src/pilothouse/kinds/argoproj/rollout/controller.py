"""Reads what a Rollout's decision needs and says which changes concern which Rollout."""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.base.actions import Decision, Object
from pilothouse.base.errors import ApiError, Conflict, NotFound
from pilothouse.base.selectors import from_object
from pilothouse.engines.rolling.lookup import keys_of_orphans, orphans_key
from pilothouse.engines.rolling.views import PodView, ReplicaSetView
from pilothouse.kinds.argoproj.rollout.decide import decide
from pilothouse.kinds.argoproj.rollout.reading import (
    EXPERIMENT_KIND,
    KIND_NAME,
    MANAGED_BY,
    RUN_KIND,
    SERVICE_KEYS,
    SET_KIND,
    Observed,
    Workload,
)
from pilothouse.kinds.argoproj.rollout.services import release
from pilothouse.machinery.client import Client
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key, owner_key
from pilothouse.store.memory import Change, IndexFunction, Key

ORPHANS = "orphans"
INDEXES: dict[str, dict[str, IndexFunction]] = {SET_KIND: {ORPHANS: keys_of_orphans}}
"""The indexes that the store must have for this controller."""
_WORKLOADS = {"Deployment": "apps/Deployment", "ReplicaSet": SET_KIND, "PodTemplate": "PodTemplate"}
_BUDGET_KIND = "policy/PodDisruptionBudget"
_TEMPLATES = {False: "argoproj.io/AnalysisTemplate", True: "argoproj.io/ClusterAnalysisTemplate"}


class RolloutController:
    """Delivers Rollouts (the rollout controller of Argo Rollouts)."""

    name = "rollouts-controller"

    def __init__(self, client: Client) -> None:
        self._client = client
        rules = [
            WatchRule(KIND_NAME, own_key),
            WatchRule(SET_KIND, owner_key(KIND_NAME)),
            WatchRule(RUN_KIND, owner_key(KIND_NAME)),
            WatchRule(EXPERIMENT_KIND, owner_key(KIND_NAME)),
            WatchRule("Service", self._keys_of_service),
            WatchRule("apps/Deployment", self._keys_of_workload),
        ]
        # What an invalid Rollout waits for; everything else of it is read when it is needed.
        rules += [WatchRule(kind, self._keys_in_namespace) for kind in _TEMPLATES.values()]
        self.watches = tuple(rules)

    def _keys_of_service(self, change: Change) -> Iterable[Key]:
        metadata = change.object["metadata"]
        for stored in self._client.list(KIND_NAME, metadata.get("namespace", "")):
            strategy = (stored.object.get("spec") or {}).get("strategy") or {}
            for spec in (strategy.get("canary") or {}, strategy.get("blueGreen") or {}):
                if metadata["name"] in [spec.get(key) for key in SERVICE_KEYS]:
                    yield metadata.get("namespace", ""), stored.object["metadata"]["name"]

    def _keys_of_workload(self, change: Change) -> Iterable[Key]:
        obj = change.object
        for stored in self._client.list(KIND_NAME, obj["metadata"].get("namespace", "")):
            reference = (stored.object.get("spec") or {}).get("workloadRef") or {}
            if reference.get("kind") == "Deployment" and reference.get("name") == obj["metadata"]["name"]:
                yield obj["metadata"].get("namespace", ""), stored.object["metadata"]["name"]

    def _keys_in_namespace(self, change: Change) -> Iterable[Key]:
        for stored in self._client.list(KIND_NAME, change.object["metadata"].get("namespace", "")):
            if (stored.object.get("status") or {}).get("phase") == "Degraded":
                metadata = stored.object["metadata"]
                yield metadata.get("namespace", ""), metadata["name"]

    def reconcile(self, view: ReconcileInput) -> Decision:
        client, namespace = view.client, view.namespace
        stored = client.get(KIND_NAME, namespace, view.name)
        managed = _managed(client, namespace, view.name)
        if stored is None:
            return Decision(actions=tuple(release(managed, ())))
        uid = stored.object["metadata"].get("uid", "")
        observed = Observed(
            owned=[s.view(ReplicaSetView) for s in client.owned(SET_KIND, uid)],
            orphans=[s.view(ReplicaSetView) for s in client.indexed(SET_KIND, ORPHANS, orphans_key(namespace))],
            find=lambda kind, name: _object(client, kind, namespace, name),
            template=lambda name, cluster: _object(client, _TEMPLATES[cluster], "" if cluster else namespace, name),
            pods_of=lambda set_uid: [pod.view(PodView) for pod in client.owned("Pod", set_uid)],
            may_evict=_Budgets(client, namespace).may_evict,
            runs=[r.object for r in client.owned(RUN_KIND, uid)],
            experiments=[e.object for e in client.owned(EXPERIMENT_KIND, uid)],
            managed=managed,
            workload=_workload(client, stored.object),
            failure=_refusal(view.last_failure),
        )
        return decide(stored.object, observed, view.now_s)


def _object(client: Client, kind: str, namespace: str, name: str) -> Object | None:
    stored = client.get(kind, namespace, name)
    return None if stored is None else stored.object


def _managed(client: Client, namespace: str, name: str) -> list[Object]:
    """Services that carry the mark of this Rollout."""
    objects = (s.object for s in client.list("Service", namespace))
    return [o for o in objects if (o["metadata"].get("annotations") or {}).get(MANAGED_BY) == name]


def _workload(client: Client, rollout: Object) -> Workload | None:
    reference = (rollout.get("spec") or {}).get("workloadRef") or {}
    kind = _WORKLOADS.get(reference.get("kind", ""))
    if kind is None:
        return None
    found = _object(client, kind, rollout["metadata"].get("namespace", ""), reference.get("name", ""))
    return None if found is None else Workload(kind, found)


class _Budgets:
    """What the disruption budgets of a namespace still allow during one pass."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._left: dict[str, int] = {}

    def may_evict(self, pod: PodView) -> bool:
        """Whether every budget of the pod allows one more; if so it is counted."""
        budgets = []
        for stored in self._client.list(_BUDGET_KIND, self._namespace):
            obj = stored.object
            if from_object((obj.get("spec") or {}).get("selector")).matches(pod.labels):
                name = obj["metadata"]["name"]
                self._left.setdefault(name, int((obj.get("status") or {}).get("disruptionsAllowed", 0)))
                budgets.append(name)
        if any(self._left[name] <= 0 for name in budgets):
            return False
        for name in budgets:
            self._left[name] -= 1
        return True


def _refusal(failure: Exception | None) -> str:
    """Why the last write was refused; an object that changed or went meanwhile is no refusal."""
    if not isinstance(failure, ApiError) or isinstance(failure, Conflict | NotFound):
        return ""
    return failure.message
