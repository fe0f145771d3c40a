"""Who owns which fields of stored objects, and writes that come as patches or applies, for one kind at a time.

Joins the pure `engines.apply` to kinds: finds a kind's shape, knows what each subresource may not touch, and words
refusals as the API server does (1.36 `endpoints/handlers/patch.go`, apimachinery `util/managedfields`). Takes and gives
plain objects; `write_path` is the only caller.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import ApiError, BadRequest, Conflict, Invalid
from pilothouse.engines.apply import field_sets, go_text, managers, server_side, shapes
from pilothouse.engines.apply.field_sets import EMPTY, FieldSet
from pilothouse.engines.apply.json_patch import PatchError, apply_json_patch
from pilothouse.engines.apply.managers import Managed, Owned
from pilothouse.engines.apply.merge_patch import apply_merge_patch
from pilothouse.engines.apply.server_side import ApplyConflict, Writer
from pilothouse.engines.apply.strategic import StrategicError, apply_strategic_patch
from pilothouse.engines.apply.typed_values import ShapeError, check
from pilothouse.engines.schema import openapi, wording
from pilothouse.machinery import refusals
from pilothouse.machinery.kind import Component, Kind, SchemaSource

MERGE, STRATEGIC, JSON = "merge", "strategic", "json"
"""Ways to patch, besides apply."""

_CORE = "kubernetes-openapi/api_v1.json"
_SCALE_VERSION = "autoscaling/v1"
_MANAGER_LIMIT_BYTES = 128


# Shapes


def part_of(schema: SchemaSource) -> shapes.Part:
    """The shape that a schema describes, made once."""
    return _part(schema)


@lru_cache(maxsize=2_048)
def _part(source: SchemaSource) -> shapes.Part:
    if isinstance(source, Component):
        document = openapi.read_document(f"kubernetes-openapi/{source.document}")
        return shapes.of_component(document["components"]["schemas"], source.name)
    return shapes.of_custom(source.load().custom or {}, openapi.read_document(_CORE)["components"]["schemas"])


@lru_cache(maxsize=1)
def _scale_part() -> shapes.Part:
    document = openapi.read_document(_CORE)
    return shapes.of_component(document["components"]["schemas"], "io.k8s.api.autoscaling.v1.Scale")


def _ignored(kind: Kind, subresource: str) -> FieldSet:
    """What a write through this subresource cannot own, since it does not reach the store (upstream's reset
    fields)."""
    if subresource != "status":
        return {"f:status": EMPTY} if kind.strategy.status else EMPTY
    return {"f:spec": EMPTY} if kind.strategy.status_writes_labels else {"f:spec": EMPTY, "f:metadata": EMPTY}


# Ownership


def writer(kind: Kind, manager: str, now: str, subresource: str = "", api_version: str = "") -> Writer:
    """Who writes now (RFC 3339); api_version: the version they speak, the kind's own when not given."""
    return Writer(manager, api_version or kind.api_version, now, subresource, _ignored(kind, subresource))


Finish = Callable[[Kind, Object, Object | None, str], Object]
"""(kind, new object, old or None, subresource) -> the object with what is known of who wrote it."""


def finish(manager: str, now: str, api_version: str = "") -> Finish:
    """Keeps the managedFields of an ordinary create, update or patch by this manager."""

    def touch(kind: Kind, new: Object, old: Object | None, subresource: str) -> Object:
        who = writer(kind, manager, now, subresource, api_version)
        if subresource == "scale" and old is not None:
            return with_entries(new, scaled(kind, old, (new.get("spec") or {}).get("replicas"), who))
        return owned_after(kind, new, old, who)

    return touch


def finish_with(entries: list[dict[str, Any]]) -> Finish:
    """Gives a write these managedFields, as an apply worked them out."""
    return lambda kind, new, old, subresource: with_entries(new, entries)  # noqa: ARG005 - the common signature


