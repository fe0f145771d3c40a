"""Revisions: which ReplicaSet is the new one, what its annotations must say, what a new one looks like.

Source: deployment controller `getNewReplicaSet`, `SetNewReplicaSetAnnotations`, Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilothouse.engines.rolling.template import same_template, with_hash_label, with_hash_selector
from pilothouse.engines.rolling.views import controller_reference
from pilothouse.kinds.apps.deployment.views import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    REVISION,
    REVISION_HISTORY,
    DeploymentView,
    Member,
)

_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    }
)
_HISTORY_CHARACTERS = 2000
"""Upstream's limit for the revision-history annotation; the oldest entries fall out first."""


def split(deployment: DeploymentView, members: Sequence[Member]) -> tuple[Member | None, list[Member]]:
    """(the set of the current template, all others): the oldest match is the new set, however many match."""
    template = deployment.spec.template
    matching = [m for m in members if same_template(template, m.view.spec.template)]
    if not matching:
        return None, list(members)
    new = matching[0] if len(matching) == 1 else min(matching, key=lambda m: m.age_key)
    return new, [m for m in members if m is not new]


def next_revision(old: Sequence[Member]) -> int:
    """One more than the highest revision among the old sets; unreadable ones are passed over."""
    return max((m.number(REVISION) or 0 for m in old), default=0) + 1


def annotation_changes(deployment: DeploymentView, annotations: Mapping[str, str], revision: int) -> dict[str, str]:
    """What must change in the new set's annotations: the Deployment's own copied, its revision, its past revisions."""
    changes = {
        key: value
        for key, value in (deployment.metadata.annotations or {}).items()
        if key not in _NOT_COPIED and annotations.get(key) != value
    }
    text = annotations.get(REVISION)
    try:
        current = int(text or 0)
    except ValueError:
        # Somebody wrote nonsense over the revision: it is left alone, as upstream leaves it.
        return changes
    if current < revision:
        changes[REVISION] = str(revision)
        if text is not None:
            history = _with_past(annotations.get(REVISION_HISTORY, ""), text)
            if history is not None:
                changes[REVISION_HISTORY] = history
    return changes


def _with_past(history: str, revision: str) -> str | None:
    if not history:
        return revision
    entries = [*history.split(","), revision]
    while len(entries) > 1 and sum(map(len, entries)) + len(entries) - 1 > _HISTORY_CHARACTERS:
        del entries[0]
    joined = ",".join(entries)
    return joined if len(joined) <= _HISTORY_CHARACTERS else None


def size_annotations(deployment: DeploymentView) -> dict[str, str]:
    """desired-replicas and max-replicas: the size for which a set was last scaled."""
    wanted = deployment.spec.replicas
    return {DESIRED_REPLICAS: str(wanted), MAX_REPLICAS: str(wanted + deployment.surge)}


def new_set(deployment: DeploymentView, hash_: str, replicas: int, revision: int) -> dict[str, Any]:
    """The ReplicaSet for the current template."""
    meta, spec = deployment.metadata, deployment.spec
    template = with_hash_label(spec.template, hash_)
    annotations = {**annotation_changes(deployment, {}, revision), **size_annotations(deployment)}
    new_spec: dict[str, Any] = {"replicas": replicas}
    if spec.minReadySeconds:
        new_spec["minReadySeconds"] = spec.minReadySeconds
    new_spec["selector"] = with_hash_selector(spec.selector, hash_)
    new_spec["template"] = template
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta.name}-{hash_}",
            "namespace": meta.namespace,
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": [controller_reference("apps/v1", "Deployment", meta.name, meta.uid)],
        },
        "spec": new_spec,
    }
