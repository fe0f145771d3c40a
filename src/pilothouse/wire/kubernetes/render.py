"""Objects to answers: stored bytes as they are, lists, Tables and metadata only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from pilothouse.base.actions import Object
from pilothouse.store.memory import Stored
from pilothouse.wire.kubernetes import tables
from pilothouse.wire.kubernetes.negotiation import JSON, Form
from pilothouse.wire.kubernetes.resources import Resource


def encode(value: Any, form: Form) -> bytes:
    """An answer in the negotiated writing."""
    if form.media == JSON:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2) if form.pretty else orjson.dumps(value)
    import yaml

    text: str = yaml.dump(value, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), default_flow_style=False)
    return text.encode()


def served(resource: Resource, obj: Object) -> Object:
    """The object as this version shows it."""
    return obj if resource.to_served is None else resource.to_served(obj)


def one(resource: Resource, obj: Object, form: Form, now_s: float, include: str = "Metadata") -> bytes:
    """One object in the negotiated form; `obj` is in the served version."""
    if form.shape == "Table":
        return encode(tables.table(resource, [obj], form.version, include, now_s, _revision_of(obj)), form)
    if form.shape:
        return encode(tables.partial(obj, form.version), form)
    return encode(obj, form)


def _revision_of(obj: Object) -> dict[str, Any]:
    revision = (obj.get("metadata") or {}).get("resourceVersion")
    return {"resourceVersion": revision} if revision else {}


def listed(
    resource: Resource,
    records: list[Stored],
    metadata: dict[str, Any],
    form: Form,
    now_s: float,
    include: str = "Metadata",
) -> bytes:
    """A list answer. The bytes of the stored objects are used as they are for plain JSON."""
    if form.shape == "Table":
        objects = [served(resource, stored.object) for stored in records]
        return encode(tables.table(resource, objects, form.version, include, now_s, metadata), form)
    if form.shape:
        items = [tables.partial(stored.object, "") for stored in records]
        whole = {
            "kind": "PartialObjectMetadataList",
            "apiVersion": f"meta.k8s.io/{form.version}",
            "metadata": metadata,
            "items": items,
        }
        return encode(whole, form)
    if form.media != JSON or form.pretty:
        return encode({**_head(resource, metadata), "items": [_item(resource, stored) for stored in records]}, form)
    head = orjson.dumps(_head(resource, metadata))[:-1]
    return head + b',"items":[' + b",".join(item_bytes(resource, records)) + b"]}"


def streamed(resource: Resource, records: list[Stored], metadata: dict[str, Any]) -> tuple[int, Iterator[bytes]] | None:
    """(length, pieces) of a plain JSON list made of stored bytes; None when its items must be written anew."""
    if resource.to_served is not None or not records:
        return None
    prefix = b"" if resource.custom is not None else resource.item_prefix()
    texts = [stored.json() for stored in records]
    if prefix and not all(text.startswith(prefix) for text in texts):
        return None
    head = orjson.dumps(_head(resource, metadata))[:-1] + b',"items":['
    opening = b"{" if prefix else b""
    cut = len(prefix)
    length = len(head) + sum(map(len, texts)) + len(texts) * (len(opening) - cut + 1) - 1 + 2

    def pieces() -> Iterator[bytes]:
        yield head
        before = b""
        for text in texts:
            yield before + opening + text[cut:]
            before = b","
        yield b"]}"

    return length, pieces()


def _head(resource: Resource, metadata: dict[str, Any]) -> dict[str, Any]:
    if resource.custom is not None and "continue" not in metadata:
        metadata = {**metadata, "continue": ""}
    return {"kind": list_kind(resource), "apiVersion": resource.api_version, "metadata": metadata}


def list_kind(resource: Resource) -> str:
    if resource.custom is not None:
        return str(resource.custom.get("listKind") or f"{resource.kind_name}List")
    return f"{resource.kind_name}List"


def _item(resource: Resource, stored: Stored) -> Object:
    obj = served(resource, stored.object)
    if resource.custom is not None:
        return obj
    return {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}


def item_bytes(resource: Resource, records: list[Stored]) -> list[bytes]:
    """The JSON of list items: items of built-in kinds carry no type of their own."""
    if resource.to_served is not None:
        return [orjson.dumps(_item(resource, stored)) for stored in records]
    if resource.custom is not None:
        return [stored.json() for stored in records]
    prefix = resource.item_prefix()
    cut = len(prefix)
    out = []
    for stored in records:
        text = stored.json()
        out.append(b"{" + text[cut:] if text.startswith(prefix) else orjson.dumps(_item(resource, stored)))
    return out
