"""What a Rollout's decision reads: the Rollout with Argo's defaults, its ReplicaSets while a pass is made, and all else
that was observed.

Source of defaults: argo-rollouts 1.9 (9f8d111d8) `utils/defaults`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.clock import parse_rfc3339
from pilothouse.engines.delivery import steps as delivery_steps
from pilothouse.engines.delivery.counts import SetSize
from pilothouse.engines.rolling.fenceposts import fenceposts, scaled
from pilothouse.engines.rolling.template import template_hash
from pilothouse.engines.rolling.views import PodView, ReplicaSetView
from pilothouse.engines.schema.podspec import default_template

KIND_NAME = "argoproj.io/Rollout"
API_VERSION = "argoproj.io/v1alpha1"
SET_KIND = "apps/ReplicaSet"
RUN_KIND = "argoproj.io/AnalysisRun"
EXPERIMENT_KIND = "argoproj.io/Experiment"
HASH_LABEL = "rollouts-pod-template-hash"
REVISION = "rollout.argoproj.io/revision"
DESIRED = "rollout.argoproj.io/desired-replicas"
DEADLINE = "scale-down-deadline"
EPHEMERAL = "rollout.argoproj.io/ephemeral-metadata"
MANAGED_BY = "argo-rollouts.argoproj.io/managed-by-rollouts"
WORKLOAD_GENERATION = "rollout.argoproj.io/workload-generation"
SERVICE_KEYS = ("activeService", "previewService", "stableService", "canaryService")
_DEFAULT_DELAY_S = 30


def set_hash(view: ReplicaSetView) -> str:
    return str((view.metadata.labels or {}).get(HASH_LABEL, ""))


class Member:
    """A ReplicaSet during one pass: `replicas` and `annotations` are what they will be once it is performed."""

    __slots__ = ("annotations", "hash", "replicas", "view")

    def __init__(self, view: ReplicaSetView) -> None:
        self.view = view
        self.replicas = view.spec.replicas
        self.annotations: dict[str, str] = dict(view.metadata.annotations or {})
        self.hash = set_hash(view)

    @property
    def name(self) -> str:
        return self.view.metadata.name

    @property
    def available(self) -> int:
        return self.view.status.availableReplicas

    @property
    def age_key(self) -> tuple[str, str]:
        return self.view.metadata.creationTimestamp, self.view.metadata.name

    @property
    def size(self) -> SetSize:
        return SetSize(self.replicas, self.available)

    @property
    def revision(self) -> int:
        """The revision number, 0 when there is none that can be read."""
        text = self.annotations.get(REVISION, "")
        return int(text) if text.isdigit() else 0

    @property
    def deadline_s(self) -> float | None:
        """When it is to be scaled down, None when that is not set or cannot be read."""
        try:
            return parse_rfc3339(self.annotations[DEADLINE])
        except (KeyError, ValueError):
            return None


class Rollout:
    """A Rollout with its template and selector, which may come from another workload."""

    def __init__(self, obj: Object, template: Mapping[str, Any] | None, selector: Mapping[str, Any] | None) -> None:
        self.obj = obj
        self.metadata: Mapping[str, Any] = obj["metadata"]
        self.spec: Mapping[str, Any] = obj.get("spec") or {}
        self.status: Mapping[str, Any] = obj.get("status") or {}
        self.template: Mapping[str, Any] = template or {}
        self.selector = selector
        strategy = self.spec.get("strategy") or {}
        self.canary: Mapping[str, Any] | None = strategy.get("canary")
        self.blue_green: Mapping[str, Any] | None = strategy.get("blueGreen")
        chosen = self.blue_green if self.blue_green is not None else self.canary
        self.strategy: Mapping[str, Any] = chosen or {}
        self.steps: Sequence[Mapping[str, Any]] = (self.canary or {}).get("steps") or ()
        self.routing: Mapping[str, Any] | None = (self.canary or {}).get("trafficRouting")
        self.replicas = int(self.spec.get("replicas", 1))

    # -- names and numbers --

    @property
    def name(self) -> str:
        return str(self.metadata["name"])

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace", ""))

    @property
    def revision(self) -> str:
        return str((self.metadata.get("annotations") or {}).get(REVISION, ""))

    @property
    def generation(self) -> str:
        return str(self.metadata.get("generation", 0))

    def template_hash(self) -> str:
        return template_hash(default_template(self.template), self.status.get("collisionCount"))

    @property
    def deadline_s(self) -> int:
        return int(self.spec.get("progressDeadlineSeconds", 600))

    @property
    def history_limit(self) -> int:
        return int(self.spec.get("revisionHistoryLimit", 10))

    @property
    def max_weight(self) -> int:
        return int((self.routing or {}).get("maxTrafficWeight") or 100)

    @property
    def dynamic(self) -> bool:
        return bool((self.canary or {}).get("dynamicStableScale"))

    @property
    def surge(self) -> int:
        if self.canary is None:
            return 0
        return self._fenceposts()[0]

    @property
    def unavailable(self) -> int:
        if self.replicas == 0:
            return 0
        if self.canary is not None:
            return min(self._fenceposts()[1], self.replicas)
        return min(scaled(self.strategy.get("maxUnavailable", "25%"), self.replicas, round_up=False), self.replicas)

    def _fenceposts(self) -> tuple[int, int]:
        return fenceposts(
            self.strategy.get("maxSurge", "25%"), self.strategy.get("maxUnavailable", "25%"), self.replicas
        )

    @property
    def scale_down_delay_s(self) -> int:
        """How long pods that serve no more stay; without traffic routing a canary has no use for it."""
        if self.canary is not None and self.routing is None:
            return 0
        return int(self.strategy.get("scaleDownDelaySeconds", _DEFAULT_DELAY_S))

    @property
    def abort_delay_s(self) -> int | None:
        """How long the new pods stay after an abort; None: for good (a delay of 0 is written)."""
        if self.canary is not None and self.routing is None:
            return 0
        return int(self.strategy.get("abortScaleDownDelaySeconds", _DEFAULT_DELAY_S)) or None

    @property
    def abort_delay_is_set(self) -> bool:
        routed = self.blue_green is not None or self.routing is not None
        return routed and bool(self.strategy.get("abortScaleDownDelaySeconds"))

    @property
    def scale_down_limit(self) -> int:
        return int(self.strategy.get("scaleDownDelayRevisionLimit", 2**31 - 1))

    # -- the step at hand --

    @property
    def index(self) -> int | None:
        """The current step's index; None without steps."""
        return int(self.status.get("currentStepIndex") or 0) if self.steps else None

    @property
    def step(self) -> Mapping[str, Any] | None:
        return delivery_steps.current(self.steps, self.index) if self.steps else None

    # -- the stored status in short --

    @property
    def stable_hash(self) -> str:
        return str(self.status.get("stableRS") or "")

    @property
    def current_hash(self) -> str:
        return str(self.status.get("currentPodHash") or "")

    @property
    def fully_promoted(self) -> bool:
        return self.stable_hash == self.current_hash

    @property
    def promote_full(self) -> bool:
        return bool(self.status.get("promoteFull"))

    @property
    def aborted(self) -> bool:
        return bool(self.status.get("abort"))

    @property
    def paused(self) -> bool:
        return bool(self.spec.get("paused"))

    @property
    def of_canary(self) -> Mapping[str, Any]:
        return self.status.get("canary") or {}

    @property
    def of_blue_green(self) -> Mapping[str, Any]:
        return self.status.get("blueGreen") or {}

    @property
    def weights(self) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self.of_canary.get("weights")
        return found

    def pause_since_s(self, reason: str) -> float | None:
        """When the pause with this reason began, None when there is none."""
        for condition in self.status.get("pauseConditions") or ():
            if condition.get("reason") == reason:
                return parse_rfc3339(condition["startTime"])
        return None

    def halted(self) -> str:
        """Why no ReplicaSet and no Service may change now, "" when they may."""
        if self.paused:
            return "user paused"
        return "inconclusive analysis" if self.pause_since_s("InconclusiveAnalysisRun") is not None else ""


