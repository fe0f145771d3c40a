"""The tree of an expression. Every node knows the offset of the text that it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    offset: int
    value: Any


@dataclass(frozen=True, slots=True)
class Name:
    offset: int
    name: str


@dataclass(frozen=True, slots=True)
class Pointer:
    """`#`, `#index`, `#acc`: the element a predicate looks at."""

    offset: int
    what: str


@dataclass(frozen=True, slots=True)
class Unary:
    offset: int
    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary:
    offset: int
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Choice:
    offset: int
    condition: Node
    then: Node
    other: Node


@dataclass(frozen=True, slots=True)
class Member:
    """`of.name`, `of[key]`; optional: nil instead of an error when `of` is nil."""

    offset: int
    of: Node
    key: Node
    optional: bool


@dataclass(frozen=True, slots=True)
class Slice:
    offset: int
    of: Node
    start: Node | None
    stop: Node | None


@dataclass(frozen=True, slots=True)
class Call:
    offset: int
    function: Node
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Predicate:
    """An argument that is evaluated once per element."""

    offset: int
    body: Node


@dataclass(frozen=True, slots=True)
class ArrayOf:
    offset: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapOf:
    offset: int
    items: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Let:
    offset: int
    name: str
    value: Node
    body: Node


Node = Literal | Name | Pointer | Unary | Binary | Choice | Member | Slice | Call | Predicate | ArrayOf | MapOf | Let
