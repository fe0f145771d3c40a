"""PATCH with application/apply-patch+yaml: server-side apply of objects, statuses and scales."""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import BadRequest
from pilothouse.engines.schema.structure import Findings
from pilothouse.machinery import applying
from pilothouse.wire.kubernetes import decode, negotiation, policies, reads, render, scaling, writes
from pilothouse.wire.kubernetes.answer import Answer
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.request import Request, is_true
from pilothouse.wire.kubernetes.resources import Resource


def _config(request: Request, resource: Resource, subresource: str) -> Object:
    target = request.target
    assert target is not None
    assert resource.kind is not None
    try:
        value: Any = decode.read_yaml(request.body)
    except BadRequest as error:
        raise BadRequest(f"error decoding YAML: {error.message}") from None
    namespace = target.namespace if resource.namespaced else ""
    manager = request.query.get("fieldManager", "")
    return applying.demand_config(
        resource.kind, namespace, target.name, value, manager, subresource, resource.api_version
    )


def _is_forced(request: Request) -> bool:
    return is_true(request.query.get("force"))


async def apply(
    context: Context, request: Request, resource: Resource, form: negotiation.Form, subresource: str
) -> Answer:
    """Lay the body over the object, or create it."""
    config = _config(request, resource, subresource)
    target, kind = request.target, resource.kind
    assert target is not None
    assert kind is not None
    namespace = target.namespace if resource.namespaced else ""
    stored = context.store.get(kind.name, namespace, target.name)
    if stored is None and subresource:
        reads.existing(context, resource, namespace, target.name)
    live: Object = render.served(resource, stored.object) if stored is not None else {}
    _demand_identity(resource, live, config, target.name)
    who = applying.writer(kind, request.manager(), context.write_path.now(), subresource, resource.api_version)
    made, entries = applying.applied(kind, live, config, who, force=_is_forced(request), schema=resource.schema_source)
    finish = applying.finish_with(entries)
    dry_run = writes.is_dry(request)
    if stored is None:
        metadata = {**(made.get("metadata") or {}), "name": target.name}
        if namespace:
            metadata["namespace"] = namespace
        body = _fitted(resource, {**made, "metadata": metadata})
        policies.check(context, request, resource, body, None)
        out = context.write_path.create(kind.name, writes.stored_form(resource, body), dry_run=dry_run, finish=finish)
        return await writes.written(context, request, resource, out, 201, form)
    body = _fitted(resource, made)
    policies.check(context, request, resource, body, stored.object, subresource)
    out = context.write_path.replace(
        kind.name, writes.stored_form(resource, body), subresource=subresource, dry_run=dry_run, finish=finish
    )
    return await writes.written(context, request, resource, out, 200, form)


def _demand_identity(resource: Resource, live: Object, config: Object, name: str) -> None:
    """A configuration may say which version or object it means."""
    from pilothouse.machinery import refusals

    asked = config.get("metadata") or {}
    stored = live.get("metadata") or {}
    assert resource.kind is not None
    if stored and asked.get("resourceVersion") and asked["resourceVersion"] != stored.get("resourceVersion"):
        raise refusals.conflict(resource.kind, name)
    if asked.get("uid") and asked["uid"] != stored.get("uid"):
        why = f"uid mismatch: the provided object specified uid {asked['uid']}, and no existing object was found"
        if stored:
            why = f"Precondition failed: UID in precondition: {asked['uid']}, UID in object meta: {stored.get('uid')}"
        raise refusals.conflict(resource.kind, name, why)


def _fitted(resource: Resource, obj: Object) -> Object:
    found = Findings()
    return decode.fit(resource, obj, found)


async def apply_scale(context: Context, request: Request, resource: Resource, form: negotiation.Form) -> Answer:
    """Lay a Scale over the replicas of an object."""
    config = _config(request, resource, "scale")
    target, kind = request.target, resource.kind
    assert target is not None
    assert kind is not None
    namespace = target.namespace if resource.namespaced else ""
    stored = reads.existing(context, resource, namespace, target.name)
    who = applying.writer(kind, request.manager(), context.write_path.now(), "scale")
    replicas, entries = applying.scale_applied(kind, stored.object, config, who, _is_forced(request))
    scale = {"metadata": {}, "spec": {"replicas": replicas or 0}}
    made = scaling.write(context, resource, stored.object, scale, applying.finish_with(entries), writes.is_dry(request))
    await writes.settled(context)
    return Answer(200, render.encode(scaling.scale_of(resource, made), negotiation.Form(form.media)), form.media)