@dataclass(frozen=True, slots=True)
class Workload:
    """Another workload that a Rollout takes its template from."""

    kind: str
    obj: Object


@dataclass(frozen=True, slots=True)
class Observed:
    """What was read for one pass.

    owned, orphans: ReplicaSets of this Rollout and of nobody. find(kind, name): any object of the namespace. template(
    name, cluster): an analysis template. pods_of: pods of a ReplicaSet's uid. may_evict: whether the disruption budgets
    let a pod go. runs, experiments: those of this Rollout, oldest first. workload: what spec.workloadRef names, None
    when it is not there. managed: Services marked as this
    Rollout's. failure: why the last performance failed, "" when it did not.
    """

    owned: Sequence[ReplicaSetView] = ()
    orphans: Iterable[ReplicaSetView] = ()
    find: Callable[[str, str], Object | None] = lambda _kind, _name: None
    template: Callable[[str, bool], Object | None] = lambda _name, _cluster: None
    pods_of: Callable[[str], Iterable[PodView]] = lambda _uid: ()
    may_evict: Callable[[PodView], bool] = lambda _pod: True
    runs: Sequence[Object] = field(default=())
    experiments: Sequence[Object] = field(default=())
    workload: Workload | None = None
    managed: Sequence[Object] = field(default=())
    failure: str = ""
