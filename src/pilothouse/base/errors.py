"""Every error that crosses a room's border, as one tree; callers catch the branch that they can act on.

    PilothouseError
    ├── InputError            a user's file is wrong: place, rule, what was seen, remedy
    ├── ApiError              the write path says no: a Kubernetes Status (code, reason, causes)
    │   ├── NotFound · AlreadyExists · Conflict · Invalid · ForbiddenWrite · Gone · BadRequest
    ├── TimeError             virtual time was broken
    │   ├── Forbidden         something reached for the real world inside a rehearsal
    │   ├── Stalled           every task waits for something that cannot happen
    │   └── Livelock          time stopped: too many events in one virtual second
    └── LimitExceeded         a named limit of `base.limits` was reached

`retryable` answers "can a retry help?" on every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class PilothouseError(Exception):
    """Root of the tree; `retryable` says whether doing the same again can help."""

    retryable: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a user's file: path, 1-based line and column (0: unknown)."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.file:
            return f"line {self.line}" if self.line else ""
        text = self.file
        if self.line:
            text += f":{self.line}"
            if self.column:
                text += f":{self.column}"
        return text


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found in a user's input; `code` is stable (PH…, listed in docs/errors.md).

    severity: "error" (this thing is left out), "warning" (used, but look), "note" (an assumption made).
    """

    code: str
    message: str
    place: Place = field(default_factory=Place)
    remedy: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        where = f"{self.place}: " if str(self.place) else ""
        text = f"{where}{self.severity} {self.code}: {self.message}"
        # A remedy of several lines is a picture (an expression and a caret): its lines stay below each other.
        return f"{text}\n    → " + self.remedy.replace("\n", "\n      ") if self.remedy else text

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": self.place.file,
            "line": self.place.line,
            "remedy": self.remedy,
        }


class InputError(PilothouseError):
    """A user's input cannot be used; carries one Finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Cause:
    """One field error as Kubernetes writes it.

    reason: a StatusCause type ("FieldValueRequired", "FieldValueInvalid", "FieldValueNotSupported", …);
    field: dotted path with indexes, e.g. "spec.template.spec.containers[0].image".
    """

    reason: str
    message: str
    field: str

    def to_json(self) -> dict[str, str]:
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(PilothouseError):
    """A refusal in the shape of a Kubernetes Status object."""

    code = 500
    reason = "InternalError"

    def __init__(self, message: str, *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or {}

    def to_status(self) -> dict[str, Any]:
        """The `v1.Status` body a client gets."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details:
            status["details"] = self.details
        status["code"] = self.code
        return status


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class ForbiddenWrite(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    """The object changed since it was read; read again and retry."""

    code, reason = 409, "Conflict"
    retryable = True


class Gone(ApiError):
    """The asked history is compacted; list again."""

    code, reason = 410, "Expired"


class Invalid(ApiError):
    """Validation failed; `causes` has one entry per field."""

    code, reason = 422, "Invalid"

    def __init__(self, kind: str, name: str, causes: list[Cause], *, group: str = "") -> None:
        self.causes = causes
        parts = list(dict.fromkeys(f"{c.field}: {c.message}" for c in causes))
        text = parts[0] if len(parts) == 1 else "[" + ", ".join(parts) + "]"
        qualified = f"{kind}.{group}" if group else kind
        details: dict[str, Any] = {"name": name, "kind": kind, "causes": [c.to_json() for c in causes]}
        if group:
            details["group"] = group
        super().__init__(f'{qualified} "{name}" is invalid: {text}', details=details)


class TimeError(PilothouseError):
    """Virtual time was broken."""


class Forbidden(TimeError):
    """Something reached for the real world inside a rehearsal."""


class Stalled(TimeError):
    """Nothing is ready and no timer is left; `waiting` lists who waits for what."""

    def __init__(self, waiting: list[str]) -> None:
        self.waiting = waiting
        lines = "".join(f"\n  {w}" for w in waiting) or "\n  (no task is left)"
        super().__init__(f"virtual time stalled: nothing is ready and no timer is left; waiting:{lines}")


class Livelock(TimeError):
    """More events than the limit ran without time moving on by a second."""


class LimitExceeded(PilothouseError):
    """A named limit was reached; the message names it and says how to raise it."""
