"""What a Job's decision reads: the Job, its pods with what tells them apart, the streak of failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pilothouse.base.actions import Object
from pilothouse.base.clock import parse_rfc3339
from pilothouse.engines.jobs.backoff import Streak
from pilothouse.engines.rolling.views import PodView, ReplicaSetMeta

KIND_NAME = "batch/Job"
MANAGER = "kubernetes.io/job-controller"
FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
JOB_LABEL, UID_LABEL = "batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid"
NO_INDEX = -1


class JobSpec(msgspec.Struct, frozen=True, gc=False):
    parallelism: int = 1
    completions: int | None = None
    backoffLimit: int = 6
    backoffLimitPerIndex: int | None = None
    maxFailedIndexes: int | None = None
    activeDeadlineSeconds: int | None = None
    ttlSecondsAfterFinished: int | None = None
    completionMode: str = "NonIndexed"
    suspend: bool = False
    podReplacementPolicy: str = "TerminatingOrFailed"
    managedBy: str = MANAGER
    podFailurePolicy: Any = None
    successPolicy: Any = None
    selector: Any = None
    template: Any = None


class JobView(msgspec.Struct, frozen=True, gc=False):
    """A Job with its whole status as stored."""

    metadata: ReplicaSetMeta
    spec: JobSpec
    status: Any = None

    @property
    def indexed(self) -> bool:
        return self.spec.completionMode == "Indexed"

    @property
    def per_index(self) -> bool:
        """Whether each index has a back-off limit of its own."""
        return self.indexed and self.spec.backoffLimitPerIndex is not None

    @property
    def replaces_only_failed(self) -> bool:
        """Whether a pod on its way out keeps its place until it has failed."""
        return self.spec.podReplacementPolicy == "Failed" or self.spec.podFailurePolicy is not None

    @property
    def conditions(self) -> Sequence[Mapping[str, Any]]:
        return (self.status or {}).get("conditions") or ()

    def has(self, type_: str) -> Mapping[str, Any] | None:
        """The condition of this type when it is True."""
        return next((c for c in self.conditions if c["type"] == type_ and c["status"] == "True"), None)

    def counts_as_failed(self, pod: JobPod) -> bool:
        """Ended without success; a pod on its way out counts as well unless only failed pods are replaced."""
        if pod.view.status.phase == "Failed":
            return True
        if self.replaces_only_failed:
            return False
        return pod.view.metadata.deletionTimestamp is not None and not pod.succeeded

    @property
    def finished(self) -> Mapping[str, Any] | None:
        """The condition Complete or Failed."""
        return self.has("Complete") or self.has("Failed")


@dataclass(frozen=True, slots=True, eq=False)
class JobPod:
    """One pod of a Job. object: as stored."""

    view: PodView
    object: Object

    @property
    def name(self) -> str:
        return self.view.metadata.name

    @property
    def uid(self) -> str:
        return self.view.metadata.uid

    @property
    def tracked(self) -> bool:
        """Holds the finalizer: not in the counters of the status yet."""
        return FINALIZER in (self.object["metadata"].get("finalizers") or ())

    @property
    def succeeded(self) -> bool:
        return self.view.status.phase == "Succeeded"

    @property
    def index(self) -> int:
        """The completion index, `NO_INDEX` when there is none that can be read."""
        text = (self.view.metadata.annotations or {}).get(INDEX, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else NO_INDEX

    def failures(self, *, ignored: bool = True) -> int:
        """How many pods of its index failed before it; without those that a policy ignored when asked so."""
        annotations = self.view.metadata.annotations or {}
        return _number(annotations.get(FAILURES)) + (_number(annotations.get(IGNORED_FAILURES)) if ignored else 0)

    @property
    def ended_s(self) -> float:
        """When it ended: its containers, else its Ready condition, else its deletion, else its creation."""
        ends = _container_ends(self.object)
        if ends:
            return max(parse_rfc3339(end) for end in ends)
        if not self.view.ready and self.view.ready_since:
            return parse_rfc3339(self.view.ready_since)
        metadata = self.object["metadata"]
        if self.view.metadata.deletionTimestamp is not None:
            grace_s = metadata.get("deletionGracePeriodSeconds") or 0
            return parse_rfc3339(self.view.metadata.deletionTimestamp) - float(grace_s)
        return parse_rfc3339(metadata["creationTimestamp"])


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _container_ends(pod: Object) -> list[str]:
    """When the containers (and sidecars) ended; [] while one has not."""
    status = pod.get("status") or {}
    sidecars = [c["name"] for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"]
    watched = [*(status.get("containerStatuses") or ())]
    watched += [s for s in status.get("initContainerStatuses") or () if s.get("name") in sidecars]
    ends = [((s.get("state") or {}).get("terminated") or {}).get("finishedAt") for s in watched]
    return [str(end) for end in ends] if ends and all(ends) else []


@dataclass(frozen=True, slots=True)
class Observed:
    """What was read for one decision.

    owned: pods whose controller the Job is; orphans: pods without one. streak: failures in a row until now. failure:
    why the last performance stopped, "" when it did not.
    """

    owned: Sequence[JobPod] = ()
    orphans: Sequence[JobPod] = ()
    streak: Streak = field(default_factory=Streak)
    failure: str = ""
