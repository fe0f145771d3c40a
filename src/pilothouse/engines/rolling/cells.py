"""Table cells that workload kinds share: containers, images, selectors.

Source: Kubernetes 1.36 `pkg/printers/internalversion`, `metav1.FormatLabelSelector`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object


def _containers(obj: Object) -> list[Mapping[str, Any]]:
    return list(obj["spec"]["template"]["spec"].get("containers") or ())


def container_names(obj: Object, _now_s: float) -> str:
    return ",".join(c["name"] for c in _containers(obj))


def container_images(obj: Object, _now_s: float) -> str:
    return ",".join(c.get("image", "") for c in _containers(obj))


def selector(obj: Object, _now_s: float) -> str:
    return selector_text(obj["spec"].get("selector"))


_OPERATORS = {"In": "in", "NotIn": "notin"}


def selector_text(label_selector: Mapping[str, Any] | None) -> str:
    """A label selector in its text form, `<none>` when it has no terms."""
    if not label_selector:
        return "<none>"
    terms = [f"{k}={v}" for k, v in (label_selector.get("matchLabels") or {}).items()]
    for entry in label_selector.get("matchExpressions") or ():
        key, operator = entry["key"], entry["operator"]
        if operator == "Exists":
            terms.append(key)
        elif operator == "DoesNotExist":
            terms.append(f"!{key}")
        else:
            terms.append(f"{key} {_OPERATORS.get(operator, operator)} ({','.join(sorted(entry.get('values') or ()))})")
    # Requirements sort by key; the rest of the text never decides, keys being what differs.
    return ",".join(sorted(terms, key=lambda term: term.lstrip("!"))) or "<none>"
