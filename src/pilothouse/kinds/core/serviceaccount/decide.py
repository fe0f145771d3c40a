"""Every active namespace has the service account `default` (`pkg/controller/serviceaccount`, Kubernetes 1.36)."""

from __future__ import annotations

from pilothouse.base.actions import Create, Decision, Object

DEFAULT = "default"


def decide(namespace: Object, *, there: bool) -> Decision:
    """there: whether the account exists. One that is deleted by hand is made again."""
    phase = (namespace.get("status") or {}).get("phase", "Active")
    if there or phase != "Active" or "deletionTimestamp" in namespace["metadata"]:
        return Decision()
    metadata = {"name": DEFAULT, "namespace": namespace["metadata"]["name"]}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    return Decision((Create("ServiceAccount", account),))
