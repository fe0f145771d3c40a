"""One pod on its node: what the kubelet remembers about it, and the status that this makes.

Pure: `PodRun` is a record that `kubelet` changes, `status_of` turns it into `.status` as kubelet 1.36 writes it.
"""

from __future__ import annotations

import hashlib
from asyncio import TimerHandle
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pilothouse.base import clock
from pilothouse.base.actions import Object
from pilothouse.worlds.rehearsal.probes import Probe, probe_of

CREATING, RUNNING, WAITING, ENDED = "creating", "running", "waiting", "ended"
BACKOFF_FIRST_S, BACKOFF_MAX_S = 10.0, 300.0
BACKOFF_FORGOTTEN_S = 2 * BACKOFF_MAX_S
"""A container that crashes this long after its last back-off began starts over at 10 s (client-go flowcontrol)."""


@lru_cache(maxsize=4096)
def rfc3339(unix_s: float) -> str:
    """The moment in text; pods that start together share it."""
    return clock.rfc3339(unix_s)


@dataclass(slots=True, eq=False)
class PodRun:
    """Times in seconds of the monotonic clock, except `*_unix_s`.

    state: CREATING, RUNNING, WAITING (reason and message say for what) or ENDED. added_s: when probes' workers began.
    healthy: what the application answers to probes; changed_s: since when; before_s: since when the answer before
    that held.
    """

    pod: Object
    uid: str
    node: str
    slot: int
    service: int
    added_s: float
    added_unix_s: float
    state: str = CREATING
    reason: str = "ContainerCreating"
    message: str = ""
    ip: str = ""
    started_s: float = 0.0
    started_unix_s: float = 0.0
    healthy: bool = False
    listening: bool = False
    changed_s: float = 0.0
    before_s: float = 0.0
    passed_startup: bool = False
    ready: bool = False
    restarts: int = 0
    backoff_s: float = 0.0
    backoff_updated_s: float = -1e18
    ended: dict[str, Any] | None = None
    last: dict[str, Any] | None = None
    terminating: bool = False
    lost: bool = False
    written: bool = False
    conditions: dict[str, tuple[float, dict[str, Any]]] = field(default_factory=dict)
    timers: dict[str, TimerHandle] = field(default_factory=dict)
    readiness: Probe | None = None
    liveness: Probe | None = None
    startup: Probe | None = None

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"].get("namespace", ""))

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def container(self) -> dict[str, Any]:
        """The container that is modelled: the first one."""
        first: dict[str, Any] = self.pod["spec"]["containers"][0]
        return first

    @property
    def restart_policy(self) -> str:
        return str(self.pod["spec"].get("restartPolicy") or "Always")

    def read_probes(self) -> None:
        container = self.container
        self.readiness = probe_of(container, "readinessProbe")
        self.liveness = probe_of(container, "livenessProbe")
        self.startup = probe_of(container, "startupProbe")

    def cancel(self, *names: str) -> None:
        """Stop these timers, all of them when none is named."""
        for name in names or tuple(self.timers):
            handle = self.timers.pop(name, None)
            if handle is not None:
                handle.cancel()


def backoff_of(run: PodRun, now_s: float) -> float:
    """Seconds to wait before the container may start again after it ended now: 0, 10, 20, … 300; remembers the next
    one."""
    if now_s - run.backoff_updated_s > BACKOFF_FORGOTTEN_S or run.backoff_s == 0:
        run.backoff_s, wait_s = BACKOFF_FIRST_S, 0.0
    else:
        wait_s = run.backoff_s
        run.backoff_s = min(2 * run.backoff_s, BACKOFF_MAX_S)
    run.backoff_updated_s = now_s + wait_s
    return wait_s


