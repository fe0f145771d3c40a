"""The life of one alert instance as a table, after Prometheus 3 `rules/alerting.go`.

What an evaluation saw of an instance is one word:

    met     the expression returned it; it has not yet been true for the whole `for`
    held    the expression returned it, and it has been true for `for` or longer
    kept    it is gone, but the `keep_firing_for` window is open (firing alerts only)
    absent  it is gone
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pilothouse.engines.alerting.rules import Labels

State = Literal["inactive", "pending", "firing"]
Seen = Literal["met", "held", "kept", "absent"]

NEXT: dict[tuple[State, Seen], State] = {
    ("inactive", "met"): "pending",
    ("inactive", "held"): "firing",
    ("inactive", "absent"): "inactive",
    ("pending", "met"): "pending",
    ("pending", "held"): "firing",
    ("pending", "absent"): "inactive",
    # `for` counts from active_at; after a restart that moved it, a firing alert can fall back to pending.
    ("firing", "met"): "pending",
    ("firing", "held"): "firing",
    ("firing", "kept"): "firing",
    ("firing", "absent"): "inactive",
}

RESOLVED_RETENTION_MS = 15 * 60_000
"""How long a resolved alert is remembered and sent again, so that a lost message does not lose the resolution."""


@dataclass(slots=True)
class Alert:
    """One instance of an alerting rule. Times are Unix milliseconds; 0 means "not yet" except for active_at_ms.

    labels: without `__name__`, with `alertname`. sample_labels: what the expression returned, for templates.
    seen_at_ms: the evaluation that last returned it; value is of that moment.
    """

    labels: Labels
    sample_labels: Labels
    state: State
    value: float
    active_at_ms: int
    seen_at_ms: int
    fired_at_ms: int | None = None
    resolved_at_ms: int | None = None
    gone_since_ms: int | None = None
    last_sent_ms: int | None = None
    annotations: Labels | None = None
    """Expanded when first asked for; None until then."""

    def see(self, *, present: bool, now_ms: int, for_ms: int, keep_firing_for_ms: int) -> Seen:
        """The word for this evaluation; opens or closes the keep-firing window."""
        if present:
            self.gone_since_ms = None
            return "held" if now_ms - self.active_at_ms >= for_ms else "met"
        if self.state == "firing" and keep_firing_for_ms > 0:
            if self.gone_since_ms is None:
                self.gone_since_ms = now_ms
            if now_ms - self.gone_since_ms < keep_firing_for_ms:
                return "kept"
        return "absent"

    def move(self, seen: Seen, now_ms: int) -> State:
        """Takes the step of the table and returns the state before it."""
        before = self.state
        self.state = NEXT[before, seen]
        if self.state == before:
            return before
        if self.state == "firing":
            self.fired_at_ms = now_ms
        elif self.state == "inactive":
            self.resolved_at_ms = now_ms
        else:
            self.fired_at_ms = self.last_sent_ms = self.gone_since_ms = None
        return before
