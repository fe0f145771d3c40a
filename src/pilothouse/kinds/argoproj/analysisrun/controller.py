"""Reads what an AnalysisRun's decision needs and says which changes concern which run."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from pilothouse.base.actions import Decision, Object
from pilothouse.kinds.argoproj.analysisrun.decide import KIND_NAME, Observed, decide
from pilothouse.kinds.argoproj.analysisrun.measure import JOB_KIND, Surroundings
from pilothouse.kinds.argoproj.analysisrun.providers import Providers
from pilothouse.machinery.client import Client
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key, owner_key
from pilothouse.store.memory import IndexFunction

INDEXES: dict[str, dict[str, IndexFunction]] = {}
"""The indexes that the store must have for this controller: none."""


class AnalysisRunController:
    """Measures and judges (the analysis controller of Argo Rollouts). providers: where values come from."""

    name = "analysis-controller"
    watches = (WatchRule(KIND_NAME, own_key), WatchRule(JOB_KIND, owner_key(KIND_NAME)))

    def __init__(self, providers: Providers) -> None:
        self._providers = providers

    def reconcile(self, view: ReconcileInput) -> Decision:
        client, namespace = view.client, view.namespace
        stored = client.get(KIND_NAME, namespace, view.name)
        if stored is None:
            return Decision()
        around = Surroundings(
            self._providers,
            lambda name: _object(client, JOB_KIND, namespace, name),
            lambda uid: _pods(client, uid),
            JOB_KIND in client.kinds,
            [job.object for job in client.owned(JOB_KIND, stored.object["metadata"].get("uid", ""))],
        )
        observed = Observed(lambda name, key: _secret(client, namespace, name, key), around)
        return decide(stored.object, observed, view.now_s)


def _object(client: Client, kind: str, namespace: str, name: str) -> Object | None:
    stored = client.get(kind, namespace, name)
    return None if stored is None else stored.object


def _pods(client: Client, job_uid: str) -> Iterable[Object]:
    return [pod.object for pod in client.owned("Pod", job_uid)]


def _secret(client: Client, namespace: str, name: str, key: str) -> str:
    found = _object(client, "Secret", namespace, name)
    if found is None:
        raise ValueError(f'secrets "{name}" not found')
    data = found.get("data") or {}
    if key not in data:
        raise ValueError(f"key '{key}' does not exist in secret '{name}'")
    try:
        return base64.b64decode(data[key], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError(f"key '{key}' of secret '{name}' is no text") from None
