"""The loop that carries out what controllers decide: level-triggered, keyed, one worker per controller.

A controller names what it watches and turns a change into keys; the loop gathers keys without doubles, asks the
controller for a `Decision` per key, performs its actions in order, writes the status when it differs, and looks
again when the decision says so or, with growing delays, when something failed. The one broad catch of the machinery
is here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pilothouse.base.actions import Create, Decision, Delete, Emit, Object, Patch
from pilothouse.base.clock import Clock
from pilothouse.base.errors import ApiError, TimeError
from pilothouse.base.limits import RECONCILE_BACKOFF_BASE_S, RECONCILE_BACKOFF_MAX_S
from pilothouse.machinery.client import Client
from pilothouse.machinery.ports import Events
from pilothouse.store.memory import ADDED, Change, Key
from pilothouse.store.watch import Breath, Watch

CHANGES_GATHERED = 4_096
"""Changes that may wait for a worker before it reads them, though it rests or is busy: what it notes are only keys."""
KEYS_IN_A_ROW = 50
"""When workers rest between rounds, others follow after so many keys: until they do, what was written is kept."""
FAILURES_KEPT = 256
"""Failed reconciles kept for reports; each is also retried."""


@dataclass(frozen=True, slots=True)
class WatchRule:
    """Changes of this kind concern these keys. keys: Change -> (namespace, name) of the controller's own objects."""

    kind: str
    keys: Callable[[Change], Iterable[Key]]


def own_key(change: Change) -> tuple[Key]:
    """The changed object itself: the rule for a controller's own kind."""
    metadata = change.object["metadata"]
    return ((metadata.get("namespace", ""), metadata["name"]),)


def only_status_changed(change: Change) -> bool:
    """Whether spec and metadata are as before (the resourceVersion apart)."""
    old, new = change.old, change.new
    if old is None or new is None or old.object.get("spec") is not new.object.get("spec"):
        return False
    version = {"resourceVersion": new.object["metadata"]["resourceVersion"]}
    return bool({**old.object["metadata"], **version} == new.object["metadata"])


def owner_key(kind: str) -> Callable[[Change], Iterable[Key]]:
    """The controlling owner of the changed object, when it is of this kind (its full name, e.g. apps/ReplicaSet)."""
    group, _, kind_word = kind.rpartition("/")

    def keys(change: Change) -> Iterable[Key]:
        found: dict[Key, None] = {}
        seen: Any = None
        for record in (change.new, change.old):
            if record is None:
                continue
            metadata = record.object["metadata"]
            references = metadata.get("ownerReferences")
            if references is None or references is seen:
                continue
            seen = references
            for reference in references:
                if reference.get("controller") and reference["kind"] == kind_word:
                    owner_group = reference["apiVersion"].rpartition("/")[0]
                    if owner_group == group:
                        found[(metadata.get("namespace", ""), reference["name"])] = None
        return found

    return keys


@dataclass(slots=True)
class ReconcileInput:
    """What a reconcile gets to see. now_s: Unix seconds; last_failure: why the last performance for this key
    stopped, or None."""

    client: Client
    namespace: str
    name: str
    now_s: float
    last_failure: Exception | None
    events: Events


class Controller(Protocol):
    """Watches and one function that reads and decides. `watches[0].kind` is the kind of its keys: status and events
    go there."""

    @property
    def name(self) -> str:
        """E.g. "deployment-controller": the component of its events."""

    @property
    def watches(self) -> tuple[WatchRule, ...]: ...

    def reconcile(self, view: ReconcileInput) -> Decision: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """One reconcile that went wrong; it is retried after `retry_s` (0: when something changes)."""

    controller: str
    namespace: str
    name: str
    time_s: float
    error: Exception
    attempt: int
    retry_s: float


