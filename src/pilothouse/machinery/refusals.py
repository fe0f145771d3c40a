"""The refusals of the write path, worded as the API server words them (apimachinery 1.36 `api/errors`)."""

from __future__ import annotations

from typing import Any

from pilothouse.base.errors import AlreadyExists, BadRequest, Cause, Conflict, Invalid, NotFound
from pilothouse.engines.schema import wording
from pilothouse.machinery.kind import Kind

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def _details(kind: Kind, name: str) -> dict[str, Any]:
    details = {"name": name, "kind": kind.plural}
    return {"name": name, "group": kind.group, "kind": kind.plural} if kind.group else details


def not_found(kind: Kind, name: str) -> NotFound:
    return NotFound(f'{kind.resource} "{name}" not found', details=_details(kind, name))


def already_exists(kind: Kind, name: str) -> AlreadyExists:
    return AlreadyExists(f'{kind.resource} "{name}" already exists', details=_details(kind, name))


def conflict(kind: Kind, name: str, why: str = MODIFIED) -> Conflict:
    return Conflict(f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}', details=_details(kind, name))


def invalid(kind: Kind, name: str, causes: list[Cause]) -> Invalid:
    return Invalid(kind.kind, name, causes, group=kind.group)


def undecodable(kind: Kind, why: str) -> BadRequest:
    return BadRequest(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}')


def bad_scale(kind: Kind, name: str, replicas: Any) -> Invalid:
    """A scale subresource that asks for less than nothing; custom resources say it in their own words."""
    if kind.schema.load().custom is not None:
        return invalid(kind, name, [wording.invalid(".spec.replicas", replicas, "should be a non-negative integer")])
    return Invalid("Scale", name, [wording.negative("spec.replicas", replicas)], group="autoscaling")
