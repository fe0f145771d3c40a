"""Events as people read them with `kubectl get events`: recorded cheaply, made into `Event` objects when somebody
looks.

The same (object, component, type, reason, message) said again counts up instead of adding a line, as client-go's
recorder does (1.36 `tools/record`). The newest `EVENTS_KEPT` are kept; a report that must lose nothing subscribes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.clock import Clock, rfc3339
from pilothouse.base.limits import EVENTS_KEPT
from pilothouse.store.memory import Records, Stored

NORMAL, WARNING = "Normal", "Warning"


@dataclass(slots=True)
class Event:
    """One line of `kubectl get events`. first_s, last_s: Unix seconds of the first and the last of `count`
    occurrences."""

    kind: str
    api_version: str
    namespace: str
    name: str
    uid: str
    resource_version: str
    type: str
    reason: str
    message: str
    component: str
    first_s: float
    last_s: float
    count: int = 1
    number: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    def object_name(self) -> str:
        """`pod-name.17a3…`: the object and the moment in hexadecimal nanoseconds, made unique by the running number."""
        return f"{self.name}.{int(self.first_s * 1_000_000_000) + self.number:x}"

    def to_object(self) -> Object:
        """The `v1.Event` the wire shows."""
        namespace = self.namespace or "default"
        involved = {
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
            "apiVersion": self.api_version,
            "resourceVersion": self.resource_version,
        }
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": self.object_name(),
                "namespace": namespace,
                "creationTimestamp": rfc3339(self.first_s),
                "resourceVersion": str(self.number),
            },
            "involvedObject": {key: value for key, value in involved.items() if value},
            "reason": self.reason,
            "message": self.message,
            "source": {"component": self.component},
            "firstTimestamp": rfc3339(self.first_s),
            "lastTimestamp": rfc3339(self.last_s),
            "count": self.count,
            "type": self.type,
            "eventTime": None,
            "reportingComponent": self.component,
            "reportingInstance": "",
            **self.extra,
        }


Listener = Callable[[Event], None]


class EventRecorder:
    """Records what controllers and worlds say about objects. It is the port `Events`."""

    def __init__(self, clock: Clock, kept: int = EVENTS_KEPT) -> None:
        self._clock = clock
        self._kept = kept
        # A plain dict would search for its first key past all those dropped before.
        self._events: OrderedDict[tuple[str, str, str, str, str], Event] = OrderedDict()
        self._listeners: list[Listener] = []
        self._number = 0

    def record(self, regarding: Object, type: str, reason: str, message: str, component: str) -> None:
        """Note one event about an object. type: Normal or Warning; component: who says it, e.g.
        "deployment-controller"."""
        metadata = regarding["metadata"]
        now_s = self._clock.time()
        key = (metadata.get("uid", ""), component, type, reason, message)
        event = self._events.pop(key, None)
        if event is None:
            self._number += 1
            event = Event(
                regarding.get("kind", ""),
                regarding.get("apiVersion", ""),
                metadata.get("namespace", ""),
                metadata.get("name", ""),
                metadata.get("uid", ""),
                metadata.get("resourceVersion", ""),
                type,
                reason,
                message,
                component,
                now_s,
                now_s,
                number=self._number,
            )
            if len(self._events) >= self._kept:
                self._events.popitem(last=False)
        else:
            event.count += 1
            event.last_s = now_s
        # Put back at the end: what is dropped first is what was said longest ago.
        self._events[key] = event
        for listener in self._listeners:
            listener(event)

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with every event as it is recorded; a repeated event comes again with its new count."""
        self._listeners.append(listener)

    def events(self, namespace: str = "") -> tuple[Event, ...]:
        """The kept events, the one said longest ago first."""
        return tuple(e for e in self._events.values() if not namespace or (e.namespace or "default") == namespace)

    def list(self, namespace: str) -> Records:
        """The kept events as records, for `Client.list("Event")`."""
        return [Stored(event.to_object(), event.number) for event in self.events(namespace)]

    def get(self, namespace: str, name: str) -> Stored | None:
        for event in self.events(namespace):
            if event.object_name() == name:
                return Stored(event.to_object(), event.number)
        return None
