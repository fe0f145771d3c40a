"""What happens to a proposal before it is applied: stabilisation windows, rate policies, minimum and maximum.

After kube-controller-manager 1.36 `horizontal.go`. The history it needs is a value, `History`, given and handed back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pilothouse.engines.autoscaling.replicas import INT32_MAX

WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
UP_LIMIT = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
DOWN_LIMIT = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
UP_STABILIZED = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
DOWN_STABILIZED = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)


class Policy(NamedTuple):
    """At most `value` pods or percent (`type`: "Pods" or "Percent") in `period_s`."""

    type: str
    value: int
    period_s: float


@dataclass(frozen=True, slots=True)
class Rules:
    """One direction of a behavior stanza. select: "Max", "Min" or "Disabled"; tolerance None: the controller's own."""

    policies: tuple[Policy, ...]
    select: str = "Max"
    stabilization_s: float = 0.0
    tolerance: float | None = None

    @property
    def longest_period_s(self) -> float:
        return max((policy.period_s for policy in self.policies), default=0.0)


DEFAULT_UP = Rules((Policy("Pods", 4, 15), Policy("Percent", 100, 15)))
DEFAULT_DOWN = Rules((Policy("Percent", 100, 15),), stabilization_s=300.0)
"""What the API server fills in (pkg/apis/autoscaling/v2/defaults.go); the 300 s are the controller's flag."""


class Recommendation(NamedTuple):
    replicas: int
    time_s: float


class ScaleEvent(NamedTuple):
    """A change of size that was written; `change` is positive in both directions."""

    change: int
    time_s: float
    outdated: bool = False


class History(NamedTuple):
    """What one autoscaler remembers between syncs; recommendations None: it has not synced yet.

    Slots are reused, so the order is not the order of time.
    """

    recommendations: tuple[Recommendation, ...] | None = None
    ups: tuple[ScaleEvent, ...] = ()
    downs: tuple[ScaleEvent, ...] = ()


class Limited(NamedTuple):
    """replicas after a limit, with the reason and message of the condition."""

    replicas: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class UpLimit:
    """How fast an autoscaler without behavior may grow: max(factor × current, minimum)."""

    factor: float = 2.0
    minimum: float = 4.0


def stabilize(
    recommendations: tuple[Recommendation, ...] | None, desired: int, window_s: float, now_s: float
) -> tuple[int, tuple[Recommendation, ...]]:
    """Without behavior: the highest recommendation of the window, and the log with this one added."""
    cutoff = now_s - window_s
    highest, stale = desired, -1
    for index, (replicas, time_s) in enumerate(recommendations or ()):
        if time_s < cutoff:
            stale = index
        elif replicas > highest:
            highest = replicas
    return highest, _record(recommendations, Recommendation(desired, now_s), stale)


def stabilize_with_rules(
    recommendations: tuple[Recommendation, ...] | None,
    current: int,
    desired: int,
    up_s: float,
    down_s: float,
    now_s: float,
) -> tuple[int, tuple[Recommendation, ...]]:
    """With behavior: the current size, moved no further than both windows agree, and the log with this entry added."""
    up_cutoff, down_cutoff = now_s - up_s, now_s - down_s
    lowest = highest = desired
    stale = -1
    for index, (replicas, time_s) in enumerate(recommendations or ()):
        if time_s > up_cutoff and replicas < lowest:
            lowest = replicas
        if time_s > down_cutoff and replicas > highest:
            highest = replicas
        if time_s < up_cutoff and time_s < down_cutoff:
            stale = index
    return min(max(current, lowest), highest), _record(recommendations, Recommendation(desired, now_s), stale)


def _record(log: tuple[Recommendation, ...] | None, entry: Recommendation, stale: int) -> tuple[Recommendation, ...]:
    log = log or ()
    return (*log, entry) if stale < 0 else (*log[:stale], entry, *log[stale + 1 :])


