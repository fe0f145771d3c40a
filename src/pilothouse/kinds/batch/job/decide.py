"""What a Job does next: one pass over what was read, from which actions come; the status is written among them.

Each pod holds a finalizer until it is counted. A pass first notes ended pods in the status (`uncountedTerminatedPods`,
or their indexes), then takes their finalizers, then moves them into the counters; only then may the Job be called
finished. Whatever stops a pass in the middle, the next one neither loses a pod nor counts it twice; therefore the
status is written by actions, in order, and not at the end.
Source: `syncJob`, `manageJob`, `trackJobStatusAndRemoveFinalizers`, Kubernetes 1.36. Called by `controller.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilothouse.base.actions import Action, Create, Decision, Delete, Emit, Object, Patch
from pilothouse.base.clock import parse_rfc3339, rfc3339
from pilothouse.engines.jobs import indexes, policies
from pilothouse.engines.jobs.backoff import Streak
from pilothouse.engines.jobs.indexes import Indexes
from pilothouse.engines.rolling.claims import Owner, claim
from pilothouse.engines.rolling.lookup import matcher
from pilothouse.engines.rolling.slow_start import BURST
from pilothouse.kinds.batch.job import conditions, pods
from pilothouse.kinds.batch.job.conditions import Condition
from pilothouse.kinds.batch.job.views import FINALIZER, KIND_NAME, MANAGER, JobPod, JobView, Observed

__all__ = ["KIND_NAME", "JobView", "Observed", "decide"]

_SHOWN_EMPTY = ("ready", "terminating", "failedIndexes")
"""What a status says even when it is 0 or empty."""
UNCOUNTED_MAX = 500
"""Pods that one pass may note as uncounted: keeps the status small."""


def decide(obj: Object, job: JobView, observed: Observed, now_s: float) -> Decision:
    """One pass. obj: the Job as stored (Events are about it); job: the same, as a view."""
    if job.spec.managedBy != MANAGER or job.finished is not None:
        return Decision()
    meta = job.metadata
    me = Owner("batch/v1", "Job", meta.name, meta.uid, meta.deletionTimestamp is not None)
    by_uid = {pod.uid: pod for pod in (*observed.owned, *observed.orphans)}
    mine, writes = claim(
        me, [p.view for p in observed.owned], [p.view for p in observed.orphans], matcher(job.spec.selector)
    )
    members = [by_uid[view.metadata.uid] for view in mine]
    return _Pass(obj, job, observed, members, now_s).decide(writes)


class _Pass:
    """One pass: the pods by what they are, the status as it becomes, the actions so far."""

    def __init__(self, obj: Object, job: JobView, observed: Observed, members: list[JobPod], now_s: float) -> None:
        self.obj, self.job, self.observed, self.now_s = obj, job, observed, now_s
        self.members = members
        self.active = [pod for pod in members if pod.view.active]
        self.terminating = sum(pod.view.terminating for pod in members)
        self.ready = sum(pod.view.ready for pod in self.active)
        self.active_count = len(self.active)
        self.stored: Mapping[str, Any] = job.status or {}
        self.status: dict[str, Any] = dict(self.stored)
        uncounted = self.status.get("uncountedTerminatedPods") or {}
        self.uncounted = {key: list(uncounted.get(key) or ()) for key in ("succeeded", "failed")}
        self.changes: list[Action] = []
        self.tracking: list[Action] = []
        self.said: list[Action] = []
        self.again_s: float | None = None
        self.succeeded_before = self.succeeded_indexes = self.failed_indexes = Indexes()
        self.delayed: dict[int, JobPod] = {}

    def decide(self, claims: Sequence[Action]) -> Decision:
        self._count()
        if "startTime" not in self.status and not self.job.spec.suspend:
            self.status["startTime"] = rfc3339(self.now_s)
        end = self._end_by_failure()
        if self.job.indexed:
            end = self._count_indexes(end)
        if end is not None:
            self._delete_active()
        else:
            end = self._manage()
        self.status.update({"active": self.active_count, "ready": self.ready, "terminating": self.terminating})
        self._track(end)
        # After a refused creation the status is written first: it would otherwise never be.
        ordered = [self.tracking, self.changes] if self.observed.failure else [self.changes, self.tracking]
        return Decision((*claims, *ordered[0], *ordered[1], *self.said), None, self.again_s)

    # -- counting --

    def _valid(self, pod: JobPod) -> bool:
        return not self.job.indexed or 0 <= pod.index < (self.job.spec.completions or 0)

    def _count(self) -> None:
        fresh = [pod for pod in self.members if pod.tracked and self._valid(pod)]
        succeeded = [p for p in fresh if p.succeeded and p.uid not in self.uncounted["succeeded"]]
        failed = [p for p in fresh if self.job.counts_as_failed(p) and p.uid not in self.uncounted["failed"]]
        counted = sum(self._verdict(pod).counts for pod in failed)
        self.succeeded_count = self.stored.get("succeeded", 0) + len(succeeded) + len(self.uncounted["succeeded"])
        self.failed_count = self.stored.get("failed", 0) + counted + len(self.uncounted["failed"])

    def _verdict(self, pod: JobPod) -> policies.Verdict:
        return policies.judge(self.job.spec.podFailurePolicy, pod.object)

    def _count_indexes(self, end: Condition | None) -> Condition | None:
        """The sets of indexes, and the ends that depend on them."""
        job, spec = self.job, self.job.spec
        completions = spec.completions or 0
        self.succeeded_before = indexes.parse(self.stored.get("completedIndexes"), completions)
        fresh = [pod for pod in self.members if pod.tracked and self._valid(pod)]
        self.succeeded_indexes = self.succeeded_before.plus(pod.index for pod in fresh if pod.succeeded)
        self.succeeded_count = len(self.succeeded_indexes)
        if job.per_index:
            before = indexes.parse(self.stored.get("failedIndexes"), completions)
            self.failed_indexes = before.plus(pod.index for pod in fresh if self._fails_index(pod))
            self._find_delayed(fresh)
            failed = len(self.failed_indexes)
            if end is None and spec.maxFailedIndexes is not None and failed > spec.maxFailedIndexes:
                end = self._condition("FailureTarget", conditions.MAX_FAILED)
            elif end is None and failed and failed + self.succeeded_count >= completions:
                end = self._condition("FailureTarget", conditions.FAILED_INDEXES)
        if end is None:
            why = policies.success(spec.successPolicy, self.succeeded_indexes, completions)
            end = self._condition("SuccessCriteriaMet", ("SuccessPolicy", why)) if why else None
        return end

    def _fails_index(self, pod: JobPod) -> bool:
        if not self.job.counts_as_failed(pod):
            return False
        verdict = self._verdict(pod)
        if verdict.action == "FailIndex":
            return True
        return verdict.counts and pod.failures(ignored=False) >= (self.job.spec.backoffLimitPerIndex or 0)

    def _find_delayed(self, fresh: Sequence[JobPod]) -> None:
        """The last failed pod of each index that waits for its successor, which will carry on its count of failures."""
        running = {pod.index for pod in self.active}
        for pod in fresh:
            index = pod.index
            over = index in self.succeeded_indexes or index in self.failed_indexes or index in running
            if over or not self.job.counts_as_failed(pod):
                continue
            last = self.delayed.get(index)
            if last is None or (last.failures() <= pod.failures() and pod.ended_s >= last.ended_s):
                self.delayed[index] = pod

    # -- ends --

    def _condition(self, type_: str, why: tuple[str, str]) -> Condition:
        return conditions.new(type_, "True", why[0], why[1], self.now_s)

    def _end_by_failure(self) -> Condition | None:
        """The end that was decided in an earlier pass, or a failure that is reached now."""
        decided = self.job.has("SuccessCriteriaMet") or self.job.has("FailureTarget")
        if decided is not None:
            return decided
        for pod in self.members:
            verdict = self._verdict(pod) if self.job.counts_as_failed(pod) else policies.Verdict()
            if verdict.action == "FailJob":
                return self._condition("FailureTarget", ("PodFailurePolicy", verdict.message))
        if self.failed_count > self.job.spec.backoffLimit or self._restarted_too_often():
            return self._condition("FailureTarget", conditions.BACKOFF)
        return self._deadline()

    def _restarted_too_often(self) -> bool:
        if self.job.spec.template["spec"].get("restartPolicy") != "OnFailure":
            return False
        restarts: int = sum(
            container.get("restartCount", 0)
            for pod in self.members
            if pod.view.status.phase in ("Running", "Pending")
            for container in (
                *(pod.view.status.initContainerStatuses or ()),
                *(pod.view.status.containerStatuses or ()),
            )
        )
        limit = self.job.spec.backoffLimit
        return restarts > 0 if limit == 0 else restarts >= limit

    def _deadline(self) -> Condition | None:
        limit_s = self.job.spec.activeDeadlineSeconds
        if limit_s is None or self.job.spec.suspend:
            return None
        # A Job that goes on after a pause starts anew (see `_note_suspension`): the time before does not count.
        resumed = self.job.has("Suspended") is not None
        left_s = limit_s if resumed else parse_rfc3339(self.status["startTime"]) + limit_s - self.now_s
        if left_s <= 0:
            return self._condition("FailureTarget", conditions.DEADLINE)
        self._look_again(left_s)
        return None

    def _look_again(self, in_s: float) -> None:
        self.again_s = in_s if self.again_s is None else min(self.again_s, in_s)

    # -- pods --

    def _remove(self, chosen: Sequence[JobPod], *, untracked: bool) -> None:
        """Deletes active pods; untracked: they give up their finalizer first and are not counted at all."""
        for pod in chosen:
            meta = pod.view.metadata
            if untracked and pod.tracked:
                self.changes.append(_without_finalizer(pod))
            self.changes.append(Delete("Pod", meta.namespace, meta.name, uid=meta.uid, event_ok="SuccessfulDelete"))
        self.active_count -= len(chosen)
        self.terminating += len(chosen)
        self.ready -= sum(pod.view.ready for pod in chosen)

    def _delete_active(self) -> None:
        self._remove(self.active, untracked=False)

    def _manage(self) -> Condition | None:
        """Brings the number of pods to what it should be; SuccessCriteriaMet when enough have succeeded."""
        spec = self.job.spec
        managed = self.job.metadata.deletionTimestamp is None
        if managed:
            self._size()
        enough = self.succeeded_count > 0 if spec.completions is None else self.succeeded_count >= spec.completions
        if enough and self.active_count == 0:
            return self._condition("SuccessCriteriaMet", conditions.COMPLETIONS)
        if managed:
            self._note_suspension()
        return None

    def _size(self) -> None:
        spec = self.job.spec
        if spec.suspend:
            self._remove(pods.surplus(self.job, self.active, len(self.active), self.now_s), untracked=True)
            return
        if spec.completions is None:
            wanted = len(self.active) if self.succeeded_count else spec.parallelism
        else:
            wanted = max(min(spec.completions - self.succeeded_count, spec.parallelism), 0)
        surplus = pods.surplus(self.job, self.active, max(len(self.active) - wanted, 0), self.now_s)[:BURST]
        if surplus:
            self._remove(surplus, untracked=True)
            return
        leaving = self.terminating if self.job.replaces_only_failed else 0
        missing = wanted - leaving - len(self.active)
        if missing > 0:
            self._create(min(missing, BURST))

    def _create(self, count: int) -> None:
        if not self.job.per_index:
            wait_s = self.observed.streak.wait_s(self.now_s)
            if wait_s > 0:
                self._look_again(wait_s)
                return
        if self.job.indexed:
            bodies = [pods.new_pod(self.job, i, self.delayed.get(i)) for i in self._next_indexes(count)]
        else:
            bodies = [pods.new_pod(self.job)] * count
        self.changes += [Create("Pod", body, event_ok="SuccessfulCreate") for body in bodies]
        if not self.observed.failure:
            self.active_count += len(bodies)

    def _next_indexes(self, count: int) -> list[int]:
        """The lowest indexes without a pod and without an end; those of failed pods only after their back-off."""
        held = {pod.index for pod in self.active}
        if self.job.replaces_only_failed:
            held |= {pod.index for pod in self.members if pod.view.terminating}
        taken = self.succeeded_indexes.plus(sorted(i for i in held if i >= 0)).plus(self.failed_indexes)
        found = indexes.first_free(taken, count, self.job.spec.completions or 0)
        if not self.job.per_index:
            return found
        waits = {index: self._index_wait_s(index) for index in found}
        now = [index for index in found if waits[index] == 0]
        if not now and waits:
            self._look_again(min(waits.values()))
        elif len(now) < len(found):
            self._look_again(min(wait for wait in waits.values() if wait > 0))
        return now

    def _index_wait_s(self, index: int) -> float:
        last = self.delayed.get(index)
        if last is None:
            return 0.0
        return Streak(last.failures() + 1, last.ended_s).wait_s(self.now_s)

    def _note_suspension(self) -> None:
        if self.job.spec.suspend:
            wanted = conditions.new("Suspended", "True", "JobSuspended", "Job suspended", self.now_s)
        else:
            wanted = conditions.new("Suspended", "False", "JobResumed", "Job resumed", self.now_s)
        listed, changed = conditions.with_status(self.status.get("conditions") or (), wanted)
        if not changed:
            return
        self.status["conditions"] = listed
        self.changes.append(
            Emit(self.obj, "Normal", "Suspended" if self.job.spec.suspend else "Resumed", wanted["message"])
        )
        if not self.job.spec.suspend:
            # The deadline counts from the moment on which the Job goes on.
            self.status["startTime"] = rfc3339(self.now_s)

    # -- tracking --

    def _track(self, end: Condition | None) -> None:
        """Notes ended pods, frees and counts them, and finishes the Job when nothing is left to count."""
        holders = [pod for pod in self.members if pod.tracked]
        self._settle({pod.uid for pod in holders})
        freed, whole = self._note_ended(holders, end)
        if end is not None and self.job.has(end["type"]) is None:
            self.status["conditions"] = [*(self.status.get("conditions") or ()), end]
        self._flush()
        self.tracking += [_without_finalizer(pod) for pod in freed]
        released = {pod.uid for pod in freed}
        self._settle({pod.uid for pod in holders if pod.uid not in released})
        if end is not None and whole:
            self._finish(end)
        self._flush()

    def _note_ended(self, holders: Sequence[JobPod], end: Condition | None) -> tuple[list[JobPod], bool]:
        """(pods whose finalizer may go, whether that is all of them)."""
        freed: list[JobPod] = []
        found: list[int] = []
        whole = True
        ordered = sorted(holders, key=lambda p: p.index) if self.job.indexed else holders
        for pod in ordered:
            failed = self.job.counts_as_failed(pod)
            if not self._may_free(pod, failed, end):
                continue
            freed.append(pod)
            if pod.succeeded and pod.uid not in self.uncounted["failed"]:
                if self.job.indexed:
                    found += [pod.index] if self._valid(pod) else []
                elif pod.uid not in self.uncounted["succeeded"]:
                    self.uncounted["succeeded"].append(pod.uid)
            elif failed or (end is not None and end["type"] == "FailureTarget"):
                self._note_failed(pod)
            if len(found) + sum(map(len, self.uncounted.values())) >= UNCOUNTED_MAX:
                whole = False
                break
        if self.job.indexed:
            self._write_indexes(found)
        return freed, whole

    def _may_free(self, pod: JobPod, failed: bool, end: Condition | None) -> bool:
        if self.job.metadata.deletionTimestamp is not None or end is not None or pod.succeeded:
            return True
        return failed and self.delayed.get(pod.index) is not pod

    def _note_failed(self, pod: JobPod) -> None:
        if pod.uid not in self.uncounted["failed"] and self._valid(pod) and self._verdict(pod).counts:
            self.uncounted["failed"].append(pod.uid)

    def _write_indexes(self, found: Sequence[int]) -> None:
        done = self.succeeded_indexes.plus(found)
        self.status["succeeded"] = len(done)
        self.status["completedIndexes"] = str(done)
        if self.job.per_index:
            self.status["failedIndexes"] = str(self.failed_indexes)

    def _settle(self, holding: set[str]) -> None:
        """Moves uncounted pods without a finalizer into the counters."""
        for key in ("succeeded", "failed"):
            left = [uid for uid in self.uncounted[key] if uid in holding]
            self.status[key] = self.status.get(key, 0) + len(self.uncounted[key]) - len(left)
            self.uncounted[key] = left

    def _finish(self, end: Condition) -> None:
        if any(self.uncounted.values()) or self.terminating:
            return
        final = conditions.final_of(end, self.now_s)
        self.status["conditions"], _ = conditions.with_status(self.status.get("conditions") or (), final)
        if final["type"] == "Complete":
            self.status["completionTime"] = final["lastTransitionTime"]
            wanted = self.job.spec.completions
            if wanted is not None and self.status.get("succeeded", 0) > wanted:
                text = "Too many succeeded pods running after completion count reached"
                self.said.append(Emit(self.obj, "Warning", "TooManySucceededPods", text))
            self.said.append(Emit(self.obj, "Normal", "Completed", "Job completed"))
        else:
            self.said.append(Emit(self.obj, "Warning", final["reason"], final["message"]))

    def _flush(self) -> None:
        """Writes the status as it is now, when that differs from what was written last."""
        shown = {key: value for key, value in self.status.items() if value or key in _SHOWN_EMPTY}
        shown["uncountedTerminatedPods"] = {key: list(value) for key, value in self.uncounted.items() if value}
        changed = difference(self.stored, shown)
        if changed:
            meta = self.job.metadata
            self.tracking.append(Patch(KIND_NAME, meta.namespace, meta.name, {"status": changed}, "status"))
            self.stored = shown


def _without_finalizer(pod: JobPod) -> Patch:
    metadata = pod.object["metadata"]
    left = [name for name in metadata.get("finalizers") or () if name != FINALIZER]
    body = {"metadata": {"uid": metadata["uid"], "finalizers": left or None}}
    return Patch("Pod", metadata["namespace"], metadata["name"], body)


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that makes the new value of the old one."""
    out: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if key not in old:
            out[key] = value
        elif isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = difference(before, value)
            if inner:
                out[key] = inner
        elif value != before:
            out[key] = value
    return out
