"""Decides what an ErrorBudgetPolicy asks for: phase, Events, the record of decisions, Rollouts held and let go. Pure.

A phase gets harder at once and milder slowly: only when the phase's threshold and the margin were exceeded for the
whole of `thaw.after`. Without any measurement nothing changes: a freeze does not melt because the metrics are gone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.base.actions import Action, Decision, Emit, Object, Patch
from pilothouse.base.clock import parse_rfc3339, rfc3339
from pilothouse.base.duration import format_span
from pilothouse.engines.slo import words
from pilothouse.engines.slo.status import BudgetStatus
from pilothouse.kinds.pilothouse.errorbudgetpolicy.schema import PHASES
from pilothouse.kinds.pilothouse.errorbudgetpolicy.spec import APPROVED, FIX, HELD, Policy, phase_of, read

EVERY_S = 60.0
"""How often budgets are looked at."""
RECORDS = 20
"""Decisions kept in the status; each is an Event as well."""

ROLLOUT = "argoproj.io/Rollout"

_REASONS = ("BudgetRestored", "BudgetLow", "ApprovalRequired", "ReleasesFrozen")


@dataclass(frozen=True, slots=True)
class Budget:
    """One SLO of a policy. status None: there is no SLO of that name."""

    name: str
    status: BudgetStatus | None


@dataclass(frozen=True, slots=True)
class _Next:
    """The phase to be in, and since when the budget has been calm enough to go back (None: it is not)."""

    rank: int
    calm_since_s: float | None


def decide(
    policy: Object, budgets: Sequence[Budget], rollouts: Sequence[Object], strays: Sequence[Object], now_s: float
) -> Decision:
    """The whole answer to one look. rollouts: the covered ones, as stored; strays: held ones that are covered no
    more."""
    spec = read(policy)
    old: Mapping[str, Any] = policy.get("status") or {}
    before = PHASES.index(phase_of(policy))
    left, worst = _worst(budgets)
    following = _following(spec, before, left, old.get("calmSince"), now_s)
    unknown = [b.name for b in budgets if b.status is None]
    message = _message(spec, following.rank, left, worst, unknown)
    actions: list[Action] = []
    records = list(old.get("records") or ())
    if following.rank != before:
        kind = "Normal" if following.rank < before else "Warning"
        actions.append(Emit(policy, kind, _REASONS[following.rank], message))
        entry = {"time": rfc3339(now_s), "from": PHASES[before], "to": PHASES[following.rank], "message": message}
        records = [*records, entry][-RECORDS:]
    if unknown and not _was(old, "SLOsFound", "False"):
        actions.append(Emit(policy, "Warning", "UnknownSLO", _unknown_text(unknown)))
    actions += _rollout_actions(spec, following.rank, rollouts, message)
    actions += let_go(spec.name, strays, "it is covered no more")
    status = _status(policy, old, following, before, left, budgets, unknown, message, records, now_s)
    return Decision(tuple(actions), status, _look_again_s(spec, following, now_s), (message,))


# The phase


def _worst(budgets: Sequence[Budget]) -> tuple[float | None, Budget | None]:
    """(the least share left of any measured budget, that budget)."""
    measured = [(b.status.left, b) for b in budgets if b.status is not None and b.status.left is not None]
    return min(measured, key=lambda m: m[0]) if measured else (None, None)


def _following(policy: Policy, before: int, left: float | None, calm_since: str | None, now_s: float) -> _Next:
    if left is None:
        return _Next(before, None)
    asked = max((step.rank for step in policy.steps if left <= step.left_ratio), default=0)
    if asked >= before:
        return _Next(asked, None)
    # The mildest phase whose harder neighbours are all exceeded by the margin.
    exceeded = max((s.rank for s in policy.steps if left < s.left_ratio + policy.margin_ratio), default=0)
    calm = max(asked, min(exceeded, before))
    if calm >= before:
        return _Next(before, None)
    since_s = now_s if calm_since is None else parse_rfc3339(calm_since)
    if now_s - since_s >= policy.thaw_after_s:
        return _Next(calm, None)
    return _Next(before, since_s)


def _look_again_s(policy: Policy, following: _Next, now_s: float) -> float:
    if following.calm_since_s is None:
        return EVERY_S
    return min(EVERY_S, max(1.0, following.calm_since_s + policy.thaw_after_s - now_s))


# Words


def _message(policy: Policy, rank: int, left: float | None, worst: Budget | None, unknown: Sequence[str]) -> str:
    if left is None or worst is None or worst.status is None:
        why = _unknown_text(unknown) if unknown else f"{', '.join(policy.slos)}: {words.NO_DATA}"
        return f"{why}; {_held_words(rank)}" if rank else why
    status = worst.status
    if math.isinf(left):
        seen = f"{worst.name}: an objective of 100 % leaves no budget, and something failed"
    elif left < 0:
        seen = f"{worst.name}: the error budget is overdrawn by {words.minutes(-(status.left_s or 0.0))}"
    else:
        seen = f"{worst.name}: {words.percent(left, 1)} of the error budget is left"
        seen += f" ({words.minutes(status.left_s or 0.0)} of {words.minutes(status.budget_s)})"
    return f"{seen}; {_held_words(rank)}"


def _held_words(rank: int) -> str:
    """What the phase means and what to do."""
    if rank == 0:
        return "releases are free"
    if rank == 1:
        return "releases are free, but look at what burns it"
    if rank == 2:
        return f"a release needs the annotation {APPROVED}: NAME, or {FIX}: REASON when it is a reliability fix"
    return f"releases are frozen until it recovers; a reliability fix passes with the annotation {FIX}: REASON"


def _unknown_text(unknown: Sequence[str]) -> str:
    return f"no SLO is named {', '.join(unknown)}: correct spec.slos, or add the SLO's file"


# Rollouts


def _rollout_actions(policy: Policy, rank: int, rollouts: Sequence[Object], message: str) -> list[Action]:
    """Pauses covered Rollouts in the middle of an update while frozen, and lets those go that this policy paused."""
    actions: list[Action] = []
    frozen = rank == PHASES.index("Frozen")
    for rollout in rollouts:
        metadata = rollout["metadata"]
        annotations = metadata.get("annotations") or {}
        paused = bool((rollout.get("spec") or {}).get("paused"))
        where = (ROLLOUT, metadata.get("namespace", ""), metadata["name"])
        if frozen and not paused and not annotations.get(FIX) and _updating(rollout):
            patch = {"metadata": {"annotations": {HELD: policy.name}}, "spec": {"paused": True}}
            actions += [Patch(*where, patch), Emit(rollout, "Warning", "HeldByErrorBudget", message)]
        elif not frozen and annotations.get(HELD) == policy.name:
            actions += let_go(policy.name, [rollout], message)
    return actions


def let_go(policy: str, rollouts: Sequence[Object], why: str) -> list[Action]:
    """Lets Rollouts go on that a policy paused; also when the policy itself is gone."""
    actions: list[Action] = []
    for rollout in rollouts:
        metadata = rollout["metadata"]
        patch = {"metadata": {"annotations": {HELD: None}}, "spec": {"paused": None}}
        actions.append(Patch(ROLLOUT, metadata.get("namespace", ""), metadata["name"], patch))
        actions.append(Emit(rollout, "Normal", "ReleasedByErrorBudget", f"policy {policy} lets it go on: {why}"))
    return actions


def _updating(rollout: Object) -> bool:
    """Is a new version on its way? An aborted update goes back, and back is where it should go."""
    status = rollout.get("status") or {}
    current, stable = status.get("currentPodHash"), status.get("stableRS")
    return bool(current and stable and current != stable and not status.get("abort"))


# Status


def _status(
    policy: Object,
    old: Mapping[str, Any],
    following: _Next,
    before: int,
    left: float | None,
    budgets: Sequence[Budget],
    unknown: Sequence[str],
    message: str,
    records: Sequence[Mapping[str, Any]],
    now_s: float,
) -> dict[str, Any]:
    changed = following.rank != before or "phase" not in old
    status: dict[str, Any] = {
        "phase": PHASES[following.rank],
        "since": rfc3339(now_s) if changed else old.get("since", rfc3339(now_s)),
        "message": message,
        "left": words.percent(left, 1),
        "budgets": [_budget_status(budget) for budget in budgets],
        "observedGeneration": policy["metadata"].get("generation", 0),
        "conditions": [
            _condition(old, "SLOsFound", not unknown, "AllFound" if not unknown else "UnknownSLO", unknown, now_s),
            _condition(old, "Measured", left is not None, "Measured" if left is not None else "NoData", (), now_s),
        ],
    }
    if following.calm_since_s is not None:
        status["calmSince"] = rfc3339(following.calm_since_s)
    if records:
        status["records"] = list(records)
    return status


def _budget_status(budget: Budget) -> dict[str, Any]:
    out: dict[str, Any] = {"slo": budget.name}
    status = budget.status
    if status is None:
        return {**out, "message": _unknown_text([budget.name])}
    out["left"] = words.percent(status.left, 1)
    if status.left_s is not None and math.isfinite(status.left_s):
        out["leftMinutes"] = f"{status.left_s / 60:.1f}"
    if status.exhausted_in_s:
        out["exhaustedIn"] = format_span(status.exhausted_in_s)
    return out


def _was(old: Mapping[str, Any], type_: str, status: str) -> bool:
    return any(c["type"] == type_ and c["status"] == status for c in old.get("conditions") or ())


def _condition(
    old: Mapping[str, Any], type_: str, holds: bool, reason: str, unknown: Sequence[str], now_s: float
) -> dict[str, Any]:
    """A condition; its transition time stays while its status does."""
    status = "True" if holds else "False"
    before = next((c for c in old.get("conditions") or () if c["type"] == type_), None)
    kept = before is not None and before["status"] == status
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": _unknown_text(unknown) if unknown else "",
        "lastTransitionTime": before["lastTransitionTime"] if before is not None and kept else rfc3339(now_s),
    }
