"""Reads a policy, the Rollouts it covers and the budgets it names, and lets `decide` say what follows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pilothouse.base.actions import Decision
from pilothouse.engines.slo.status import BudgetStatus
from pilothouse.kinds.pilothouse.errorbudgetpolicy.decide import ROLLOUT, Budget, decide, let_go
from pilothouse.kinds.pilothouse.errorbudgetpolicy.spec import HELD, covers
from pilothouse.machinery.client import Client
from pilothouse.machinery.reconcile import ReconcileInput, WatchRule, own_key
from pilothouse.store.memory import Change, Key

KIND_NAME = "pilothouse.dev/ErrorBudgetPolicy"


class Budgets(Protocol):
    """Where budgets come from, e.g. `engines.slo.ledger.Ledger`; read at once."""

    def status(self, name: str, now_s: float) -> BudgetStatus | None:
        """The budget of an SLO at a moment; None when there is no such SLO."""


class ErrorBudgetPolicyController:
    """Keeps the phase of each policy, and holds covered Rollouts while frozen."""

    name = "errorbudgetpolicy-controller"

    def __init__(self, client: Client, budgets: Budgets) -> None:
        self._client = client
        self._budgets = budgets
        self.watches = (WatchRule(KIND_NAME, own_key), WatchRule(ROLLOUT, self._keys_of_rollout))

    def _keys_of_rollout(self, change: Change) -> Iterable[Key]:
        """The policies of the namespace that cover it."""
        rollout = change.object
        policies = self._client.list(KIND_NAME, rollout["metadata"].get("namespace", ""))
        covering = [p.object["metadata"] for p in policies if covers(p.object, "Rollout", rollout)]
        return [(metadata.get("namespace", ""), metadata["name"]) for metadata in covering]

    def reconcile(self, view: ReconcileInput) -> Decision:
        rollouts = [r.object for r in view.client.list(ROLLOUT, view.namespace)]
        held = [r for r in rollouts if (r["metadata"].get("annotations") or {}).get(HELD) == view.name]
        stored = view.client.get(KIND_NAME, view.namespace, view.name)
        if stored is None or stored.object["metadata"].get("deletionTimestamp"):
            return Decision(tuple(let_go(view.name, held, "the policy is gone")))
        policy = stored.object
        budgets = [Budget(name, self._budgets.status(name, view.now_s)) for name in policy["spec"]["slos"]]
        covered = [r for r in rollouts if covers(policy, "Rollout", r)]
        strays = [r for r in held if not covers(policy, "Rollout", r)]
        return decide(policy, budgets, covered, strays, view.now_s)
