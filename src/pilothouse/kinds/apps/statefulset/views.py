"""What a StatefulSet's decision reads: the set, its pods with their ordinals, claims and revisions.

Made once per stored version by the store; the decision and its parts share them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pilothouse.base.actions import Object
from pilothouse.engines.rolling import fenceposts
from pilothouse.engines.rolling.revisions import POD_LABEL, Revision
from pilothouse.engines.rolling.views import PodView, ReplicaSetMeta

KIND_NAME = "apps/StatefulSet"
_ORDINAL = re.compile(r"(.*)-([0-9]+)")


class SetSpec(msgspec.Struct, frozen=True, gc=False):
    replicas: int = 1
    serviceName: str = ""
    podManagementPolicy: str = "OrderedReady"
    minReadySeconds: int = 0
    revisionHistoryLimit: int = 10
    selector: Any = None
    template: Any = None
    updateStrategy: Any = None
    volumeClaimTemplates: Any = None
    persistentVolumeClaimRetentionPolicy: Any = None
    ordinals: Any = None


class SetView(msgspec.Struct, frozen=True, gc=False):
    """A StatefulSet with its whole status as stored."""

    metadata: ReplicaSetMeta
    spec: SetSpec
    status: Any = None

    @property
    def start(self) -> int:
        """The ordinal of the first pod."""
        return int((self.spec.ordinals or {}).get("start", 0))

    @property
    def ordered(self) -> bool:
        """One pod at a time, each after the one before it is available."""
        return self.spec.podManagementPolicy != "Parallel"

    @property
    def on_delete(self) -> bool:
        return bool((self.spec.updateStrategy or {}).get("type") == "OnDelete")

    @property
    def rolling(self) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = (self.spec.updateStrategy or {}).get("rollingUpdate")
        return found

    @property
    def partition(self) -> int:
        return int((self.rolling or {}).get("partition") or 0)

    @property
    def max_unavailable(self) -> int | None:
        """Pods that an update may take away at once; a percentage rounds up, one pod always may. None: not given."""
        value = (self.rolling or {}).get("maxUnavailable")
        return None if value is None else max(fenceposts.scaled(value, self.spec.replicas, round_up=True), 1)

    def retention(self, when: str) -> bool:
        """Whether claims go when the set is deleted (`whenDeleted`) or shrinks (`whenScaled`)."""
        return bool((self.spec.persistentVolumeClaimRetentionPolicy or {}).get(when) == "Delete")


@dataclass(frozen=True, slots=True)
class Member:
    """A stored pod of the set. object: as stored, for what the view leaves out (volumes)."""

    view: PodView
    object: Object
    ordinal: int

    @property
    def name(self) -> str:
        return self.view.metadata.name

    @property
    def revision(self) -> str:
        return str(self.view.labels.get(POD_LABEL, ""))

    @property
    def deleting(self) -> bool:
        return self.view.metadata.deletionTimestamp is not None

    @property
    def running_ready(self) -> bool:
        return self.view.status.phase == "Running" and self.view.ready


@dataclass(frozen=True, slots=True)
class Observed:
    """What was read for one decision.

    owned: (view, object) of pods whose controller this set is; orphans: of pods without a controller. revisions: own
    ones; loose_revisions: matching ones without a controller. revision_named, claim_named: lookups in the namespace.
    failure: why the last performance stopped, "" when it did not.
    """

    owned: Sequence[tuple[PodView, Object]] = ()
    orphans: Sequence[tuple[PodView, Object]] = ()
    revisions: Sequence[Revision] = ()
    loose_revisions: Sequence[Revision] = ()
    revision_named: Callable[[str], Revision | None] = lambda _name: None
    claim_named: Callable[[str], Object | None] = lambda _name: None
    failure: str = field(default="")


def split_name(pod_name: str) -> tuple[str, int]:
    """(name of the set, ordinal) of a pod name; ("", -1) when it has no ordinal."""
    match = _ORDINAL.fullmatch(pod_name)
    return (match[1], int(match[2])) if match and len(match[2]) < 10 else ("", -1)
