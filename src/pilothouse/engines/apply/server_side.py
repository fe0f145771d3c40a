"""Field ownership on writes: what an update makes its writer own, and server-side apply.

Pure functions over plain objects, a `Part` (the kind's shape) and `Managed` (who owns what). Callers:
`machinery.applying`. Same meaning as `merge/update.go` of structured-merge-diff v6 and apimachinery 1.36
`util/managedfields/internal` (`fieldmanager.go`, `structuredmerge.go`, `lastapplied*.go`, `skipnonapplied.go`,
`stripmeta.go`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from pilothouse.engines.apply import field_sets, managers
from pilothouse.engines.apply.field_sets import EMPTY, FieldSet
from pilothouse.engines.apply.managers import APPLY, UPDATE, Managed, Owned, Owner
from pilothouse.engines.apply.shapes import Part
from pilothouse.engines.apply.typed_pairs import differences, merged
from pilothouse.engines.apply.typed_values import ShapeError, check, fields_of, with_named, with_whole_parts, without

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
BEFORE_FIRST: Final = "before-first-apply"
_KUBECTL: Final = "kubectl"
_ANNOTATIONS_LIMIT_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, in which version, through which subresource, when (RFC 3339). ignored: fields that this way of
    writing does not touch, such as the status in a write of the main resource."""

    manager: str
    api_version: str
    time: str
    subresource: str = ""
    ignored: FieldSet = field(default_factory=dict)

    def owner(self, operation: str) -> Owner:
        return Owner(self.manager, operation, self.api_version if operation == UPDATE else "", self.subresource)


class Conflict(NamedTuple):
    """A field that somebody else owns."""

    owner: Owner
    path: tuple[str, ...]


class ApplyConflict(Exception):
    """An apply would change what others own."""

    def __init__(self, conflicts: list[Conflict]) -> None:
        super().__init__(conflict_text(conflicts))
        self.conflicts = conflicts


def conflict_text(conflicts: list[Conflict]) -> str:
    """The sentence of the refusal."""
    if len(conflicts) == 1:
        only = conflicts[0]
        return f"Apply failed with 1 conflict: conflict with {only.owner}: {field_sets.path_text(only.path)}"
    by_owner: dict[Owner, list[str]] = {}
    for conflict in conflicts:
        by_owner.setdefault(conflict.owner, []).append(f"- {field_sets.path_text(conflict.path)}")
    lines = []
    for owner in sorted(by_owner, key=_identifier):
        lines += [f"conflicts with {owner}:", *by_owner[owner]]
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)


def _identifier(owner: Owner) -> str:
    """Upstream sorts owners by this JSON."""
    parts = zip(
        ("manager", "operation", "apiVersion", "subresource"),
        (owner.manager, owner.operation, owner.api_version, owner.subresource),
    )
    return json.dumps({name: value for name, value in parts if value}, separators=(",", ":"))


def reconciled(part: Part, managed: Managed) -> Managed:
    """Owners in terms of today's schema: what became owned as a whole is owned as a whole. For schemas that may
    change."""
    return {owner: owned.but(with_whole_parts(part, owned.fields)) for owner, owned in managed.items()}


# Update


def updated(part: Part, live: Mapping[str, Any], new: Mapping[str, Any], managed: Managed, writer: Writer) -> Managed:
    """Who owns what after `live` became `new` by anything but an apply; live: {} for a creation.

    An object whose fields nobody owns stays so until it is first applied to.
    """
    if not managed and live:
        return managed
    return managers.capped(_updated(part, live, new, managed, writer))


def _updated(part: Part, live: Mapping[str, Any], new: Mapping[str, Any], managed: Managed, writer: Writer) -> Managed:
    removed, changed = _changes(part, live, new, writer.ignored)
    out = _without_lost(managed, changed, removed)
    if not changed:
        return out
    owner = writer.owner(UPDATE)
    before = out.get(owner)
    fields = field_sets.union(changed, before.fields) if before is not None else changed
    out[owner] = Owned(field_sets.in_order(fields), writer.api_version, writer.time)
    return out


def _changes(part: Part, live: Any, new: Any, ignored: FieldSet) -> tuple[FieldSet, FieldSet]:
    """(removed, added or modified), without what a writer cannot own."""
    found = differences(part, live, new)
    removed = field_sets.recursive_difference(found.removed, ignored)
    return removed, _stripped(field_sets.recursive_difference(found.written(), ignored))


def _stripped(fields: FieldSet) -> FieldSet:
    """Nobody owns `metadata` itself; the names and versions in it are not looked at in the first place."""
    below = fields.get("f:metadata")
    if below is None or (below and field_sets.SELF not in below):
        return fields
    rest = {step: child for step, child in below.items() if step != field_sets.SELF}
    out = {step: child for step, child in fields.items() if step != "f:metadata"}
    return {**out, "f:metadata": rest} if rest else out


def _without_lost(managed: Managed, taken: FieldSet, removed: FieldSet) -> Managed:
    """Everybody's fields but those that were taken over or removed; who owns nothing any more is left out."""
    out: Managed = {}
    for owner, owned in managed.items():
        fields = field_sets.difference(field_sets.difference(owned.fields, taken), removed)
        if fields:
            out[owner] = owned.but(fields)
    return out


# Apply


class Applied(NamedTuple):
    """object: what the live object becomes, None when the apply changes nothing but owners."""

    object: Mapping[str, Any] | None
    managed: Managed


