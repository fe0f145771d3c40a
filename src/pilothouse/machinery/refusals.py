"""The refusals of the write path, worded as the API server words them (apimachinery 1.36 `api/errors`)."""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import AlreadyExists, ApiError, BadRequest, Cause, Conflict, Invalid, NotFound
from pilothouse.engines.schema import wording
from pilothouse.machinery.kind import Kind, Kinds

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


class Undecodable(BadRequest):
    """A body that is not of the kind; `why` in encoding/json's words."""

    def __init__(self, kind: Kind, why: str) -> None:
        super().__init__(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}')
        self.why = why


class Unprocessable(ApiError):
    """A JSON patch that does not apply: upstream says no more than this."""

    code, reason = 422, "Invalid"
    empty_details = True
    """Upstream writes `details: {}`."""

    def __init__(self) -> None:
        super().__init__("the server rejected our request due to an error in our request")


class PlainInternal(ApiError):
    """500 without a reason: an upstream error that carries no Status."""

    code, reason = 500, ""


def _details(kind: Kind, name: str) -> dict[str, Any]:
    details = {"name": name, "kind": kind.plural}
    return {"name": name, "group": kind.group, "kind": kind.plural} if kind.group else details


def not_found(kind: Kind, name: str) -> NotFound:
    return NotFound(f'{kind.resource} "{name}" not found', details=_details(kind, name))


def resource_not_found(group: str, plural: str, name: str) -> NotFound:
    """NotFound in the words of a served resource, whose group may differ from the stored kind's."""
    qualified = f"{plural}.{group}" if group else plural
    details = {"name": name, "group": group, "kind": plural} if group else {"name": name, "kind": plural}
    return NotFound(f'{qualified} "{name}" not found', details=details)


def already_exists(kind: Kind, name: str) -> AlreadyExists:
    return AlreadyExists(f'{kind.resource} "{name}" already exists', details=_details(kind, name))


def conflict(kind: Kind, name: str, why: str = MODIFIED) -> Conflict:
    return Conflict(f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}', details=_details(kind, name))


def invalid(kind: Kind, name: str, causes: list[Cause]) -> Invalid:
    return Invalid(kind.kind, name, causes, group=kind.group)


def undecodable(kind: Kind, why: str) -> Undecodable:
    return Undecodable(kind, why)


def uid_of_nothing(uid: str) -> str:
    """Why an apply that names a uid cannot create."""
    return f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"


def demand_kind(kind: Kind, obj: Object, kinds: Kinds) -> None:
    """Undecodable unless a patched document is still of the kind."""
    version, word = obj.get("apiVersion", ""), obj.get("kind", "")
    if (version, word) == (kind.api_version, kind.kind):
        return
    if version.__class__ is not str or word.__class__ is not str:
        raise Undecodable(kind, "couldn't get version/kind; json parse error")
    if kinds.of_type(version, word) is None:
        why = f'no kind "{word}" is registered for version "{version}" in scheme "pkg/api/legacyscheme/scheme.go:30"'
        raise Undecodable(kind, why)
    short, group = version.rpartition("/")[2], kind.group.split(".")[0] or "core"
    raise Undecodable(kind, f"converting ({short}.{word}) to ({group}.{kind.kind}): unknown conversion")


def bad_patch(shown: str, why: str) -> Invalid:
    """A patch whose result cannot be decoded; `shown` as the message quotes it."""
    return Invalid("", "", [wording.invalid("patch", shown, why)])


def bad_scale(kind: Kind, name: str, replicas: Any) -> Invalid:
    """A scale subresource that asks for less than nothing; custom resources say it in their own words."""
    if kind.schema.load().custom is not None:
        return invalid(kind, name, [wording.invalid(".spec.replicas", replicas, "should be a non-negative integer")])
    return Invalid("Scale", name, [wording.negative("spec.replicas", replicas)], group="autoscaling")
