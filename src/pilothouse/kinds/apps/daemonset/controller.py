"""Reads what a DaemonSet's decision needs and says which changes concern which DaemonSet.

It remembers, per set and node, how long a failed pod must wait for its successor (upstream's `failedPodsBackoff`).
"""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.base.actions import Decision, Delete, Object
from pilothouse.engines.rolling.claims import differs
from pilothouse.engines.rolling.lookup import (
    is_controlled,
    keys_by_labels,
    keys_of_orphans,
    matcher,
    orphans_key,
)
from pilothouse.engines.rolling.revisions import KIND_NAME as REVISION_KIND
from pilothouse.engines.rolling.revisions import Revision
from pilothouse.engines.rolling.views import PodView
from pilothouse.engines.scheduling.facts import NodeFacts, Taint
from pilothouse.kinds.apps.daemonset.decide import KIND_NAME, DaemonView, Observed, decide
from pilothouse.kinds.apps.daemonset.views import Daemon
from pilothouse.machinery.client import Client
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key, owner_key
from pilothouse.store.memory import Change, IndexFunction, Key, Stored

LABELS, ORPHANS = "labels", "orphans"
INDEXES: dict[str, dict[str, IndexFunction]] = {
    "Pod": {LABELS: keys_by_labels},
    REVISION_KIND: {ORPHANS: keys_of_orphans},
}
"""The indexes that the store must have for this controller."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 900.0
_owner_of = owner_key(KIND_NAME)


class DaemonSetController:
    """Runs DaemonSets (kube-controller-manager's daemonset-controller)."""

    name = "daemonset-controller"

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waits: dict[str, dict[str, tuple[float, float]]] = {}
        self.watches = (
            WatchRule(KIND_NAME, own_key),
            WatchRule("Pod", self._keys_of_pod),
            WatchRule("Node", self._keys_of_node),
            WatchRule(REVISION_KIND, _owner_of),
        )

    def _keys_of_pod(self, change: Change) -> Iterable[Key]:
        keys = _owner_of(change)
        if keys and change.new is not None and change.old is not None:
            old, new = change.old.view(PodView), change.new.view(PodView)
            return keys if differs(old, new) or old.spec.nodeName != new.spec.nodeName else ()
        if keys or change.new is None or is_controlled(change.object["metadata"]):
            return keys
        metadata = change.object["metadata"]
        labels = metadata.get("labels") or {}
        return [
            (metadata["namespace"], stored.object["metadata"]["name"])
            for stored in self._client.list(KIND_NAME, metadata["namespace"])
            if matcher(stored.object["spec"]["selector"])(labels)
        ]

    def _keys_of_node(self, change: Change) -> Iterable[Key]:
        """Every set, when a node came, went, or changed what pods look at."""
        if change.new is not None and change.old is not None and _facts(change.old) == _facts(change.new):
            return ()
        sets = [stored.object["metadata"] for stored in self._client.list(KIND_NAME)]
        return [(metadata["namespace"], metadata["name"]) for metadata in sets]

    def reconcile(self, view: ReconcileInput) -> Decision:
        client, namespace = view.client, view.namespace
        stored = client.get(KIND_NAME, namespace, view.name)
        if stored is None:
            return Decision()
        owner = stored.view(DaemonView)
        uid = owner.metadata.uid
        waits = self._waits.get(uid, {})
        observed = Observed(
            nodes=[_facts(node) for node in client.list("Node")],
            owned=[Daemon(pod.view(PodView), pod.object) for pod in client.owned("Pod", uid)],
            orphans=[
                Daemon(pod.view(PodView), pod.object) for pod in client.indexed("Pod", LABELS, orphans_key(namespace))
            ],
            revisions=[revision.view(Revision) for revision in client.owned(REVISION_KIND, uid)],
            loose_revisions=_loose(client, namespace, stored.object),
            revision_named=lambda name: _revision(client, namespace, name),
            patience={node: since_s + wait_s for node, (since_s, wait_s) in waits.items()},
        )
        made = decide(stored.object, owner, observed, view.now_s)
        self._remember(uid, observed, made, view.now_s)
        return made

    def _remember(self, uid: str, observed: Observed, made: Decision, now_s: float) -> None:
        """A failed pod that goes now makes the next one on its node wait twice as long."""
        gone = {action.name for action in made.actions if isinstance(action, Delete) and action.kind == "Pod"}
        for daemon in observed.owned:
            if daemon.name in gone and daemon.view.status.phase == "Failed":
                waits = self._waits.setdefault(uid, {})
                since_s, wait_s = waits.get(daemon.node, (now_s, 0.0))
                # After a quiet time of twice the longest wait the count begins again.
                fresh = wait_s == 0.0 or now_s - since_s > 2 * LONGEST_WAIT_S
                waits[daemon.node] = (now_s, FIRST_WAIT_S if fresh else min(wait_s * 2, LONGEST_WAIT_S))


def _facts(stored: Stored) -> NodeFacts:
    """What daemons look at of a node; its resources are the scheduler's matter."""
    metadata, spec = stored.object["metadata"], stored.object.get("spec") or {}
    taints = tuple(Taint(t["key"], t.get("value") or "", t.get("effect") or "") for t in spec.get("taints") or ())
    return NodeFacts(metadata["name"], {}, metadata.get("labels") or {}, taints)


def _loose(client: Client, namespace: str, obj: Object) -> list[Revision]:
    matches = matcher(obj["spec"]["selector"])
    found = client.indexed(REVISION_KIND, ORPHANS, orphans_key(namespace))
    return [r.view(Revision) for r in found if matches(r.object["metadata"].get("labels") or {})]


def _revision(client: Client, namespace: str, name: str) -> Revision | None:
    found = client.get(REVISION_KIND, namespace, name)
    return None if found is None else found.view(Revision)
