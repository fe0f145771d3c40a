"""What an aggregated ClusterRole's rules are: those of every role its selectors find (kubernetes 1.36
`pkg/controller/clusterroleaggregation`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.selectors import from_object


def gathered(role: Object, others: Iterable[Object]) -> list[Any]:
    """The rules that the selectors of `role` gather, each once, by role name in order of the selectors."""
    rules: list[Any] = []
    everyone = sorted(others, key=lambda other: str(other["metadata"]["name"]))
    for selector in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ():
        chosen = from_object(selector)
        for other in everyone:
            metadata = other["metadata"]
            if metadata["name"] == role["metadata"]["name"] or not chosen.matches(metadata.get("labels") or {}):
                continue
            rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules
