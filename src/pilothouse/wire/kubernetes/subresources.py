"""Subresources that are neither status nor scale: binding, eviction, log, and parts that kinds write themselves."""

from __future__ import annotations

from typing import Any

from pilothouse.base.errors import BadRequest, Conflict
from pilothouse.wire.kubernetes import decode, evicting, ownership, patches, reads, reviews, scaling, writes
from pilothouse.wire.kubernetes.answer import Answer, json_answer
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.request import Request
from pilothouse.wire.kubernetes.resources import Resource
from pilothouse.wire.kubernetes.statuses import MethodNotAllowed, PlainInternal


async def serve(context: Context, request: Request, resource: Resource) -> Answer:
    """One request for a subresource that the resource has."""
    target = request.target
    assert target is not None
    name = target.subresource
    if name == "scale":
        return await scaling.serve(context, request, resource)
    if resource.plural == "serviceaccounts" and name == "token":
        return await reviews.token_request(context, request, resource)
    if name == "log":
        return log(context, request, resource)
    if name == "binding":
        return await bind(context, request, target.name)
    if name == "eviction":
        return await evicting.evict(context, request, resource)
    assert resource.kind is not None
    if name == "status" or name in resource.kind.strategy.parts:
        if request.method == "GET":
            return await reads.get(context, request, resource)
        if request.method == "PUT":
            return await writes.replace(context, request, resource, name)
        if request.method == "PATCH":
            return await patches.patch(context, request, resource, name)
        raise MethodNotAllowed()
    reads.existing(context, resource, target.namespace, target.name)
    raise BadRequest(f"{resource.plural}/{name} needs a node, and this cluster has none that answers")


async def bind(context: Context, request: Request, name: str) -> Answer:
    """Puts a pod on a node: POST pods/NAME/binding or bindings."""
    if request.method != "POST":
        raise MethodNotAllowed()
    writes.checked_options(request, "CreateOptions")
    sent, _ = decode.read(request.body, request.headers.get("content-type", ""), "Binding")
    target = request.target
    assert target is not None
    name = name or (sent.get("metadata") or {}).get("name", "")
    if not (sent.get("target") or {}).get("name"):
        raise PlainInternal("target.name: Required value")
    pods = context.registry.find("", "v1", "pods")
    assert pods is not None
    assert pods.kind is not None
    reads.existing(context, pods, target.namespace, name)
    finish = ownership.finish_update(pods, request.manager(), context.write_path.now())
    try:
        context.write_path.patch(
            "Pod", target.namespace, name, sent, subresource="binding", dry_run=writes.is_dry(request), finish=finish
        )
    except Conflict as error:
        error.details = {"name": name, "kind": "pods/binding"}
        raise
    await writes.settled(context)
    return json_answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)


def log(context: Context, request: Request, resource: Resource) -> Answer:
    """The log of a container: nothing while the pod has no node that answers."""
    target = request.target
    assert target is not None
    pod = reads.existing(context, resource, target.namespace, target.name).object
    spec: dict[str, Any] = pod.get("spec") or {}
    names = [container["name"] for container in spec.get("containers") or ()]
    initial = [container["name"] for container in spec.get("initContainers") or ()]
    asked = request.query.get("container", "")
    if not asked and len(names) > 1:
        listed = f"choose one of: [{' '.join(names)}]"
        if initial:
            listed += f" or one of the init containers: [{' '.join(initial)}]"
        raise BadRequest(f"a container name must be specified for pod {target.name}, {listed}")
    if asked and asked not in (*names, *initial):
        raise BadRequest(f"container {asked} is not valid for pod {target.name}")
    return Answer(204, content="")
