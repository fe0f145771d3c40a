"""The phase of every workload over time, as people speak of it: Progressing, Healthy, Degraded.

Derived from the stored status whenever it changes (the rules of `kubectl rollout status` and of GitOps health checks),
so that an expectation such as "Degraded by 40m" can be judged after the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pilothouse.base.actions import Object
from pilothouse.base.clock import Clock
from pilothouse.kinds.argoproj.rollout.conditions import seen_phase
from pilothouse.machinery.client import Client
from pilothouse.store.watch import Watch

Phase = Literal["Progressing", "Healthy", "Degraded", "Paused"]

ROLLOUT = "argoproj.io/Rollout"


def deployment_phase(obj: Object) -> Phase:
    """Degraded: past its progress deadline. Healthy: all replicas updated and available. Progressing: else."""
    status: Mapping[str, Any] = obj.get("status") or {}
    spec: Mapping[str, Any] = obj.get("spec") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return "Degraded"
    wanted = spec.get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= obj["metadata"].get("generation", 0)
    counts = (status.get("updatedReplicas", 0), status.get("replicas", 0), status.get("availableReplicas", 0))
    return "Healthy" if seen and all(count == wanted for count in counts) else "Progressing"


def rollout_phase(obj: Object) -> Phase:
    """Argo's phase as a client sees it: Progressing until the controller has seen the newest spec."""
    found = seen_phase(obj)[0]
    return next((phase for phase in get_args(Phase) if phase == found), "Progressing")


class Phases:
    """Follows the Deployments and Rollouts of one run. `of(name)` gives [(seconds since start, phase)], a new entry per
    change."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._clock = clock
        self._began_s = clock.time()
        self._watch: Watch = client.watch("apps/Deployment", ROLLOUT)
        self._phases: dict[str, list[tuple[float, Phase]]] = {}

    async def follow(self) -> None:
        """Runs until cancelled."""
        async for batch in self._watch:
            for change in batch:
                if change.new is not None:
                    self._note(change.new.object)

    def _note(self, obj: Object) -> None:
        line = self._phases.setdefault(obj["metadata"]["name"], [])
        phase = rollout_phase(obj) if obj["kind"] == "Rollout" else deployment_phase(obj)
        if not line or line[-1][1] != phase:
            line.append((self._clock.time() - self._began_s, phase))

    def begin(self) -> None:
        """The rehearsal's second 0 is now; what each workload is at this moment stays as its first phase."""
        self._began_s = self._clock.time()
        self._phases = {name: [(0.0, line[-1][1])] for name, line in self._phases.items()}

    def of(self, name: str) -> list[tuple[float, Phase]]:
        return self._phases.get(name, [])

    def items(self) -> list[tuple[str, list[tuple[float, Phase]]]]:
        """(name, phases) of every Deployment, in the order of first sight."""
        return list(self._phases.items())
