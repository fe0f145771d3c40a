"""One pass over a Rollout while it is being decided: the sets, what is intended so far, the pauses and the abort.

The parts of the decision (`canary`, `bluegreen`, `scaling`, `traffic`, …) take this value, read it, and add to it.
Nobody else writes to it, and it ends with the pass.
"""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Action, Create, Decision, Emit, Object, Patch
from pilothouse.base.clock import rfc3339
from pilothouse.kinds.argoproj.rollout.reading import (
    DEADLINE,
    KIND_NAME,
    SET_KIND,
    Member,
    Observed,
    Rollout,
)

INCONCLUSIVE_ANALYSIS = "InconclusiveAnalysisRun"
INCONCLUSIVE_EXPERIMENT = "InconclusiveExperiment"
CANARY_STEP = "CanaryPauseStep"
BLUE_GREEN = "BlueGreenPause"


class Pauses:
    """Pauses and the abort as this pass changes them; what was stored stays readable in the Rollout."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        self._added: list[str] = []
        self._removed: list[str] = []
        self._cleared = False
        self._abort_added = False
        self._abort_removed = False
        self.abort_message = ""

    @property
    def added(self) -> bool:
        return bool(self._added)

    @property
    def aborted(self) -> bool:
        return not self._abort_removed and (self._abort_added or self._rollout.aborted)

    def add(self, reason: str) -> None:
        self._added.append(reason)

    def remove(self, reason: str) -> None:
        self._removed.append(reason)

    def clear(self) -> None:
        self._cleared = True

    def abort(self, message: str) -> None:
        self._abort_added = True
        self.abort_message = message

    def lift_abort(self) -> None:
        self._abort_removed = True

    def status(self, status: dict[str, Any], now_s: float) -> None:
        """Writes abort, abortedAt, pauseConditions and controllerPause into the new status."""
        stored = self._rollout.status
        if self._abort_added or self.aborted:
            status["abort"] = True
            status["abortedAt"] = stored.get("abortedAt") or rfc3339(now_s)
            return
        status.pop("abort", None)
        status.pop("abortedAt", None)
        if self._cleared:
            return
        before = stored.get("pauseConditions") or ()
        kept = [c for c in before if c["reason"] not in self._removed]
        known = [c["reason"] for c in before]
        added = [{"reason": r, "startTime": rfc3339(now_s)} for r in self._added if r not in known]
        if kept or added:
            status["pauseConditions"] = [*kept, *added]
            status["controllerPause"] = True if added else stored.get("controllerPause")

    def canary_step_over(self, duration_s: float | None, now_s: float) -> bool:
        """Whether the pause step at hand is over: a person ended it, or its time has passed."""
        since_s = self._rollout.pause_since_s(CANARY_STEP)
        if since_s is None:
            return bool(self._rollout.status.get("controllerPause"))
        return duration_s is not None and since_s + duration_s <= now_s

    def blue_green_over(self, now_s: float) -> bool:
        """Whether the pause before the switch is over, or there was none to make."""
        spec, since_s = self._rollout.strategy, self._rollout.pause_since_s(BLUE_GREEN)
        if self.added:
            return False
        if self._rollout.of_blue_green.get("scaleUpPreviewCheckPoint"):
            return True
        if spec.get("autoPromotionEnabled", True) is not False:
            seconds = spec.get("autoPromotionSeconds", 0)
            return seconds == 0 or (since_s is not None and since_s + seconds <= now_s)
        return since_s is None and bool(self._rollout.status.get("controllerPause"))


class Pass:
    """The state of one pass. new: the set of the current template; stable: the one that serves when all else fails."""

    def __init__(self, rollout: Rollout, observed: Observed, members: list[Member], now_s: float) -> None:
        self.rollout = rollout
        self.observed = observed
        self.members = members
        self.now_s = now_s
        self.actions: list[Action] = []
        self.notes: list[str] = []
        self.pauses = Pauses(rollout)
        self.status: dict[str, Any] = {}
        self.canary_status: dict[str, Any] = {}
        self.blue_green_status: dict[str, Any] = {}
        self._again_s: float | None = None
        found = _of_template(rollout, members)
        self.new_or_none = found
        self.stable = next((m for m in members if rollout.stable_hash and m.hash == rollout.stable_hash), None)
        if found is not None and rollout.stable_hash and found.hash == rollout.stable_hash:
            self.stable = found
        deadline_s = found.deadline_s if found else None
        # Read now: the mark may go during the pass, and tells whether the set was still warm before it.
        self.new_within_delay = deadline_s is not None and deadline_s > now_s
        self.weights: dict[str, Any] | None = dict(rollout.weights) if rollout.weights is not None else None

    @property
    def new(self) -> Member:
        assert self.new_or_none is not None, "the new set is made before a pass goes on"
        return self.new_or_none

    @property
    def older(self) -> list[Member]:
        return [m for m in self.members if m is not self.new_or_none]

    @property
    def others(self) -> list[Member]:
        """Sets that are neither new nor stable."""
        return [m for m in self.members if m is not self.new_or_none and m is not self.stable]

    # -- what is intended --

    def emit(self, reason: str, message: str, *, warning: bool = False) -> None:
        self.actions.append(Emit(self.rollout.obj, "Warning" if warning else "Normal", reason, message))

    def create(self, kind: str, obj: Object) -> None:
        self.actions.append(Create(kind, obj))

    def patch(self, kind: str, name: str, patch: dict[str, Any]) -> None:
        self.actions.append(Patch(kind, self.rollout.namespace, name, patch))

    def patch_self(self, patch: dict[str, Any]) -> None:
        self.patch(KIND_NAME, self.rollout.name, patch)

    def annotate(self, member: Member, key: str, value: str | None) -> None:
        """Sets or, with None, removes an annotation of a set."""
        if value is None:
            member.annotations.pop(key, None)
        else:
            member.annotations[key] = value
        self.patch(SET_KIND, member.name, {"metadata": {"annotations": {key: value}}})

    def drop_deadline(self, member: Member) -> None:
        if member.annotations.get(DEADLINE):
            self.annotate(member, DEADLINE, None)

    def look_again(self, in_s: float) -> None:
        """The pass shall be repeated after so many seconds at the latest; the earliest wish stands."""
        in_s = max(in_s, 0.001)
        self._again_s = in_s if self._again_s is None else min(self._again_s, in_s)

    def decision(self, status: dict[str, Any] | None) -> Decision:
        return Decision(tuple(self.actions), status, self._again_s, tuple(self.notes))


def _of_template(rollout: Rollout, members: list[Member]) -> Member | None:
    """The set of the current template: the one with its hash."""
    wanted = rollout.template_hash()
    return next((m for m in members if m.hash == wanted), None)
