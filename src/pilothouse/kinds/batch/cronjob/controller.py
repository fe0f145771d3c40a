"""Reads what a CronJob's decision needs and says which changes concern which CronJob."""

from __future__ import annotations

from pilothouse.base.actions import Decision, Object
from pilothouse.base.errors import ApiError, Conflict, NotFound
from pilothouse.kinds.batch.cronjob.decide import KIND_NAME, CronView, Observed, decide
from pilothouse.kinds.batch.cronjob.views import JOB_KIND, Child
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key, owner_key
from pilothouse.store.memory import IndexFunction

INDEXES: dict[str, dict[str, IndexFunction]] = {}
"""The indexes that the store must have for this controller: none beyond owners."""


class CronJobController:
    """Starts Jobs by the clock (kube-controller-manager's cronjob-controller)."""

    name = "cronjob-controller"
    watches = (WatchRule(KIND_NAME, own_key), WatchRule(JOB_KIND, owner_key(KIND_NAME)))

    def reconcile(self, view: ReconcileInput) -> Decision:
        client, namespace = view.client, view.namespace
        stored = client.get(KIND_NAME, namespace, view.name)
        if stored is None:
            return Decision()
        cron = stored.view(CronView)

        def job_named(name: str) -> Object | None:
            found = client.get(JOB_KIND, namespace, name)
            return None if found is None else found.object

        observed = Observed(
            jobs=[Child(job.object) for job in client.owned(JOB_KIND, cron.metadata.uid)],
            job_named=job_named,
            failure=_refusal(view.last_failure),
        )
        return decide(stored.object, cron, observed, view.now_s)


def _refusal(failure: Exception | None) -> str:
    """Why a Job could not be made; an object that changed or went meanwhile is no refusal."""
    if not isinstance(failure, ApiError) or isinstance(failure, Conflict | NotFound):
        return ""
    return failure.message
