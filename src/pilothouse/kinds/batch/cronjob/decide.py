"""What a CronJob does next: forget old Jobs, note ended ones, start the one that is due, say when to look again.

Source: `cronjob_controllerv2.go`, Kubernetes 1.36. Called by `controller.py`; performs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pilothouse.base.actions import Action, Create, Decision, Delete, Emit, Object
from pilothouse.base.clock import datetime_of, parse_rfc3339, rfc3339
from pilothouse.engines.cron import missed, schedule, zones
from pilothouse.engines.rolling.views import controller_reference
from pilothouse.kinds.batch.cronjob.views import JOB_KIND, KIND_NAME, Child, CronView, Observed

__all__ = ["KIND_NAME", "CronView", "Observed", "decide"]

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_TOO_MANY = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
_FORBIDDEN = "Not starting job because prior execution is running and concurrency policy is Forbid"


def decide(obj: Object, cron: CronView, observed: Observed, now_s: float) -> Decision:
    """One pass. obj: the CronJob as stored (Events are about it); cron: the same, as a view."""
    return _Pass(obj, cron, observed, now_s).decide()


def job_name(cron_name: str, run_s: float) -> str:
    """A run's Job is named by its minute, so that no run is started twice."""
    return f"{cron_name}-{int(run_s) // 60}"


