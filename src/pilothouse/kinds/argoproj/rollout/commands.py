"""What people do with a Rollout: promote, abort, retry, restart, undo, as the patches that the plugin sends.

Each command gives `Change`s in the order in which they are to be written. Source: argo-rollouts 1.9 (9f8d111d8)
`pkg/kubectl-argo-rollouts/cmd`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.clock import rfc3339

_HASH_LABEL = "rollouts-pod-template-hash"
_REVISION = "rollout.argoproj.io/revision"


@dataclass(frozen=True, slots=True)
class Change:
    """A merge patch of the Rollout; subresource: "" or "status"."""

    patch: Mapping[str, Any]
    subresource: str = ""


class CommandError(ValueError):
    """The command makes no sense for this Rollout; the text says why."""


def promote(rollout: Object, *, full: bool = False) -> list[Change]:
    """Ends the pause at hand, or skips the step at hand; full: skips steps, pauses and analyses to the end."""
    spec, status = rollout.get("spec") or {}, rollout.get("status") or {}
    out: list[Change] = []
    if full:
        if status.get("currentPodHash") != status.get("stableRS"):
            out.append(Change({"status": {"promoteFull": True}}, "status"))
    else:
        patch = _next_step(spec, status)
        if patch is not None:
            out.append(Change({"status": patch}, "status"))
    if spec.get("paused"):
        out.append(Change({"spec": {"paused": False}}))
    return out


def _next_step(spec: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, Any] | None:
    canary = (spec.get("strategy") or {}).get("canary")
    count = len((canary or {}).get("steps") or ())
    following = min((status.get("currentStepIndex") or 0) + 1, count)
    run = ((status.get("canary") or {}).get("currentStepAnalysisRunStatus") or {}).get("status")
    if canary is not None and run == "Inconclusive" and status.get("pauseConditions") and status.get("controllerPause"):
        return {"pauseConditions": None, "controllerPause": False, "currentStepIndex": following}
    if status.get("pauseConditions"):
        return {"pauseConditions": None}
    if canary is not None and count:
        return {"pauseConditions": None, "currentStepIndex": following}
    return None


def abort() -> list[Change]:
    """Back to the stable set at once."""
    return [Change({"status": {"abort": True}}, "status")]


def retry() -> list[Change]:
    """Begins an aborted update again."""
    return [Change({"status": {"abort": False}}, "status")]


def restart(now_s: float) -> list[Change]:
    """Replaces all pods made before now."""
    return [Change({"spec": {"restartAt": rfc3339(now_s)}})]


def undo(rollout: Object, sets: Iterable[Object], to_revision: int = 0) -> dict[str, Any]:
    """The pod template of an earlier revision (0: the one before the current); CommandError when there is none.

    It replaces `spec.template` of the Rollout, or of the workload that it refers to.
    """
    by_revision: dict[int, Object] = {}
    for replica_set in sets:
        text = (replica_set["metadata"].get("annotations") or {}).get(_REVISION, "")
        if text.isdigit():
            by_revision[int(text)] = replica_set
    name = rollout["metadata"]["name"]
    if to_revision and to_revision not in by_revision:
        raise CommandError(f"unable to find specified revision {to_revision} in history of rollout {name}")
    if not to_revision and len(by_revision) < 2:
        raise CommandError(f'no revision found for rollout "{name}"')
    chosen = by_revision[to_revision or sorted(by_revision)[-2]]
    template = chosen["spec"]["template"]
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {k: v for k, v in (metadata.get("labels") or {}).items() if k != _HASH_LABEL}
    return {**template, "metadata": metadata}
