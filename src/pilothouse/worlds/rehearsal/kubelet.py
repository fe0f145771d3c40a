"""The kubelets of all modelled nodes: pods bound to a node are pulled, started, probed, restarted and stopped, in
virtual time.

One worker, level-triggered on the Pod watch: timers only mark what changed, the worker writes. Implements the port
`Node`. Statuses and events read like those of kubelet 1.36; what an application answers to probes comes from the model.
"""

from __future__ import annotations

import asyncio
import fnmatch
import itertools
import math
from collections import deque
from collections.abc import Callable, Sequence

from pilothouse.base.actions import Object
from pilothouse.base.clock import Clock
from pilothouse.base.entropy import Entropy
from pilothouse.base.errors import ApiError, NotFound
from pilothouse.machinery.client import Client
from pilothouse.machinery.ports import Events
from pilothouse.store.memory import Change, Stored
from pilothouse.worlds.rehearsal import references
from pilothouse.worlds.rehearsal.addresses import Addresses
from pilothouse.worlds.rehearsal.faults import ActiveFaults
from pilothouse.worlds.rehearsal.matching import Matching, group_of
from pilothouse.worlds.rehearsal.pod_run import (
    CREATING,
    ENDED,
    RUNNING,
    WAITING,
    PodRun,
    backoff_of,
    status_of,
    terminated,
)
from pilothouse.worlds.rehearsal.pods import Identity, PodTable, Slots
from pilothouse.worlds.rehearsal.probes import Probe
from pilothouse.worlds.rehearsal.service import Service, memory_at_rest

COMPONENT = "kubelet"
CONFIG_RETRY_S = 10.0
MOUNT_RETRY_S = 15.0
RESTART_S = 1.0
"""From a container's end to its next start when nothing holds it back."""
DEFAULT_START = (1.0, 0.3)
"""Median and sigma of the start of a pod that no service is modelled for."""


