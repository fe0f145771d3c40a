"""The kind batch/CronJob: names, defaults, rules and columns.

Source: Kubernetes 1.36 `pkg/apis/batch/v1/defaults.go`, `pkg/apis/batch/validation` (ValidateCronJobCreate), printers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.cron import schedule, zones
from pilothouse.engines.rolling import cells
from pilothouse.engines.schema import counts, wording
from pilothouse.engines.schema.job_rules import job_spec_causes
from pilothouse.engines.schema.podspec import default_template
from pilothouse.engines.schema.sharing import change, fill
from pilothouse.machinery.columns import AGE, NAME, since
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_SPEC_DEFAULTS = {
    "concurrencyPolicy": "Allow",
    "suspend": False,
    "successfulJobsHistoryLimit": 3,
    "failedJobsHistoryLimit": 1,
}
_POLICIES = ("Allow", "Forbid", "Replace")
_NAME_MAX = 52
_ZONE_IN_SCHEDULE = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
_TWO_ZONES = "cannot use both timeZone field and TZ or CRON_TZ in schedule"


def default(obj: Object) -> Object:
    out: Object = change(obj, "spec", _default_spec)
    return out


def _default_spec(spec: Any) -> Any:
    return change(fill(spec, _SPEC_DEFAULTS), "jobTemplate", _default_job)


def _default_job(template: Any) -> Any:
    return change(fill(template, {"metadata": {}}), "spec", lambda spec: change(spec, "template", _default_pod))


def _default_pod(template: Any) -> Any:
    return default_template(fill(template, {"metadata": {}}))


def prepare(new: Object, old: Object | None) -> Object:
    return {**new, "status": {}} if old is None else new


def validate(new: Object, old: Object | None) -> list[Cause]:
    spec: Mapping[str, Any] = new.get("spec") or {}
    causes: list[Cause] = []
    if old is None and len(new["metadata"].get("name", "")) > _NAME_MAX:
        text = f"must be no more than {_NAME_MAX} characters"
        causes.append(wording.invalid("metadata.name", new["metadata"]["name"], text))
    causes += _time_causes(spec, old)
    causes += counts.negative_causes(spec, "startingDeadlineSeconds")
    policy = spec.get("concurrencyPolicy", "")
    if policy not in _POLICIES:
        causes.append(wording.unsupported("spec.concurrencyPolicy", policy, _POLICIES))
    causes += _job_causes(spec)
    return causes + counts.negative_causes(spec, "successfulJobsHistoryLimit", "failedJobsHistoryLimit")


def _time_causes(spec: Mapping[str, Any], old: Object | None) -> list[Cause]:
    line, zone = spec.get("schedule", ""), spec.get("timeZone")
    if not line:
        causes = [wording.required("spec.schedule")]
    else:
        before = "" if old is None else old["spec"].get("schedule", "")
        causes = _schedule_causes(line, zone, allowed="TZ" in before)
    # A zone that was accepted once stays, should the database of zones have changed meanwhile.
    if zone is not None and (old is None or zone != old["spec"].get("timeZone")):
        causes += _zone_causes(zone)
    return causes


def _schedule_causes(line: str, zone: str | None, *, allowed: bool) -> list[Cause]:
    causes: list[Cause] = []
    try:
        schedule.parse(line)
    except ValueError as error:
        causes.append(wording.invalid("spec.schedule", line, str(error)))
    if "TZ" in line and not allowed:
        return [wording.invalid("spec.schedule", line, _ZONE_IN_SCHEDULE)]
    if "TZ" in line and zone is not None:
        causes.append(wording.invalid("spec.schedule", line, _TWO_ZONES))
    return causes


def _zone_causes(zone: str) -> list[Cause]:
    if not zone:
        return [wording.invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string")]
    if zone.lower() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        return [wording.invalid("spec.timeZone", zone, text)]
    try:
        zones.zone(zone)
    except ValueError as error:
        return [wording.invalid("spec.timeZone", zone, str(error))]
    return []


def _job_causes(spec: Mapping[str, Any]) -> list[Cause]:
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    causes = job_spec_causes(job, "spec.jobTemplate.spec")
    if job.get("manualSelector"):
        text = "`selector` will be auto-generated"
        causes.append(wording.unsupported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false")))
        if job.get("selector") is not None:
            causes.append(wording.invalid("spec.jobTemplate.spec.selector", job["selector"], text))
    elif job.get("selector") is not None:
        text = "`selector` will be auto-generated"
        causes.append(wording.invalid("spec.jobTemplate.spec.selector", job["selector"], text))
    return causes


def _spec(name: str) -> Any:
    def value(obj: Object, _now_s: float) -> str:
        return str(obj["spec"].get(name) or "<none>")

    return value


def _suspended(obj: Object, _now_s: float) -> str:
    return str(bool(obj["spec"].get("suspend")))


def _active(obj: Object, _now_s: float) -> int:
    return len((obj.get("status") or {}).get("active") or ())


def _last(obj: Object, now_s: float) -> str:
    last = (obj.get("status") or {}).get("lastScheduleTime")
    return since(last, now_s) if last else "<none>"


def _of_job(cell: Any) -> Any:
    """A cell of a workload, of the Job that the CronJob makes."""
    return lambda obj, now_s: cell(obj["spec"]["jobTemplate"], now_s)


KIND = Kind(
    group="batch",
    version="v1",
    kind="CronJob",
    plural="cronjobs",
    schema=Component("apis_batch_v1.json", "io.k8s.api.batch.v1.CronJob"),
    short_names=("cj",),
    categories=("all",),
    default=default,
    validate=validate,
    strategy=Strategy(prepare=prepare),
    columns=(
        NAME,
        Column("Schedule", _spec("schedule")),
        Column("Timezone", _spec("timeZone")),
        Column("Suspend", _suspended, type="boolean"),
        Column("Active", _active, type="integer"),
        Column("Last Schedule", _last),
        AGE,
        Column("Containers", _of_job(cells.container_names), wide=True),
        Column("Images", _of_job(cells.container_images), wide=True),
        Column("Selector", _of_job(cells.selector), wide=True),
    ),
)
