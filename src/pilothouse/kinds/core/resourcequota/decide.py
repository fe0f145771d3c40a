"""What a quota's status says, and why a creation goes beyond it. Pure.

Source: `plugin/pkg/admission/resourcequota`, `pkg/controller/resourcequota`, Kubernetes 1.36. Unlike upstream, what is
used is counted from the objects themselves and not taken from the status: no creation slips through between two looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pilothouse.base.actions import Decision
from pilothouse.kinds.core.resourcequota.usage import Usage, hard_amount, text_of

KIND_NAME = "ResourceQuota"
RESYNC_S = 300.0
"""How often a quota looks at kinds whose changes it does not follow."""


def total(usages: Iterable[Usage], names: Iterable[str]) -> dict[str, int]:
    """The sums of the named resources."""
    out = dict.fromkeys(names, 0)
    for usage in usages:
        for name, amount in usage.items():
            if name in out:
                out[name] += amount
    return out


def decide(hard: Mapping[str, Any], used: Mapping[str, int]) -> Decision:
    """The status of a quota. used: sums of all resources that `hard` names."""
    shown = {name: text_of(name, used.get(name, 0)) for name in hard}
    return Decision(status={"hard": dict(hard), "used": shown}, requeue_s=RESYNC_S)


def refusal(name: str, hard: Mapping[str, Any], used: Mapping[str, int], more: Mapping[str, int]) -> str:
    """Why `more` does not fit into what the quota leaves; "" when it does."""
    beyond = [key for key in sorted(more) if more[key] > 0 and used[key] + more[key] > hard_amount(key, hard[key])]
    if not beyond:
        return ""
    requested = ",".join(f"{key}={text_of(key, more[key])}" for key in beyond)
    taken = ",".join(f"{key}={text_of(key, used[key])}" for key in beyond)
    limited = ",".join(f"{key}={hard[key]}" for key in beyond)
    return f"exceeded quota: {name}, requested: {requested}, used: {taken}, limited: {limited}"