def applied(
    part: Part,
    live: Mapping[str, Any],
    config: Mapping[str, Any],
    managed: Managed,
    writer: Writer,
    *,
    force: bool = False,
) -> Applied:
    """Lay `config` over `live` ({} when there is none yet) in the writer's name.

    Fields the writer applied before and leaves out now go, unless somebody else owns them. ShapeError when the config
    does not have the kind's shape (`check` it first for upstream's wording); ApplyConflict when it would change what
    others own and `force` is not set.
    """
    if not managed and live:
        first = replace(writer, manager=BEFORE_FIRST)
        managed = _updated(part, {}, live, managed, first)
    try:
        result = _applied(part, live, config, managed, writer, force)
    except ApplyConflict as refusal:
        if writer.manager != _KUBECTL:
            raise
        remaining = _not_from_client_side(part, live, refusal.conflicts, writer)
        if remaining:
            raise ApplyConflict(remaining) from None
        result = _applied(part, live, config, managed, writer, True)
    return _with_last_applied(live, config, result) if writer.manager == _KUBECTL else result


def _applied(
    part: Part, live: Mapping[str, Any], config: Mapping[str, Any], managed: Managed, writer: Writer, force: bool
) -> Applied:
    owner = writer.owner(APPLY)
    last = managed.get(owner)
    now = dict(managed)
    fields = _stripped(field_sets.recursive_difference(fields_of(part, config), writer.ignored))
    now[owner] = Owned(field_sets.in_order(fields), writer.api_version, last.time if last is not None else "")
    new = merged(part, live, config)
    if last is not None:
        new = _pruned(part, new, now, last.fields)
    removed, changed = _changes(part, live, new, writer.ignored)
    others = {other: owned for other, owned in now.items() if other != owner}
    if not force:
        _demand_no_conflict(others, changed)
    kept = _without_lost(others, changed, removed)
    mine = now[owner]
    if new is live or not (changed or removed or new != live):
        return Applied(None, {**kept, owner: mine} if mine.fields else kept)
    return Applied(new, {**kept, owner: replace(mine, time=writer.time)} if mine.fields else kept)


def _demand_no_conflict(others: Managed, changed: FieldSet) -> None:
    if not changed:
        return
    conflicts = [
        Conflict(other, path)
        for other, owned in others.items()
        for path in field_sets.paths(field_sets.intersection(owned.fields, changed))
    ]
    if conflicts:
        raise ApplyConflict(conflicts)


def _pruned(part: Part, new: Any, managed: Managed, last: FieldSet) -> Any:
    """Without what was applied last time and is not now, as far as nobody owns it.

    A removed item takes with it what lies below it, but never what others own and, with it, what holds that.
    """
    given_up = last
    for owned in managed.values():
        if not field_sets.difference(given_up, owned.fields):
            return new  # Somebody, mostly the applier itself, still owns all of it.
    named = with_named(part, last)
    rest = without(part, new, named) or EMPTY
    owned_by_any: FieldSet = EMPTY
    for owned in managed.values():
        owned_by_any = field_sets.union(owned_by_any, owned.fields)
    everything = with_named(part, fields_of(part, new))
    wanted = field_sets.union(with_named(part, fields_of(part, rest)), with_named(part, owned_by_any))
    rest = without(part, new, field_sets.difference(everything, wanted)) or EMPTY
    gone = field_sets.difference(everything, with_named(part, fields_of(part, rest)))
    return without(part, new, field_sets.intersection(gone, named)) if gone else new


# Client-side apply's annotation


def _not_from_client_side(
    part: Part, live: Mapping[str, Any], conflicts: list[Conflict], writer: Writer
) -> list[Conflict]:
    """The conflicts that are not over what `kubectl apply` set on the client's side and nobody changed since."""
    allowed = _client_side_fields(part, live, writer.api_version)
    return [conflict for conflict in conflicts if not field_sets.has(allowed, conflict.path)] if allowed else conflicts


def _client_side_fields(part: Part, live: Mapping[str, Any], api_version: str) -> FieldSet:
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return EMPTY
    try:
        last = json.loads(text)
        if not isinstance(last, dict) or last.get("apiVersion") != api_version:
            return EMPTY
        check(part, last)
    except (ShapeError, ValueError, RecursionError):
        return EMPTY
    found = differences(part, last, live)
    fields = fields_of(part, last)
    for changed in found:
        fields = field_sets.difference(fields, changed)
    return fields


def _with_last_applied(live: Mapping[str, Any], config: Mapping[str, Any], result: Applied) -> Applied:
    """kubectl's annotation kept in step with what it applies server-side, on objects that have it."""
    obj = result.object if result.object is not None else live
    metadata = obj.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    if not annotations.get(LAST_APPLIED):
        return result
    text = json.dumps(_bare(config), ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"
    if annotations[LAST_APPLIED] == text:
        return result
    annotations = {**annotations, LAST_APPLIED: text}
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _ANNOTATIONS_LIMIT_BYTES:
        del annotations[LAST_APPLIED]
    return Applied({**obj, "metadata": {**metadata, "annotations": annotations}}, result.managed)


def _bare(config: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = config.get("metadata") or {}
    if LAST_APPLIED not in (metadata.get("annotations") or {}):
        return config
    kept = {key: value for key, value in metadata["annotations"].items() if key != LAST_APPLIED}
    return {**config, "metadata": {**metadata, "annotations": kept}}
