"""Remembering the result of a pure function by the identity of its argument.

Objects are immutable and shared: thousands of pods hold the very same template spec. Asking "is it this same object?"
costs a dictionary look-up, comparing or walking it costs hundreds. The cache keeps the argument alive, so that its id
stays its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Argument = TypeVar("Argument")
Result = TypeVar("Result")

REMEMBERED = 2_048
"""Arguments kept per function; then all are forgotten at once. A world has far fewer distinct templates than this."""


class IdentityCache(Generic[Argument, Result]):
    """`cache(argument)` is `function(argument)`; the function must be pure and its argument never changed."""

    __slots__ = ("_function", "_seen")

    def __init__(self, function: Callable[[Argument], Result]) -> None:
        self._function = function
        self._seen: dict[int, tuple[Argument, Result]] = {}

    def __call__(self, argument: Argument) -> Result:
        seen = self._seen.get(id(argument))
        if seen is not None:
            return seen[1]
        result = self._function(argument)
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        self._seen[id(argument)] = (argument, result)
        return result


def by_identity(function: Callable[[Argument], Result]) -> IdentityCache[Argument, Result]:
    """Decorator for a pure function of one immutable object."""
    return IdentityCache(function)
