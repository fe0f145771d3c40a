"""Kubernetes' protobuf bodies as the JSON they stand for (apimachinery 1.36 `runtime/serializer/protobuf`).

A body is `k8s\\0` and a `runtime.Unknown` with the type and the object's own message. The field table in the data says
which number is which JSON name; what a message carries inline (a volume's source) is told by the OpenAPI schema, which
does not know that name. Go writes plain fields even when they are zero: those are left out, as JSON would leave them
out; fields behind a Go pointer keep their zero.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

import orjson

from pilothouse.base.clock import rfc3339, rfc3339_micro
from pilothouse.base.errors import BadRequest
from pilothouse.engines.schema.openapi import read_document

_MAGIC = b"k8s\x00"
_META = "k8s.io.apimachinery.pkg.apis.meta.v1"
_DEPTH = 100
_POINTERS = frozenset(
    [
        "activeDeadlineSeconds",
        "allowPrivilegeEscalation",
        "automountServiceAccountToken",
        "averageUtilization",
        "backoffLimit",
        "blockOwnerDeletion",
        "completions",
        "controller",
        "defaultMode",
        "enableServiceLinks",
        "expirationSeconds",
        "failedJobsHistoryLimit",
        "fsGroup",
        "gracePeriodSeconds",
        "hostUsers",
        "immutable",
        "leaseDurationSeconds",
        "leaseTransitions",
        "manualSelector",
        "minReplicas",
        "mode",
        "optional",
        "orphanDependents",
        "parallelism",
        "partition",
        "priority",
        "privileged",
        "progressDeadlineSeconds",
        "readOnlyRootFilesystem",
        "ready",
        "replicas",
        "revisionHistoryLimit",
        "runAsGroup",
        "runAsNonRoot",
        "runAsUser",
        "serving",
        "shareProcessNamespace",
        "stabilizationWindowSeconds",
        "startingDeadlineSeconds",
        "storageClassName",
        "successfulJobsHistoryLimit",
        "suspend",
        "terminating",
        "terminationGracePeriodSeconds",
        "tolerationSeconds",
        "ttlSecondsAfterFinished",
    ]
)
"""Scalar fields that Go keeps behind a pointer: there, zero is not the same as nothing."""


class _Broken(ValueError):
    pass


def decode(body: bytes) -> dict[str, Any]:
    """The object of a body; BadRequest when it is none."""
    if not body.startswith(_MAGIC):
        raise BadRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        unknown = dict(_fields(body[len(_MAGIC) :]))
        named = dict(_fields(_bytes(unknown.get(1, b""))))
        api_version, kind = _text(named.get(1, b"")), _text(named.get(2, b""))
        message = message_of(api_version, kind)
        obj = _message(message, _bytes(unknown.get(2, b"")), 0)
    except (_Broken, IndexError, struct.error, UnicodeDecodeError) as error:
        raise BadRequest(f"unable to decode protobuf body: {error}") from None
    return {"apiVersion": api_version, "kind": kind, **obj}


@cache
def _table() -> Mapping[str, Mapping[str, tuple[str, str]]]:
    table: Mapping[str, Mapping[str, tuple[str, str]]] = read_document("kubernetes-protobuf/fields.json")
    return table


@lru_cache(maxsize=256)
def message_of(api_version: str, kind: str) -> str:
    """The message that describes a kind; BadRequest when there is none."""
    group, _, version = api_version.rpartition("/")
    if kind in ("DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "ListOptions", "Status"):
        return f"{_META}.{kind}"
    first = group.split(".", 1)[0] if group else "core"
    for name in (
        f"k8s.io.api.{first}.{version}.{kind}",
        f"k8s.io.apiextensions_apiserver.pkg.apis.{first}.{version}.{kind}",
        f"k8s.io.kube_aggregator.pkg.apis.{first}.{version}.{kind}",
        f"k8s.io.api.authentication.v1.{kind}",
    ):
        if name in _table():
            return name
    raise BadRequest(f'no kind "{kind}" is registered for version "{api_version}"')


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value) of a message: ints for varints and fixed numbers, bytes for the rest."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire == 2:
            size, at = _varint(data, at)
            if at + size > end:
                raise _Broken("unexpected EOF")
            yield number, data[at : at + size]
            at += size
        elif wire == 1:
            yield number, struct.unpack_from("<d", data, at)[0]
            at += 8
        elif wire == 5:
            yield number, struct.unpack_from("<f", data, at)[0]
            at += 4
        else:
            raise _Broken(f"illegal wireType {wire}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise _Broken("unexpected EOF" if at >= len(data) else "integer overflow")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise _Broken("wrong wire type")
    return value


def _text(value: Any) -> str:
    return _bytes(value).decode()


def _signed(value: Any) -> int:
    number = int(value) & (1 << 64) - 1
    return number - (1 << 64) if number >= 1 << 63 else number


def _message(name: str, data: bytes, depth: int) -> Any:
    """A message in its JSON form."""
    if depth > _DEPTH:
        raise _Broken("exceeded max depth")
    special = _SPECIAL.get(name.rsplit(".", 1)[1])
    if special is not None:
        return special(data)
    known = _table().get(name)
    if known is None:
        raise _Broken(f"unknown message {name}")
    properties = _properties(name)
    out: dict[str, Any] = {}
    for number, value in _fields(data):
        entry = known.get(str(number))
        if entry is None:
            continue
        field, kind = entry
        _put(out, _json_name(field), kind, value, properties, depth)
    return out


def _put(out: dict[str, Any], field: str, kind: str, value: Any, properties: Any, depth: int) -> None:
    if kind.startswith("repeated "):
        kind = kind.removeprefix("repeated ")
        found = out.setdefault(field, [])
        if isinstance(value, bytes) and kind in ("int32", "int64", "bool"):
            found += _packed(kind, value)
        else:
            found.append(_value(kind, value, depth))
        return
    if kind.startswith("map<"):
        key, entry = _entry(kind, _bytes(value), depth)
        out.setdefault(field, {})[key] = entry
        return
    made = _value(kind, value, depth)
    if "." in kind:
        if properties is not None and field not in properties and isinstance(made, dict):
            out.update(made)
        elif made is not None:
            out[field] = made
    elif made or field in _POINTERS or (properties or {}).get(field, {}).get("default") == made:
        out[field] = made


def _packed(kind: str, data: bytes) -> Iterator[Any]:
    at = 0
    while at < len(data):
        number, at = _varint(data, at)
        yield bool(number) if kind == "bool" else _signed(number)


def _entry(kind: str, data: bytes, depth: int) -> tuple[str, Any]:
    """A map's key and value."""
    of = kind.removeprefix("map<").removesuffix(">").split(",", 1)[1].strip()
    pair = dict(_fields(data))
    empty: Any = b"" if of in ("string", "bytes") or "." in of else 0
    return _text(pair.get(1, b"")), _value(of, pair.get(2, empty), depth)


