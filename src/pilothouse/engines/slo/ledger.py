"""All SLOs of a world over its database: a budget by name at a moment. What policies and pages ask."""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.engines.slo.model import Slo
from pilothouse.engines.slo.status import BudgetStatus, Meter
from pilothouse.engines.tsdb import Database


class Ledger:
    """Budgets by name. since_ms: when measuring began, None: it is looked for in the data."""

    def __init__(self, slos: Iterable[Slo], database: Database, since_ms: int | None = None) -> None:
        self._meters = [Meter(slo) for slo in slos]
        self._database = database
        self._since_ms = since_ms

    def status(self, name: str, now_s: float) -> BudgetStatus | None:
        """The budget that a name means, of several objectives the one with the least left; None: no such SLO."""
        found = [m for m in self._meters if m.slo.answers_to(name)]
        statuses = [m.status(self._database, round(now_s * 1000), self._since_ms) for m in found]
        return min(statuses, key=lambda s: (s.left is None, s.left or 0.0), default=None)

    def all(self, now_s: float) -> list[BudgetStatus]:
        """Every budget, in the order of the SLOs."""
        return [m.status(self._database, round(now_s * 1000), self._since_ms) for m in self._meters]
