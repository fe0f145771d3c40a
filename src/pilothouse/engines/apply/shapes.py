"""What field ownership and strategic patches need to know about a type, read once from schema data.

A `Part` says for each place: is it a scalar, a list (owned as a whole, per key or per value) or a map (owned as a
whole or per field), and how strategic merge patches treat each field. Built lazily from OpenAPI components
(`of_component`) or from a CustomResourceDefinition's openAPIV3Schema (`of_custom`); both carry
`x-kubernetes-list-type`, `-list-map-keys`, `-map-type`, `-patch-strategy` and `-patch-merge-key`. Callers: the rest of
this folder and `machinery.applying`. Follows the conversion of Kubernetes 1.36 (kube-openapi `schemaconv`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

STRING, NUMERIC, BOOLEAN, UNTYPED = "string", "numeric", "boolean", "untyped"
ATOMIC, SET, MAP = "atomic", "set", "map"

_REFERENCE = "#/components/schemas/"
_TIMES = ("Time", "MicroTime")
_TIMES_BY_VALUE = frozenset(
    (
        "eventTime",
        "finishedAt",
        "firstTimestamp",
        "lastHeartbeatTime",
        "lastProbeTime",
        "lastTimestamp",
        "lastTransitionTime",
        "lastUpdateTime",
        "startedAt",
    )
)
"""Times that Go writes as null when they are not set, since they are no pointers; the schema does not tell."""

_SCALARS = {"integer": NUMERIC, "number": NUMERIC, "boolean": BOOLEAN}
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

UNTRACKED_META: Final = frozenset(
    ("creationTimestamp", "generation", "managedFields", "name", "namespace", "resourceVersion", "selfLink", "uid")
)
"""Metadata that nobody owns (apimachinery `managedfields/internal/stripmeta.go`)."""


class Part:
    """One kind of value at a place.

    scalar: its type, "" when no scalar may stand here. list_kind: "atomic", "set", "map" or "" (no list here), with
    `item` and, for "map", `keys` (sorted). is_map: a map may stand here; `element` is the shape of undeclared fields,
    None when there may be none; `whole`: the map is owned as a whole; `skip`: fields that nobody owns. free: without a
    schema.
    """

    __slots__ = (
        "_fields",
        "_item",
        "_nulls",
        "_resolve",
        "element",
        "free",
        "is_map",
        "keys",
        "list_kind",
        "scalar",
        "skip",
        "whole",
    )

    def __init__(
        self,
        *,
        scalar: str = "",
        list_kind: str = "",
        item: Callable[[], Part] | None = None,
        keys: tuple[str, ...] = (),
        is_map: bool = False,
        whole: bool = False,
        fields: Callable[[], Mapping[str, FieldPart]] | None = None,
        element: Part | None = None,
        skip: frozenset[str] = frozenset(),
    ) -> None:
        self.scalar = scalar
        self.list_kind = list_kind
        self.keys = tuple(sorted(keys))
        self.is_map = is_map
        self.whole = whole
        self.element = element
        self.skip = skip
        self.free = False
        self._resolve = fields
        self._fields: Mapping[str, FieldPart] | None = None
        self._item: Any = item
        self._nulls: tuple[str, ...] | None = None

    @property
    def fields(self) -> Mapping[str, FieldPart]:
        """The declared fields; made when first asked for, since types refer to each other."""
        if self._fields is None:
            self._fields = self._resolve() if self._resolve is not None else {}
        return self._fields

    @property
    def nulls(self) -> tuple[str, ...]:
        """Fields that are null, not absent, when nobody set them."""
        if self._nulls is None:
            self._nulls = tuple(name for name, field in self.fields.items() if field.always and field.zero is None)
        return self._nulls

    @property
    def item(self) -> Part:
        """What a list holds."""
        if self._item.__class__ is not Part:
            self._item = self._item() if self._item is not None else ANY
        found: Part = self._item
        return found

    def at(self, name: str) -> Part | None:
        """The shape of a field of this map."""
        known = self.fields.get(name)
        return known.part if known is not None else self.element


class FieldPart:
    """A declared field. always: Go writes it even when nobody set it, as `zero`; default: the schema's default (None:
    none); merges: a strategic patch merges its list, by `merge_key`; replaces: it replaces it as a whole."""

    __slots__ = ("_make", "_part", "always", "default", "merge_key", "merges", "replaces", "zero")

    def __init__(self, make: Callable[[], Part], schema: Mapping[str, Any], always: bool) -> None:
        self._make = make
        self._part: Part | None = None
        self.always = always
        self.default = schema.get("default")
        self.zero = self.default if always else None
        strategies = schema.get("x-kubernetes-patch-strategy", "").split(",")
        self.merges = "merge" in strategies
        self.replaces = "replace" in strategies
        self.merge_key: str = schema.get("x-kubernetes-patch-merge-key", "")

    @property
    def part(self) -> Part:
        if self._part is None:
            self._part = self._make()
        return self._part


def _free() -> Part:
    """Values without a schema: maps are owned field by field, lists as a whole."""
    part = Part(scalar=UNTYPED, list_kind=ATOMIC, is_map=True)
    part.element = part
    part.free = True
    return part


ANY: Final = _free()
_UNTYPED: Final = Part(scalar=UNTYPED)
_PLAIN: Final = {kind: Part(scalar=kind) for kind in (STRING, NUMERIC, BOOLEAN)}


# Built-in types


class _Components:
    """The types of one OpenAPI document, each made once."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas
        self._made: dict[str, Part] = {}

    def named(self, name: str) -> Part:
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = self.part(self._schemas.get(name, {}))
        return made

    def part(self, schema: Mapping[str, Any]) -> Part:
        """The shape a schema describes, references followed."""
        reference = schema.get("$ref") or next((part["$ref"] for part in schema.get("allOf", ()) if "$ref" in part), "")
        if reference:
            return self._referenced(reference.removeprefix(_REFERENCE), schema)
        kind = schema.get("type")
        if kind == "array":
            items = schema.get("items", {})
            return _list(lambda: self.part(items), schema)
        if kind == "object":
            return self._object(schema)
        if kind == "string":
            return _string(schema)
        if "oneOf" in schema:
            return _UNTYPED
        return _PLAIN[_SCALARS[kind]] if kind in _SCALARS else ANY

    def _referenced(self, name: str, field: Mapping[str, Any]) -> Part:
        if field.get("x-kubernetes-map-type") == ATOMIC:
            return self._object({**self._schemas.get(name, {}), "x-kubernetes-map-type": ATOMIC})
        return self.named(name)

    def _object(self, schema: Mapping[str, Any], skip: frozenset[str] = frozenset()) -> Part:
        properties, required = schema.get("properties", {}), schema.get("required", ())
        additional = schema.get("additionalProperties")

        def fields() -> Mapping[str, FieldPart]:
            return {
                name: FieldPart(
                    lambda value=value: self.part(value),  # type: ignore[misc]
                    value,
                    name in required or not value.get("default", True) or _is_time_by_value(name, value),
                )
                for name, value in properties.items()
            }

        element = self.part(additional) if isinstance(additional, Mapping) else None
        if element is None and not properties:
            element = ANY
        whole = schema.get("x-kubernetes-map-type") == ATOMIC
        return Part(is_map=True, whole=whole, fields=fields, element=element, skip=skip)

    def root(self, name: str) -> Part:
        """An API object: its apiVersion, kind and most of its metadata belong to nobody."""
        schema = self._schemas[name]
        part = self._object(schema, frozenset(("apiVersion", "kind")))
        if "metadata" in part.fields:
            part.fields["metadata"]._part = self.metadata()
        return part

    def metadata(self) -> Part:
        return self._object(self._schemas[_META], UNTRACKED_META)


