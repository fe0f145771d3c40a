"""OpenAPI documents: the recorded component schemas with paths for what is served, and schemas of custom resources.

Clients read three things here: kinds by x-kubernetes-group-version-kind (explain, apply), the patch strategies and
list types of fields, and on each path which parameters a verb takes (kubectl asks whether PATCH knows fieldValidation).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pilothouse.wire.kubernetes.discovery import data_of
from pilothouse.wire.kubernetes.resources import Resource

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_METHODS = {"create": "post", "update": "put", "patch": "patch", "delete": "delete", "get": "get"}
_ACTIONS = {"create": "post", "update": "put", "patch": "patch", "delete": "delete", "get": "get", "list": "list"}
_WRITE = ("dryRun", "fieldManager", "fieldValidation")


def document(name: str, resources: Iterable[Resource]) -> dict[str, Any]:
    """The OpenAPI v3 document of one group version, e.g. "apis/apps/v1"."""
    schemas: dict[str, Any] = dict((data_of(name).get("components") or {}).get("schemas") or {})
    paths: dict[str, Any] = {}
    for resource in resources:
        if resource.custom is not None:
            schemas |= _custom_schemas(resource)
        _add_paths(paths, resource)
    if any(key.startswith(_META) is False for key in schemas) and f"{_META}ObjectMeta" not in schemas:
        schemas |= {key: value for key, value in _shared().items() if key not in schemas}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.2"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _shared() -> Mapping[str, Any]:
    """The schemas of metadata, taken from the core document."""
    core: Mapping[str, Any] = data_of("api/v1")["components"]["schemas"]
    return {key: value for key, value in core.items() if key.startswith(_META)}


def component_name(resource: Resource) -> str:
    """The component that describes a custom kind: its group backwards, version and kind."""
    return f"{'.'.join(reversed(resource.group.split('.')))}.{resource.version}.{resource.kind_name}"


def _gvk(resource: Resource, kind: str) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": kind}


def _custom_schemas(resource: Resource) -> dict[str, Any]:
    assert resource.custom is not None
    root: Mapping[str, Any] = (resource.custom.get("schema") or {}).get("openAPIV3Schema") or {}
    reference = {"$ref": f"#/components/schemas/{_META}ObjectMeta"}
    properties = {
        **root.get("properties", {}),
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"allOf": [reference]},
    }
    name = component_name(resource)
    item = {**root, "properties": properties, "x-kubernetes-group-version-kind": [_gvk(resource, resource.kind_name)]}
    many = {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"allOf": [{"$ref": f"#/components/schemas/{_META}ListMeta"}]},
            "items": {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}},
        },
        "x-kubernetes-group-version-kind": [_gvk(resource, f"{resource.kind_name}List")],
    }
    return {name: item, f"{name}List": many}


def _add_paths(paths: dict[str, Any], resource: Resource) -> None:
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    collection = (
        f"{root}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else f"{root}/{resource.plural}"
    )
    verbs = set(resource.verbs)
    many: dict[str, Any] = {}
    if "list" in verbs:
        many["get"] = _operation(resource, "list", ("limit", "continue", "labelSelector", "fieldSelector", "watch"))
    if "create" in verbs:
        many["post"] = _operation(resource, "create", _WRITE)
    if "deletecollection" in verbs:
        many["delete"] = _operation(resource, "deletecollection", ("dryRun",))
    if many:
        paths[collection] = many
    one: dict[str, Any] = {}
    for verb in ("get", "update", "patch", "delete"):
        if verb in verbs:
            parameters = _WRITE if verb in ("update", "patch") else ("dryRun",) if verb == "delete" else ()
            one[_METHODS[verb]] = _operation(resource, verb, (*parameters, "force") if verb == "patch" else parameters)
    if one:
        paths[f"{collection}/{{name}}"] = one


def _operation(resource: Resource, verb: str, parameters: Iterable[str]) -> dict[str, Any]:
    out: dict[str, Any] = {
        "operationId": f"{verb}{resource.group.title().replace('.', '')}{resource.version.title()}{resource.kind_name}",
        "x-kubernetes-action": _ACTIONS.get(verb, verb),
        "x-kubernetes-group-version-kind": _gvk(resource, resource.kind_name),
        "parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in parameters],
        "responses": {"200": {"description": "OK"}},
    }
    if verb == "patch":
        media = ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"]
        if resource.custom is None:
            media.append("application/strategic-merge-patch+json")
        out["requestBody"] = {"content": {name: {"schema": {}} for name in media}}
    return out
