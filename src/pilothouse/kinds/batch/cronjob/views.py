"""What a CronJob's decision reads: the CronJob, and the Jobs it has made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.base.actions import Object
from pilothouse.engines.rolling.views import ReplicaSetMeta

KIND_NAME, JOB_KIND = "batch/CronJob", "batch/Job"


class CronSpec(msgspec.Struct, frozen=True, gc=False):
    schedule: str = ""
    timeZone: str | None = None
    startingDeadlineSeconds: int | None = None
    concurrencyPolicy: str = "Allow"
    suspend: bool = False
    successfulJobsHistoryLimit: int | None = None
    failedJobsHistoryLimit: int | None = None
    jobTemplate: Any = None


class CronView(msgspec.Struct, frozen=True, gc=False):
    """A CronJob with its whole status as stored."""

    metadata: ReplicaSetMeta
    spec: CronSpec
    status: Any = None


@dataclass(frozen=True, slots=True)
class Child:
    """A Job whose controller the CronJob is. object: as stored."""

    object: Object

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.object["metadata"]["uid"])

    @property
    def status(self) -> Mapping[str, Any]:
        return self.object.get("status") or {}

    @property
    def ended(self) -> str:
        """Complete or Failed once it is, "" while it is not."""
        for condition in self.status.get("conditions") or ():
            if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
                return str(condition["type"])
        return ""


@dataclass(frozen=True, slots=True)
class Observed:
    """What was read for one decision. jobs: those whose controller the CronJob is. job_named: the Job of a name,
    whoever owns it. failure: why the last performance stopped, "" when it did not."""

    jobs: Sequence[Child] = ()
    job_named: Callable[[str], Object | None] = lambda _name: None
    failure: str = ""
