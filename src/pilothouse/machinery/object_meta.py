"""The rules for `.metadata`, the same for every kind (apimachinery and apiserver 1.36 `api/validation/objectmeta.go`,
`registry/rest`).

Pure: takes and gives plain metadata; `write_path` is the only caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names, wording
from pilothouse.machinery.identities import SUFFIX_LENGTH
from pilothouse.machinery.kind import Kind

_KEPT = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
    "selfLink",
)
"""What the server owns after creation: an update that leaves these out or changes them gets the stored ones."""

_GENERATED_BASE = 63 - SUFFIX_LENGTH
GENERATED_TRIES = 8
STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")


def generated_name(prefix: str, suffix: str) -> str:
    """A generateName with its random end; long prefixes are cut so that the whole has at most 63 characters."""
    return prefix[:_GENERATED_BASE] + suffix


def causes_on_create(metadata: Mapping[str, Any], kind: Kind) -> list[Cause]:
    """What is wrong with the metadata of a new object."""
    out: list[Cause] = []
    name_causes = kind.strategy.name_causes
    prefix = metadata.get("generateName")
    if prefix:
        # A prefix may end in "-": upstream swaps that for a letter before it looks.
        out += [wording.invalid("metadata.generateName", prefix, text) for text in name_causes(_masked(prefix))]
    name = metadata.get("name")
    if not name:
        out.append(wording.required("metadata.name", "name or generateName is required"))
    else:
        out += [wording.invalid("metadata.name", name, text) for text in name_causes(name)]
    if kind.namespaced:
        namespace = metadata["namespace"]
        out += [wording.invalid("metadata.namespace", namespace, text) for text in names.dns_label(namespace)]
    return out + _common_causes(metadata)


def _masked(prefix: str) -> str:
    return prefix[:-1] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix


def _common_causes(metadata: Mapping[str, Any]) -> list[Cause]:
    out: list[Cause] = []
    if "labels" in metadata:
        out += names.label_causes(metadata["labels"], "metadata.labels")
    if "annotations" in metadata:
        out += names.annotation_causes(metadata["annotations"], "metadata.annotations")
    if "ownerReferences" in metadata:
        out += _owner_causes(metadata["ownerReferences"])
    if "finalizers" in metadata:
        out += _finalizer_causes(metadata["finalizers"])
    return out


def _owner_causes(references: list[Mapping[str, Any]]) -> list[Cause]:
    field = "metadata.ownerReferences"
    out: list[Cause] = []
    controller = ""
    for reference in references:
        version = reference.get("apiVersion", "")
        if not version or version.count("/") > 1:
            out.append(wording.invalid(f"{field}.apiVersion", version, "version must not be empty"))
        for part in ("kind", "name", "uid"):
            if not reference.get(part):
                out.append(wording.invalid(f"{field}.{part}", reference.get(part, ""), "must not be empty"))
        if reference.get("controller"):
            this = f"{reference.get('kind')}/{reference.get('name')}"
            if controller:
                detail = (
                    'Only one reference can have Controller set to true. Found "true" in references for '
                    f"{controller} and {this}"
                )
                out.append(wording.invalid(field, references, detail))
            controller = controller or this
    return out


def _finalizer_causes(finalizers: list[str]) -> list[Cause]:
    field = "metadata.finalizers"
    out: list[Cause] = []
    for name in finalizers:
        out += [wording.invalid(field, name, text) for text in names.qualified_name(name)]
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        out.append(wording.invalid(field, finalizers, "finalizer orphan and foregroundDeletion cannot be both set"))
    for index, name in enumerate(finalizers):
        if "/" not in name and name not in STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            out.append(wording.invalid(f"{field}[{index}]", name, detail))
    return out


def on_update(proposed: Mapping[str, Any], stored: Mapping[str, Any]) -> tuple[dict[str, Any], list[Cause]]:
    """The metadata an update leads to, and what is wrong with what it asked for.

    The server's own fields stay as they are; changing uid or deletionTimestamp is an error, the others are quietly
    kept.
    """
    causes = [
        wording.invalid(f"metadata.{field}", proposed[field], "field is immutable")
        for field in ("name", "namespace", "uid", "deletionTimestamp")
        if field in proposed and proposed[field] != stored.get(field)
    ]
    metadata = {key: value for key, value in proposed.items() if key not in _KEPT}
    metadata["name"] = stored["name"]
    if "namespace" in stored:
        metadata["namespace"] = stored["namespace"]
    metadata["resourceVersion"] = stored["resourceVersion"]
    for field in _KEPT:
        if field in stored:
            metadata[field] = stored[field]
    if any(
        metadata.get(field) is not stored.get(field)
        for field in ("labels", "annotations", "ownerReferences", "finalizers")
    ):
        causes += _common_causes(metadata)
    if "deletionTimestamp" in stored:
        added = [f for f in metadata.get("finalizers", ()) if f not in stored.get("finalizers", ())]
        if added:
            listed = ", ".join(f'"{name}"' for name in added)
            detail = (
                "no new finalizers can be added if the object is being deleted, found new finalizers "
                f"[]string{{{listed}}}"
            )
            causes.append(wording.forbidden("metadata.finalizers", detail))
    return metadata, causes
