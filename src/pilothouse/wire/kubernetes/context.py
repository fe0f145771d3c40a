"""What the handlers of one API server share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pilothouse.base.clock import Clock
from pilothouse.machinery.authn import Authenticator
from pilothouse.machinery.authz import Rbac
from pilothouse.machinery.service_tokens import ServiceTokens
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store
from pilothouse.wire.kubernetes.resources import Registry

Durable = Callable[[int], Awaitable[None]]
"""Waits until the store's changes up to a revision are on disk."""


@dataclass(slots=True)
class Context:
    """One server's parts. durable: None when nothing is kept on disk; tokens: None without service account tokens."""

    write_path: WritePath
    registry: Registry
    authenticator: Authenticator
    rbac: Rbac
    clock: Clock
    durable: Durable | None = None
    tokens: ServiceTokens | None = None
    address: str = ""

    @property
    def store(self) -> Store:
        return self.write_path.store
