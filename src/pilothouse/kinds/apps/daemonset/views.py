"""What a DaemonSet's decision reads: the set, the nodes as far as they matter, its pods and revisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pilothouse.base.actions import Object
from pilothouse.engines.rolling import fenceposts
from pilothouse.engines.rolling.revisions import POD_LABEL, Revision
from pilothouse.engines.rolling.views import PodView, ReplicaSetMeta
from pilothouse.engines.scheduling.facts import NodeFacts

KIND_NAME = "apps/DaemonSet"
GENERATION = "deprecated.daemonset.template.generation"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


class DaemonSpec(msgspec.Struct, frozen=True, gc=False):
    minReadySeconds: int = 0
    revisionHistoryLimit: int = 10
    selector: Any = None
    template: Any = None
    updateStrategy: Any = None


class DaemonView(msgspec.Struct, frozen=True, gc=False):
    """A DaemonSet with its whole status as stored."""

    metadata: ReplicaSetMeta
    spec: DaemonSpec
    status: Any = None

    @property
    def rolling(self) -> Mapping[str, Any] | None:
        """The steps of a rolling update, None with OnDelete."""
        strategy = self.spec.updateStrategy or {}
        return None if strategy.get("type") == "OnDelete" else strategy.get("rollingUpdate") or {}

    @property
    def surges(self) -> bool:
        """Whether a node may hold a new pod beside the old one."""
        value = (self.rolling or {}).get("maxSurge")
        return bool(fenceposts.scaled(value, 100, round_up=True))

    def steps(self, desired: int) -> tuple[int, int]:
        """(surge, unavailable) in pods; both round up, and one of them is not 0."""
        steps = self.rolling or {}
        surge = fenceposts.scaled(steps.get("maxSurge"), desired, round_up=True)
        unavailable = fenceposts.scaled(steps.get("maxUnavailable"), desired, round_up=True)
        return (surge, unavailable) if surge or unavailable else (0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Daemon:
    """One pod of the set. object: as stored."""

    view: PodView
    object: Object

    @property
    def name(self) -> str:
        return self.view.metadata.name

    @property
    def hash(self) -> str:
        return str(self.view.labels.get(POD_LABEL, ""))

    @property
    def deleting(self) -> bool:
        return self.view.metadata.deletionTimestamp is not None

    @property
    def node(self) -> str:
        """The node it is on or meant for: bound, or named by its affinity; "" when neither."""
        if self.view.spec.nodeName:
            return self.view.spec.nodeName
        affinity = (self.object["spec"].get("affinity") or {}).get("nodeAffinity") or {}
        for term in (affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ():
            for requirement in term.get("matchFields") or ():
                values: list[str] = requirement.get("values") or []
                if requirement["key"] == "metadata.name" and requirement["operator"] == "In" and len(values) == 1:
                    return values[0]
        return ""

    @property
    def age(self) -> tuple[str, bool, str]:
        """Sorts the oldest first; of equally old ones the bound, then the name."""
        return self.view.metadata.creationTimestamp, not self.view.spec.nodeName, self.name


@dataclass(frozen=True, slots=True)
class Observed:
    """What was read for one decision.

    nodes: all, in order. owned, orphans: pods whose controller the set is, pods without one. revisions: own ones and
    matching ones without a controller. revision_named: lookup in the namespace. patience: {node: when a failed pod
    there may be replaced, seconds since 1970}.
    """

    nodes: Sequence[NodeFacts] = ()
    owned: Sequence[Daemon] = ()
    orphans: Sequence[Daemon] = ()
    revisions: Sequence[Revision] = ()
    loose_revisions: Sequence[Revision] = ()
    revision_named: Callable[[str], Revision | None] = lambda _name: None
    patience: Mapping[str, float] = field(default_factory=dict)
