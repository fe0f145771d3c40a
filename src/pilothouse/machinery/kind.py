"""What a kind is: its names, its shape, its rules and its columns, as one value; and the written list of all kinds.

A kind's folder makes one `Kind` called `KIND`; `assemble` writes them into a list. The write path asks the kind, it
knows none by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names, openapi


@dataclass(frozen=True, slots=True)
class Component:
    """The schema of a built-in kind: a component of an API server's OpenAPI document below data/kubernetes-openapi."""

    document: str
    name: str

    def load(self) -> openapi.Schema:
        return openapi.component(f"kubernetes-openapi/{self.document}", self.name)


@dataclass(frozen=True, slots=True)
class Custom:
    """The schema of a custom resource: a version of a CustomResourceDefinition below data/crds."""

    document: str
    version: str

    def load(self) -> openapi.Schema:
        return openapi.custom_resource(f"crds/{self.document}", self.version)


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A schema made while running: the one of a CustomResourceDefinition that somebody created."""

    schema: openapi.Schema

    def load(self) -> openapi.Schema:
        return self.schema


@dataclass(frozen=True, slots=True)
class Inline:
    """A schema of our own, written as an openAPIV3Schema next to its kind."""

    source: Callable[[], Mapping[str, Any]]

    def load(self) -> openapi.Schema:
        return _inline_schema(self.source)


@cache
def _inline_schema(source: Callable[[], Mapping[str, Any]]) -> openapi.Schema:
    """Made once per source, like the schemas that are read from files."""
    return openapi.custom_schema(source())


SchemaSource = Component | Custom | Inline | Made


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`. value: the cell of an object at a moment; wide: only with `-o wide` (priority 1)."""

    name: str
    value: Callable[[Object, float], Any]
    type: str = "string"
    format: str = ""
    wide: bool = False


def keep(obj: Object) -> Object:
    """No defaults beyond the schema's."""
    return obj


def accept(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    """No rules beyond the schema's."""
    return []


@dataclass(frozen=True, slots=True)
class Strategy:
    """How the write path treats a kind (upstream's registry strategies).

    status: has a status subresource: the main resource never touches `.status`.
    generation: keeps `metadata.generation`; it rises when anything but metadata and status changes.
    scale: has a scale subresource over `.spec.replicas`.
    grace_s: seconds a deletion waits, given the object and what the caller asked (None: nothing); None: goes at once.
    held: the object must stay although it is deleted and has no finalizers (a Namespace with spec.finalizers).
    name_causes: what is wrong with a name.
    prepare: last touch before validation: (new, old or None) -> new, e.g. an initial status.
    prepare_status: (new status, stored object) -> status, for parts of a status that writers may leave out.
    status_writes_labels: a status update may also change labels and annotations (pods, services, nodes).
    bind: (object, binding, now in RFC 3339) -> new object, for kinds with a binding subresource.
    allocate: (new, old or None, all stored objects of the kind) -> new, for values that must be unique in the
        cluster, such as a clusterIP.
    unconditional: an update without resourceVersion is fine (custom resources refuse a replace without one).
    parts: further subresources that write a part of the object: name -> (sent, stored) -> (new object, causes), e.g. a
        namespace's `finalize`.
    """

    status: bool = True
    generation: bool = True
    scale: bool = False
    grace_s: Callable[[Object, int | None], int] | None = None
    held: Callable[[Object], bool] | None = None
    name_causes: Callable[[str], tuple[str, ...]] = names.dns_subdomain
    prepare: Callable[[Object, Object | None], Object] | None = None
    prepare_status: Callable[[Any, Object], Any] | None = None
    status_writes_labels: bool = False
    bind: Callable[[Object, Mapping[str, Any], str], Object] | None = None
    allocate: Callable[[Object, Object | None, Callable[[], Iterable[Object]]], Object] | None = None
    create_on_replace: bool = False
    unconditional: bool = True
    parts: Mapping[str, Callable[[Object, Object], tuple[Object, list[Cause]]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object. group "" is the core group; `default` and `validate` are pure and share what they do not
    change."""

    group: str
    version: str
    kind: str
    plural: str
    schema: SchemaSource
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    default: Callable[[Object], Object] = keep
    validate: Callable[[Object, Object | None], list[Cause]] = accept
    strategy: Strategy = field(default_factory=Strategy)
    columns: tuple[Column, ...] = ()

    @property
    def name(self) -> str:
        """The name used everywhere inside: `Pod`, `apps/Deployment`."""
        return f"{self.group}/{self.kind}" if self.group else self.kind

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """The qualified resource of messages: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


class Kinds:
    """The written list of kinds, found by name or by apiVersion and kind. ValueError when two share a name."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._by_name: dict[str, Kind] = {}
        for kind in kinds:
            if kind.name in self._by_name:
                raise ValueError(f"kind {kind.name} is listed twice")
            self._by_name[kind.name] = kind
        self._by_type = {(kind.api_version, kind.kind): kind for kind in self._by_name.values()}

    def add(self, kind: Kind) -> None:
        """Take in a kind that was defined while running, in place of one of the same name."""
        self.remove(kind.name)
        self._by_name[kind.name] = kind
        self._by_type[(kind.api_version, kind.kind)] = kind

    def remove(self, name: str) -> None:
        """Forget a kind, if it is known."""
        kind = self._by_name.pop(name, None)
        if kind is not None:
            self._by_type.pop((kind.api_version, kind.kind), None)

    def __getitem__(self, name: str) -> Kind:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_name.values())

    def get(self, name: str) -> Kind | None:
        return self._by_name.get(name)

    def of_type(self, api_version: str, kind: str) -> Kind | None:
        """The kind a manifest with this apiVersion and kind means, or None."""
        return self._by_type.get((api_version, kind))

    def of_object(self, obj: Object) -> Kind | None:
        return self._by_type.get((obj.get("apiVersion", ""), obj.get("kind", "")))
