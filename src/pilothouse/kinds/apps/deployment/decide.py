"""What a Deployment does next: one pass over what was read, from which actions and a status come.

The pass follows the deployment controller of Kubernetes 1.36 step by step. One rule of its loop is kept on purpose: a
pass writes the status once; where upstream writes it early (a revision found, a pause noted), its later write in the
same pass meets a conflict and the rest waits for the next pass. Watchers therefore see the same transitions.
Called by `controller.py`; performs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilothouse.base.actions import Action, Create, Decision, Delete, Emit, Object, Patch
from pilothouse.engines.rolling import views as rolling_views
from pilothouse.engines.rolling.lookup import matcher
from pilothouse.engines.rolling.template import same_template, template_hash
from pilothouse.engines.rolling.views import ReplicaSetView
from pilothouse.kinds.apps.deployment import revision, scaling, status
from pilothouse.kinds.apps.deployment.views import REVISION, DeploymentView, Member, Observed

KIND_NAME = "apps/Deployment"
SET_KIND = "apps/ReplicaSet"


def decide(obj: Object, deployment: DeploymentView, observed: Observed, now_s: float) -> Decision:
    """One pass. obj: the Deployment as stored (Events are about it); deployment: the same, as a view."""
    if not deployment.spec.selector:
        return _selects_everything(obj, deployment)
    claims = _claims(deployment, observed)
    if claims:
        return Decision(actions=tuple(claims))
    members = [Member(view) for view in observed.owned]
    return _Pass(obj, deployment, observed, members, now_s).decide()


def _selects_everything(obj: Object, deployment: DeploymentView) -> Decision:
    message = "This deployment is selecting all pods. A non-empty selector is required."
    old = deployment.status or {}
    if old.get("observedGeneration", 0) >= deployment.metadata.generation:
        return Decision()
    new = {**old, "observedGeneration": deployment.metadata.generation}
    return Decision(actions=(Emit(obj, "Warning", "SelectingAll", message),), status=new)


def _claims(deployment: DeploymentView, observed: Observed) -> list[Action]:
    """Adoptions of matching sets without a controller, releases of own sets that no longer match."""
    meta = deployment.metadata
    matches = matcher(deployment.spec.selector)
    claims: list[Action] = []
    for view in observed.owned:
        if not matches(view.metadata.labels or {}) and meta.deletionTimestamp is None:
            left = rolling_views.release(view.metadata.ownerReferences, meta.uid)
            claims.append(_reference_patch(view, left))
    if meta.deletionTimestamp is None:
        me = rolling_views.controller_reference("apps/v1", "Deployment", meta.name, meta.uid)
        for view in observed.orphans:
            if view.metadata.deletionTimestamp is None and matches(view.metadata.labels or {}):
                claims.append(_reference_patch(view, rolling_views.adopt(view.metadata.ownerReferences, me)))
    return claims


def _reference_patch(view: ReplicaSetView, references: Sequence[Mapping[str, Any]]) -> Patch:
    # The version guards against two Deployments adopting the same set at once.
    return Patch(
        SET_KIND,
        view.metadata.namespace,
        view.metadata.name,
        {"metadata": {"ownerReferences": references or None}},
        resource_version=view.metadata.resourceVersion,
    )


class _Pass:
    """The state of one pass: actions so far, and the status if it has been written already."""

    def __init__(
        self, obj: Object, deployment: DeploymentView, observed: Observed, members: list[Member], now_s: float
    ) -> None:
        self.obj = obj
        self.deployment = deployment
        self.observed = observed
        self.members = members
        self.now_s = now_s
        self.actions: list[Action] = []
        self.written: status.Status | None = None
        self.new, self.old = revision.split(deployment, members)

    def decide(self) -> Decision:
        deployment = self.deployment
        if deployment.metadata.deletionTimestamp is not None:
            return self._end(status.counted(deployment, self.members, self.new, self.now_s))
        self._note_pause()
        if not self._sync_new_set():
            return self._end(None)
        if deployment.spec.paused or scaling.is_scaling(deployment, self.members):
            return self._rescale()
        return self._roll() if deployment.rolling else self._recreate()

    # -- the new set and its bookkeeping --

    def _note_pause(self) -> None:
        """Progressing says Unknown while paused and right after, so that a pause never counts against the deadline."""
        if self.deployment.deadline_s is None:
            return
        reason = (status.find(self.deployment.status, "Progressing") or {}).get("reason")
        if reason == "ProgressDeadlineExceeded":
            return
        if self.deployment.spec.paused and reason != "DeploymentPaused":
            self._write_progressing("Unknown", "DeploymentPaused", "Deployment is paused")
        elif not self.deployment.spec.paused and reason == "DeploymentPaused":
            self._write_progressing("Unknown", "DeploymentResumed", "Deployment is resumed")

    def _write_progressing(self, value: str, reason: str, message: str) -> bool:
        """Writes the stored status with only Progressing changed; False when this pass has written before."""
        if self.written is not None:
            return False
        old = self.deployment.status or {}
        conditions = status.with_condition(
            old.get("conditions") or (), "Progressing", value, reason, message, self.now_s
        )
        self.written = {**old, "conditions": conditions}
        return True

    def _sync_new_set(self) -> bool:
        """Brings annotations of the new set and of the Deployment up to date; False when the pass must end."""
        new = self.new
        if new is None:
            return True
        spec = self.deployment.spec
        changes = revision.annotation_changes(self.deployment, new.annotations, revision.next_revision(self.old))
        if changes or new.view.spec.minReadySeconds != spec.minReadySeconds:
            new.annotations = {**new.annotations, **changes}
            patch: dict[str, Any] = {"metadata": {"annotations": changes}}
            if new.view.spec.minReadySeconds != spec.minReadySeconds:
                patch["spec"] = {"minReadySeconds": spec.minReadySeconds}
            self._patch_set(new, patch)
            return True
        self._set_own_revision(new.annotations.get(REVISION))
        if self.deployment.deadline_s is not None and status.find(self._status_now(), "Progressing") is None:
            return self._write_progressing("True", "FoundNewReplicaSet", f'Found new replica set "{new.name}"')
        return True

    def _status_now(self) -> Mapping[str, Any]:
        return self.written if self.written is not None else self.deployment.status or {}

    def _set_own_revision(self, number: str | None) -> None:
        meta = self.deployment.metadata
        if number is not None and (meta.annotations or {}).get(REVISION) != number:
            patch = {"metadata": {"annotations": {REVISION: number}}}
            self.actions.append(Patch(KIND_NAME, meta.namespace, meta.name, patch))

    def _create_new_set(self) -> Decision:
        """The pass ends with it: the next one sees the set that was made."""
        deployment, meta = self.deployment, self.deployment.metadata
        hash_ = template_hash(deployment.spec.template, (deployment.status or {}).get("collisionCount"))
        name = f"{meta.name}-{hash_}"
        taken = self.observed.set_named(name)
        if taken is not None:
            return self._step_aside(taken)
        if self.observed.failure:
            self._report_failure(name)
        size = scaling.size_of_new(deployment, sum(m.replicas for m in self.old), 0)
        number = revision.next_revision(self.old)
        self.actions.append(Create(SET_KIND, revision.new_set(deployment, hash_, size, number)))
        if size > 0:
            self._emit_scaled(name, 0, size)
        self._set_own_revision(str(number))
        if deployment.deadline_s is not None:
            self._write_progressing("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
        return self._end(None)

    def _step_aside(self, taken: ReplicaSetView) -> Decision:
        """The name is used by a set with another template or owner: count the collision, try another name next."""
        owner = rolling_views.controller_of(taken.metadata.ownerReferences)
        mine = owner is not None and owner.get("uid") == self.deployment.metadata.uid
        if mine and same_template(self.deployment.spec.template, taken.spec.template):
            return self._end(None)
        old = self.deployment.status or {}
        return self._end({**old, "collisionCount": (old.get("collisionCount") or 0) + 1})

    def _report_failure(self, name: str) -> None:
        """Says that the set could not be created last time; its condition stands until the creation succeeds."""
        message = f'Failed to create new replica set "{name}": {self.observed.failure}'
        self.actions.append(Emit(self.obj, "Warning", "ReplicaSetCreateError", message))
        if self.deployment.deadline_s is not None:
            self._write_progressing("False", "ReplicaSetCreateError", message)

    # -- the three ways on --

    def _rescale(self) -> Decision:
        for member, size in scaling.rescale(self.deployment, self.new, self.old):
            self._scale(member, size, annotate=True)
        if self.deployment.spec.paused:
            self._clean_history()
        return self._end(status.counted(self.deployment, self.members, self.new, self.now_s))

    def _roll(self) -> Decision:
        new = self.new
        if new is None:
            return self._create_new_set()
        total = sum(m.replicas for m in self.members)
        if new.replicas != self.deployment.spec.replicas and self._scale(
            new, scaling.size_of_new(self.deployment, total, new.replicas)
        ):
            return self._end_rollout()
        if self._scale_all(scaling.shrink_old(self.deployment, new, self.old)):
            return self._end_rollout()
        return self._finish()

    def _recreate(self) -> Decision:
        if self._scale_all([(m, 0) for m in scaling.active(self.old)]) or self._old_pods_running():
            return self._end_rollout()
        if self.new is None:
            return self._create_new_set()
        if self._scale(self.new, self.deployment.spec.replicas):
            return self._end_rollout()
        return self._finish()

    def _old_pods_running(self) -> bool:
        if any(m.view.status.replicas for m in self.old):
            return True
        return any(not pod.ended for m in self.old for pod in self.observed.pods_of(m.view.metadata.uid))

    def _finish(self) -> Decision:
        if status.complete(self.deployment, self.deployment.status):
            self._clean_history()
        return self._end_rollout()

    def _clean_history(self) -> None:
        """Deletes the oldest empty sets beyond revisionHistoryLimit; ones that still have pods wait."""
        limit = self.deployment.history_limit
        if limit is None:
            return
        alive = [m for m in self.old if m.view.metadata.deletionTimestamp is None]
        excess = len(alive) - limit
        if excess <= 0:
            return
        for member in sorted(alive, key=lambda m: (m.number(REVISION) or 0, m.age_key))[:excess]:
            meta, counts = member.view.metadata, member.view.status
            if counts.replicas == 0 and member.replicas == 0 and meta.generation <= counts.observedGeneration:
                self.actions.append(Delete(SET_KIND, meta.namespace, meta.name, uid=meta.uid))

    # -- writing down --

    def _scale_all(self, sizes: scaling.Sizes) -> bool:
        """All of them are scaled; True when any size changes."""
        return sum(self._scale(member, size) for member, size in sizes) > 0

    def _scale(self, member: Member, size: int, *, annotate: bool = False) -> bool:
        """Sets a set's size and the annotations that go with it; True when the size changes.

        annotate: bring the annotations up to date even when the size stays.
        """
        changes = {
            key: value
            for key, value in revision.size_annotations(self.deployment).items()
            if member.annotations.get(key) != value
        }
        if size == member.replicas and not (annotate and changes):
            return False
        patch: dict[str, Any] = {"metadata": {"annotations": changes}} if changes else {}
        before, member.replicas = member.replicas, size
        if size != before:
            patch["spec"] = {"replicas": size}
        member.annotations = {**member.annotations, **changes}
        self._patch_set(member, patch)
        if size != before:
            self._emit_scaled(member.name, before, size)
        return size != before

    def _patch_set(self, member: Member, patch: Mapping[str, Any]) -> None:
        meta = member.view.metadata
        self.actions.append(Patch(SET_KIND, meta.namespace, meta.name, patch))

    def _emit_scaled(self, name: str, before: int, after: int) -> None:
        direction = "up" if before < after else "down"
        message = f"Scaled {direction} replica set {name} from {before} to {after}"
        self.actions.append(Emit(self.obj, "Normal", "ScalingReplicaSet", message))

    def _end_rollout(self) -> Decision:
        new_status = status.rollout_status(self.deployment, self.members, self.new, self.now_s)
        if self.written is None and new_status == self.deployment.status:
            # Only a pass that changes nothing waits for the deadline; any other is followed by one that does.
            again = status.check_again_in_s(self.deployment, new_status, self.now_s)
            return Decision(actions=tuple(self.actions), status=new_status, requeue_s=again)
        return self._end(new_status)

    def _end(self, final: status.Status | None) -> Decision:
        return Decision(actions=tuple(self.actions), status=self.written if self.written is not None else final)
