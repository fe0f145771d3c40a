"""Table cells that workload kinds share: age, containers, images, selectors, whole numbers or percentages.

Source: Kubernetes 1.36 `pkg/printers/internalversion`, apimachinery `util/duration`, `metav1.FormatLabelSelector`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.clock import parse_rfc3339


def age(obj: Object, now_s: float) -> str:
    """How long ago the object was created, as kubectl prints it."""
    created = obj["metadata"].get("creationTimestamp")
    return human_duration(now_s - parse_rfc3339(created)) if created else "<unknown>"


def human_duration(seconds: float) -> str:
    """`duration.HumanDuration`: two or three digits (`90s`, `5m10s`, `3h5m`, `2d3h`, `400d`, `3y20d`)."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    years = days // 365
    if years < 8:
        return f"{years}y{days % 365}d" if days % 365 else f"{years}y"
    return f"{years}y"


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
