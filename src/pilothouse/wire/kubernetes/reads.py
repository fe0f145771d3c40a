"""GET of objects and lists (apiserver 1.36 `endpoints/handlers/get.go`, `storage/cacher`)."""

from __future__ import annotations

from typing import Any

from pilothouse.base.errors import BadRequest, Gone
from pilothouse.machinery import refusals
from pilothouse.store.memory import Stored
from pilothouse.wire.kubernetes import negotiation, options, render
from pilothouse.wire.kubernetes.answer import Answer
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.negotiation import Form
from pilothouse.wire.kubernetes.request import Request
from pilothouse.wire.kubernetes.resources import Resource
from pilothouse.wire.kubernetes.statuses import Timeout

_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


def include_of(request: Request, form: Form) -> str:
    """What rows of a Table carry; BadRequest for an unknown word."""
    if form.shape != "Table":
        return "Metadata"
    include = request.query.get("includeObject", "") or "Metadata"
    if include not in ("Metadata", "Object", "None"):
        raise BadRequest(
            f'Unable to convert to Table as requested: includeObject: Invalid value: "{include}": must be '
            "'Metadata', 'Object', 'None', or empty"
        )
    return include


def not_too_new(context: Context, revision: str) -> None:
    """A revision from the future: upstream waits for it in vain, then answers 504."""
    if revision and revision.isdigit() and int(revision) > context.store.revision:
        error = Timeout(
            f"Timeout: Too large resource version: {revision}, current: {context.store.revision}",
            details={
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1,
            },
        )
        raise error


def existing(context: Context, resource: Resource, namespace: str, name: str) -> Stored:
    """The stored object; NotFound in the words of its resource."""
    assert resource.kind is not None
    stored = context.store.get(resource.kind.name, namespace if resource.namespaced else "", name)
    if stored is None:
        raise refusals.resource_not_found(resource.group, resource.plural, name)
    return stored


async def get(context: Context, request: Request, resource: Resource) -> Answer:
    """One object."""
    target = request.target
    assert target is not None
    form = negotiation.choose(request.headers.get("accept", ""))
    include = include_of(request, form)
    not_too_new(context, request.query.get("resourceVersion", ""))
    stored = existing(context, resource, target.namespace, target.name)
    if context.durable is not None:
        await context.durable(stored.resource_version)
    if not form.shape and form.media == negotiation.JSON and not form.pretty and resource.to_served is None:
        return Answer(200, stored.json())
    obj = render.served(resource, stored.object)
    return Answer(200, render.one(resource, obj, form, context.clock.time(), include), form.media)


async def get_list(context: Context, request: Request, resource: Resource) -> Answer:
    """A list, in order of namespace and name, maybe a page of it, maybe as it was at an older revision."""
    target = request.target
    assert target is not None
    assert resource.kind is not None
    form = negotiation.choose(request.headers.get("accept", ""))
    include = include_of(request, form)
    wanted = options.read_list(request, resource, watching=False)
    if not wanted.token:
        not_too_new(context, wanted.revision)
    namespace = target.namespace if resource.namespaced else ""
    records, metadata = _selected(context, resource, namespace, wanted)
    if context.durable is not None:
        await context.durable(context.store.revision)
    if not form.shape and form.media == negotiation.JSON and not form.pretty:
        found = render.streamed(resource, records, metadata)
        if found is not None:
            return Answer(200, parts=found[1], length=found[0])
    body = render.listed(resource, records, metadata, form, context.clock.time(), include)
    return Answer(200, body, form.media)


def _selected(
    context: Context, resource: Resource, namespace: str, wanted: options.ListOptions
) -> tuple[list[Stored], dict[str, Any]]:
    assert resource.kind is not None
    store, kind = context.store, resource.kind.name
    revision, after = store.revision, ""
    if wanted.token:
        revision, after = options.read_token(wanted.token)
    elif wanted.revision_match == "Exact" or (
        wanted.revision not in ("", "0") and wanted.limit and not wanted.revision_match
    ):
        revision = int(wanted.revision)
    try:
        records = (
            store.list(kind, namespace) if revision >= store.revision else store.list_at(kind, namespace, revision)
        )
    except Gone:
        if wanted.token:
            raise Gone(_EXPIRED) from None
        raise
    records = in_order(records)
    match = wanted.match
    if match is not None:
        records = [stored for stored in records if match(stored.object)]
    if after:
        records = [stored for stored in records if place_of(stored) > after]
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if wanted.limit and len(records) > wanted.limit and wanted.revision != "0":
        rest = len(records) - wanted.limit
        records = records[: wanted.limit]
        metadata["continue"] = options.make_token(revision, place_of(records[-1]))
        if match is None:
            metadata["remainingItemCount"] = rest
    return records, metadata


def place_of(stored: Stored) -> str:
    """Where an object stands in lists: its key in upstream's storage."""
    metadata = stored.object["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"


def in_order(records: list[Stored]) -> list[Stored]:
    """By namespace and name, as keys of upstream's storage sort."""
    return sorted(records, key=place_of)
