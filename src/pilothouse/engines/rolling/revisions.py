"""The history of a pod template as ControllerRevisions: numbers, names, equality, what may be forgotten.

Source: `pkg/controller/history`, Kubernetes 1.36. A revision's data is a patch that replaces the template.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from pilothouse.base.actions import Object
from pilothouse.engines.rolling.template import same_template, template_hash

KIND_NAME = "apps/ControllerRevision"
HASH_LABEL = "controller.kubernetes.io/hash"
POD_LABEL = "controller-revision-hash"
"""On pods: which revision made them."""


class RevisionMeta(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""
    creationTimestamp: str = ""
    deletionTimestamp: str | None = None
    labels: Any = None
    ownerReferences: Any = None


class Revision(msgspec.Struct, frozen=True, gc=False):
    """A ControllerRevision as its owner sees it."""

    metadata: RevisionMeta
    revision: int = 0
    data: Any = None

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def template(self) -> Mapping[str, Any]:
        """The pod template it holds, without the mark that makes it a patch."""
        held = ((self.data or {}).get("spec") or {}).get("template") or {}
        return {key: value for key, value in held.items() if key != "$patch"}


def ordered(revisions: Iterable[Revision]) -> list[Revision]:
    """Oldest first: by number, then by age, then by name."""
    return sorted(revisions, key=lambda r: (r.revision, r.metadata.creationTimestamp, r.name))


def next_number(revisions: Sequence[Revision]) -> int:
    return max((r.revision for r in revisions), default=0) + 1


def equal(revisions: Iterable[Revision], template: Mapping[str, Any]) -> list[Revision]:
    """Those that hold this template."""
    return [revision for revision in revisions if same_template(revision.template, template)]


def free_name(
    owner: str, template: Mapping[str, Any], collisions: int, named: Callable[[str], Revision | None]
) -> tuple[str, str, int]:
    """(name, hash, collision count) for a new revision of a template; a name that another template's revision has taken
    counts as a collision and leads to the next one."""
    while True:
        digest = template_hash(template, collisions or None)
        name = f"{owner}-{digest}"
        taken = named(name)
        if taken is None or same_template(taken.template, template):
            return name, digest, collisions
        collisions += 1


def new(
    *,
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None,
    owner: Mapping[str, Any],
    template: Mapping[str, Any],
    number: int,
) -> Object:
    """A ControllerRevision to create. owner: the whole owner reference."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "labels": dict(labels),
        "ownerReferences": [owner],
    }
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
        "revision": number,
    }


def forgotten(revisions: Sequence[Revision], live: Container[str], limit: int) -> list[Revision]:
    """The oldest revisions beyond `limit`, those in use (`live`: names) neither counted nor given up."""
    history = [revision for revision in revisions if revision.name not in live]
    return history[: max(len(history) - limit, 0)]
