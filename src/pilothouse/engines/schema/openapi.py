"""From schema data to a `Schema`: OpenAPI v3 documents of the API server and CustomResourceDefinitions, read once,
made lazily.

Data files lie in `pilothouse/data`. A built-in type is named by its document and component, a custom one by its
definition and version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from pilothouse.base.errors import Cause
from pilothouse.engines.schema import structure
from pilothouse.engines.schema.constraints import constraint_causes
from pilothouse.engines.schema.structure import Fields, Findings, Node
from pilothouse.engines.schema.wording import path_text

_REFERENCE = "#/components/schemas/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": structure.Quantity(),
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": structure.IntOrString(),
}
_FREE_FORM = (f"{_META}FieldsV1", "io.k8s.apimachinery.pkg.runtime.RawExtension")


_NOTHING: Mapping[str, Any] = {}


class Schema:
    """The shape of one kind. `custom`: constraints come from the schema itself; built-in kinds bring their own
    rules."""

    def __init__(self, root: structure.Record, custom: Mapping[str, Any] | None = None) -> None:
        self.root = root
        self.custom = custom

    def fit(self, obj: Mapping[str, Any], found: Findings, stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The object pruned and filled, its metadata too; the same object when it fits already.

        stored: the version before, which fits: fields, and entries of lists, that are its very own are not walked.
        """
        fields = self.root.fields
        out: dict[str, Any] | None = None
        # A custom schema may have changed since the object was stored.
        before = stored if stored is not None and self.custom is None else _NOTHING
        for name, value in obj.items():
            if name in ("apiVersion", "kind"):
                continue
            known = before.get(name)
            if known is not None and known is value:
                continue
            if value.__class__ is list and known.__class__ is list:
                fitted = self._fit_list(name, value, known, found)
            else:
                fitted = self.fit_field(name, value, found)
            if fitted is not value or value is None:
                out = dict(obj) if out is None else out
                if fitted is None:
                    del out[name]
                else:
                    out[name] = fitted
        if not fields.defaulted <= (obj if out is None else out).keys():
            out = {**fields.defaults, **(obj if out is None else out)}
        return dict(obj) if out is None else out

    def fit_field(self, name: str, value: Any, found: Findings) -> Any:
        """One top-level field fitted; None when it is to be dropped. Parts of everything but metadata and status are
        remembered."""
        fields = self.root.fields
        node = fields.nodes.get(name)
        if node is None:
            return fields.unknown(name, value, (), found)
        if value is None:
            return None
        fitted = node.fit(value, (name,), found, name not in ("metadata", "status"))
        return None if not fitted and name in fields.droppable and fitted.__class__ in (dict, list) else fitted

    def _fit_list(self, name: str, value: list[Any], known: list[Any], found: Findings) -> Any:
        """A top-level list of which some entries are stored ones."""
        node = self.root.fields.nodes.get(name)
        if not value or not isinstance(node, structure.Array):
            return self.fit_field(name, value, found)
        return node.fit_changed(value, known, (name,), found)

    def fit_status(self, status: Any, stored: Any, found: Findings) -> Any:
        """A new status fitted; its parts that are the stored status's own parts are known to fit and are not walked
        again."""
        node = self.root.fields.nodes.get("status")
        if stored and status.__class__ is dict and isinstance(node, structure.Record):
            return node.fit_changed(status, stored, ("status",), found)
        return self.fit_field("status", status, found)

    def causes(self, obj: Mapping[str, Any]) -> list[Cause]:
        """What the schema's own constraints say; nothing for built-in kinds."""
        return constraint_causes(self.custom, obj) if self.custom is not None else []

    def decoding_error(self, found: Findings) -> str:
        """The first decoding problem in encoding/json's words, with the Go struct and field filled in; "" when there
        is none."""
        if not found.decoding:
            return ""
        path, text = found.decoding[0]
        if "{field}" not in text:
            return text
        names = tuple(step for step in path if isinstance(step, str))
        return "json: " + text.replace("{field}", f"struct field {self._struct_of(path)}.{path_text(names)}")

    def _struct_of(self, path: tuple[str | int, ...]) -> str:
        """The Go struct that holds the field at the end of `path`."""
        node: Node = self.root
        owner = self.root
        for step in path:
            if isinstance(node, structure.Record):
                owner = node
                node = node.fields.nodes.get(str(step), structure.ANY)
            elif isinstance(node, structure.Array | structure.Map):
                node = node.item
        return owner.fields.owner


@cache
def read_document(path: str) -> dict[str, Any]:
    """A JSON file below `pilothouse/data`."""
    document: dict[str, Any] = json.loads(resources.files("pilothouse").joinpath("data", path).read_bytes())
    return document


@cache
def component(document: str, name: str) -> Schema:
    """The schema of a built-in kind, e.g. component("kubernetes-openapi/api_v1.json", "io.k8s.api.core.v1.Pod")."""
    return Schema(_record(document, name))


