"""How a namespace goes: first all it holds, then itself (Kubernetes 1.36 `pkg/controller/namespace/deletion`)."""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.base.actions import Decision, Delete, Object, Patch

FINALIZER = "kubernetes"
LOOK_AGAIN_S = 1.0
"""While something is left, e.g. pods in their grace period."""


def decide(namespace: Object, content: Iterable[tuple[str, Object]]) -> Decision:
    """content: (kind, object) of everything in the namespace. Deletes what is not yet being deleted; the last step
    lets go."""
    metadata = namespace["metadata"]
    if "deletionTimestamp" not in metadata:
        return Decision()
    left = list(content)
    if left:
        deletes = tuple(
            Delete(kind, obj["metadata"]["namespace"], obj["metadata"]["name"], obj["metadata"]["uid"])
            for kind, obj in left
            if "deletionTimestamp" not in obj["metadata"]
        )
        return Decision(deletes, requeue_s=LOOK_AGAIN_S, notes=(f"{len(left)} objects are left",))
    kept = [name for name in (namespace.get("spec") or {}).get("finalizers", ()) if name != FINALIZER]
    return Decision((Patch("Namespace", "", metadata["name"], {"spec": {"finalizers": kept or None}}),))
