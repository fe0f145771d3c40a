"""POST, PUT and DELETE of objects (apiserver 1.36 `endpoints/handlers/{create,update,delete}.go`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from pilothouse.base.actions import Object
from pilothouse.base.errors import ApiError, BadRequest, NotFound
from pilothouse.engines.schema.structure import Findings
from pilothouse.machinery import refusals
from pilothouse.wire.kubernetes import (
    decode,
    negotiation,
    options,
    ownership,
    policies,
    reads,
    render,
    statuses,
    warnings,
)
from pilothouse.wire.kubernetes.answer import Answer
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.request import Request
from pilothouse.wire.kubernetes.resources import Resource

_RETURNED_WHEN_DELETED = frozenset(
    ("Pod", "Service", "ServiceAccount", "PersistentVolumeClaim", "PersistentVolume", "PodTemplate", "ResourceQuota")
)
"""Kinds whose deletion answers with the object instead of a Status (upstream's ReturnDeletedObject)."""


_ORPHANING = {
    "batch/Job": "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to "
    "remove them or set propagationPolicy=Orphan to suppress this warning",
    "ReplicationController": "",
}
"""Kinds whose dependents stay unless the deletion says otherwise, and what is said about it."""


def stored_form(resource: Resource, obj: Object) -> Object:
    return obj if resource.to_stored is None else resource.to_stored(obj)


def checked_options(request: Request, kind: str, patch: str = "") -> None:
    """Refuse options of a write that make no sense."""
    causes = options.write_causes(request, patch=patch)
    if causes:
        raise statuses.invalid_options(kind, causes)


def is_dry(request: Request) -> bool:
    return "dryRun" in request.query and request.query["dryRun"] == "All"


def decoded(request: Request, resource: Resource) -> Object:
    """The body as an object of the resource, pruned; complaints become warnings or, when strict, a refusal."""
    validation = request.query.get("fieldValidation") or "Warn"
    value, repeated = decode.read(
        request.body, request.headers.get("content-type", ""), resource.kind_name, strict=validation != "Ignore"
    )
    if value.__class__ is not dict:
        value = {}
    obj = decode.check_type(value, resource)
    found = Findings()
    fitted = decode.fit(resource, obj, found)
    complain(request, resource, decode.complaints(found, repeated), validation)
    return fitted


def complain(request: Request, resource: Resource, complaints: list[str], validation: str) -> None:
    if not complaints or validation == "Ignore":
        return
    if validation == "Strict":
        raise BadRequest(
            f'{resource.kind_name} in version "{resource.version}" cannot be handled as a {resource.kind_name}: '
            f"strict decoding error: {', '.join(complaints)}"
        )
    request.warnings += complaints


def _placed(request: Request, resource: Resource, obj: Object, *, named: bool) -> Object:
    """The object with the namespace (and name) of the path; BadRequest when it says another."""
    target = request.target
    assert target is not None
    metadata: Mapping[str, Any] = obj.get("metadata") or {}
    namespace = target.namespace if resource.namespaced else ""
    if resource.namespaced and metadata.get("namespace") not in (None, "", namespace):
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    if named and metadata.get("name", "") != target.name:
        if not metadata.get("name"):
            raise BadRequest("name must be provided")
        raise BadRequest(
            f"the name of the object ({metadata.get('name', '')}) does not match the name on the URL ({target.name})"
        )
    if namespace and metadata.get("namespace") != namespace:
        return {**obj, "metadata": {**metadata, "namespace": namespace}}
    return obj


async def create(context: Context, request: Request, resource: Resource) -> Answer:
    """POST of a new object."""
    form = negotiation.choose(request.headers.get("accept", ""))
    include = reads.include_of(request, form)
    checked_options(request, "CreateOptions")
    obj = _placed(request, resource, decoded(request, resource), named=False)
    assert resource.kind is not None
    policies.check(context, request, resource, obj, None)
    finish = ownership.finish_create(resource, request.manager(), context.write_path.now(), obj)
    made = context.write_path.create(
        resource.kind.name, stored_form(resource, obj), dry_run=is_dry(request), finish=finish
    )
    return await written(context, request, resource, made, 201, form, include)


async def written(
    context: Context,
    request: Request,
    resource: Resource,
    obj: Object,
    status: int,
    form: negotiation.Form,
    include: str = "Metadata",
) -> Answer:
    """The answer to a write, once it is on disk."""
    await settled(context)
    warnings.add(request, obj)
    shown = render.served(resource, obj)
    return Answer(status, render.one(resource, shown, form, context.clock.time(), include), form.media)


async def settled(context: Context) -> None:
    """Wait until every write so far is on disk."""
    if context.durable is not None:
        await context.durable(context.store.revision)


async def replace(context: Context, request: Request, resource: Resource, subresource: str = "") -> Answer:
    """PUT of a whole object or of its status."""
    form = negotiation.choose(request.headers.get("accept", ""))
    checked_options(request, "UpdateOptions")
    obj = _placed(request, resource, decoded(request, resource), named=True)
    assert resource.kind is not None
    assert request.target is not None
    namespace = request.target.namespace if resource.namespaced else ""
    old = context.store.get(resource.kind.name, namespace, request.target.name)
    if old is None and not resource.kind.strategy.create_on_replace:
        raise refusals.resource_not_found(resource.group, resource.plural, request.target.name)
    policies.check(context, request, resource, obj, old.object if old is not None else None, subresource)
    made = context.write_path.replace(
        resource.kind.name,
        stored_form(resource, obj),
        subresource=subresource,
        dry_run=is_dry(request),
        finish=ownership.finish_update(resource, request.manager(), context.write_path.now()),
    )
    return await written(context, request, resource, made, 200 if old is not None else 201, form)


# Deletion


def _delete_body(request: Request) -> Mapping[str, Any] | None:
    if not request.body:
        return None
    media = decode.media_of(request.headers.get("content-type", ""))
    if media == "protobuf":
        value, _ = decode.read(request.body, request.headers.get("content-type", ""), "DeleteOptions")
    elif media == "yaml":
        value = decode.read_yaml(request.body)
    else:
        try:
            value = orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            complaint = decode.json_complaint(request.body, error)
            raise BadRequest(f"couldn't get version/kind; json parse error: {complaint}") from None
    if not isinstance(value, dict):
        return None
    kind = value.get("kind") or "DeleteOptions"
    if kind != "DeleteOptions":
        raise BadRequest(
            f'no kind "{kind}" is registered for version "{value.get("apiVersion", "")}" in scheme '
            '"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"'
        )
    return value


async def delete(context: Context, request: Request, resource: Resource) -> Answer:
    """DELETE of one object."""
    form = negotiation.choose(request.headers.get("accept", ""))
    include = reads.include_of(request, form)
    wanted = options.read_delete(request, _delete_body(request))
    target = request.target
    assert target is not None
    assert resource.kind is not None
    namespace = target.namespace if resource.namespaced else ""
    reads.existing(context, resource, namespace, target.name)
    said = _ORPHANING.get(resource.kind.name)
    if said is not None and not wanted.propagation:
        wanted.propagation = "Orphan"
        if said:
            request.warnings.append(said)
    gone = delete_one(context, resource, namespace, target.name, wanted)
    await settled(context)
    kind = resource.kind
    over = wanted.dry_run and "deletionTimestamp" not in gone["metadata"]
    removed = over or (not wanted.dry_run and context.store.get(kind.name, namespace, target.name) is None)
    if removed and kind.name not in _RETURNED_WHEN_DELETED:
        details: dict[str, Any] = {"name": target.name, "kind": resource.plural, "uid": gone["metadata"]["uid"]}
        if resource.group:
            details["group"] = resource.group
        return Answer(200, render.encode(statuses.success(details), negotiation.Form(form.media)), form.media)
    shown = render.served(resource, gone)
    return Answer(200, render.one(resource, shown, form, context.clock.time(), include), form.media)


def delete_one(
    context: Context, resource: Resource, namespace: str, name: str, wanted: options.DeleteOptions
) -> Object:
    assert resource.kind is not None
    return context.write_path.delete(
        resource.kind.name,
        namespace,
        name,
        uid=wanted.uid,
        resource_version=wanted.revision,
        grace_s=wanted.grace_s,
        propagation=wanted.propagation or "Background",
        dry_run=wanted.dry_run,
    )


async def delete_collection(context: Context, request: Request, resource: Resource) -> Answer:
    """DELETE of everything a selector finds; answers with the list of what was deleted."""
    form = negotiation.choose(request.headers.get("accept", ""))
    wanted = options.read_delete(request, _delete_body(request))
    chosen = options.read_list(request, resource, watching=False)
    target = request.target
    assert target is not None
    assert resource.kind is not None
    namespace = target.namespace if resource.namespaced else ""
    match = chosen.match
    records = [
        stored
        for stored in reads.in_order(context.store.list(resource.kind.name, namespace))
        if match is None or match(stored.object)
    ]
    for stored in records:
        metadata = stored.object["metadata"]
        try:
            delete_one(context, resource, metadata.get("namespace", ""), metadata["name"], wanted)
        except NotFound:
            continue
    await settled(context)
    metadata = {"resourceVersion": str(context.store.revision)}
    return Answer(200, render.listed(resource, records, metadata, form, context.clock.time()), form.media)


# Patches that could not be decoded

_GO_SPECIAL = re.compile(r'[\\"]')


def undecodable_patch(shown: str, why: str) -> ApiError:
    """422 for a patch whose result cannot be decoded."""
    from pilothouse.base.errors import Invalid
    from pilothouse.engines.schema import wording

    return Invalid("", "", [wording.invalid("patch", shown, why)])
