"""`metadata.managedFields`: who owns which fields, read from and written to the wire's entries.

An owner is a manager acting by one operation ("Apply", or "Update" with an apiVersion) through one subresource. Same
rules as apimachinery 1.36 `util/managedfields/internal/{managedfields,capmanagers}.go`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from pilothouse.engines.apply import field_sets
from pilothouse.engines.apply.field_sets import EMPTY, FieldSet

APPLY, UPDATE = "Apply", "Update"
MAX_UPDATERS: Final = 10
"""Owners by Update that are kept apart; beyond, the oldest are put together as "ancient-changes"."""

ANCIENT: Final = "ancient-changes"


class Owner(NamedTuple):
    """api_version is "" for appliers: they are the same whatever version they apply."""

    manager: str
    operation: str
    api_version: str
    subresource: str

    def __str__(self) -> str:
        """As conflicts name it: `"helm" with subresource "status" using apps/v1`."""
        text = field_sets.shown(self.manager)
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


@dataclass(frozen=True, slots=True)
class Owned:
    """What an owner owns: fields in terms of an apiVersion, last changed at `time` (RFC 3339, "" unknown)."""

    fields: FieldSet
    api_version: str
    time: str = ""

    def but(self, fields: FieldSet) -> Owned:
        return self if fields is self.fields else replace(self, fields=fields)


Managed = dict[Owner, Owned]


class BadEntries(ValueError):
    """managedFields that a client sent and nobody can read."""


def read(entries: Sequence[Mapping[str, Any]] | None, *, trusted: bool = True) -> Managed:
    """The owners of an object. `trusted`: the entries are ours; else BadEntries is raised for what cannot be read."""
    managed: Managed = {}
    for entry in entries or ():
        if not trusted:
            _demand_sound(entry)
        operation, version = entry["operation"], entry.get("apiVersion", "")
        owner = Owner(
            entry.get("manager", ""), operation, version if operation == UPDATE else "", entry.get("subresource", "")
        )
        managed[owner] = Owned(entry.get("fieldsV1") or EMPTY, version, entry.get("time") or "")
    return managed


def _demand_sound(entry: Mapping[str, Any]) -> None:
    if entry.get("operation") not in (APPLY, UPDATE):
        raise BadEntries("operation must be `Apply` or `Update`")
    if not entry.get("apiVersion"):
        raise BadEntries("apiVersion must not be empty")
    if entry.get("fieldsType") != "FieldsV1":
        raise BadEntries(f"invalid fieldsType {entry.get('fieldsType', '')!r}")
    if not field_sets.is_sound(entry.get("fieldsV1") or EMPTY):
        raise BadEntries("fieldsV1 cannot be read")


def written(managed: Managed) -> list[dict[str, Any]]:
    """The wire's entries: appliers first, then by time, manager, apiVersion and subresource."""
    rows = [
        (owner.operation, owned.time, owner.manager, owned.api_version, owner.subresource, at)
        for at, (owner, owned) in enumerate(managed.items())
    ]
    everyone = list(managed.values())
    return [_entry(row, everyone[row[-1]]) for row in sorted(rows)]


def _entry(row: tuple[str, str, str, str, str, int], owned: Owned) -> dict[str, Any]:
    operation, time, manager, version, subresource, _at = row
    entry: dict[str, Any] = {"manager": manager, "operation": operation, "apiVersion": version}
    if time:
        entry["time"] = time
    entry["fieldsType"] = "FieldsV1"
    entry["fieldsV1"] = owned.fields
    if subresource:
        entry["subresource"] = subresource
    return entry


def same_but_times(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two lists of entries differ in nothing but when."""
    if len(old) != len(new):
        return False
    return sorted(map(_timeless, old), key=_place) == sorted(map(_timeless, new), key=_place)


def _timeless(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "time"}


def _place(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(entry.get(key, "")) for key in ("operation", "manager", "apiVersion", "subresource"))


def capped(managed: Managed) -> Managed:
    """At most `MAX_UPDATERS` owners by Update: the oldest of each version become one."""
    updaters = [owner for owner in managed if owner.operation == UPDATE]
    surplus = len(updaters) - MAX_UPDATERS
    if surplus <= 0:
        return managed
    updaters.sort(key=lambda owner: (managed[owner].time, owner))
    out = dict(managed)
    first_of: dict[str, Owner] = {}
    for owner in updaters:
        if surplus <= 0:
            break
        owned = managed[owner]
        first = first_of.setdefault(owned.api_version, owner)
        if first is owner:
            continue
        bucket = Owner(ANCIENT, UPDATE, owned.api_version, "")
        if bucket not in out:
            out[bucket] = out.pop(first)
        out[bucket] = Owned(field_sets.union(owned.fields, out[bucket].fields), owned.api_version, owned.time)
        if owner != bucket:
            out.pop(owner, None)
        surplus -= 1
    return out
