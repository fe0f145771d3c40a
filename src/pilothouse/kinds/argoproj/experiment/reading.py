"""What an Experiment's decision reads, and the questions it asks of the stored status.

Source: argo-rollouts 1.9 (9f8d111d8) `utils/experiment`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.clock import parse_rfc3339
from pilothouse.engines.delivery.assessment import ended
from pilothouse.engines.delivery.steps import duration_s
from pilothouse.engines.rolling.views import ReplicaSetView

KIND_NAME = "argoproj.io/Experiment"
API_VERSION = "argoproj.io/v1alpha1"
RUN_KIND = "argoproj.io/AnalysisRun"
SET_KIND = "apps/ReplicaSet"
HASH_LABEL = "rollouts-pod-template-hash"
NAME_KEY = "experiment.argoproj.io/name"
TEMPLATE_KEY = "experiment.argoproj.io/template-name"
DEADLINE = "scale-down-deadline"
BAD_TEMPLATE = ("Failed", "Error")
DONE_TEMPLATE = ("Successful", "Failed", "Error")


@dataclass(frozen=True, slots=True)
class Observed:
    """sets, services: what this Experiment owns. find(kind, name): any object of the namespace; template(name,
    cluster): an analysis template. failure: why the last performance failed, "" when it did not."""

    sets: Sequence[ReplicaSetView] = ()
    services: Sequence[Object] = ()
    find: Callable[[str, str], Object | None] = lambda _kind, _name: None
    template: Callable[[str, bool], Object | None] = lambda _name, _cluster: None
    failure: str = ""


class Experiment:
    """An Experiment with Argo's defaults."""

    def __init__(self, obj: Object) -> None:
        self.obj = obj
        self.metadata: Mapping[str, Any] = obj["metadata"]
        self.spec: Mapping[str, Any] = obj.get("spec") or {}
        self.status: Mapping[str, Any] = obj.get("status") or {}
        self.templates: Sequence[Mapping[str, Any]] = self.spec.get("templates") or ()
        self.analyses: Sequence[Mapping[str, Any]] = self.spec.get("analyses") or ()

    @property
    def name(self) -> str:
        return str(self.metadata["name"])

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace", ""))

    @property
    def deadline_s(self) -> int:
        return int(self.spec.get("progressDeadlineSeconds", 600))

    @property
    def scale_down_delay_s(self) -> int:
        return int(self.spec.get("scaleDownDelaySeconds", 30))

    @property
    def finished(self) -> bool:
        return ended(self.status.get("phase", ""))

    @property
    def available_s(self) -> float | None:
        at = self.status.get("availableAt")
        return parse_rfc3339(at) if at else None

    @property
    def ends_s(self) -> float | None:
        """When its duration is over; None without a duration, or before all templates were available."""
        if not self.spec.get("duration") or self.available_s is None:
            return None
        return self.available_s + duration_s(self.spec["duration"])

    def template_status(self, name: str) -> Mapping[str, Any]:
        return next((t for t in self.status.get("templateStatuses") or () if t["name"] == name), {})

    def analysis_status(self, name: str) -> Mapping[str, Any]:
        return next((a for a in self.status.get("analysisRuns") or () if a["name"] == name), {})

    @property
    def terminating(self) -> bool:
        """Whether it is on its way to its end: asked for, over, or a part of it ended badly."""
        if self.spec.get("terminate") or self.finished:
            return True
        if any(t.get("status") in BAD_TEMPLATE for t in self.status.get("templateStatuses") or ()):
            return True
        runs = self.status.get("analysisRuns") or ()
        if any(a.get("phase") in ("Failed", "Error", "Inconclusive") for a in runs):
            return True
        return required_succeeded(self.analyses, {a["name"]: a for a in runs})

    def wanted(self, template: Mapping[str, Any]) -> int:
        """Pods a template shall have now."""
        if self.terminating or self.template_status(template["name"]).get("status") in DONE_TEMPLATE:
            return 0
        return int(template.get("replicas", 1))


def required_succeeded(analyses: Sequence[Mapping[str, Any]], statuses: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether there are analyses marked requiredForCompletion and all of them succeeded."""
    required = [a["name"] for a in analyses if a.get("requiredForCompletion")]
    return bool(required) and all((statuses.get(name) or {}).get("phase") == "Successful" for name in required)
