"""The cells of `kubectl get pods` (Kubernetes 1.36 `pkg/printers/internalversion` printPod)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.machinery.columns import AGE, NAME, since
from pilothouse.machinery.kind import Column


def ready(obj: Object, now_s: float) -> Any:  # noqa: ARG001 - the common signature
    """`1/2`: ready containers of all."""
    statuses = obj.get("status", {}).get("containerStatuses", ())
    return f"{sum(bool(s.get('ready')) for s in statuses)}/{len(obj['spec'].get('containers', ()))}"


def status(obj: Object, now_s: float) -> Any:  # noqa: ARG001
    """The phase, or the more telling reason of a container that waits or ended."""
    state = obj.get("status", {})
    word = state.get("reason") or state.get("phase", "")
    for condition in state.get("conditions", ()):
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            word = "SchedulingGated"
    starting = _starting(obj, state)
    word = starting or _running(state, word)
    if "deletionTimestamp" in obj["metadata"]:
        word = "Unknown" if state.get("reason") == "NodeLost" else "Terminating"
    return word


def _starting(obj: Object, state: Mapping[str, Any]) -> str:
    """`Init:1/2`, `Init:Error`, …: while init containers are not through; "" afterwards."""
    specs = obj["spec"].get("initContainers", ())
    sidecars = [spec.get("restartPolicy") == "Always" for spec in specs]
    for index, container in enumerate(state.get("initContainerStatuses", ())):
        current = container.get("state") or {}
        ended, waiting = current.get("terminated"), current.get("waiting") or {}
        if ended and ended.get("exitCode") == 0:
            continue
        if index < len(sidecars) and sidecars[index] and container.get("started"):
            continue
        if ended:
            return "Init:" + (ended.get("reason") or _exit(ended))
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{len(specs)}"
    return ""


def _running(state: Mapping[str, Any], word: str) -> str:
    running = False
    for container in reversed(state.get("containerStatuses", ())):
        current = container.get("state") or {}
        waiting, ended = current.get("waiting") or {}, current.get("terminated")
        if waiting.get("reason"):
            word = waiting["reason"]
        elif ended:
            word = ended.get("reason") or _exit(ended)
        elif container.get("ready") and current.get("running") is not None:
            running = True
    if word == "Completed" and running:
        conditions = state.get("conditions", ())
        is_ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
        word = "Running" if is_ready else "NotReady"
    return word


def _exit(ended: Mapping[str, Any]) -> str:
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def restarts(obj: Object, now_s: float) -> Any:
    """`3 (2m ago)`: restarts of all containers and how long ago the last one ended."""
    state = obj.get("status", {})
    statuses = [*state.get("containerStatuses", ()), *state.get("initContainerStatuses", ())]
    count = sum(s.get("restartCount", 0) for s in statuses)
    ends = [((s.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for s in statuses]
    last = max((end for end in ends if end), default="")
    return f"{count} ({since(last, now_s)} ago)" if count and last else str(count)


def _readiness_gates(obj: Object, now_s: float) -> Any:  # noqa: ARG001
    gates = [gate["conditionType"] for gate in obj["spec"].get("readinessGates", ())]
    if not gates:
        return "<none>"
    conditions = {c.get("type"): c.get("status") for c in obj.get("status", {}).get("conditions", ())}
    return f"{sum(conditions.get(gate) == 'True' for gate in gates)}/{len(gates)}"


COLUMNS = (
    NAME,
    Column("Ready", ready),
    Column("Status", status),
    Column("Restarts", restarts),
    AGE,
    Column("IP", lambda obj, _now: obj.get("status", {}).get("podIP") or "<none>", wide=True),
    Column("Node", lambda obj, _now: obj["spec"].get("nodeName") or "<none>", wide=True),
    Column("Nominated Node", lambda obj, _now: obj.get("status", {}).get("nominatedNodeName") or "<none>", wide=True),
    Column("Readiness Gates", _readiness_gates, wide=True),
)