def owned_after(kind: Kind, new: Object, old: Object | None, who: Writer) -> Object:
    """The new object with the managedFields an ordinary write leads to.

    What the new object brings along counts, unless it comes through a subresource: [] or [{}] starts afresh, other
    readable entries take the place of the stored ones.
    """
    stored = old["metadata"].get("managedFields") if old is not None else None
    asked = new["metadata"].get("managedFields")
    managed = _stored(kind, stored) if who.subresource else _asked(kind, asked, stored)
    if not managed and old is not None:
        return with_entries(new, [])
    live = old if old is not None else EMPTY
    try:
        entries = managers.written(server_side.updated(part_of(kind.schema), live, new, managed, who))
    except ShapeError:
        # An ordinary write never fails over its owners: it is refused by validation, or they stay as they were.
        entries = list(stored or [])
    return with_entries(new, entries)


def _asked(kind: Kind, asked: Any, stored: Sequence[Mapping[str, Any]] | None) -> Managed:
    if asked is None or asked is stored or asked.__class__ is not list:
        return _stored(kind, stored)
    if not asked or asked == [{}]:
        return {}
    try:
        managed = managers.read(asked, trusted=False)
    except managers.BadEntries:
        return _stored(kind, stored)
    return _reconciled(kind, managed)


def _stored(kind: Kind, entries: Sequence[Mapping[str, Any]] | None) -> Managed:
    return _reconciled(kind, managers.read(entries))


def _reconciled(kind: Kind, managed: Managed) -> Managed:
    # The schemas of built-in kinds never change under stored objects.
    return managed if isinstance(kind.schema, Component) else server_side.reconciled(part_of(kind.schema), managed)


def with_entries(obj: Object, entries: list[dict[str, Any]]) -> Object:
    """The object with these managedFields, without any when there are none."""
    metadata = obj["metadata"]
    if entries:
        return {**obj, "metadata": {**metadata, "managedFields": entries}}
    if "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def only_times_differ(new: Object, old: Object) -> bool:
    """Whether a write would change nothing but when somebody last wrote: then nothing is written."""
    entries, stored = new["metadata"].get("managedFields") or [], old["metadata"].get("managedFields") or []
    if not managers.same_but_times(stored, entries):
        return False
    return _without_entries(new) == _without_entries(old)


def _without_entries(obj: Object) -> Object:
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}


# Apply


def demand_config(
    kind: Kind, namespace: str, name: str, config: Any, manager: str, subresource: str = "", api_version: str = ""
) -> Object:
    """The applied configuration, when it may be one: BadRequest or Invalid otherwise."""
    if not manager:
        raise _bad_options(wording.required("fieldManager", "is required for apply patch"))
    if len(manager.encode()) > _MANAGER_LIMIT_BYTES:
        raise _bad_options(wording.too_long("fieldManager", _MANAGER_LIMIT_BYTES))
    if not isinstance(config, Mapping):
        raise BadRequest(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
            f"{_json_name(config)} into Go value of type map[string]interface {{}}"
        )
    expected = (_SCALE_VERSION, "Scale") if subresource == "scale" else (api_version or kind.api_version, kind.kind)
    version, word = config.get("apiVersion") or "", config.get("kind") or ""
    if (version, word) != expected:
        group_version = version if "/" in version or not version else f"/{version}"
        raise BadRequest(f"invalid object type: {group_version or '/'}, Kind={word}")
    metadata = config.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    if metadata.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    given = metadata.get("name")
    if given and given != name:
        raise BadRequest(f"the name of the object ({given}) does not match the name on the URL ({name})")
    if kind.namespaced and metadata.get("namespace") not in (None, "", namespace):
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    return config


def _json_name(value: Any) -> str:
    return {str: "string", list: "array", bool: "bool"}.get(value.__class__, "number")


def _bad_options(cause: Any) -> Invalid:
    return Invalid("PatchOptions", "", [cause], group="meta.k8s.io")