class _Pass:
    """One pass: the status as it becomes, the actions so far."""

    def __init__(self, obj: Object, cron: CronView, observed: Observed, now_s: float) -> None:
        self.obj, self.cron, self.observed, self.now_s = obj, cron, observed, now_s
        self.status: dict[str, Any] = dict(cron.status or {})
        self.active: list[Mapping[str, Any]] = list(self.status.get("active") or ())
        self.actions: list[Action] = []
        self.jobs = list(observed.jobs)

    def decide(self) -> Decision:
        self._clean_history()
        self._note_started()
        self._note_ended()
        self._note_missing()
        wait_s = self._start() if self.cron.metadata.deletionTimestamp is None else None
        if self.active:
            self.status["active"] = self.active
        else:
            self.status.pop("active", None)
        return Decision(tuple(self.actions), self.status, wait_s)

    def _say(self, type: str, reason: str, message: str) -> None:
        self.actions.append(Emit(self.obj, type, reason, message))

    # -- jobs that are there --

    def _clean_history(self) -> None:
        """Deletes the oldest ended Jobs beyond the limits."""
        spec = self.cron.spec
        for ended, limit in (("Complete", spec.successfulJobsHistoryLimit), ("Failed", spec.failedJobsHistoryLimit)):
            if limit is None:
                continue
            done = sorted((job for job in self.jobs if job.ended == ended), key=_by_start)
            for job in done[: max(len(done) - limit, 0)]:
                self._delete(job)

    def _delete(self, job: Child) -> None:
        metadata = job.object["metadata"]
        self.actions.append(Delete(JOB_KIND, metadata["namespace"], job.name, uid=job.uid))
        self._say("Normal", "SuccessfulDelete", f"Deleted job {job.name}")
        self.jobs = [other for other in self.jobs if other.uid != job.uid]
        self.active = [reference for reference in self.active if reference["uid"] != job.uid]

    def _note_started(self) -> None:
        """A Job that a pass created is listed by the next one: only then does it have a uid."""
        listed = [reference["uid"] for reference in self.active]
        for job in self.jobs:
            if job.uid in listed:
                continue
            run_s = _run_of(self.cron.metadata.name, job)
            if run_s is not None and run_s > self._since_s():
                self.status["lastScheduleTime"] = rfc3339(run_s)
                self.active.append(_reference(job.object))
            elif not job.ended:
                text = f"Saw a job that the controller did not create or forgot: {job.name}"
                self._say("Warning", "UnexpectedJob", text)

    def _note_ended(self) -> None:
        listed = [reference["uid"] for reference in self.active]
        for job in self.jobs:
            if not job.ended:
                continue
            if job.uid in listed:
                self.active = [reference for reference in self.active if reference["uid"] != job.uid]
                self._say("Normal", "SawCompletedJob", f"Saw completed job: {job.name}, condition: {job.ended}")
            if job.ended == "Complete":
                self._note_success(job.status.get("completionTime"))

    def _note_success(self, completed: str | None) -> None:
        last = self.status.get("lastSuccessfulTime")
        if completed and (last is None or parse_rfc3339(completed) > parse_rfc3339(last)):
            self.status["lastSuccessfulTime"] = completed

    def _note_missing(self) -> None:
        there = [job.uid for job in self.jobs]
        for reference in self.active:
            if reference["uid"] not in there:
                self._say("Normal", "MissingJob", f"Active job went missing: {reference['name']}")
        self.active = [reference for reference in self.active if reference["uid"] in there]

    # -- the job that is due --

    def _start(self) -> float | None:
        """Starts what is due; seconds until the next look, None when only a change can help."""
        spec = self.cron.spec
        try:
            zones.zone(spec.timeZone or "")
        except ValueError as error:
            self._say("Warning", "UnknownTimeZone", f'invalid timeZone: "{spec.timeZone}": {error}')
            return None
        if spec.suspend:
            return None
        try:
            plan = schedule.parse(spec.schedule, spec.timeZone or "")
        except ValueError as error:
            self._say("Warning", "UnparseableSchedule", f'unparseable schedule: "{spec.schedule}" : {error}')
            return None
        try:
            due = missed.due(plan, self._since_s(), self.now_s, spec.startingDeadlineSeconds)
        except missed.NeverRuns as error:
            self._say("Warning", "InvalidSchedule", f"invalid schedule: {spec.schedule} : {error}")
            return None
        if due.run_s is not None:
            if due.missed == "many":
                self._say("Warning", "TooManyMissedTimes", _TOO_MANY)
            if self._may_start(due.run_s):
                self._create(due.run_s)
        return missed.wait_s(plan, self._since_s(), self.now_s)

    def _since_s(self) -> float:
        return parse_rfc3339(self.status.get("lastScheduleTime") or self.cron.metadata.creationTimestamp)

    def _may_start(self, run_s: int) -> bool:
        spec = self.cron.spec
        late_s = spec.startingDeadlineSeconds
        if late_s is not None and run_s + late_s < self.now_s:
            when = datetime_of(run_s).strftime("%a, %d %b %Y %H:%M:%S +0000")
            self._say("Warning", "MissSchedule", f"Missed scheduled time to start a job: {when}")
            return False
        name = job_name(self.cron.metadata.name, run_s)
        if any(reference["name"] == name for reference in self.active):
            return False
        if self.status.get("lastScheduleTime") == rfc3339(run_s) or self.observed.job_named(name) is not None:
            return False
        if spec.concurrencyPolicy == "Forbid" and self.active:
            self._say("Normal", "JobAlreadyActive", _FORBIDDEN)
            return False
        return True

    def _create(self, run_s: int) -> None:
        """Creates the run's Job. It becomes active in the pass that sees it, which the creation itself brings about."""
        if self.cron.spec.concurrencyPolicy == "Replace":
            for job in [job for job in self.jobs if any(r["uid"] == job.uid for r in self.active)]:
                self._delete(job)
        if self.observed.failure:
            self._say("Warning", "FailedCreate", f"Error creating job: {self.observed.failure}")
        self.actions.append(Create(JOB_KIND, self._job(run_s)))
        self._say("Normal", "SuccessfulCreate", f"Created job {job_name(self.cron.metadata.name, run_s)}")

    def _job(self, run_s: int) -> Object:
        meta, template = self.cron.metadata, self.cron.spec.jobTemplate or {}
        of_template = template.get("metadata") or {}
        local = zones.wall(run_s, zones.zone(self.cron.spec.timeZone or ""))
        annotations = {**(of_template.get("annotations") or {}), SCHEDULED_AT: _stamp(local)}
        metadata: dict[str, Any] = {
            "name": job_name(meta.name, run_s),
            "namespace": meta.namespace,
            "annotations": annotations,
            "ownerReferences": [controller_reference("batch/v1", "CronJob", meta.name, meta.uid)],
        }
        if of_template.get("labels"):
            metadata["labels"] = of_template["labels"]
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template.get("spec") or {}}


def _stamp(local: datetime) -> str:
    """RFC 3339 in the schedule's zone, UTC as Z."""
    text = local.isoformat(timespec="seconds")
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def _by_start(job: Child) -> tuple[bool, str, str]:
    started = job.status.get("startTime")
    return started is None, started or "", job.name


def _run_of(cron_name: str, job: Child) -> float | None:
    """The run (seconds since 1970) that a Job was made for; None when this controller did not make it."""
    stamp = (job.object["metadata"].get("annotations") or {}).get(SCHEDULED_AT, "")
    try:
        run_s = parse_rfc3339(stamp)
    except ValueError:
        return None
    return run_s if job.name == job_name(cron_name, run_s) else None


def _reference(job: Object) -> dict[str, Any]:
    """How a Job is listed as active."""
    metadata = job["metadata"]
    return {
        "kind": "Job",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "apiVersion": "batch/v1",
        "resourceVersion": metadata["resourceVersion"],
    }
