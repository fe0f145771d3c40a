"""The constraints of custom resources: what a CRD's openAPIV3Schema demands beyond structure, in the API server's
wordings (1.36).

Types, required fields, enumerations, ranges, lengths, patterns, formats, list sizes and uniqueness, and the value
combinators. It walks only what the object has. CEL rules (`x-kubernetes-validations`) are not evaluated here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pilothouse.base.errors import Cause
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.wording import Path, path_text

_CLASSES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,), "object": (dict,)
}  # fmt: skip
_NAMES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)")


def constraint_causes(schema: Mapping[str, Any], obj: Mapping[str, Any]) -> list[Cause]:
    """Every violation in the object, metadata left out (it has its own rules)."""
    out: list[Cause] = []
    for name in schema.get("required", ()):
        if name not in obj:
            out.append(wording.required(name))
    properties = schema.get("properties", {})
    for name, value in obj.items():
        if name not in ("apiVersion", "kind", "metadata") and name in properties:
            _check(properties[name], value, (name,), out)
    return out


def _check(schema: Mapping[str, Any], value: Any, path: Path, out: list[Cause]) -> None:
    if value is None:
        if not schema.get("nullable"):
            _wrong_type(schema, value, path, out)
        return
    if schema.get("x-kubernetes-int-or-string"):
        if value.__class__ not in (int, str):
            out.append(_type_cause(path, "integer,string", value))
        return
    kind = schema.get("type")
    if kind is not None and not _has_type(value, kind):
        _wrong_type(schema, value, path, out)
        if kind == "integer" and value.__class__ is float:
            # Upstream's validator of numbers has a look of its own, and names no field.
            text = f"Checked value must be of type integer (default format) in {path_text(path)}"
            out.append(wording.invalid("<nil>", "", text))
        return
    if "enum" in schema and value not in schema["enum"]:
        out.append(wording.unsupported(path_text(path), value, schema["enum"]))
    if value.__class__ is dict:
        _check_object(schema, value, path, out)
    elif value.__class__ is list:
        _check_array(schema, value, path, out)
    elif value.__class__ is str:
        _check_string(schema, value, path, out)
    elif value.__class__ is not bool:
        _check_number(schema, value, path, out)
    _check_combinators(schema, value, path, out)


def _has_type(value: Any, kind: str) -> bool:
    if kind == "integer" and value.__class__ is float:
        return bool(value.is_integer())
    return value.__class__ in _CLASSES[kind]


def _wrong_type(schema: Mapping[str, Any], value: Any, path: Path, out: list[Cause]) -> None:
    if schema.get("type"):
        out.append(_type_cause(path, schema["type"], value))


def _type_cause(path: Path, wanted: str, value: Any) -> Cause:
    field, got = path_text(path), _NAMES.get(value.__class__, "object")
    return wording.mistyped(field, got, f'{field} in body must be of type {wanted}: "{got}"')


def _check_object(schema: Mapping[str, Any], value: dict[str, Any], path: Path, out: list[Cause]) -> None:
    for name in schema.get("required", ()):
        if name not in value:
            out.append(wording.required(path_text((*path, name))))
    properties, additional = schema.get("properties", {}), schema.get("additionalProperties")
    for name, entry in value.items():
        if name in properties:
            _check(properties[name], entry, (*path, name), out)
        elif isinstance(additional, Mapping):
            _check(additional, entry, (*path, name), out)
    if len(value) > schema.get("maxProperties", len(value)):
        field = path_text(path)
        out.append(wording.too_many(field, len(value), schema["maxProperties"]))
    if len(value) < schema.get("minProperties", 0):
        field = path_text(path)
        out.append(
            wording.invalid(field, value, f"{field} in body should have at least {schema['minProperties']} properties")
        )


def _check_array(schema: Mapping[str, Any], value: list[Any], path: Path, out: list[Cause]) -> None:
    field = path_text(path)
    if len(value) > schema.get("maxItems", len(value)):
        out.append(wording.too_many(field, len(value), schema["maxItems"]))
    if len(value) < schema.get("minItems", 0):
        out.append(
            wording.invalid(field, len(value), f"{field} in body should have at least {schema['minItems']} items")
        )
    items = schema.get("items")
    if isinstance(items, Mapping):
        for index, entry in enumerate(value):
            _check(items, entry, (*path, index), out)
    _check_unique(schema, value, path, out)


def _check_unique(schema: Mapping[str, Any], value: list[Any], path: Path, out: list[Cause]) -> None:
    keys = schema.get("x-kubernetes-list-map-keys", ())
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("map", "set"):
        return
    seen: list[Any] = []
    for index, entry in enumerate(value):
        identity = {key: entry.get(key) for key in keys} if kind == "map" and isinstance(entry, dict) else entry
        if identity in seen:
            out.append(wording.duplicate(path_text((*path, index)), identity))
        seen.append(identity)


def _check_string(schema: Mapping[str, Any], value: str, path: Path, out: list[Cause]) -> None:
    # Upstream's validator of strings ends at its first complaint; formats have one of their own.
    field = path_text(path)
    pattern = schema.get("pattern")
    if len(value) > schema.get("maxLength", len(value)):
        out.append(wording.too_long(field, schema["maxLength"]))
    elif len(value) < schema.get("minLength", 0):
        out.append(
            wording.invalid(field, value, f"{field} in body should be at least {schema['minLength']} chars long")
        )
    elif pattern and not _pattern(pattern).search(value):
        out.append(wording.invalid(field, value, f"{field} in body should match '{pattern}'"))
    if schema.get("format") == "date-time" and not _DATE_TIME.fullmatch(value):
        out.append(wording.mistyped(field, value, f'{field} in body must be of type date-time: "{value}"'))


def _check_number(schema: Mapping[str, Any], value: float, path: Path, out: list[Cause]) -> None:
    field = path_text(path)
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and (value < low or (value == low and schema.get("exclusiveMinimum"))):
        than = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        out.append(wording.invalid(field, value, f"{field} in body should be {than} {low:g}"))
    if high is not None and (value > high or (value == high and schema.get("exclusiveMaximum"))):
        than = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        out.append(wording.invalid(field, value, f"{field} in body should be {than} {high:g}"))
    step = schema.get("multipleOf")
    if step and value % step:
        out.append(wording.invalid(field, value, f"{field} in body should be a multiple of {step:g}"))


def _check_combinators(schema: Mapping[str, Any], value: Any, path: Path, out: list[Cause]) -> None:
    field = path_text(path)
    for part in schema.get("allOf", ()):
        _check(part, value, path, out)
    if schema.get("anyOf") and not any(_passes(part, value) for part in schema["anyOf"]):
        out.append(wording.invalid(field, value, f"{field} in body must validate at least one schema (anyOf)"))
    if schema.get("oneOf"):
        passed = sum(_passes(part, value) for part in schema["oneOf"])
        if passed != 1:
            found = "Found none valid" if passed == 0 else f"Found {passed} valid alternatives"
            out.append(
                wording.invalid(field, value, f"{field} in body must validate one and only one schema (oneOf). {found}")
            )
    if schema.get("not") and _passes(schema["not"], value):
        out.append(wording.invalid(field, value, f"{field} in body must not validate the schema (not)"))


def _passes(schema: Mapping[str, Any], value: Any) -> bool:
    out: list[Cause] = []
    _check(schema, value, (), out)
    return not out


@lru_cache(maxsize=1_024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)
