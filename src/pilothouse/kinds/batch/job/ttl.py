"""The TTL-after-finished controller: deletes a Job some seconds after it has ended, its pods with it.

Source: `pkg/controller/ttlafterfinished`, Kubernetes 1.36.
"""

from __future__ import annotations

from pilothouse.base.actions import Decision, Delete
from pilothouse.base.clock import parse_rfc3339
from pilothouse.kinds.batch.job.views import KIND_NAME, JobView
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key


class TtlController:
    name = "ttl-after-finished-controller"
    watches = (WatchRule(KIND_NAME, own_key),)

    def reconcile(self, view: ReconcileInput) -> Decision:
        stored = view.client.get(KIND_NAME, view.namespace, view.name)
        return Decision() if stored is None else decide(stored.view(JobView), view.now_s)


def decide(job: JobView, now_s: float) -> Decision:
    """Delete the Job when its time is over, look again when not yet."""
    ended, ttl_s = job.finished, job.spec.ttlSecondsAfterFinished
    if ended is None or ttl_s is None or job.metadata.deletionTimestamp is not None:
        return Decision()
    left_s = parse_rfc3339(ended["lastTransitionTime"]) + ttl_s - now_s
    if left_s > 0:
        return Decision(requeue_s=left_s)
    meta = job.metadata
    return Decision((Delete(KIND_NAME, meta.namespace, meta.name, uid=meta.uid),))
