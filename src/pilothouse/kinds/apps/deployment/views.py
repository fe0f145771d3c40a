"""What the Deployment's decision reads, and the scratch form of a ReplicaSet while one decision is being made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.engines.rolling.fenceposts import fenceposts
from pilothouse.engines.rolling.views import PodView, ReplicaSetView

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"

_NO_LIMIT = 2**31 - 1
"""In progressDeadlineSeconds and revisionHistoryLimit this value means "none"."""


class DeploymentMeta(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    deletionTimestamp: str | None = None
    annotations: Any = None


class DeploymentSpec(msgspec.Struct, gc=False):
    replicas: int = 1
    minReadySeconds: int = 0
    paused: bool = False
    progressDeadlineSeconds: int | None = None
    revisionHistoryLimit: int | None = None
    strategy: Any = None
    selector: Any = None
    template: Any = None


class DeploymentView(msgspec.Struct, gc=False):
    """A Deployment. deadline_s and history_limit are None when there is none.

    surge, unavailable: whole pods. unavailable is 1 when both round to 0, so that a rollout can move; surge is not.
    """

    metadata: DeploymentMeta
    spec: DeploymentSpec
    status: Any = None
    rolling: bool = True
    surge: int = 0
    unavailable: int = 0
    deadline_s: int | None = None
    history_limit: int | None = None

    def __post_init__(self) -> None:
        spec = self.spec
        strategy = spec.strategy or {}
        self.rolling = strategy.get("type", "RollingUpdate") == "RollingUpdate"
        self.surge = self.unavailable = 0
        if self.rolling:
            steps = strategy.get("rollingUpdate") or {}
            self.surge, down = fenceposts(steps.get("maxSurge"), steps.get("maxUnavailable"), spec.replicas)
            self.unavailable = min(down, spec.replicas)
        self.deadline_s = spec.progressDeadlineSeconds if spec.progressDeadlineSeconds != _NO_LIMIT else None
        self.history_limit = spec.revisionHistoryLimit if spec.revisionHistoryLimit != _NO_LIMIT else None


@dataclass(frozen=True, slots=True)
class Observed:
    """What was read for one decision.

    owned: ReplicaSets whose controller this Deployment is. orphans: ReplicaSets of the namespace without a controller.
    set_named: the ReplicaSet with a name, whoever owns it. pods_of: all pods of a ReplicaSet's uid, asked by Recreate.
    failure: why the last performance of a decision failed, "" when it did not.
    """

    owned: Iterable[ReplicaSetView] = ()
    orphans: Iterable[ReplicaSetView] = ()
    set_named: Callable[[str], ReplicaSetView | None] = lambda _name: None
    pods_of: Callable[[str], Iterable[PodView]] = lambda _uid: ()
    failure: str = ""


class Member:
    """A ReplicaSet during one decision: `replicas` and `annotations` are what they will be once it is performed."""

    __slots__ = ("annotations", "replicas", "view")

    def __init__(self, view: ReplicaSetView) -> None:
        self.view = view
        self.replicas = view.spec.replicas
        self.annotations: Mapping[str, str] = view.metadata.annotations or {}

    @property
    def name(self) -> str:
        return self.view.metadata.name

    @property
    def age_key(self) -> tuple[str, str]:
        """Sorts oldest first, then by name (`ReplicaSetsByCreationTimestamp`)."""
        return self.view.metadata.creationTimestamp, self.view.metadata.name

    def number(self, annotation: str) -> int | None:
        """The whole number in an annotation, None when it is missing or is none."""
        try:
            return int(self.annotations[annotation])
        except (KeyError, ValueError):
            return None
