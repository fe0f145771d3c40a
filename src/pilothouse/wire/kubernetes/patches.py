"""PATCH: JSON patch, merge patch, strategic merge patch and server-side apply of objects and their subresources
(apiserver 1.36 `endpoints/handlers/patch.go`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from pilothouse.base.actions import Object
from pilothouse.base.errors import ApiError, BadRequest
from pilothouse.engines.apply.json_patch import PatchError, apply_json_patch
from pilothouse.engines.apply.merge_patch import apply_merge_patch
from pilothouse.engines.apply.strategic import StrategicError, apply_strategic_patch
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.structure import Findings
from pilothouse.machinery import applying, refusals
from pilothouse.wire.kubernetes import decode, negotiation, ownership, policies, reads, render, server_apply, writes
from pilothouse.wire.kubernetes.answer import Answer
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.request import Request
from pilothouse.wire.kubernetes.resources import Resource
from pilothouse.wire.kubernetes.statuses import PlainInternal, UnsupportedMediaType

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY_YAML = "application/apply-patch+yaml"
_ALL = (JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY_YAML)
_CUSTOM = (JSON_PATCH, MERGE_PATCH, APPLY_YAML)


class RejectedPatch(ApiError):
    """A patch that does not fit the object; upstream says no more than this."""

    code, reason = 422, "Invalid"
    empty_details = True

    def __init__(self) -> None:
        super().__init__("the server rejected our request due to an error in our request")


@dataclass(slots=True)
class Patched:
    """A patch applied. refused: why -> the refusal of what it led to; repeated: fields that the patch gave twice."""

    object: Any
    refused: Callable[[str], ApiError]
    repeated: list[str]


def media_of(request: Request, resource: Resource) -> str:
    """The kind of patch; UnsupportedMediaType when the resource does not take it."""
    media = request.headers.get("content-type", "").split(";", 1)[0].strip()
    accepted = _CUSTOM if resource.custom is not None else _ALL
    if media in accepted:
        return media
    if media in _ALL:
        listed = ", ".join(accepted)
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {listed}"
        )
    error = UnsupportedMediaType("415: Unsupported Media Type")
    error.empty_details = True  # type: ignore[attr-defined]
    raise error


def changed(request: Request, resource: Resource, media: str, current: Object) -> Patched:
    """The current object (in the served version) with the patch of the body applied."""
    if media == JSON_PATCH:
        operations = _loaded(request.body)
        if not isinstance(operations, list):
            raise BadRequest("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
        try:
            made = apply_json_patch(current, operations)
        except PatchError:
            raise RejectedPatch() from None
        return Patched(made, _refusing(resource, current, operations, applying.JSON), [])
    patch = _loaded(request.body)
    if not isinstance(patch, dict):
        raise BadRequest(
            f"json: cannot unmarshal {decode.json_type(patch)} into Go value of type map[string]interface {{}}"
        )
    repeated, merged = decode.repeated_fields(request.body)
    patch = patch if merged is None else merged
    if media == MERGE_PATCH:
        made = apply_merge_patch(current, patch)
        return Patched(made, _refusing(resource, current, patch, applying.MERGE), repeated)
    assert resource.schema_source is not None
    try:
        made = apply_strategic_patch(applying.part_of(resource.schema_source), current, patch)
    except StrategicError as error:
        raise _strategic_refusal(error) from None
    return Patched(made, _refusing(resource, current, patch, applying.STRATEGIC), repeated)


def _refusing(resource: Resource, current: Object, patch: Any, kind_of: str) -> Callable[[str], ApiError]:
    """How this patch is refused when what it leads to cannot be read."""
    kind = resource.kind
    assert kind is not None
    return lambda why: applying.unreadable(kind, current, patch, kind_of, refusals.Undecodable(kind, why))


def _strategic_refusal(error: StrategicError) -> ApiError:
    if error.code == 400:
        return BadRequest(str(error))
    return RejectedPatch() if error.code == 422 else PlainInternal(str(error))


def _loaded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"error decoding patch: {decode.json_complaint(body, error)}") from None


def fitted(request: Request, resource: Resource, patched: Patched) -> Object:
    """The patched object in the served version's shape; Invalid when it cannot be decoded (or not strictly)."""
    validation = request.query.get("fieldValidation") or "Warn"
    obj = patched.object
    if not isinstance(obj, Mapping):
        raise RejectedPatch()
    if obj.get("kind") != resource.kind_name or obj.get("apiVersion") != resource.api_version:
        kind, version = obj.get("kind", ""), obj.get("apiVersion", "")
        if resource.custom is not None:
            raise BadRequest(f"unable to decode patch result: {kind} in version {version} is not {resource.kind_name}")
        why = f'unable to decode "{kind}" in version "{version}": not a {resource.kind_name}'
        raise patched.refused(why)
    found = Findings()
    schema = resource.schema()
    out = schema.fit(obj, found)
    error = schema.decoding_error(found)
    if error:
        raise patched.refused(error)
    complaints = decode.complaints(found, patched.repeated)
    if complaints and validation == "Strict":
        why = f"strict decoding error: {', '.join(complaints)}"
        raise patched.refused(why)
    if validation != "Ignore":
        request.warnings += complaints
    return out


async def patch(context: Context, request: Request, resource: Resource, subresource: str = "") -> Answer:
    """PATCH of an object, or of a subresource that is a part of it."""
    form = negotiation.choose(request.headers.get("accept", ""))
    media = media_of(request, resource)
    writes.checked_options(request, "PatchOptions", media)
    if media == APPLY_YAML:
        return await server_apply.apply(context, request, resource, form, subresource)
    target = request.target
    assert target is not None
    assert resource.kind is not None
    namespace = target.namespace if resource.namespaced else ""
    stored = reads.existing(context, resource, namespace, target.name)
    current = render.served(resource, stored.object)
    obj = fitted(request, resource, changed(request, resource, media, current))
    metadata = obj.get("metadata") or {}
    if metadata.get("name") != target.name:
        raise BadRequest(
            f"the name of the object ({metadata.get('name', '')}) does not match the name on the URL ({target.name})"
        )
    if metadata.get("uid") != stored.object["metadata"]["uid"]:
        # Both the store's and the kind's check of an update say so.
        cause = wording.invalid("metadata.uid", metadata.get("uid", ""), "field is immutable")
        raise refusals.invalid(resource.kind, target.name, [cause, cause])
    if metadata.get("resourceVersion") != stored.object["metadata"]["resourceVersion"] and metadata.get(
        "resourceVersion"
    ):
        raise refusals.conflict(resource.kind, target.name)
    policies.check(context, request, resource, obj, stored.object, subresource)
    made = context.write_path.replace(
        resource.kind.name,
        writes.stored_form(resource, obj),
        subresource=subresource,
        dry_run=writes.is_dry(request),
        finish=ownership.finish_update(resource, request.manager(), context.write_path.now()),
    )
    return await writes.written(context, request, resource, made, 200, form)
