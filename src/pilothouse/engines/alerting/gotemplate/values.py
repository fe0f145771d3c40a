"""The Go values that a template can meet, and the names of their types.

Python's own str, bool, int, float, complex and None stand for Go's string, bool, int, float64, complex128 and nil.
Maps are
`GoMap`, slices `GoSlice`, structs `GoStruct`; times and durations have their own classes in `gotime`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class GoMap(dict[str, Any]):
    """A Go map with string keys; `element` is "string" or "interface {}"."""

    __slots__ = ("element",)

    def __init__(self, values: Mapping[str, Any], element: str = "string") -> None:
        super().__init__(values)
        self.element = element

    @property
    def type_name(self) -> str:
        return f"map[string]{self.element}"

    def zero(self) -> Any:
        """What a missing key gives under `missingkey=zero`."""
        return "" if self.element == "string" else None


class GoSlice(list[Any]):
    """A Go slice; `type_name` as Go would print its type."""

    def __init__(self, values: Sequence[Any], type_name: str = "[]interface {}") -> None:
        super().__init__(values)
        self.type_name = type_name


class Named:
    """A value with a String method of its own (times, durations, months): %v and %s print that."""

    __slots__ = ()


class HTML(str):
    """html/template's marked-safe string; in text templates just a string of another type."""

    __slots__ = ()


Method = Callable[..., Any]


@dataclass(slots=True)
class GoStruct:
    """A struct, or a pointer to one. fields in declaration order; methods by name, called with the arguments."""

    type_name: str
    fields: dict[str, Any]
    pointer: bool = False
    methods: dict[str, Method] = field(default_factory=dict)

    @property
    def shown_type(self) -> str:
        return f"*{self.type_name}" if self.pointer else self.type_name


@dataclass(frozen=True, slots=True)
class Function:
    """A template function. parameters are type names ("string", "int", "any", …); variadic: the type of the rest,
    or None.
    """

    call: Callable[..., Any]
    parameters: tuple[str, ...]
    variadic: str | None = None


def type_name(value: Any) -> str:
    """The Go type of a value, as `%T` prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
        case complex():
            return "complex128"
        case HTML():
            return "template.HTML"
        case str():
            return "string"
        case GoStruct():
            return value.shown_type
        case Function():
            return "func"
    return str(getattr(value, "type_name", type(value).__name__))


def is_true(value: Any) -> bool:
    """Go templates' truth: the zero value of a type is false; NaN and structs are true."""
    if value is None:
        return False
    if isinstance(value, str | GoMap | GoSlice):
        return len(value) > 0
    if isinstance(value, bool | int | float | complex):
        return value != 0
    zero = getattr(value, "is_zero_number", None)
    return not (zero is not None and zero())
