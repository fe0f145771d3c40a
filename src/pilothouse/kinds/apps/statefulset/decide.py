"""What a StatefulSet does next: one pass over what was read, from which actions and a status come.

Pods are looked at by ordinal: first those that should be there are made or waited for, then those that should not are
deleted from the highest down, last the outdated ones are deleted so that the next passes make them anew.
Source: `stateful_set_control.go`, Kubernetes 1.36; a given maxUnavailable is honoured (upstream: behind a gate),
without one an update goes pod by pod. Called by `controller.py`.
"""

from __future__ import annotations

import math
from typing import Any

from pilothouse.base.actions import Action, Create, Decision, Delete, Emit, Object, Patch
from pilothouse.engines.rolling import revisions
from pilothouse.engines.rolling.claims import Owner, claim
from pilothouse.engines.rolling.lookup import matcher
from pilothouse.engines.rolling.revisions import Revision
from pilothouse.engines.rolling.slow_start import BURST
from pilothouse.engines.rolling.views import adopt
from pilothouse.kinds.apps.statefulset import claims, pods
from pilothouse.kinds.apps.statefulset.views import KIND_NAME, Member, Observed, SetView, split_name

__all__ = ["KIND_NAME", "Observed", "SetView", "decide"]


def decide(obj: Object, owner: SetView, observed: Observed, now_s: float) -> Decision:
    """One pass. obj: the StatefulSet as stored (Events are about it); owner: the same, as a view."""
    members, writes = _members(owner, observed)
    return _Pass(obj, owner, observed, members, now_s).decide(writes)


def _members(owner: SetView, observed: Observed) -> tuple[list[Member], list[Action]]:
    """The set's pods, and adoptions and releases. A pod belongs by its labels and by its name."""
    meta = owner.metadata
    me = Owner("apps/v1", "StatefulSet", meta.name, meta.uid, meta.deletionTimestamp is not None)
    objects = {view.metadata.name: obj for view, obj in (*observed.owned, *observed.orphans)}
    mine, patches = claim(
        me,
        [view for view, _ in observed.owned],
        [view for view, _ in observed.orphans],
        matcher(owner.spec.selector),
        lambda pod: split_name(pod.metadata.name)[0] == meta.name,
    )
    members = [Member(view, objects[view.metadata.name], split_name(view.metadata.name)[1]) for view in mine]
    writes: list[Action] = [*patches]
    if not me.deleting:
        for loose in observed.loose_revisions:
            references = adopt(loose.metadata.ownerReferences, me.reference())
            patch = {"metadata": {"ownerReferences": references}}
            writes.append(Patch(revisions.KIND_NAME, loose.metadata.namespace, loose.name, patch))
    return members, writes


class _Stop(Exception):
    """Nothing more can be done in this pass: something has to happen first."""