def of_component(schemas: Mapping[str, Any], name: str) -> Part:
    """The shape of a built-in kind; schemas: an OpenAPI document's `components.schemas`, name: e.g.
    "io.k8s.api.core.v1.Pod"."""
    return _Components(schemas).root(name)


def _is_time_by_value(name: str, schema: Mapping[str, Any]) -> bool:
    if name not in _TIMES_BY_VALUE:
        return False
    return any(part.get("$ref", "").rpartition(".")[2] in _TIMES for part in (schema, *schema.get("allOf", ())))


def _string(schema: Mapping[str, Any]) -> Part:
    # Times and other formats may come as anything that Go decodes, so no string is demanded of them.
    return _PLAIN[STRING] if schema.get("format", "") in ("", "byte") else _UNTYPED


def _list(item: Callable[[], Part], schema: Mapping[str, Any]) -> Part:
    kind = schema.get("x-kubernetes-list-type", "")
    keys = tuple(schema.get("x-kubernetes-list-map-keys", ()))
    if not kind:
        # Types older than list types say it with their patch strategy.
        merges = "merge" in schema.get("x-kubernetes-patch-strategy", "").split(",")
        key = schema.get("x-kubernetes-patch-merge-key", "")
        kind = ATOMIC if not merges else MAP if key else SET
        keys = (key,) if merges and key else ()
    return Part(list_kind=kind, item=item, keys=keys if kind == MAP else ())


# Custom resources


def of_custom(root: Mapping[str, Any], meta_schemas: Mapping[str, Any]) -> Part:
    """The shape of a custom resource; root: a version's openAPIV3Schema, meta_schemas: a document's components with
    ObjectMeta."""
    components = _Components(meta_schemas)
    part = _custom_object(root, components, top=True)
    part.skip = frozenset(("apiVersion", "kind"))
    return part


def _custom(schema: Mapping[str, Any], components: _Components) -> Part:
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items", {})
        return _list(lambda: _custom(items, components), schema)
    if schema.get("x-kubernetes-int-or-string"):
        return _UNTYPED
    if kind == "object" or "properties" in schema:
        return _custom_object(schema, components)
    if kind == "string":
        return _string(schema)
    return _PLAIN[_SCALARS[kind]] if kind in _SCALARS else ANY


def _custom_object(schema: Mapping[str, Any], components: _Components, *, top: bool = False) -> Part:
    properties: dict[str, Any] = dict(schema.get("properties", {}))
    embedded = top or bool(schema.get("x-kubernetes-embedded-resource"))
    if embedded:
        properties |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {}}
    metadata = components.metadata if top else lambda: components.named(_META)

    def fields() -> Mapping[str, FieldPart]:
        return {
            name: FieldPart(
                metadata if embedded and name == "metadata" else lambda value=value: _custom(value, components),  # type: ignore[misc]
                value,
                False,
            )
            for name, value in properties.items()
        }

    additional = schema.get("additionalProperties")
    element: Part | None = None
    if isinstance(additional, Mapping):
        element = _custom(additional, components)
    elif (
        schema.get("x-kubernetes-preserve-unknown-fields")
        or additional is True
        or (not properties and additional is None)
    ):
        element = ANY
    whole = schema.get("x-kubernetes-map-type") == ATOMIC
    return Part(is_map=True, whole=whole, fields=fields, element=element)
