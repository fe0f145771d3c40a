"""Lets deleted volumes and claims go once nobody uses them (Kubernetes 1.36
`pkg/controller/volume/{pv,pvc}protection`)."""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.base.actions import Decision, Object, Patch
from pilothouse.kinds.core.persistentvolume.admission import FINALIZERS
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key
from pilothouse.store.memory import Change, Key


def claims_of(pod: Object) -> list[str]:
    """The claims that a pod mounts and has not given back by ending."""
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return []
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    return [v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v]


def _claims(change: Change) -> Iterable[Key]:
    namespace = change.object["metadata"].get("namespace", "")
    return [(namespace, name) for name in claims_of(change.object)]


class ClaimProtection:
    """Takes the finalizer off a deleted claim that no pod mounts."""

    name = "pvc-protection-controller"
    watches = (WatchRule("PersistentVolumeClaim", own_key), WatchRule("Pod", _claims))

    def reconcile(self, view: ReconcileInput) -> Decision:
        kind = "PersistentVolumeClaim"
        stored = view.client.get(kind, view.namespace, view.name)
        if stored is None or "deletionTimestamp" not in stored.object["metadata"]:
            return Decision()
        pods = view.client.list("Pod", view.namespace)
        if any(view.name in claims_of(pod.object) for pod in pods):
            return Decision()
        return _released(kind, stored.object)


class VolumeProtection:
    """Takes the finalizer off a deleted volume that is bound to no claim."""

    name = "pv-protection-controller"
    watches = (WatchRule("PersistentVolume", own_key),)

    def reconcile(self, view: ReconcileInput) -> Decision:
        stored = view.client.get("PersistentVolume", "", view.name)
        if stored is None or "deletionTimestamp" not in stored.object["metadata"]:
            return Decision()
        if (stored.object.get("status") or {}).get("phase") == "Bound":
            return Decision()
        return _released("PersistentVolume", stored.object)


def _released(kind: str, obj: Object) -> Decision:
    metadata = obj["metadata"]
    rest = [name for name in metadata.get("finalizers", ()) if name != FINALIZERS[kind]]
    if rest == metadata.get("finalizers", []):
        return Decision()
    patch = {"metadata": {"finalizers": rest or None}}
    return Decision((Patch(kind, metadata.get("namespace", ""), metadata["name"], patch),))
