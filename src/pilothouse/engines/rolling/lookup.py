"""Index keys by which owners and selectors find objects without looking at all of them.

An index of labels has one key per label, and one more for objects that nobody controls. A selector looks under one
of its labels and then tests what it finds. Keys carry the namespace, so namespaces never meet.
Used by controllers (which read the index) and by whoever builds the store (which needs the functions).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pilothouse.base import selectors
from pilothouse.base.actions import Object

Matcher = Callable[[Mapping[str, str]], bool]


def orphans_key(namespace: str) -> str:
    """Where objects without a controller are found."""
    return f"{namespace}/"


def label_key(namespace: str, name: str, value: str) -> str:
    return f"{namespace}/{name}={value}"


def keys_by_labels(obj: Object) -> list[str]:
    """Every label of the object, and `orphans_key` when no controller owns it."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace", "")
    keys = [f"{namespace}/{name}={value}" for name, value in (metadata.get("labels") or {}).items()]
    if not is_controlled(metadata):
        keys.append(f"{namespace}/")
    return keys


def keys_of_orphans(obj: Object) -> list[str]:
    """`orphans_key` when no controller owns the object."""
    metadata = obj["metadata"]
    return [] if is_controlled(metadata) else [orphans_key(metadata.get("namespace", ""))]


def is_controlled(metadata: Mapping[str, Any]) -> bool:
    references = metadata.get("ownerReferences") or ()
    return any(reference.get("controller") for reference in references)


def selector_key(namespace: str, match_labels: Mapping[str, str] | None) -> str:
    """The one key under which a selector looks, and is looked for: one of its labels; without labels the namespace."""
    if not match_labels:
        return orphans_key(namespace)
    name = min(match_labels)
    return label_key(namespace, name, match_labels[name])


def selector_keys_of(namespace: str, labels: Mapping[str, str] | None) -> list[str]:
    """All keys under which selectors that may match these labels are found."""
    return [orphans_key(namespace), *(label_key(namespace, name, value) for name, value in (labels or {}).items())]


def matcher(selector: Mapping[str, Any] | None) -> Matcher:
    """A fast test for a `metav1.LabelSelector`; ValueError on an unknown operator."""
    if selector is None or selector.get("matchExpressions") or not selector.get("matchLabels"):
        return selectors.from_object(selector).matches
    wanted = selector["matchLabels"].items()
    return lambda labels: wanted <= labels.items()