def status_of(run: PodRun, now_unix_s: float) -> dict[str, Any]:
    """The whole `.status`; conditions that others own (DisruptionTarget, readiness gates) are kept as they are."""
    old = run.pod.get("status") or {}
    phase = _phase(run)
    names = [c["name"] for c in run.pod["spec"]["containers"]]
    unready = [] if run.ready else names
    done = phase == "Succeeded"
    reason = "PodCompleted" if done else "ContainersNotReady"
    message = "" if done else f"containers with unready status: [{' '.join(unready)}]"
    ready = (True, "", "") if run.ready else (False, reason, message)
    sandbox = bool(run.ip) and run.state != ENDED
    conditions = [
        _condition(run, "PodReadyToStartContainers", (sandbox, "", ""), now_unix_s),
        _condition(run, "Initialized", (True, "", ""), now_unix_s),
        _condition(run, "Ready", ready, now_unix_s),
        _condition(run, "ContainersReady", ready, now_unix_s),
    ]
    mine = {c["type"] for c in conditions}
    kept = [c for c in old.get("conditions") or () if c["type"] not in mine]
    status: dict[str, Any] = {**old, "phase": phase, "conditions": [*conditions, *kept]}
    if not any(c["type"] == "PodScheduled" for c in kept):
        status["conditions"].append(_condition(run, "PodScheduled", (True, "", ""), now_unix_s))
    status["startTime"] = rfc3339(run.added_unix_s)
    status["containerStatuses"] = [_container(run, c) for c in run.pod["spec"]["containers"]]
    if run.ip:
        status["podIP"], status["podIPs"] = run.ip, [{"ip": run.ip}]
    return status


def _phase(run: PodRun) -> str:
    if run.state == ENDED and run.ended is not None:
        return "Succeeded" if run.ended["exitCode"] == 0 else "Failed"
    return "Running" if run.started_s or run.restarts else "Pending"


def _condition(run: PodRun, type_: str, value: tuple[bool, str, str], now_unix_s: float) -> dict[str, Any]:
    holds, reason, message = value
    text = "True" if holds else "False"
    known = run.conditions.get(type_)
    if known is not None and known[1]["status"] == text:
        since, last = known
        # The very same condition again, so that whoever compares sees at a glance that nothing changed.
        if last.get("reason", "") == reason and last.get("message", "") == message:
            return last
    else:
        since = now_unix_s
    condition = _shared_condition(type_, text, reason, message, rfc3339(since))
    run.conditions[type_] = (since, condition)
    return condition


@lru_cache(maxsize=4096)
def _shared_condition(type_: str, status: str, reason: str, message: str, since: str) -> dict[str, Any]:
    """One object for all pods that say the same: pods of a template that start in one second do."""
    condition: dict[str, Any] = {
        "type": type_,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": since,
    }
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _container(run: PodRun, container: dict[str, Any]) -> dict[str, Any]:
    """A container's status; those beside the first live and die with it, without restarts of their own."""
    first = container is run.container or container["name"] == run.container["name"]
    running = run.state == RUNNING
    image = container.get("image", "")
    status: dict[str, Any] = {
        "name": container["name"],
        "image": image,
        "imageID": _image_id(image) if running or run.last or run.ended else "",
        "ready": run.ready if first else running,
        "restartCount": run.restarts if first else 0,
        "started": running and (run.passed_startup or not first),
        "state": _state(run, container),
        "lastState": {"terminated": run.last} if first and run.last else {},
    }
    if running or run.last or run.ended:
        status["containerID"] = container_id(run, container["name"])
    return status


def _state(run: PodRun, container: dict[str, Any]) -> dict[str, Any]:
    if run.state == RUNNING:
        return {"running": {"startedAt": rfc3339(run.started_unix_s)}}
    if run.state == ENDED and run.ended is not None:
        return {"terminated": {**run.ended, "containerID": container_id(run, container["name"])}}
    waiting = {"reason": run.reason}
    if run.message:
        waiting["message"] = run.message
    return {"waiting": waiting}


def terminated(run: PodRun, exit_code: int, reason: str, now_unix_s: float) -> dict[str, Any]:
    """The `terminated` state of the run that ends now."""
    return {
        "exitCode": exit_code,
        "reason": reason,
        "startedAt": rfc3339(run.started_unix_s),
        "finishedAt": rfc3339(now_unix_s),
        "containerID": container_id(run, run.container["name"]),
    }


def container_id(run: PodRun, name: str) -> str:
    return f"containerd://{_digest(f'{run.uid}/{name}/{run.restarts}')}"


@lru_cache(maxsize=4096)
def _image_id(image: str) -> str:
    return f"{image.partition('@')[0]}@sha256:{_digest(image)}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()
