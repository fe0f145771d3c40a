"""Request bodies to plain objects: JSON (with what is said twice), YAML, protobuf; and the fit to a served schema
(apimachinery 1.36 `runtime/serializer`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from pilothouse.base.actions import Object
from pilothouse.base.errors import BadRequest
from pilothouse.engines.schema.structure import Findings
from pilothouse.engines.schema.wording import path_text
from pilothouse.wire.kubernetes.resources import Resource
from pilothouse.wire.kubernetes.statuses import UnsupportedMediaType

PROTOBUF = "application/vnd.kubernetes.protobuf"
_ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
_TYPE_STRUCT = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_SCHEME = 'in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'
_NAMES: dict[type, str] = {list: "array", str: "string", int: "number", float: "number", bool: "bool"}


def json_type(value: Any) -> str:
    """What encoding/json calls a value that is no object."""
    return _NAMES.get(value.__class__, "null")


def media_of(content_type: str) -> str:
    """json, yaml or protobuf; UnsupportedMediaType for anything else."""
    media = content_type.split(";", 1)[0].strip().lower()
    if media in ("", "application/json"):
        return "json"
    if media == "application/yaml":
        return "yaml"
    if media == PROTOBUF:
        return "protobuf"
    raise UnsupportedMediaType(
        f"the body of the request was in an unknown format - accepted media types include: {_ACCEPTED}"
    )


def read(body: bytes, content_type: str, resource_kind: str, *, strict: bool = True) -> tuple[Any, list[str]]:
    """The value of a body, and the paths of fields that it gave twice (only looked for when `strict`)."""
    media = media_of(content_type)
    if media == "protobuf":
        from pilothouse.wire.kubernetes import protobuf

        return protobuf.decode(body), []
    if media == "yaml":
        return read_yaml(body), []
    return read_json(body, resource_kind, strict)


def read_json(body: bytes, resource_kind: str, strict: bool = True) -> tuple[Any, list[str]]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(
            f"the object provided is unrecognized (must be of type {resource_kind}): couldn't get version/kind; "
            f"json parse error: {json_complaint(body, error)} ({_shown(body)})"
        ) from None
    if value.__class__ is not dict:
        if value is None:
            return {}, []
        raise BadRequest(
            f"the object provided is unrecognized (must be of type {resource_kind}): couldn't get version/kind; "
            f"json parse error: json: cannot unmarshal {_NAMES[value.__class__]} into Go value of type {_TYPE_STRUCT} "
            f"({_shown(body)})"
        )
    repeated, merged = repeated_fields(body)
    return (value if merged is None else merged), repeated if strict else []


def _shown(body: bytes) -> str:
    """The start of a body as upstream shows it: text when it looks like an object, else hexadecimal."""
    if not body:
        return "<empty>"
    if body.lstrip().startswith(b"{"):
        text = body.decode("utf-8", "replace")
        return text if len(text) <= 1024 else text[:1024]
    return body.hex()[:2048]


def json_complaint(body: bytes, error: ValueError) -> str:
    """What encoding/json says about broken JSON."""
    text = body.decode("utf-8", "replace")
    try:
        json.loads(text)
    except json.JSONDecodeError as found:
        at = found.pos
        if at >= len(text.rstrip()):
            return "unexpected end of JSON input"
        char = text[at]
        if found.msg.startswith("Expecting property name"):
            return f"invalid character {_quoted(char)} looking for beginning of object key string"
        if found.msg.startswith("Expecting ':'"):
            return f"invalid character {_quoted(char)} after object key"
        if found.msg.startswith("Expecting ','"):
            return f"invalid character {_quoted(char)} after object key:value pair"
        if found.msg.startswith("Unterminated string"):
            return "unexpected end of JSON input"
        if found.msg.startswith("Extra data"):
            return f"invalid character {_quoted(char)} after top-level value"
        return f"invalid character {_quoted(char)} looking for beginning of value"
    except RecursionError:
        return "exceeded max depth"
    return str(error)


def _quoted(char: str) -> str:
    return "'\\''" if char == "'" else f"'{char}'"


def repeated_fields(body: bytes) -> tuple[list[str], Any]:
    """(paths of keys that stand twice in one object, the value with such objects merged as Go decodes them); ([], None)
    when there are none, which is cheap."""
    found = False

    def look(pairs: list[tuple[str, Any]]) -> Any:
        nonlocal found
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        found = True
        made = {}
        for key, value in pairs:
            before = made.get(key)
            if isinstance(before, dict) and isinstance(value, dict):
                value = {**before, **value}
            made[key] = value
        return made

    value = json.loads(body, object_pairs_hook=look)
    return (_where_repeated(body), value) if found else ([], None)


class _Pairs(list[tuple[str, Any]]):
    """An object that keeps its repeated keys."""


def _where_repeated(body: bytes) -> list[str]:
    out: list[str] = []

    def walk(value: Any, path: tuple[str | int, ...]) -> None:
        if isinstance(value, _Pairs):
            seen: set[str] = set()
            for key, entry in value:
                if key in seen:
                    name = path_text((*path, key))
                    if name not in out:
                        out.append(name)
                seen.add(key)
                walk(entry, (*path, key))
        elif isinstance(value, list):
            for index, entry in enumerate(value):
                walk(entry, (*path, index))

    walk(json.loads(body, object_pairs_hook=_Pairs), ())
    return out


def read_yaml(body: bytes) -> Any:
    """The first document of a YAML body, its times and odd scalars as JSON would hold them."""
    from pilothouse.wire.kubernetes.yaml_body import parse

    return parse(body)


def check_type(value: Mapping[str, Any], resource: Resource) -> Object:
    """The body with its type filled in; BadRequest when it is of another kind or version."""
    kind, api_version = value.get("kind") or "", value.get("apiVersion") or ""
    if not isinstance(kind, str) or not isinstance(api_version, str):
        field, wrong = ("kind", kind) if not isinstance(kind, str) else ("apiVersion", api_version)
        raise BadRequest(
            f"couldn't get version/kind; json parse error: json: cannot unmarshal "
            f"{_NAMES.get(wrong.__class__, 'object')} into Go struct field .{field} of type string"
        )
    if kind == resource.kind_name and api_version == resource.api_version:
        return value
    if kind and kind != resource.kind_name:
        version = api_version or resource.api_version
        if resource.custom is not None:
            raise BadRequest(
                f"the object provided is unrecognized (must be of type {resource.kind_name}): "
                f'{kind} in version "{version}" cannot be handled as a {resource.kind_name}'
            )
        raise BadRequest(
            f'{kind} in version "{_short(version)}" cannot be handled as a {resource.kind_name}: no kind "{kind}" is '
            f'registered for version "{version}" {_SCHEME}'
        )
    if api_version and api_version != resource.api_version:
        raise BadRequest(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    return {**value, "kind": resource.kind_name, "apiVersion": resource.api_version}


def _short(version: str) -> str:
    return version.rsplit("/", 1)[-1]


def fit(resource: Resource, value: Object, found: Findings) -> Object:
    """The body in the served version's shape; BadRequest when it cannot be decoded."""
    schema = resource.schema()
    fitted = schema.fit(value, found)
    error = schema.decoding_error(found)
    if error:
        raise BadRequest(
            f'{resource.kind_name} in version "{resource.version}" cannot be handled as a {resource.kind_name}: {error}'
        )
    return fitted


def complaints(found: Findings, repeated: list[str]) -> list[str]:
    """What strict decoding would refuse, in upstream's order: what is said twice, then what is unknown."""
    return [f'duplicate field "{path}"' for path in repeated] + [
        f'unknown field "{path_text(path)}"' for path in found.unknown
    ]
