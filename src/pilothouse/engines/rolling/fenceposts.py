"""How far a rollout may go beyond and below the wanted count: maxSurge, maxUnavailable, int or percent.

Source: apimachinery `intstr.GetScaledValueFromIntOrPercent` and deployment `ResolveFenceposts`, Kubernetes 1.36.
"""

from __future__ import annotations

import re

_PERCENT = re.compile(r"([0-9]+)%")


def percent_of(text: str) -> int:
    """The number of a percentage (`"25%"` → 25); ValueError when it is none."""
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid value for IntOrString: {text!r} is neither a number nor a percentage such as 25%")
    return int(match[1])


def scaled(value: int | str | None, total: int, *, round_up: bool) -> int:
    """An int as it is, a percentage of `total` rounded up or down, None as 0; ValueError for other text.

    >>> scaled("34%", 5, round_up=True), scaled("34%", 5, round_up=False)
    (2, 1)
    """
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    product = percent_of(value) * total
    return -(-product // 100) if round_up else product // 100


def fenceposts(max_surge: int | str | None, max_unavailable: int | str | None, desired: int) -> tuple[int, int]:
    """(surge, unavailable) in pods: surge rounds up, unavailable down; both 0 could not move, so one may be missing."""
    surge = scaled(max_surge, desired, round_up=True)
    unavailable = scaled(max_unavailable, desired, round_up=False)
    if surge == 0 and unavailable == 0:
        # A small percentage of few pods rounds down to nothing; validation refuses only literal zeros.
        unavailable = 1
    return surge, unavailable