def limit(current: int, desired: int, minimum: int, maximum: int, up: UpLimit) -> Limited:
    """Without behavior: the growth limit, then minimum and maximum."""
    up_limit = int(min(max(up.factor * current, up.minimum), INT32_MAX))
    allowed, why = (up_limit, UP_LIMIT) if maximum > up_limit else (maximum, TOO_MANY)
    if desired < minimum:
        return Limited(minimum, *TOO_FEW)
    if desired > allowed:
        return Limited(allowed, *why)
    return Limited(desired, *WITHIN)


def limit_with_rules(
    current: int, desired: int, minimum: int, maximum: int, up: Rules, down: Rules, history: History, now_s: float
) -> Limited:
    """With behavior: the policies' rates in the direction of the move, then maximum or minimum."""
    if desired > current:
        rate = max(up_rate_limit(current, history, up, now_s), current)
        allowed, why = (rate, UP_LIMIT) if maximum > rate else (maximum, TOO_MANY)
        if desired > allowed:
            return Limited(allowed, *why)
    elif desired < current:
        rate = min(down_rate_limit(current, history, down, now_s), current)
        allowed, why = (rate, DOWN_LIMIT) if minimum < rate else (minimum, TOO_FEW)
        if desired < allowed:
            return Limited(allowed, *why)
    return Limited(desired, *WITHIN)


def up_rate_limit(current: int, history: History, rules: Rules, now_s: float) -> int:
    """The largest size that the scale-up policies allow now."""
    if rules.select == "Disabled":
        return current
    result = INT32_MAX if rules.select == "Min" else -INT32_MAX
    pick = min if rules.select == "Min" else max
    for policy in rules.policies:
        start = _at_period_start(current, history, policy.period_s, now_s)
        if policy.type == "Pods":
            proposed = start + policy.value
        else:
            # Rounded up, or a small percentage of few pods would never grow.
            proposed = math.ceil(start * (1 + policy.value / 100))
        result = pick(result, proposed)
    return min(result, INT32_MAX)


def down_rate_limit(current: int, history: History, rules: Rules, now_s: float) -> int:
    """The smallest size that the scale-down policies allow now."""
    if rules.select == "Disabled":
        return current
    result = -INT32_MAX if rules.select == "Min" else INT32_MAX
    pick = max if rules.select == "Min" else min
    for policy in rules.policies:
        start = _at_period_start(current, history, policy.period_s, now_s)
        proposed = start - policy.value if policy.type == "Pods" else int(start * (1 - policy.value / 100))
        result = pick(result, proposed)
    return result


def _at_period_start(current: int, history: History, period_s: float, now_s: float) -> int:
    return current - change_within(history.ups, period_s, now_s) + change_within(history.downs, period_s, now_s)


def change_within(events: Sequence[ScaleEvent], period_s: float, now_s: float) -> int:
    """The sum of changes younger than the period."""
    cutoff = now_s - period_s
    return sum(event.change for event in events if event.time_s > cutoff)


def record_scaling(history: History, before: int, after: int, up: Rules, down: Rules, now_s: float) -> History:
    """The history once a new size is written; an outdated event of the same direction gives up its slot."""
    if after > before:
        return History(
            history.recommendations, store_event(history.ups, after - before, up.longest_period_s, now_s), history.downs
        )
    downs = store_event(history.downs, before - after, down.longest_period_s, now_s)
    return History(history.recommendations, history.ups, downs)


def store_event(
    events: tuple[ScaleEvent, ...], change: int, longest_period_s: float, now_s: float
) -> tuple[ScaleEvent, ...]:
    """The events with this change stored in the last outdated slot, or at the end."""
    cutoff = now_s - longest_period_s
    marked = [event._replace(outdated=True) if event.time_s < cutoff else event for event in events]
    slot = max((index for index, event in enumerate(marked) if event.outdated), default=len(marked))
    marked[slot : slot + 1] = [ScaleEvent(change, now_s)]
    return tuple(marked)
