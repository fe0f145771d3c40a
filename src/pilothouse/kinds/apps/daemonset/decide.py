"""What a DaemonSet does next: a pod on every node that should have one, none elsewhere, outdated ones replaced.

Source: `pkg/controller/daemon/daemon_controller.go`, Kubernetes 1.36. Called by `controller.py`; performs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pilothouse.base.actions import Action, Create, Decision, Delete, Emit, Object, Patch
from pilothouse.engines.rolling import revisions
from pilothouse.engines.rolling.claims import Owner, claim
from pilothouse.engines.rolling.lookup import matcher
from pilothouse.engines.rolling.revisions import POD_LABEL, Revision
from pilothouse.engines.rolling.views import adopt
from pilothouse.engines.scheduling.facts import NodeFacts
from pilothouse.kinds.apps.daemonset import pods, rollout
from pilothouse.kinds.apps.daemonset.rollout import Place
from pilothouse.kinds.apps.daemonset.views import KIND_NAME, Daemon, DaemonView, Observed

__all__ = ["KIND_NAME", "DaemonView", "Observed", "decide"]

BURST = 250
"""Pods created and pods deleted in one pass; the rest waits for the next."""


def decide(obj: Object, owner: DaemonView, observed: Observed, now_s: float) -> Decision:
    """One pass. obj: the DaemonSet as stored (Events are about it); owner: the same, as a view."""
    selector = owner.spec.selector or {}
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        message = "This daemon set is selecting all pods. A non-empty selector is required."
        return Decision((Emit(obj, "Warning", "SelectingAll", message),))
    if owner.metadata.deletionTimestamp is not None:
        return Decision()
    return _Pass(obj, owner, observed, now_s).decide()


class _Pass:
    """One pass: the pods by node, the present hash, the actions so far."""

    def __init__(self, obj: Object, owner: DaemonView, observed: Observed, now_s: float) -> None:
        self.obj, self.owner, self.observed, self.now_s = obj, owner, observed, now_s
        meta = owner.metadata
        self.me = Owner("apps/v1", "DaemonSet", meta.name, meta.uid)
        by_uid = {daemon.view.metadata.uid: daemon for daemon in (*observed.owned, *observed.orphans)}
        mine, writes = claim(
            self.me,
            [daemon.view for daemon in observed.owned],
            [daemon.view for daemon in observed.orphans],
            matcher(owner.spec.selector),
        )
        self.actions: list[Action] = [*writes]
        self.everything = [by_uid[view.metadata.uid] for view in mine]
        # A pod that has ended and is being deleted no longer counts for its node.
        self.daemons = [daemon for daemon in self.everything if not (daemon.deleting and daemon.view.ended)]
        self.by_node = rollout.by_node(self.daemons, [node.name for node in observed.nodes])
        asked = pods.needs(owner)
        self.verdicts = {node.name: pods.verdict(asked, node) for node in observed.nodes}
        self.again_s: float | None = None
        self.managed = False

    def decide(self) -> Decision:
        self._find_revision()
        self._manage()
        if not self.managed:
            # What was begun is seen first; the rollout counts on it.
            self._roll()
        self._forget()
        return Decision(tuple(self.actions), self._status(), self._again())

    # -- revisions --

    def _find_revision(self) -> None:
        """The revision of the present template, made or brought to the front; and the older ones."""
        owner, meta = self.owner, self.owner.metadata
        for loose in self.observed.loose_revisions:
            references = adopt(loose.metadata.ownerReferences, self.me.reference())
            self._patch_revision(loose, {"metadata": {"ownerReferences": references}})
        history = revisions.ordered([*self.observed.revisions, *self.observed.loose_revisions])
        same = revisions.equal(history, owner.spec.template)
        self.old = [revision for revision in history if revision not in same]
        number = revisions.next_number(self.old)
        self.collisions = (owner.status or {}).get("collisionCount") or 0
        if same:
            found = same[-1]
            self.hash = str((found.metadata.labels or {}).get(POD_LABEL, found.name))
            if found.revision < number:
                self._patch_revision(found, {"revision": number})
            return
        name, self.hash, self.collisions = revisions.free_name(
            meta.name, owner.spec.template, self.collisions, self.observed.revision_named
        )
        labels = (owner.spec.template.get("metadata") or {}).get("labels") or {}
        body = revisions.new(
            name=name, namespace=meta.namespace, labels={**labels, POD_LABEL: self.hash},
            annotations=meta.annotations, owner=self.me.reference(), template=owner.spec.template, number=number,
        )  # fmt: skip
        if self.observed.revision_named(name) is None:
            self.actions.append(Create(revisions.KIND_NAME, body))

    def _patch_revision(self, revision: Revision, patch: dict[str, Any]) -> None:
        self.actions.append(Patch(revisions.KIND_NAME, revision.metadata.namespace, revision.name, patch))

    def _forget(self) -> None:
        """Deletes the oldest revisions beyond the limit; one that a pod still has stays, though it counts."""
        live = {daemon.hash for daemon in self.everything}
        surplus = len(self.old) - self.owner.spec.revisionHistoryLimit
        for revision in self.old:
            if surplus <= 0:
                return
            if (revision.metadata.labels or {}).get(POD_LABEL) in live:
                continue
            self.actions.append(Delete(revisions.KIND_NAME, revision.metadata.namespace, revision.name))
            surplus -= 1

    # -- one pod per node --

    def _manage(self) -> None:
        needing: list[str] = []
        excess: list[Daemon] = []
        for node in self.observed.nodes:
            run, stay = self.verdicts[node.name]
            there = self.by_node[node.name]
            if run and not there:
                needing.append(node.name)
            elif stay:
                excess += self._excess([daemon for daemon in there if not daemon.deleting])
            else:
                excess += [daemon for daemon in there if not daemon.deleting]
        excess += [
            daemon
            for name, there in self.by_node.items()
            for daemon in there
            if name not in self.verdicts and not daemon.view.spec.nodeName and not daemon.deleting
        ]
        self._sync(needing, excess)

    def _excess(self, there: Sequence[Daemon]) -> list[Daemon]:
        """Pods to delete on a node that may keep one: ended ones, and all but the oldest of each kind."""
        ended = [daemon for daemon in there if daemon.view.ended]
        gone = [daemon for daemon in ended if self._give_up(daemon)]
        running = sorted((daemon for daemon in there if not daemon.view.ended), key=lambda daemon: daemon.age)
        if not self.owner.surges:
            return [*gone, *running[1:]]
        new = [daemon for daemon in running if daemon.hash == self.hash]
        old = [daemon for daemon in running if daemon.hash != self.hash]
        gone += [*new[1:], *old[1:]]
        if new and old and (not old[0].view.ready or self._available(new[0])):
            gone.append(old[0])
        return gone

    def _give_up(self, daemon: Daemon) -> bool:
        """Whether an ended pod goes now; one that failed waits the longer the more often that happened there."""
        where = f"{daemon.view.metadata.namespace}/{daemon.name} on node {daemon.node}"
        if daemon.view.status.phase == "Succeeded":
            text = f"Found succeeded daemon pod {where}, will try to delete it"
            self.actions.append(Emit(self.obj, "Normal", "SucceededDaemonPod", text))
            return True
        wait_s = self.observed.patience.get(daemon.node, 0.0) - self.now_s
        if wait_s > 0:
            self._look_again(wait_s)
            return False
        text = f"Found failed daemon pod {where}, will try to kill it"
        self.actions.append(Emit(self.obj, "Warning", "FailedDaemonPod", text))
        return True

    def _sync(self, nodes: Sequence[str], excess: Sequence[Daemon]) -> None:
        for node in nodes[:BURST]:
            body = pods.new_pod(self.owner, self.hash, node)
            self.actions.append(Create("Pod", body, event_ok="SuccessfulCreate"))
        for daemon in excess[:BURST]:
            meta = daemon.view.metadata
            self.actions.append(Delete("Pod", meta.namespace, meta.name, uid=meta.uid, event_ok="SuccessfulDelete"))
        self.managed = bool(nodes or excess)

    # -- outdated pods --

    def _roll(self) -> None:
        if self.owner.rolling is None:
            return
        wanted = {name: run for name, (run, _) in self.verdicts.items()}
        desired = sum(wanted.values())
        places = [
            Place(name, there, wanted.get(name, False))
            for name, there in self.by_node.items()
            if there or wanted.get(name)
        ]
        surge, unavailable = self.owner.steps(desired)
        if surge == 0:
            self._sync((), rollout.replace(places, self.hash, self._available, unavailable))
        else:
            gone, nodes = rollout.surge(places, self.hash, self._available, surge, desired)
            self._sync(nodes, gone)

    def _available(self, daemon: Daemon) -> bool:
        return daemon.view.available(self.owner.spec.minReadySeconds, self.now_s)

    # -- counting --

    def _status(self) -> dict[str, Any]:
        counts = dict.fromkeys(("desired", "current", "misscheduled", "ready", "available", "updated"), 0)
        for node in self.observed.nodes:
            self._count_node(node, counts)
        old = self.owner.status or {}
        status: dict[str, Any] = {
            "currentNumberScheduled": counts["current"],
            "numberMisscheduled": counts["misscheduled"],
            "desiredNumberScheduled": counts["desired"],
            "numberReady": counts["ready"],
            "observedGeneration": self.owner.metadata.generation,
        }
        more = {
            "updatedNumberScheduled": counts["updated"],
            "numberAvailable": counts["available"],
            "numberUnavailable": counts["desired"] - counts["available"],
            "collisionCount": self.collisions,
        }
        status.update((key, value) for key, value in more.items() if value)
        if old.get("conditions"):
            status["conditions"] = old["conditions"]
        return status

    def _count_node(self, node: NodeFacts, counts: dict[str, int]) -> None:
        run, _ = self.verdicts[node.name]
        there = self.by_node[node.name]
        if not run:
            counts["misscheduled"] += bool(there)
            return
        counts["desired"] += 1
        if there:
            first = min(there, key=lambda daemon: daemon.age)
            counts["current"] += 1
            counts["ready"] += first.view.ready
            counts["available"] += self._available(first)
            counts["updated"] += first.hash == self.hash

    def _look_again(self, in_s: float) -> None:
        self.again_s = in_s if self.again_s is None else min(self.again_s, in_s)

    def _again(self) -> float | None:
        for daemon in self.daemons:
            left_s = daemon.view.available_in_s(self.owner.spec.minReadySeconds, self.now_s)
            if left_s is not None:
                self._look_again(left_s)
        return None if self.again_s is None else math.ceil(self.again_s * 1000) / 1000
