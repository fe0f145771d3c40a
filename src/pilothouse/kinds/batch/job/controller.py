"""Reads what a Job's decision needs, says which changes concern which Job, and when.

Changes of pods are gathered for a second, as upstream does (`SyncJobBatchPeriod`): pods that end together are counted
together. New Jobs and changed specs are looked at once. Which keys wait, and the streak of failures of each running
Job (upstream's back-off store), is all this controller remembers; after a restart both are found again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pilothouse.base.actions import Action, Decision, Object, Patch
from pilothouse.base.errors import ApiError, Conflict, NotFound
from pilothouse.engines.jobs.backoff import Streak
from pilothouse.engines.rolling.claims import differs
from pilothouse.engines.rolling.lookup import is_controlled, keys_by_labels, matcher, orphans_key
from pilothouse.engines.rolling.views import PodView
from pilothouse.kinds.batch.job.decide import KIND_NAME, JobView, Observed, decide
from pilothouse.kinds.batch.job.views import FINALIZER, JOB_LABEL, JobPod
from pilothouse.machinery.client import Client
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, owner_key
from pilothouse.store.memory import Change, IndexFunction, Key

GATHER_S = 1.0
LABELS, TRACKED = "labels", "tracked-by-job"
_owner_of = owner_key(KIND_NAME)


def _tracking_keys(obj: Object) -> list[str]:
    """The Job that a pod with the tracking finalizer belongs or belonged to."""
    metadata = obj["metadata"]
    if FINALIZER not in (metadata.get("finalizers") or ()):
        return []
    references = metadata.get("ownerReferences") or ()
    name = next((r["name"] for r in references if r.get("controller") and r["kind"] == "Job"), "")
    name = name or (metadata.get("labels") or {}).get(JOB_LABEL, "")
    return [f"{metadata['namespace']}/{name}"]


INDEXES: dict[str, dict[str, IndexFunction]] = {"Pod": {LABELS: keys_by_labels, TRACKED: _tracking_keys}}
"""The indexes that the store must have for this controller."""


@dataclass(slots=True)
class _Memory:
    """What is remembered of one Job. ended: pods (by uid) that are part of the streak already."""

    uid: str
    streak: Streak = field(default_factory=Streak)
    ended: dict[str, None] = field(default_factory=dict)


class JobController:
    """Runs Jobs (kube-controller-manager's job-controller)."""

    name = "job-controller"

    def __init__(self, client: Client) -> None:
        self._client = client
        self._urgent: dict[Key, None] = {}
        self._gathering: dict[Key, float | None] = {}
        self._memory: dict[Key, _Memory] = {}
        self.watches = (WatchRule(KIND_NAME, self._keys_of_job), WatchRule("Pod", self._keys_of_pod))

    # -- what concerns whom, and when --

    def _keys_of_job(self, change: Change) -> Iterable[Key]:
        metadata = change.object["metadata"]
        key = (metadata["namespace"], metadata["name"])
        old = change.old.object["metadata"].get("generation") if change.old is not None else None
        if change.new is not None and old == metadata.get("generation"):
            self._gathering.setdefault(key, None)
        else:
            self._urgent[key] = None
        return (key,)

    def _keys_of_pod(self, change: Change) -> Iterable[Key]:
        keys = dict.fromkeys(_owner_of(change))
        if change.new is not None:
            if keys and not _matters(change):
                return ()
            for tracked in _tracking_keys(change.new.object) if not keys else ():
                namespace, _, name = tracked.partition("/")
                keys[(namespace, name)] = None
            if not keys and not is_controlled(change.object["metadata"]):
                keys = dict.fromkeys(self._adopters(change.new.view(PodView)))
        for key in keys:
            self._gathering.setdefault(key, None)
        return keys

    def _adopters(self, pod: PodView) -> Iterable[Key]:
        for stored in self._client.list(KIND_NAME, pod.metadata.namespace):
            selector = stored.object["spec"].get("selector")
            if selector and matcher(selector)(pod.labels):
                yield pod.metadata.namespace, stored.object["metadata"]["name"]

    def _waits_s(self, key: Key, now_s: float) -> float:
        """Seconds for which changes of this Job's pods are still being gathered; 0: look now."""
        urgent = key in self._urgent
        self._urgent.pop(key, None)
        if urgent or key not in self._gathering:
            self._gathering.pop(key, None)
            return 0.0
        until_s = self._gathering[key]
        if until_s is None:
            until_s = self._gathering[key] = now_s + GATHER_S
        if now_s < until_s:
            return until_s - now_s
        del self._gathering[key]
        return 0.0

    # -- reading --

    def reconcile(self, view: ReconcileInput) -> Decision:
        client, key = view.client, (view.namespace, view.name)
        wait_s = self._waits_s(key, view.now_s)
        if wait_s > 0:
            return Decision(requeue_s=wait_s)
        stored = client.get(KIND_NAME, *key)
        left_behind = self._left_behind(client, key, None if stored is None else stored.object)
        if stored is None:
            self._memory.pop(key, None)
            return Decision(tuple(left_behind))
        job = stored.view(JobView)
        if job.finished is not None:
            self._memory.pop(key, None)
            return Decision(tuple(left_behind))
        owned = [JobPod(pod.view(PodView), pod.object) for pod in client.owned("Pod", job.metadata.uid)]
        loose = client.indexed("Pod", LABELS, orphans_key(view.namespace))
        observed = Observed(
            owned=owned,
            orphans=[JobPod(pod.view(PodView), pod.object) for pod in loose],
            streak=self._streak(key, job, owned),
            failure=_refusal(view.last_failure),
        )
        made = decide(stored.object, job, observed, view.now_s)
        return Decision((*left_behind, *made.actions), made.status, made.requeue_s)

    def _streak(self, key: Key, job: JobView, pods: list[JobPod]) -> Streak:
        """Failures in a row, those of pods that ended since the last look included. It outlives the pods."""
        memory = self._memory.get(key)
        if memory is None or memory.uid != job.metadata.uid:
            memory = self._memory[key] = _Memory(job.metadata.uid)
        fresh = [pod for pod in pods if pod.tracked and pod.uid not in memory.ended]
        succeeded = [pod for pod in fresh if pod.succeeded]
        failed = [pod for pod in fresh if job.counts_as_failed(pod)]
        memory.streak = memory.streak.after([p.ended_s for p in succeeded], [p.ended_s for p in failed])
        memory.ended.update(dict.fromkeys(pod.uid for pod in (*succeeded, *failed)))
        return memory.streak

    @staticmethod
    def _left_behind(client: Client, key: Key, job: Object | None) -> list[Action]:
        """Frees pods whose Job is gone: nobody will count them any more."""
        uid = "" if job is None else job["metadata"]["uid"]
        freed: list[Action] = []
        for stored in client.indexed("Pod", TRACKED, f"{key[0]}/{key[1]}"):
            metadata = stored.object["metadata"]
            owner = next((r for r in metadata.get("ownerReferences") or () if r.get("controller")), None)
            if uid and (owner is None or owner["uid"] == uid):
                continue
            left = [name for name in metadata["finalizers"] if name != FINALIZER]
            body = {"metadata": {"uid": metadata["uid"], "finalizers": left or None}}
            freed.append(Patch("Pod", metadata["namespace"], metadata["name"], body))
        return freed


def _matters(change: Change) -> bool:
    if change.old is None or change.new is None:
        return True
    before, after = change.old.object["metadata"], change.new.object["metadata"]
    if before.get("finalizers") != after.get("finalizers"):
        return True
    return differs(change.old.view(PodView), change.new.view(PodView))


def _refusal(failure: Exception | None) -> str:
    """Why pods could not be made; an object that changed or went meanwhile is no refusal."""
    if not isinstance(failure, ApiError) or isinstance(failure, Conflict | NotFound):
        return ""
    return failure.message