class _Pass:
    """One pass: the pods by place, the two revisions, the actions so far."""

    def __init__(self, obj: Object, owner: SetView, observed: Observed, members: list[Member], now_s: float) -> None:
        self.obj, self.owner, self.observed, self.now_s = obj, owner, observed, now_s
        self.members = [member for member in members if member.ordinal >= 0]
        self.actions: list[Action] = []
        first, end = owner.start, owner.start + owner.spec.replicas
        inside = {m.ordinal: m for m in self.members if first <= m.ordinal < end}
        self.wanted = [(ordinal, inside.get(ordinal)) for ordinal in range(first, end)]
        outside = [m for m in self.members if m.ordinal not in inside]
        self.condemned = sorted(outside, key=lambda m: -m.ordinal)
        self.history = revisions.ordered([*observed.revisions, *observed.loose_revisions])
        self.made = 0

    def decide(self, writes: list[Action]) -> Decision:
        self.actions += writes
        self._find_revisions()
        gone = 0
        if self.owner.metadata.deletionTimestamp is None:
            try:
                self._fill()
                self._shrink()
                gone = self._update()
            except _Stop:
                pass
        status = self._status(gone)
        self._forget()
        return Decision(tuple(self.actions), status, self._again_s())

    # -- revisions --

    def _find_revisions(self) -> None:
        """`update`: of the present template; `current`: what the status says, at first the same."""
        owner, status = self.owner, self.owner.status or {}
        template = owner.spec.template
        self.collisions = status.get("collisionCount") or 0
        number = revisions.next_number(self.history)
        same = revisions.equal(self.history, template)
        if same:
            found = same[-1]
            if found is not self.history[-1]:
                patch = Patch(revisions.KIND_NAME, found.metadata.namespace, found.name, {"revision": number})
                self.actions.append(patch)
            self.update, self.update_template = found.name, found.template
        else:
            self.update, self.update_template = self._create_revision(number), template
        self.current, self.current_template = self.update, self.update_template
        for revision in self.history:
            if revision.name == status.get("currentRevision"):
                self.current, self.current_template = revision.name, revision.template

    def _create_revision(self, number: int) -> str:
        owner, meta = self.owner, self.owner.metadata
        template = owner.spec.template
        name, digest, self.collisions = revisions.free_name(
            meta.name, template, self.collisions, self._foreign_revision
        )
        labels = {**((template.get("metadata") or {}).get("labels") or {}), revisions.HASH_LABEL: digest}
        reference = Owner("apps/v1", "StatefulSet", meta.name, meta.uid).reference()
        body = revisions.new(
            name=name, namespace=meta.namespace, labels=labels, annotations=meta.annotations, owner=reference,
            template=template, number=number,
        )  # fmt: skip
        if self.observed.revision_named(name) is None:
            self.actions.append(Create(revisions.KIND_NAME, body))
        return name

    def _foreign_revision(self, name: str) -> Revision | None:
        return self.observed.revision_named(name)

    def _forget(self) -> None:
        live = {self.current, self.update, *(member.revision for member in self.members)}
        for revision in revisions.forgotten(self.history, live, self.owner.spec.revisionHistoryLimit):
            self.actions.append(Delete(revisions.KIND_NAME, revision.metadata.namespace, revision.name))

    # -- pods that should be there --

    def _fill(self) -> None:
        for ordinal, pod in self.wanted:
            if pod is None:
                self._create(ordinal)
            elif pod.view.ended:
                self._replace_ended(pod)
            else:
                self._keep(pod)

    def _create(self, ordinal: int) -> None:
        """The pod and its claims; in order, the pass ends with it."""
        owner = self.owner
        if claims.stale(owner, self.observed, ordinal):
            self._wait()
            return
        if self.made >= BURST:
            raise _Stop
        self.made += 1
        of_current = self._starts_at_current(ordinal)
        name = self.current if of_current else self.update
        template = self.current_template if of_current else self.update_template
        pod = pods.new_pod(owner, template, name, ordinal)
        self._report_failure(pod)
        self.actions += claims.missing(self.obj, owner, self.observed, ordinal)
        self.actions.append(Create("Pod", pod))
        self._say("Normal", "SuccessfulCreate", f"Create Pod {pod['metadata']['name']} in StatefulSet", "successful")
        self._wait()

    def _report_failure(self, pod: Object) -> None:
        if self.observed.failure and self.made == 1:
            name, why = pod["metadata"]["name"], self.observed.failure
            self._say("Warning", "FailedCreate", f"Create Pod {name} in StatefulSet", f"failed error: {why}")

    def _starts_at_current(self, ordinal: int) -> bool:
        """Whether a missing pod comes back as it was: below the partition, or not yet reached by the update."""
        if self.owner.on_delete:
            return False
        if self.owner.rolling is not None:
            return ordinal < self.owner.start + self.owner.partition
        return ordinal < self.owner.start + int((self.owner.status or {}).get("currentReplicas") or 0)

    def _replace_ended(self, pod: Member) -> None:
        if not pod.deleting:
            self._delete(pod)
        self._wait()

    def _keep(self, pod: Member) -> None:
        if pod.view.status.phase == "Pending":
            self.actions += claims.missing(self.obj, self.owner, self.observed, pod.ordinal)
        if pod.deleting or not self._available(pod):
            self._wait()
        if pod.deleting:
            return
        labels = pods.lost_identity(self.owner, pod)
        if labels:
            self.actions.append(Patch("Pod", pod.view.metadata.namespace, pod.name, {"metadata": {"labels": labels}}))
            self._say("Normal", "SuccessfulUpdate", f"Update Pod {pod.name} in StatefulSet", "successful")
        self.actions += claims.retained(self.owner, self.observed, pod, condemned=False)

    def _wait(self) -> None:
        """In order, nothing after this pod is touched."""
        if self.owner.ordered:
            raise _Stop

    # -- pods that should not --

    def _shrink(self) -> None:
        for pod in self.condemned:
            self.actions += claims.retained(self.owner, self.observed, pod, condemned=True)
        blocked = self._first_unavailable()
        for pod in self.condemned:
            if not pod.deleting and (not self.owner.ordered or self._available(pod) or pod is blocked):
                self._delete(pod)
            self._wait()

    def _first_unavailable(self) -> Member | None:
        """The lowest pod that is not available: alone it may be deleted although it is not."""
        for _, pod in self.wanted:
            if pod is None or self._unavailable(pod):
                return pod
        return next((pod for pod in reversed(self.condemned) if self._unavailable(pod)), None)

    # -- outdated pods --

    def _update(self) -> int:
        """Deletes outdated pods as far as may be missing; how many."""
        owner = self.owner
        if owner.on_delete:
            return 0
        chosen = self._next_outdated() if owner.max_unavailable is None else self._outdated(owner.max_unavailable)
        for pod in chosen:
            self._delete(pod)
        return len(chosen)

    def _next_outdated(self) -> list[Member]:
        """The highest outdated pod; none while a pod above it is not available."""
        for _, pod in reversed(self.wanted[self.owner.partition :]):
            if pod is not None and pod.revision != self.update and not pod.deleting:
                return [pod]
            if pod is None or self._unavailable(pod):
                return []
        return []

    def _outdated(self, max_unavailable: int) -> list[Member]:
        """Outdated pods from the highest down, as many as may be missing at once."""
        missing = sum(pod is None or self._unavailable(pod) for _, pod in self.wanted)
        outdated = [
            pod
            for _, pod in reversed(self.wanted[self.owner.partition :])
            if pod is not None and pod.revision != self.update and not pod.deleting
        ]
        budget = max(max_unavailable - missing, 0)
        if self.owner.ordered:
            return outdated[:budget]
        # Outdated pods that do not serve anyway cost nothing of the budget.
        idle = [pod for pod in outdated if not self._available(pod)]
        return [*idle, *[pod for pod in outdated if self._available(pod)][:budget]]

    def _delete(self, pod: Member) -> None:
        meta = pod.view.metadata
        self.actions.append(Delete("Pod", meta.namespace, meta.name, uid=meta.uid))
        self._say("Normal", "SuccessfulDelete", f"Delete Pod {pod.name} in StatefulSet", "successful")

    def _say(self, type: str, reason: str, what: str, end: str) -> None:
        self.actions.append(Emit(self.obj, type, reason, f"{what} {self.owner.metadata.name} {end}"))

    # -- counting --

    def _available(self, pod: Member) -> bool:
        return pod.running_ready and pod.view.available(self.owner.spec.minReadySeconds, self.now_s)

    def _unavailable(self, pod: Member) -> bool:
        return pod.deleting or not self._available(pod)

    def _status(self, gone: int) -> dict[str, Any]:
        owner, members = self.owner, self.members
        steady = [m for m in members if not m.deleting]
        ready = sum(m.running_ready for m in members)
        current = sum(m.revision == self.current for m in steady) - gone
        updated = sum(m.revision == self.update for m in steady)
        current_name = self.current
        whole = owner.spec.replicas
        if not owner.on_delete and updated == ready == len(members) == whole:
            current, current_name = updated, self.update
        status: dict[str, Any] = {"observedGeneration": owner.metadata.generation, "replicas": len(members)}
        for key, count in (("readyReplicas", ready), ("currentReplicas", current), ("updatedReplicas", updated)):
            if count:
                status[key] = count
        return {
            **status,
            "currentRevision": current_name,
            "updateRevision": self.update,
            "collisionCount": self.collisions,
            "availableReplicas": sum(self._available(m) for m in members),
        }

    def _again_s(self) -> float | None:
        """Seconds until the next ready pod has been ready for minReadySeconds, up to the next whole millisecond."""
        min_ready_s = self.owner.spec.minReadySeconds
        waits = [w for m in self.members if (w := m.view.available_in_s(min_ready_s, self.now_s)) is not None]
        return math.ceil(min(waits) * 1000) / 1000 if waits else None
