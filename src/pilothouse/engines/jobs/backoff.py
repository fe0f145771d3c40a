"""How long a Job waits before it replaces a failed pod: 10 s, doubling with each failure in a row, at most 10 min.

Source: `backoff_utils.go`, Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FIRST_S, LONGEST_S = 10.0, 600.0


@dataclass(frozen=True, slots=True)
class Streak:
    """Failures since the last success. last_s: when the latest of them happened (seconds since 1970)."""

    failures: int = 0
    last_s: float = 0.0

    def after(self, succeeded_s: Sequence[float], failed_s: Sequence[float]) -> Streak:
        """With pods that have ended since, given by the moments at which they ended."""
        if not succeeded_s:
            return Streak(self.failures + len(failed_s), max(failed_s)) if failed_s else self
        later = [moment_s for moment_s in failed_s if moment_s > max(succeeded_s)]
        return Streak(len(later), max(later, default=0.0))

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next pod may be made; 0: now."""
        if self.failures == 0:
            return 0.0
        # Beyond 2^6 times the first wait the longest one holds anyway.
        delay_s = min(FIRST_S * float(1 << min(self.failures - 1, 30)), LONGEST_S)
        return max(delay_s - (now_s - self.last_s), 0.0)
