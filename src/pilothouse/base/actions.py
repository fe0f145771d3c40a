"""What a decision may intend. A `decide.py` returns these values; `machinery.reconcile` carries them out, nothing else.

`kind` is the kind's name as in `machinery.kind.Kind.name`, e.g. "apps/Deployment", "Pod", "argoproj.io/Rollout".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]
"""A stored object: the wire's JSON as dicts and lists, immutable by convention; a change builds new outer dicts."""


@dataclass(frozen=True, slots=True)
class Create:
    kind: str
    object: Object
    event_ok: str = ""
    """When set, a Normal Event with this reason is recorded on the owner after success (e.g. SuccessfulCreate)."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A JSON merge patch (RFC 7386) of the object; `subresource` is "" or "status" or "scale"."""

    kind: str
    namespace: str
    name: str
    patch: Mapping[str, Any]
    subresource: str = ""
    resource_version: str = ""
    """When set, the write fails with Conflict unless the stored object has this version."""


@dataclass(frozen=True, slots=True)
class Delete:
    kind: str
    namespace: str
    name: str
    uid: str = ""
    grace_s: int | None = None
    event_ok: str = ""


@dataclass(frozen=True, slots=True)
class Emit:
    """Record an Event about `regarding` (the object itself)."""

    regarding: Object
    type: str
    reason: str
    message: str


Action = Create | Patch | Delete | Emit


@dataclass(frozen=True, slots=True)
class Decision:
    """What a reconcile decided: actions in order, then the status to store, then when to look again.

    status: the whole new `.status`, or None to leave it; written only when it differs from the stored one.
    requeue_s: look again after this many seconds; None: only when something changes.
    """

    actions: tuple[Action, ...] = ()
    status: Mapping[str, Any] | None = None
    requeue_s: float | None = None
    notes: tuple[str, ...] = field(default=())
    """Why, in words: shown in traces and reports, never stored."""