@cache
def custom_resource(document: str, version: str) -> Schema:
    """The schema of a custom resource's version; `document` holds the CustomResourceDefinition."""
    definition = read_document(document)
    for entry in definition["spec"]["versions"]:
        if entry["name"] == version:
            return custom_schema(entry["schema"]["openAPIV3Schema"])
    raise KeyError(f"{document} has no version {version!r}")


def custom_schema(root: Mapping[str, Any]) -> Schema:
    """A schema from a CRD's openAPIV3Schema (structural, as apiextensions v1 demands)."""
    merged = {**root, "properties": {**root.get("properties", {}), "metadata": {"type": "object", _OBJECT_META: True}}}
    return Schema(structure.Record("", lambda: _custom_fields(merged, top=True)), merged)


# Built-in kinds


@cache
def _record(document: str, name: str) -> structure.Record:
    return structure.Record("v1." + name.rsplit(".", 1)[1], lambda: _component_fields(document, name))


def _component_fields(document: str, name: str) -> Fields:
    schema = read_document(document)["components"]["schemas"][name]
    properties, required = schema.get("properties", {}), schema.get("required", ())
    nodes = {key: _node(document, value) for key, value in properties.items()}
    droppable = frozenset(
        key for key, node in nodes.items() if key not in required and isinstance(node, structure.Array | structure.Map)
    )
    return Fields(
        nodes,
        owner=name.rsplit(".", 1)[1],
        defaults=_defaults(nodes, properties, required),
        droppable=droppable,
        # eventTime, lastTransitionTime and the like: a time that Go always writes is null when it is not set.
        nullable=frozenset(key for key in required if properties[key].get("default", "") is None),
        is_open=not properties,
    )


def _defaults(nodes: Mapping[str, Node], properties: Mapping[str, Any], required: Any) -> dict[str, Any]:
    """What Go would write for absent fields: structs always, zero scalars only where the field is not `omitempty`."""
    out: dict[str, Any] = {}
    for key, value in properties.items():
        if "default" not in value or key == "metadata":
            continue
        default = value["default"]
        if default == {}:
            out[key] = nodes[key].fit({}, (), Findings(), False)
        elif default or key in required:
            out[key] = default
    return out


def _node(document: str, schema: Mapping[str, Any]) -> Node:
    reference = schema.get("$ref") or next((part["$ref"] for part in schema.get("allOf", ()) if "$ref" in part), "")
    if reference:
        return _referenced(document, reference.removeprefix(_REFERENCE))
    kind = schema.get("type")
    if kind == "array":
        return structure.Array(_node(document, schema.get("items", {})), lenient=False)
    if kind == "object" and "additionalProperties" in schema:
        return structure.Map(_node(document, schema["additionalProperties"]), lenient=False)
    if kind in ("string", "integer", "number", "boolean"):
        return structure.Scalar(kind, schema.get("format", ""), tuple(schema.get("enum", ())))
    return structure.ANY


def _referenced(document: str, name: str) -> Node:
    special = _SPECIAL.get(name)
    if special is not None:
        return special
    schema = read_document(document)["components"]["schemas"].get(name, {})
    if name in _FREE_FORM or schema.get("type") != "object":
        return structure.ANY if name in _FREE_FORM or "type" not in schema else _node(document, schema)
    return _record(document, name)


# Custom resources

_OBJECT_META = "x-pilothouse-object-meta"


def _custom_fields(schema: Mapping[str, Any], *, top: bool = False) -> Fields:
    properties = dict(schema.get("properties", {}))
    if top or schema.get("x-kubernetes-embedded-resource"):
        properties |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    if not top and schema.get("x-kubernetes-embedded-resource"):
        properties["metadata"] = {"type": "object", _OBJECT_META: True}
    nodes = {key: _custom_node(value) for key, value in properties.items()}
    return Fields(
        nodes,
        defaults={
            # What is filled in has defaults of its own inside.
            key: nodes[key].fit(value["default"], (), Findings(), False)
            for key, value in properties.items()
            if "default" in value
        },
        # A null where null is not allowed is dropped, so that a default can take its place.
        nullable=frozenset(key for key, value in properties.items() if value.get("nullable") or "default" not in value),
        is_open=bool(schema.get("x-kubernetes-preserve-unknown-fields")),
        lenient=True,
    )


def _custom_node(schema: Mapping[str, Any]) -> Node:
    if schema.get(_OBJECT_META):
        return _referenced("kubernetes-openapi/api_v1.json", f"{_META}ObjectMeta")
    if schema.get("items"):
        return structure.Array(_custom_node(schema["items"]), lenient=True)
    if "properties" in schema or schema.get("x-kubernetes-embedded-resource"):
        return structure.Record("", lambda: _custom_fields(schema))
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping):
        return structure.Map(_custom_node(additional), lenient=True)
    if schema.get("type") == "object" and not additional and not schema.get("x-kubernetes-preserve-unknown-fields"):
        return structure.Record("", lambda: _custom_fields(schema))
    return structure.ANY