class Kubelet:
    """All pods of all nodes. `start` lists what is there and follows; `stop` ends it.

    image_pull: (median seconds, sigma). missing_images: globs of images that cannot be pulled.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        entropy: Entropy,
        events: Events,
        pods: PodTable,
        services: list[Service],
        faults: ActiveFaults,
        addresses: Addresses,
        node_index: Callable[[str], int],
        *,
        image_pull: tuple[float, float],
        missing_images: Sequence[str] = (),
    ) -> None:
        self._client = client
        self._clock = clock
        self._entropy = entropy
        self._events = events
        self._pods = pods
        self._services = services
        self._faults = faults
        self._addresses = addresses
        self._node_index = node_index
        self._image_pull = image_pull
        self._missing_images = tuple(missing_images)
        self.matching = Matching(client, services)
        self.runs: dict[str, PodRun] = {}
        self.workloads: dict[int, tuple[str, str, str]] = {}
        """Service index to the (kind, namespace, name) of the workload that its newest pod belongs to."""
        self._by_slot: dict[int, PodRun] = {}
        self._by_service: dict[int, dict[str, PodRun]] = {}
        self._images: dict[str, dict[str, None]] = {}
        self._lost_nodes: dict[str, None] = {}
        self._dirty: dict[str, PodRun] = {}
        self._to_delete: deque[PodRun] = deque()
        self._watch = client.watch("Pod", "Service")
        self._task: asyncio.Task[None] | None = None

    # The loop

    def start(self) -> None:
        """Begin; needs a running loop."""
        for stored in self._client.list("Pod"):
            self._see(stored)
        self._task = asyncio.ensure_future(self._work())

    async def stop(self) -> None:
        self._watch.close()
        for run in self.runs.values():
            run.cancel()
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        while not self._watch.closed:
            for change in self._watch.take():
                self._follow(change)
            await self._write()
            if not self._dirty and not self._to_delete:
                await self._watch.wait_changed()

    def _follow(self, change: Change) -> None:
        if change.kind == "Service":
            self.matching.forget()
        elif change.new is None:
            self._gone(change.object)
        else:
            self._see(change.new)

    async def _write(self) -> None:
        dirty, self._dirty = self._dirty, {}
        for run in dirty.values():
            if run.uid in self.runs and not run.lost:
                await self._write_status(run)
        while self._to_delete:
            run = self._to_delete.popleft()
            if run.uid in self.runs and not run.lost:
                await self._delete(run)

    async def _write_status(self, run: PodRun) -> None:
        stored = self._client.get("Pod", run.namespace, run.name)
        if stored is None or stored.object["metadata"].get("uid") != run.uid:
            return
        run.pod = stored.object
        try:
            await self._client.put_status("Pod", run.namespace, run.name, status_of(run, self._clock.time()))
        except NotFound:
            return

    async def _delete(self, run: PodRun) -> None:
        try:
            await self._client.delete("Pod", run.namespace, run.name, uid=run.uid, grace_s=0)
        except ApiError:
            return

    def _mark(self, run: PodRun) -> None:
        if not run.lost:
            self._dirty[run.uid] = run
            self._watch.wake()

    def _later(self, run: PodRun, name: str, at_s: float, act: Callable[[PodRun], None]) -> None:
        """Call `act(run)` at a monotonic time; a timer of the same name is replaced."""
        run.cancel(name)
        loop = asyncio.get_running_loop()
        run.timers[name] = loop.call_at(max(at_s, loop.time()), self._fire, run, name, act)

    @staticmethod
    def _fire(run: PodRun, name: str, act: Callable[[PodRun], None]) -> None:
        run.timers.pop(name, None)
        if not run.lost:
            act(run)

    def _say(self, run: PodRun, reason: str, message: str, type_: str = "Normal") -> None:
        self._events.record(run.pod, type_, reason, message, COMPONENT)

    # Pods come and go

    def _see(self, stored: Stored) -> None:
        pod = stored.object
        metadata = pod["metadata"]
        run = self.runs.get(metadata["uid"])
        node = (pod.get("spec") or {}).get("nodeName")
        if run is None:
            if node and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
                run = self._admit(pod, node)
            else:
                return
        if metadata.get("deletionTimestamp") and not run.terminating:
            run.pod = pod
            self._terminate(run)

    def _admit(self, pod: Object, node: str) -> PodRun:
        metadata = pod["metadata"]
        service = self.matching.service_of(pod)
        group = group_of(pod, service)
        container = pod["spec"]["containers"][0]
        identity = Identity(
            metadata.get("namespace", ""), metadata["name"], metadata["uid"], container["name"], group.image, node
        )
        kind, identity.owner = self.matching.workload_of(pod)
        if service >= 0 and kind:
            self.workloads[service] = (kind, identity.namespace, identity.owner)
        ports = container.get("ports") or ()
        address = self._addresses.pod_ip(identity.namespace, identity.name, node)
        identity.instance = f"{address}:{ports[0]['containerPort'] if ports else 80}"
        slot = self._pods.add(identity, group, self._node_index(node))
        now_s = self._clock.monotonic()
        run = PodRun(pod, metadata["uid"], node, slot, service, now_s, self._clock.time())
        run.read_probes()
        self.runs[run.uid] = self._by_slot[slot] = run
        self._by_service.setdefault(service, {})[run.uid] = run
        if node in self._lost_nodes:
            run.lost = True
            return run
        self._mark(run)
        self._mount(run)
        return run

    def _gone(self, pod: Object) -> None:
        run = self.runs.pop(pod["metadata"]["uid"], None)
        if run is None:
            return
        run.cancel()
        self._dirty.pop(run.uid, None)
        del self._by_slot[run.slot]
        del self._by_service[run.service][run.uid]
        self._pods.remove(run.slot, self._clock.time())
        self._addresses.release(self._addresses.pod_ip(run.namespace, run.name, run.node))

    def _terminate(self, run: PodRun) -> None:
        """SIGTERM after the preStop hook; no new requests at once; gone when the process ends or the grace period is
        over."""
        run.terminating = True
        if run.lost:
            return
        run.cancel()
        grace_s = float(run.pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        self._pods.set_ready(run.slot, False, self._clock.time())
        if run.state != RUNNING:
            self._finish(run)
            return
        self._say(run, "Killing", f"Stopping container {run.container['name']}")
        stop_s = self._services[run.service].stop_s if run.service >= 0 else RESTART_S
        takes_s = min(grace_s, _pre_stop_s(run.container) + stop_s)
        self._later(run, "finish", self._clock.monotonic() + takes_s, self._finish)

    def _finish(self, run: PodRun) -> None:
        self._pods.stop(run.slot, self._clock.time())
        run.ready = False
        self._to_delete.append(run)
        self._watch.wake()

    # From nothing to running

    def _mount(self, run: PodRun) -> None:
        missing = references.missing_volume(self._client, run.pod)
        if missing:
            self._say(run, "FailedMount", missing, "Warning")
            self._later(run, "mount", self._clock.monotonic() + MOUNT_RETRY_S, self._mount)
            return
        run.ip = run.ip or self._addresses.pod_ip(run.namespace, run.name, run.node)
        self._pull(run)

    def _pull(self, run: PodRun) -> None:
        container = run.container
        image, policy = container.get("image", ""), container.get("imagePullPolicy", "IfNotPresent")
        here = self._images.setdefault(run.node, {})
        if image in here and policy != "Always":
            self._say(
                run, "Pulled", f'Container image "{image}" already present on machine and can be accessed by the pod'
            )
            self._create(run)
            return
        self._say(run, "Pulling", f'Pulling image "{image}"')
        if any(fnmatch.fnmatchcase(image, glob) for glob in self._missing_images):
            self._pull_failed(run, image)
            return
        median_s, sigma = self._image_pull
        # A layer check only when the image is there already and the policy is Always.
        takes_s = 0.3 if image in here else self._draw("image-pull", "", median_s, sigma)
        self._later(run, "pull", self._clock.monotonic() + takes_s, lambda r: self._pulled(r, image, takes_s))

    def _pulled(self, run: PodRun, image: str, took_s: float) -> None:
        self._images.setdefault(run.node, {})[image] = None
        took = f"{took_s * 1000:.0f}ms" if took_s < 1 else f"{took_s:.3f}".rstrip("0").rstrip(".") + "s"
        self._say(run, "Pulled", f'Successfully pulled image "{image}" in {took} ({took} including waiting).')
        self._create(run)

    def _pull_failed(self, run: PodRun, image: str) -> None:
        error = f'failed to pull and unpack image "{image}": not found'
        self._say(run, "Failed", f'Failed to pull image "{image}": {error}', "Warning")
        self._say(run, "Failed", "Error: ErrImagePull", "Warning")
        self._wait(run, "ErrImagePull", error)
        delay_s = run.backoff_s = min(max(2 * run.backoff_s, 10.0), 300.0)
        self._later(run, "pull-wait", self._clock.monotonic() + 1.0, lambda r: self._pull_waits(r, image))
        self._later(run, "pull", self._clock.monotonic() + delay_s, self._pull)

    def _pull_waits(self, run: PodRun, image: str) -> None:
        self._say(run, "BackOff", f'Back-off pulling image "{image}"')
        self._say(run, "Failed", "Error: ImagePullBackOff", "Warning")
        self._wait(run, "ImagePullBackOff", f'Back-off pulling image "{image}"')

    def _wait(self, run: PodRun, reason: str, message: str) -> None:
        run.state, run.reason, run.message = WAITING, reason, message
        self._mark(run)

    def _create(self, run: PodRun) -> None:
        missing = references.missing_in_environment(self._client, run.pod, run.container)
        if missing:
            self._say(run, "Failed", f"Error: {missing}", "Warning")
            self._wait(run, "CreateContainerConfigError", missing)
            self._later(run, "config", self._clock.monotonic() + CONFIG_RETRY_S, self._pull)
            return
        self._say(run, "Created", "Container created")
        self._begin(run)

    def _begin(self, run: PodRun) -> None:
        now_s, unix_s = self._clock.monotonic(), self._clock.time()
        run.state, run.reason, run.message = RUNNING, "", ""
        run.started_s, run.started_unix_s = now_s, unix_s
        run.listening, run.healthy, run.changed_s, run.before_s = False, False, now_s, now_s
        run.passed_startup = run.startup is None
        self._pods.start(run.slot, unix_s)
        service = self._services[run.service] if run.service >= 0 else None
        group = self._pods.groups[int(self._pods.group[run.slot])]
        self._pods.memory[run.slot] = memory_at_rest(service, group)
        self._say(run, "Started", "Container started")
        median_s, sigma = service.start if service else DEFAULT_START
        starts_s = self._draw("start", service.name if service else "", median_s, sigma)
        disturbed = self._faults.on(service.name if service else "", group.image)
        self._later(run, "listen", now_s + starts_s, self._listen)
        if not disturbed.never_ready:
            self._later(
                run, "healthy", now_s + starts_s + (service.ready_after_s if service else 0.0), self._became_healthy
            )
        self._plan_crash(run)
        if run.readiness is None and run.passed_startup:
            self._set_ready(run, True)
        self._plan_probes(run)
        self._mark(run)

    def _listen(self, run: PodRun) -> None:
        run.listening = True
        self._pods.set_listening(run.slot, True, self._clock.time())

    def _became_healthy(self, run: PodRun) -> None:
        self._answer(run, True)

    def _draw(self, name: str, entity: str, median_s: float, sigma: float) -> float:
        if median_s <= 0:
            return 0.0
        return round(float(self._entropy.stream(name, entity).lognormal(math.log(median_s), sigma)), 3)

    # Probes

    def answers(self, slots: Slots, in_time: Sequence[bool]) -> None:
        """The traffic model says whether these pods answer a health check in time now."""
        for slot, good in zip(slots.tolist(), in_time):
            run = self._by_slot.get(slot)
            if run is not None and run.state == RUNNING and "healthy" not in run.timers:
                self._answer(run, good)

    def probe_timeout_s(self, slot: int) -> float:
        """The shortest timeout of the pod's probes; infinity without probes or when they do not queue with requests."""
        run = self._by_slot.get(slot)
        if run is None or run.service < 0 or not self._services[run.service].probes_queue:
            return math.inf
        return min((float(p.timeout_s) for p in (run.readiness, run.liveness) if p), default=math.inf)

    def _answer(self, run: PodRun, healthy: bool) -> None:
        if healthy == run.healthy or run.state != RUNNING or run.terminating:
            return
        run.before_s, run.changed_s = run.changed_s, self._clock.monotonic()
        run.healthy = healthy
        self._plan_probes(run)

    def _plan_probes(self, run: PodRun) -> None:
        """Set a timer for each thing that probes will notice, given that the present answer holds on."""
        run.cancel("startup", "ready", "live", "unhealthy")
        if not run.passed_startup:
            assert run.startup is not None
            if run.healthy:
                self._later(run, "startup", self._noticed(run, run.startup, run.startup.success), self._startup_passed)
            else:
                at_s = self._noticed(run, run.startup, run.startup.failure)
                self._later(run, "startup", at_s, lambda r: self._probe_kills(r, "startup"))
                self._notice_failure(run, "Startup", run.startup)
            return
        readiness, liveness = run.readiness, run.liveness
        if readiness is not None and run.healthy != run.ready:
            count = readiness.success if run.healthy else readiness.failure
            ready = run.healthy
            self._later(run, "ready", self._noticed(run, readiness, count), lambda r: self._set_ready(r, ready))
        if not run.healthy and readiness is not None:
            self._notice_failure(run, "Readiness", readiness)
        if not run.healthy and liveness is not None:
            at_s = self._noticed(run, liveness, liveness.failure)
            self._later(run, "live", at_s, lambda r: self._probe_kills(r, "liveness"))

    def _noticed(self, run: PodRun, probe: Probe, in_a_row: int) -> float:
        since_s = run.changed_s
        # An answer that changed and changed back between two probes was never seen.
        if run.before_s < run.changed_s and not probe.asked_between(run.added_s, run.before_s, run.changed_s):
            since_s = run.before_s
        return probe.noticed(run.added_s, run.started_s, since_s, in_a_row)

    def _notice_failure(self, run: PodRun, which: str, probe: Probe) -> None:
        """The event of the first failed probe; the following ones only count it up, so they are not played."""
        at_s = self._noticed(run, probe, 1)
        message = probe.timed_out(run.ip) if run.listening else probe.refused(run.ip)
        text = f"{which} probe failed: {message}"
        self._later(run, "unhealthy", at_s, lambda r: self._say(r, "Unhealthy", text, "Warning"))

    def _startup_passed(self, run: PodRun) -> None:
        run.passed_startup = True
        if run.readiness is None:
            self._set_ready(run, True)
        elif self._clock.monotonic() - run.started_s >= run.readiness.delay_s and run.readiness.success == 1:
            # The readiness probe is asked at once when the startup probe succeeds.
            self._set_ready(run, True)
        self._plan_probes(run)
        self._mark(run)

    def _set_ready(self, run: PodRun, ready: bool) -> None:
        if run.ready == ready:
            return
        run.ready = ready
        self._pods.set_ready(run.slot, ready and not run.terminating, self._clock.time())
        self._mark(run)

    def _probe_kills(self, run: PodRun, which: str) -> None:
        probe = run.liveness if which == "liveness" else run.startup
        assert probe is not None
        message = probe.timed_out(run.ip) if run.listening else probe.refused(run.ip)
        name = run.container["name"]
        self._say(run, "Unhealthy", f"{which.capitalize()} probe failed: {message}", "Warning")
        self._say(run, "Killing", f"Container {name} failed {which} probe, will be restarted")
        self._later(run, "killed", self._clock.monotonic() + RESTART_S, lambda r: self._exit(r, 137, "Error"))

    # From running to not running

    def out_of_memory(self, slots: Slots) -> None:
        """The kernel killed the processes of these pods: their memory passed the limit."""
        for slot in slots.tolist():
            run = self._by_slot.get(slot)
            if run is not None and run.state == RUNNING and not run.lost:
                self._exit(run, 137, "OOMKilled")

    def kill(self, run: PodRun) -> None:
        """The pod is deleted without grace."""
        self._to_delete.append(run)
        self._watch.wake()

    def begin_crashes(self) -> None:
        """A crash-loop fault began: containers that run already meet it too."""
        for run in self.runs.values():
            if run.state == RUNNING and not run.lost and "crash" not in run.timers:
                self._plan_crash(run)

    def _plan_crash(self, run: PodRun) -> None:
        service = self._services[run.service].name if run.service >= 0 else ""
        disturbed = self._faults.on(service, str(run.container.get("image", "")))
        if disturbed.crash_after_s is not None:
            at_s, code = self._clock.monotonic() + disturbed.crash_after_s, disturbed.exit_code
            self._later(run, "crash", at_s, lambda r: self._crashes(r, code))

    def _crashes(self, run: PodRun, exit_code: int) -> None:
        service = self._services[run.service].name if run.service >= 0 else ""
        if self._faults.on(service, str(run.container.get("image", ""))).crash_after_s is not None:
            self._exit(run, exit_code, "Error" if exit_code else "Completed")

    def _exit(self, run: PodRun, exit_code: int, reason: str) -> None:
        now_s, unix_s = self._clock.monotonic(), self._clock.time()
        run.cancel()
        ended = terminated(run, exit_code, reason, unix_s)
        self._set_ready(run, False)
        self._pods.stop(run.slot, unix_s)
        if run.terminating:
            self._finish(run)
            return
        if run.restart_policy == "Never" or (run.restart_policy == "OnFailure" and exit_code == 0):
            run.state, run.ended = ENDED, ended
            self._mark(run)
            return
        run.last = ended
        wait_s = backoff_of(run, now_s)
        if wait_s:
            name = run.container["name"]
            pod = f"{run.name}_{run.namespace}({run.uid})"
            self._say(run, "BackOff", f"Back-off restarting failed container {name} in pod {pod}", "Warning")
            took = f"{wait_s:.0f}s" if wait_s < 60 else f"{int(wait_s // 60)}m{int(wait_s % 60)}s"
            self._wait(run, "CrashLoopBackOff", f"back-off {took} restarting failed container={name} pod={pod}")
        else:
            run.state, run.reason, run.message = CREATING, "ContainerCreating", ""
        self._later(run, "restart", now_s + max(wait_s, RESTART_S), self._restart)

    def _restart(self, run: PodRun) -> None:
        run.restarts += 1
        self._pods.restarts[run.slot] = run.restarts
        self._pull(run)

    # Nodes

    def lose_node(self, node: str) -> None:
        """The machine stops: nothing on it runs, answers or reports any more."""
        self._lost_nodes[node] = None
        now_s = self._clock.time()
        for run in self.runs.values():
            if run.node == node and not run.lost:
                run.lost = True
                run.cancel()
                self._pods.set_listening(run.slot, False, now_s)
                self._pods.backlog[run.slot] = 0.0

    def mark_not_ready(self, node: str) -> None:
        """The control plane noticed: the node's pods are no endpoints any more."""
        for run in self.runs.values():
            if run.node == node:
                self._pods.set_ready(run.slot, False, self._clock.time())

    def runs_of(self, service: int) -> list[PodRun]:
        """The running pods of a service, oldest first."""
        runs = self._by_service.get(service, {}).values()
        return [r for r in runs if r.state == RUNNING and not r.terminating]


def _pre_stop_s(container: dict[str, object]) -> float:
    """How long the preStop hook takes, as far as it can be read: `sleep: {seconds}` or an exec of sleep."""
    lifecycle = container.get("lifecycle")
    hook = (lifecycle.get("preStop") if isinstance(lifecycle, dict) else None) or {}
    if "sleep" in hook:
        return float(hook["sleep"].get("seconds") or 0)
    words = " ".join((hook.get("exec") or {}).get("command") or ()).split()
    for word, following in itertools.pairwise(words):
        if word.endswith("sleep") and following.replace(".", "", 1).isdigit():
            return float(following)
    return 0.0
