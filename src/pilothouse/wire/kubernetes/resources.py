"""What is served: one `Resource` per group, version and plural, built from kinds and the discovery data; custom ones
come and go.

A resource knows its storage kind and how an object changes between the served and the stored version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.engines.schema.openapi import Schema, read_document
from pilothouse.machinery.kind import Kind, Kinds, SchemaSource

Convert = Callable[[Object], Object]

READ_WRITE = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(slots=True)
class Resource:
    """One served resource. kind: None for reviews and other resources without storage; since: the revision at which a
    custom resource began to be served."""

    group: str
    version: str
    plural: str
    kind_name: str
    namespaced: bool
    verbs: tuple[str, ...]
    kind: Kind | None
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    schema_source: SchemaSource | None = None
    to_stored: Convert | None = None
    to_served: Convert | None = None
    custom: Mapping[str, Any] | None = None
    since: int = 0

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The resource of messages: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def schema(self) -> Schema:
        """The schema of the served version."""
        assert self.schema_source is not None
        return self.schema_source.load()

    def item_prefix(self) -> bytes:
        """How stored bytes begin: what lists of built-in kinds leave out of their items."""
        return f'{{"apiVersion":"{self.api_version}","kind":"{self.kind_name}",'.encode()


class Registry:
    """All served resources, found by group, version and plural. `generation` rises with every change."""

    def __init__(self, kinds: Kinds, conversions: Mapping[tuple[str, str], Conversion]) -> None:
        self.kinds = kinds
        self.discovery = read_document("kubernetes-openapi/discovery.json")
        self._resources: dict[tuple[str, str, str], Resource] = {}
        self._custom: dict[str, list[Resource]] = {}
        self.generation = 0
        for part in ("api", "apis"):
            for group in self.discovery[part]["items"]:
                for version in group["versions"]:
                    for entry in version["resources"]:
                        self._add_builtin(group["metadata"].get("name", ""), version["version"], entry, conversions)

    def _add_builtin(
        self,
        group: str,
        version: str,
        entry: Mapping[str, Any],
        conversions: Mapping[tuple[str, str], Conversion],
    ) -> None:
        kind_name = entry["responseKind"]["kind"]
        conversion = conversions.get((f"{group}/{version}" if group else version, kind_name))
        if conversion is not None:
            kind = self.kinds.get(conversion.kind)
        else:
            kind = self.kinds.get(f"{group}/{kind_name}" if group else kind_name)
            if kind is not None and kind.version != version:
                kind = None
        if kind is None and "list" in entry["verbs"] and entry["resource"] != "componentstatuses":
            return
        self._put(
            Resource(
                group,
                version,
                entry["resource"],
                kind_name,
                entry["scope"] == "Namespaced",
                tuple(entry["verbs"]),
                kind,
                entry.get("singularResource", ""),
                tuple(entry.get("shortNames", ())),
                tuple(entry.get("categories", ())),
                {sub["subresource"]: sub for sub in entry.get("subresources", ())},
                conversion.schema if conversion is not None else (kind.schema if kind is not None else None),
                conversion.to_stored if conversion is not None else None,
                conversion.to_served if conversion is not None else None,
            )
        )

    def _put(self, resource: Resource) -> None:
        self._resources[(resource.group, resource.version, resource.plural)] = resource
        self.generation += 1

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._resources.get((group, version, plural))

    def has_version(self, group: str, version: str) -> bool:
        return any(resource.group == group and resource.version == version for resource in self._resources.values())

    def has_group(self, group: str) -> bool:
        return any(resource.group == group for resource in self._resources.values())

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._resources.values())

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        for resource in self._resources.values():
            if resource.kind_name == kind and resource.api_version == api_version:
                return resource
        return None

    def stored(self, plural: str, group: str) -> Resource | None:
        """The first served version of a plural in a group."""
        for resource in self._resources.values():
            if resource.plural == plural and resource.group == group:
                return resource
        return None

    def custom(self) -> list[Resource]:
        """Every custom resource, by definition in the order they came."""
        return [resource for resources in self._custom.values() for resource in resources]

    def set_custom(self, definition: str, resources: list[Resource]) -> None:
        """Serve these resources of a definition, instead of the ones it had before."""
        for old in self._custom.pop(definition, ()):
            self._resources.pop((old.group, old.version, old.plural), None)
        if resources:
            self._custom[definition] = resources
        for resource in resources:
            self._put(resource)
        self.generation += 1


@dataclass(frozen=True, slots=True)
class Conversion:
    """A served version that is not the stored one: the stored kind's name, its own schema, and both ways."""

    kind: str
    schema: SchemaSource
    to_stored: Convert
    to_served: Convert