def applied(
    kind: Kind, live: Object, config: Object, who: Writer, *, force: bool = False, schema: SchemaSource | None = None
) -> tuple[Object, list[dict[str, Any]]]:
    """(what the live object becomes, its managedFields); the very live object when only owners change.

    live: {} when there is none yet; schema: of the version that live and config speak, when that is not the kind's own.
    Raises Conflict with a cause per field, or a 500 when the config does not fit the schema.
    """
    part = part_of(schema or kind.schema)
    _demand_shape(part, config)
    stored = (live.get("metadata") or {}).get("managedFields")
    result = _applied(part, live, config, _stored(kind, stored), who, force)
    return live if result.object is None else result.object, managers.written(result.managed)


def _demand_shape(part: shapes.Part, config: Object) -> None:
    try:
        check(part, config)
    except ShapeError as error:
        metadata = config.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        version = config["apiVersion"]
        group_version = version if "/" in version else f"/{version}"
        which = (
            f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}; {group_version}, Kind={config['kind']}"
        )
        raise refusals.PlainInternal(f"failed to create typed patch object ({which}): {error}") from None


def _applied(
    part: shapes.Part, live: Object, config: Object, managed: Managed, who: Writer, force: bool
) -> server_side.Applied:
    try:
        return server_side.applied(part, live, config, managed, who, force=force)
    except ApplyConflict as refusal:
        causes = [
            {
                "reason": "FieldManagerConflict",
                "message": f"conflict with {conflict.owner}",
                "field": field_sets.path_text(conflict.path),
            }
            for conflict in refusal.conflicts
        ]
        raise Conflict(str(refusal), details={"causes": causes}) from None
    except ShapeError as error:
        raise refusals.PlainInternal(f"failed to merge config: {error}") from None


# Scale


def scaled(kind: Kind, old: Object, replicas: int | None, who: Writer) -> list[dict[str, Any]]:
    """The managedFields after the scale subresource set `spec.replicas`.

    Only owners of the replicas take part, under the version of Scale; as upstream, their entries then have no time.
    """
    managed = managers.read(old["metadata"].get("managedFields"))
    live, new = _scale_of(old), {"metadata": {}, "spec": {"replicas": replicas}}
    after = server_side.updated(_scale_part(), live, new, _owners_of_replicas(managed), _scale_writer(who))
    return managers.written(_with_replicas(managed, after, kind))


def scale_applied(
    kind: Kind, old: Object, config: Object, who: Writer, force: bool
) -> tuple[int | None, list[dict[str, Any]]]:
    """(replicas, managedFields) after a Scale was applied."""
    _demand_shape(_scale_part(), config)
    managed = managers.read(old["metadata"].get("managedFields"))
    live = _scale_of(old)
    result = _applied(_scale_part(), live, config, _owners_of_replicas(managed), _scale_writer(who), force)
    spec = (result.object if result.object is not None else live).get("spec") or {}
    return spec.get("replicas", 0), managers.written(_with_replicas(managed, result.managed, kind))


def _scale_writer(who: Writer) -> Writer:
    return Writer(who.manager, _SCALE_VERSION, who.time, "scale")


def _scale_of(old: Object) -> Object:
    replicas = (old.get("spec") or {}).get("replicas")
    return {"metadata": {}, "spec": {} if replicas is None else {"replicas": replicas}}


_REPLICAS: FieldSet = {"f:spec": {"f:replicas": EMPTY}}
_REPLICAS_PATH = ("f:spec", "f:replicas")


def _owners_of_replicas(managed: Managed) -> Managed:
    out: Managed = {}
    for owner, owned in managed.items():
        if field_sets.has(owned.fields, _REPLICAS_PATH):
            seen = owner._replace(api_version=_SCALE_VERSION) if owner.operation == managers.UPDATE else owner
            out[seen] = Owned(_REPLICAS, _SCALE_VERSION, owned.time)
    return out