class Worker:
    """One controller at work: its queue of keys, its timers, its failures."""

    def __init__(self, controller: Controller, loop: Reconciler) -> None:
        self.controller = controller
        self.kind = controller.watches[0].kind
        self._loop = loop
        self._client = loop.client
        self._queue: dict[Key, None] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._attempts: dict[Key, int] = {}
        self._last_failure: dict[Key, Exception] = {}
        self._rules: dict[str, list[Callable[[Change], Iterable[Key]]]] = {}
        for rule in controller.watches:
            self._rules.setdefault(rule.kind, []).append(rule.keys)
        # Watching from construction on: what is written before the task first runs is not missed.
        # Other kinds concern nobody before there is an object of its own: idle controllers need not hear of every pod.
        self._follows = loop.client.count(self.kind) > 0
        self._watch: Watch = loop.client.watch(*(self._rules if self._follows else (self.kind,)))
        self._watch.bound(CHANGES_GATHERED, self._read)
        for kind in self._rules if self._follows else ():
            for stored in loop.client.list(kind):
                self._note(Change(ADDED, kind, None, stored, stored.resource_version))

    def _note(self, change: Change) -> None:
        if change.kind != self.kind and not self._client.count(self.kind):
            return  # no object of its own that anything could concern
        if not self._follows:
            self._follows = True
            self._client.follow(self._watch, *self._rules)
        try:
            for keys in self._rules[change.kind]:
                for key in keys(change):
                    self._queue[key] = None
        except TimeError:
            raise
        except Exception as error:  # still the loop's edge: an unreadable object must not stop the others
            self._loop.report(
                Failure(self.controller.name, *own_key(change)[0], self._loop.clock.time(), error, 1, 0.0)
            )

    def _read(self) -> None:
        for change in self._watch.take():
            self._note(change)

    async def run(self) -> None:
        """Work until cancelled or the watch is closed."""
        breath = Breath()
        while True:
            if not self._queue:
                await self._watch.wait_changed()
            self._read()
            if self._watch.closed:
                return
            # One round: the keys known now, each seeing the newest state; new keys wait for the next round.
            pause_s = 0.0
            for number, key in enumerate([*self._queue], start=1):
                self._queue.pop(key, None)
                await self._reconcile(key)
                pause_s = self._loop.round_s()
                if pause_s and number % KEYS_IN_A_ROW == 0:
                    await breath
            if pause_s:
                await asyncio.sleep(pause_s)
            else:
                await breath

    def close(self) -> None:
        self._watch.close()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def _reconcile(self, key: Key) -> None:
        namespace, name = key
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        loop = self._loop
        try:
            view = ReconcileInput(
                self._client, namespace, name, loop.clock.time(), self._last_failure.get(key), loop.events
            )
            decision = self.controller.reconcile(view)
            if loop.on_decision is not None:
                loop.on_decision(self.controller.name, key, decision)
            await self._perform(key, decision)
        except TimeError:
            raise
        except Exception as error:  # the one broad catch: a bad object must not stop the others
            self._failed(key, error)
            return
        if self._attempts:
            self._attempts.pop(key, None)
            self._last_failure.pop(key, None)
        if decision.requeue_s is not None:
            self._again(key, decision.requeue_s)

    async def _perform(self, key: Key, decision: Decision) -> None:
        """Carry out the actions in order, then the status. An action that fails stops the rest but the status is
        still written: it tells people what is wrong. The failure then counts as the reconcile's."""
        failure: ApiError | None = None
        for action in decision.actions:
            try:
                await self._act(key, action)
            except ApiError as error:
                failure = error
                break
        if decision.status is not None and self._client.get(self.kind, *key) is not None:
            await self._client.put_status(self.kind, *key, decision.status)
        if failure is not None:
            raise failure

    async def _act(self, key: Key, action: Create | Patch | Delete | Emit) -> None:
        client = self._client
        if isinstance(action, Patch):
            await client.patch(
                action.kind, action.namespace, action.name, action.patch, action.subresource, action.resource_version
            )
        elif isinstance(action, Emit):
            self._say(action.regarding, action.type, action.reason, action.message)
        elif isinstance(action, Create):
            await self._create(key, action)
        else:
            await self._delete(key, action)

    async def _create(self, key: Key, action: Create) -> None:
        try:
            made = await self._client.create(action.kind, action.object)
        except ApiError as error:
            if action.event_ok:
                self._say_about(key, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        if action.event_ok:
            word = action.kind.rpartition("/")[2].lower()
            self._say_about(key, "Normal", action.event_ok, f"Created {word}: {made['metadata']['name']}")

    async def _delete(self, key: Key, action: Delete) -> None:
        try:
            await self._client.delete(
                action.kind, action.namespace, action.name, uid=action.uid, grace_s=action.grace_s
            )
        except ApiError as error:
            if error.code == 404:
                return  # somebody else deleted it: what was wanted is so
            if action.event_ok:
                self._say_about(key, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        if action.event_ok:
            word = action.kind.rpartition("/")[2].lower()
            self._say_about(key, "Normal", action.event_ok, f"Deleted {word}: {action.name}")

    def _say_about(self, key: Key, type: str, reason: str, message: str) -> None:
        owner = self._client.get(self.kind, *key)
        if owner is not None:
            self._say(owner.object, type, reason, message)

    def _say(self, regarding: Object, type: str, reason: str, message: str) -> None:
        self._loop.events.record(regarding, type, reason, message, self.controller.name)

    def _failed(self, key: Key, error: Exception) -> None:
        attempt = self._attempts.get(key, 0) + 1
        self._attempts[key] = attempt
        self._last_failure[key] = error
        # 2 ** 30 times the base is far above the ceiling; a higher power would only be a large number.
        retry_s = min(RECONCILE_BACKOFF_BASE_S * 2 ** min(attempt - 1, 30), RECONCILE_BACKOFF_MAX_S)
        loop = self._loop
        failure = Failure(self.controller.name, *key, loop.clock.time(), error, attempt, retry_s)
        loop.report(failure)
        self._again(key, retry_s)

    def _again(self, key: Key, delay_s: float) -> None:
        if delay_s <= 0:
            self._queue[key] = None
            return
        self._timers[key] = asyncio.get_running_loop().call_later(delay_s, self._due, key)

    def _due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self._queue[key] = None
        self._watch.wake()


class Reconciler:
    """All controllers of a world. on_decision(controller, key, decision) and on_failure(failure) are for traces and
    reports. round_s: how long a worker rests after each round of keys; 0: others run once, no time passes."""

    def __init__(
        self,
        client: Client,
        events: Events,
        clock: Clock,
        controllers: Sequence[Controller],
        *,
        on_decision: Callable[[str, Key, Decision], None] | None = None,
        on_failure: Callable[[Failure], None] | None = None,
        round_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.client = client
        self.events = events
        self.clock = clock
        self.on_decision = on_decision
        self.on_failure = on_failure
        self.round_s = round_s
        self.failures: deque[Failure] = deque(maxlen=FAILURES_KEPT)
        self.workers = [Worker(controller, self) for controller in controllers]
        self._tasks: list[asyncio.Task[None]] = []

    def report(self, failure: Failure) -> None:
        """For the workers: note what went wrong."""
        self.failures.append(failure)
        if self.on_failure is not None:
            self.on_failure(failure)

    def start(self) -> list[asyncio.Task[None]]:
        """Start one task per controller, in order; the caller watches them for broken invariants."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(worker.run(), name=worker.controller.name) for worker in self.workers]
        return self._tasks

    async def stop(self) -> None:
        """End every worker after the key it is working on."""
        for worker in self.workers:
            worker.close()
        for task in self._tasks:
            await task
        self._tasks = []