def _value(kind: str, value: Any, depth: int) -> Any:
    if kind == "string":
        return _text(value)
    if kind in ("int32", "int64"):
        return _signed(value)
    if kind == "bool":
        return bool(value)
    if kind == "double":
        return float(value)
    if kind == "bytes":
        return base64.b64encode(_bytes(value)).decode()
    return _message(kind, _bytes(value), depth + 1)


def _json_name(field: str) -> str:
    """Table names are JSON names but for those that JSON writes with dashes or a dollar."""
    if field.startswith("xKubernetes"):
        return re.sub(r"([A-Z])", lambda found: "-" + found[1].lower(), field)
    return "$ref" if field == "ref" else field


@lru_cache(maxsize=2_048)
def _properties(name: str) -> Mapping[str, Any] | None:
    """The JSON properties of a message, None when no schema tells."""
    component = name.replace("k8s.io.", "io.k8s.", 1).replace("apiextensions_apiserver", "apiextensions-apiserver")
    for document in _documents(component):
        found = document["components"]["schemas"].get(component)
        if found is not None:
            properties: Mapping[str, Any] = found.get("properties", {})
            return properties
    return None


def _documents(component: str) -> Iterator[Mapping[str, Any]]:
    group, version = component.split(".")[-3:-1]
    discovery = read_document("kubernetes-openapi/discovery.json")
    yield read_document("kubernetes-openapi/api_v1.json")
    for part in discovery["apis"]["items"]:
        name = part["metadata"]["name"]
        if name.split(".", 1)[0] == group and any(one["version"] == version for one in part["versions"]):
            yield read_document(f"kubernetes-openapi/apis_{name}_{version}.json")


# Messages with a JSON form of their own


def _time(data: bytes) -> Any:
    found = dict(_fields(data))
    return rfc3339(_signed(found.get(1, 0))) if found else None


def _micro_time(data: bytes) -> Any:
    found = dict(_fields(data))
    return rfc3339_micro(_signed(found.get(1, 0)) + _signed(found.get(2, 0)) / 1e9) if found else None


def _quantity(data: bytes) -> Any:
    return _text(dict(_fields(data)).get(1, b"0"))


def _int_or_string(data: bytes) -> Any:
    found = dict(_fields(data))
    return _text(found.get(3, b"")) if found.get(1) else _signed(found.get(2, 0))


def _raw(data: bytes) -> Any:
    text = dict(_fields(data)).get(1, b"")
    return orjson.loads(text) if text else None


def _items(data: bytes) -> Any:
    return [_text(value) for number, value in _fields(data) if number == 1]


_SPECIAL = {
    "Time": _time,
    "MicroTime": _micro_time,
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "FieldsV1": _raw,
    "RawExtension": _raw,
    "JSON": _raw,
    "Verbs": _items,
    "ExtraValue": _items,
}