def _with_replicas(managed: Managed, scale: Managed, kind: Kind) -> Managed:
    """The owners of the object with what happened to its replicas.

    Updaters come back under another identity than they went (their version differs), so they part from what else they
    own; that is upstream's doing.
    """
    out: Managed = {}
    remaining = dict(scale)
    for owner, owned in managed.items():
        if not field_sets.has(owned.fields, _REPLICAS_PATH):
            out[owner] = owned
        elif owner in remaining:
            out[owner] = owned
            del remaining[owner]
        else:
            rest = owned.but(field_sets.difference(owned.fields, _REPLICAS))
            if rest.fields:
                out[owner] = rest
    for owner, owned in remaining.items():
        if field_sets.has(owned.fields, _REPLICAS_PATH):
            out[owner] = Owned(_REPLICAS, kind.api_version, managed[owner].time if owner in managed else "")
    return out


# Patches


def patched(kind: Kind, old: Object, patch: Any, patch_type: str) -> Object:
    """The object a patch leads to, before anything is filled or checked. patch_type: merge, strategic or json (then
    `patch` is a list of operations)."""
    if patch_type == JSON:
        return _json_patched(old, patch)
    if not isinstance(patch, Mapping):
        raise BadRequest(
            f"error decoding patch: json: cannot unmarshal {_json_name(patch)} into Go value of type "
            "map[string]interface {}"
        )
    if patch_type == STRATEGIC:
        return _strategic_patched(kind, old, patch)
    result: Object = apply_merge_patch(old, patch)
    return result


def scale_patched(scale: Object, patch: Any, patch_type: str) -> Object:
    """A Scale with a patch applied; it has no lists, so a strategic patch merges."""
    if patch_type == JSON:
        return _json_patched(scale, patch)
    result: Object = apply_merge_patch(scale, patch)
    return result


def _json_patched(old: Object, operations: Any) -> Object:
    if operations.__class__ is not list:
        raise BadRequest(
            f"error decoding patch: json: cannot unmarshal {_object_name(operations)} into Go value of type "
            "[]handlers.jsonPatchOp"
        )
    try:
        result = apply_json_patch(old, operations)
    except PatchError:
        raise refusals.Unprocessable() from None
    if not isinstance(result, Mapping):
        raise refusals.bad_patch(json.dumps(result), "couldn't get version/kind; json parse error")
    return result


def _object_name(value: Any) -> str:
    return "object" if isinstance(value, Mapping) else _json_name(value)


def _strategic_patched(kind: Kind, old: Object, patch: Mapping[str, Any]) -> Object:
    if not isinstance(kind.schema, Component):
        raise BadRequest("strategic merge patch format is not supported")
    try:
        return apply_strategic_patch(part_of(kind.schema), old, patch)
    except StrategicError as error:
        if error.code == 400:
            raise BadRequest(str(error)) from None
        if error.code == 422:
            raise refusals.Unprocessable() from None
        raise refusals.PlainInternal(str(error)) from None


def unreadable(kind: Kind, old: Object, patch: Any, patch_type: str, error: refusals.Undecodable) -> ApiError:
    """What a patch is told that leads to something which is not of the kind: 422, quoting the patched document or, for
    a strategic patch, the patch itself."""
    if not isinstance(patch, list if patch_type == JSON else Mapping):
        return error
    if patch_type == STRATEGIC:
        return refusals.bad_patch(go_text.plain(patch), error.why)
    shown = _sorted_where_changed(old, patched(kind, old, patch, patch_type))
    return refusals.bad_patch(json.dumps(shown, ensure_ascii=False, separators=(",", ":")), error.why)


_METADATA_ORDER = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)
"""The order of ObjectMeta's fields in Go, in which untouched metadata is quoted."""


def _metadata_place(key: str) -> int:
    return _METADATA_ORDER.index(key) if key in _METADATA_ORDER else len(_METADATA_ORDER)


def _sorted_where_changed(old: Any, new: Any) -> Any:
    """Upstream patches maps only where the patch says something, and those come out sorted."""
    if new is old and isinstance(new, Mapping) and "resourceVersion" in new:
        return {key: new[key] for key in sorted(new, key=_metadata_place)}
    if new is old or not isinstance(new, Mapping):
        return new
    before = old if isinstance(old, Mapping) else {}
    return {key: _sorted_where_changed(before.get(key), new[key]) for key in sorted(new)}
