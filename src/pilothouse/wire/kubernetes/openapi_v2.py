"""OpenAPI v2 as older clients ask for it: the same components, renamed."""

from __future__ import annotations

import orjson

from pilothouse.wire.kubernetes.answer import Answer
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.openapi_documents import document
from pilothouse.wire.kubernetes.resources import Resource


def answer(context: Context) -> Answer:
    """The one document of everything that is served."""
    by_name: dict[str, list[Resource]] = {}
    for resource in context.registry:
        name = f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"
        by_name.setdefault(name, []).append(resource)
    paths: dict[str, object] = {}
    definitions: dict[str, object] = {}
    for name, resources in by_name.items():
        made = document(name, resources)
        paths |= made["paths"]
        definitions |= made["components"]["schemas"]
    whole = {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.36.2"},
        "paths": paths,
        "definitions": definitions,
    }
    return Answer(200, orjson.dumps(whole).replace(b"#/components/schemas/", b"#/definitions/"))
