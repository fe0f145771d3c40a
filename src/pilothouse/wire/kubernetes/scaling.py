"""The scale subresource: an `autoscaling/v1` Scale over part of an object (kubernetes 1.36 `pkg/registry/apps`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base import selectors
from pilothouse.base.actions import Object
from pilothouse.base.errors import BadRequest
from pilothouse.engines.apply.merge_patch import apply_merge_patch
from pilothouse.engines.schema.openapi import component
from pilothouse.engines.schema.structure import Findings
from pilothouse.machinery import refusals
from pilothouse.wire.kubernetes import decode, negotiation, ownership, patches, reads, render, server_apply, writes
from pilothouse.wire.kubernetes.answer import Answer
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.request import Request
from pilothouse.wire.kubernetes.resources import Resource

_BUILT_IN = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".spec.selector",
}


def paths_of(resource: Resource) -> Mapping[str, str]:
    """Where replicas and selector stand in the object."""
    if resource.custom is None:
        return _BUILT_IN
    paths: Mapping[str, str] = (resource.custom.get("subresources") or {}).get("scale") or _BUILT_IN
    return paths


def value_at(obj: Object, path: str) -> Any:
    value: Any = obj
    for step in path.strip(".").split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def scale_of(resource: Resource, obj: Object) -> Object:
    """The Scale of an object."""
    paths = paths_of(resource)
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = value_at(obj, paths["specReplicasPath"])
    status: dict[str, Any] = {"replicas": value_at(obj, paths["statusReplicasPath"]) or 0}
    selector = value_at(obj, paths["labelSelectorPath"]) if paths.get("labelSelectorPath") else None
    text = _selector_text(selector)
    if text:
        status["selector"] = text
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def _selector_text(selector: Any) -> str:
    if isinstance(selector, str):
        return selector
    if not isinstance(selector, Mapping):
        return ""
    plain = "matchLabels" not in selector and "matchExpressions" not in selector
    chosen = selectors.from_object({"matchLabels": selector} if plain else selector)
    out = []
    for one in sorted(chosen.requirements, key=lambda requirement: requirement.key):
        values = ",".join(sorted(one.values))
        match one.operator:
            case "In" if len(one.values) == 1:
                out.append(f"{one.key}={values}")
            case "In":
                out.append(f"{one.key} in ({values})")
            case "NotIn":
                out.append(f"{one.key} notin ({values})")
            case "Exists":
                out.append(one.key)
            case "DoesNotExist":
                out.append(f"!{one.key}")
    return ",".join(out)


def _answer(resource: Resource, obj: Object, form: negotiation.Form) -> Answer:
    return Answer(200, render.encode(scale_of(resource, obj), negotiation.Form(form.media)), form.media)


async def serve(context: Context, request: Request, resource: Resource) -> Answer:
    """GET, PUT and PATCH of a Scale."""
    form = negotiation.choose(request.headers.get("accept", ""))
    target = request.target
    assert target is not None
    assert resource.kind is not None
    namespace = target.namespace if resource.namespaced else ""
    if request.method == "GET":
        stored = reads.existing(context, resource, namespace, target.name)
        return _answer(resource, stored.object, form)
    if request.method == "PUT":
        writes.checked_options(request, "UpdateOptions")
        sent, _ = decode.read(request.body, request.headers.get("content-type", ""), "Scale")
        stored = reads.existing(context, resource, namespace, target.name)
    else:
        media = patches.media_of(request, resource)
        writes.checked_options(request, "PatchOptions", media)
        if media == patches.APPLY_YAML:
            return await server_apply.apply_scale(context, request, resource, form)
        stored = reads.existing(context, resource, namespace, target.name)
        patched = patches.changed(request, _scale_resource(resource), media, scale_of(resource, stored.object))
        sent = patched.object
    found = Findings()
    schema = component("kubernetes-openapi/api_v1.json", "io.k8s.api.autoscaling.v1.Scale")
    fitted = schema.fit(sent, found)
    error = schema.decoding_error(found)
    if error:
        raise BadRequest(f'Scale in version "v1" cannot be handled as a Scale: {error}')
    finish = ownership.finish_update(resource, request.manager(), context.write_path.now())
    made = write(context, resource, stored.object, fitted, finish, writes.is_dry(request))
    await writes.settled(context)
    return _answer(resource, made, form)


def _scale_resource(resource: Resource) -> Resource:
    """The resource a strategic patch of a Scale looks at; plain for now: a Scale has no lists."""
    return resource


def write(context: Context, resource: Resource, old: Object, scale: Object, finish: Any, dry_run: bool) -> Object:
    """Store the replicas of a Scale; conflicts are the object's own."""
    assert resource.kind is not None
    metadata = scale.get("metadata") or {}
    revision = metadata.get("resourceVersion")
    name = old["metadata"]["name"]
    if revision and revision != old["metadata"]["resourceVersion"]:
        raise refusals.conflict(resource.kind, name)
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    path = paths_of(resource)["specReplicasPath"].strip(".").split(".")
    namespace = old["metadata"].get("namespace", "")
    if path == ["spec", "replicas"]:
        return context.write_path.patch(
            resource.kind.name,
            namespace,
            name,
            {"spec": {"replicas": replicas}},
            subresource="scale",
            dry_run=dry_run,
            finish=finish,
        )
    if not isinstance(replicas, int) or replicas < 0:
        raise refusals.bad_scale(resource.kind, name, replicas)
    change: Any = replicas
    for step in reversed(path):
        change = {step: change}
    body = apply_merge_patch(old, change)
    return context.write_path.replace(resource.kind.name, body, dry_run=dry_run, finish=finish)
