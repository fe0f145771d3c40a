"""What an analysis measures with: queries and web requests, as a protocol that the world around it fulfils at once.

Jobs need no port: they are objects of the cluster. Used by `measure.py`; made by `assemble`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pilothouse.base.errors import PilothouseError


class ProviderError(PilothouseError):
    """A measurement could not be taken: the provider is down, the query is wrong, the address answers badly."""

    retryable = True


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A request of the web provider. timeout_s: as the metric asks; body: "" for none."""

    url: str
    method: str = "GET"
    headers: Sequence[tuple[str, str]] = ()
    body: str = ""
    timeout_s: float = 10.0
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class WebAnswer:
    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Providers(Protocol):
    """Where values come from. Everything answers at once; what cannot be answered raises ProviderError."""

    def query(self, text: str, time_s: float) -> float | list[float]:
        """An instant query: a scalar's value, or the values of a vector in its order."""

    def query_range(self, text: str, start_s: float, end_s: float, step_s: float) -> list[float]:
        """A range query: the values of all series one after the other."""

    def fetch(self, request: WebRequest) -> WebAnswer:
        """One HTTP exchange."""


class NoProviders:
    """Answers nothing: for a cluster without metrics and without a way out."""

    def query(self, text: str, time_s: float) -> float | list[float]:  # noqa: ARG002 - the protocol's signature
        raise ProviderError("there is no metrics database here to ask")

    def query_range(self, text: str, start_s: float, end_s: float, step_s: float) -> list[float]:  # noqa: ARG002
        raise ProviderError("there is no metrics database here to ask")

    def fetch(self, request: WebRequest) -> WebAnswer:
        raise ProviderError(f"{request.url} cannot be reached from here")
