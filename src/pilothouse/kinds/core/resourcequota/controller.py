"""Keeps the status of ResourceQuotas: what is allowed and what is used (kube-controller-manager's resourcequota)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pilothouse.base.actions import Decision, Object
from pilothouse.kinds.core.resourcequota.decide import KIND_NAME, decide, total
from pilothouse.kinds.core.resourcequota.usage import Usage, applies, usage_of
from pilothouse.machinery.client import Client
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key
from pilothouse.store.memory import Change, IndexFunction, Key

INDEXES: dict[str, dict[str, IndexFunction]] = {}
"""The indexes that the store must have for this controller: none."""
FOLLOWED = ("Pod", "Service", "PersistentVolumeClaim", "ConfigMap", "Secret", "ReplicationController")
"""Kinds whose changes are seen at once; others that a quota counts are looked at every few minutes."""


class ResourceQuotaController:
    name = "resourcequota-controller"

    def __init__(self, client: Client) -> None:
        self._client = client
        rules = [WatchRule(kind, self._keys_of) for kind in FOLLOWED]
        self.watches = (WatchRule(KIND_NAME, own_key), *rules)

    def _keys_of(self, change: Change) -> Iterable[Key]:
        """The quotas of the namespace, when an object came, went or ended there."""
        if change.old is not None and change.new is not None and not _counts_otherwise(change):
            return ()
        namespace = change.object["metadata"]["namespace"]
        quotas = self._client.list(KIND_NAME, namespace)
        return [(namespace, stored.object["metadata"]["name"]) for stored in quotas]

    def reconcile(self, view: ReconcileInput) -> Decision:
        stored = view.client.get(KIND_NAME, view.namespace, view.name)
        if stored is None:
            return Decision()
        spec = stored.object.get("spec") or {}
        hard = spec.get("hard") or {}
        return decide(hard, total(_usages(view.client, view.namespace, spec), hard))


def _counts_otherwise(change: Change) -> bool:
    assert change.old is not None
    assert change.new is not None
    old, new = change.old.object, change.new.object
    if change.kind == "Pod":
        return bool((old.get("status") or {}).get("phase") != (new.get("status") or {}).get("phase"))
    return old.get("spec") is not new.get("spec")


def _usages(client: Client, namespace: str, spec: Object) -> Iterator[Usage]:
    for kind in client.kinds:
        if not kind.namespaced or not _counted(kind.plural, kind.group, spec.get("hard") or {}):
            continue
        for stored in client.stored(kind.name, namespace):
            if applies(spec, kind.plural, stored.object):
                yield usage_of(kind.plural, kind.group, stored.object)


def _counted(plural: str, group: str, hard: Object) -> bool:
    """Whether the quota names anything that objects of this kind take."""
    if (f"count/{plural}.{group}" if group else f"count/{plural}") in hard:
        return True
    if group:
        return False
    if plural == "pods":
        names = [name for name in hard if "storage" not in name or "ephemeral" in name]
        return any(n == "pods" or n.startswith(("requests.", "limits.")) or n in ("cpu", "memory") for n in names)
    if plural == "persistentvolumeclaims":
        return any(name.endswith(("persistentvolumeclaims", "requests.storage")) for name in hard)
    return any(name == plural or name.startswith(f"{plural}.") for name in hard)
