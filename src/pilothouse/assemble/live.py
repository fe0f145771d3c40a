"""The live control plane: store, write path and the Kubernetes API over them, with or without controllers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pilothouse.assemble import bootstrap
from pilothouse.assemble.api_kinds import served_kinds
from pilothouse.assemble.kinds import indexes
from pilothouse.assemble.served_versions import conversions
from pilothouse.base.clock import Clock
from pilothouse.base.entropy import Entropy
from pilothouse.kinds.rbac.clusterrole.controller import AggregationController
from pilothouse.machinery.admission import namespace_lifecycle
from pilothouse.machinery.authn import Authenticator, TokenCheck, User
from pilothouse.machinery.authz import Rbac
from pilothouse.machinery.client import Client
from pilothouse.machinery.events import EventRecorder
from pilothouse.machinery.reconcile import Failure, Reconciler
from pilothouse.machinery.service_tokens import ServiceTokens
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store
from pilothouse.wire.kubernetes.app import Api
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.definitions import Definitions
from pilothouse.wire.kubernetes.resources import Registry


@dataclass(slots=True)
class LiveOptions:
    """What an API server is made with. tokens: users by bearer token; durable: waits until a revision is on disk."""

    tokens: Mapping[str, User] = field(default_factory=dict)
    address: str = ""
    service_tokens: Callable[[Store], ServiceTokens] | None = None
    on_error: Callable[[Exception], None] | None = None
    on_failure: Callable[[Failure], None] | None = None


@dataclass(slots=True)
class LiveApi:
    """An API server's parts, ready to be served."""

    store: Store
    write_path: WritePath
    context: Context
    api: Api
    reconciler: Reconciler
    definitions: Definitions


def build(clock: Clock, entropy: Entropy, options: LiveOptions, store: Store | None = None) -> LiveApi:
    """An API over an empty or restored store, with its first objects written."""
    store = Store(indexes()) if store is None else store
    kinds = served_kinds()
    write_path = WritePath(store, kinds, clock, entropy, hooks=(namespace_lifecycle,))
    tokens = options.service_tokens(store) if options.service_tokens is not None else None
    checks: tuple[TokenCheck, ...] = (tokens.user_of,) if tokens is not None else ()
    bootstrap.fill(write_path)
    context = Context(
        write_path,
        Registry(kinds, conversions()),
        Authenticator(options.tokens, checks),
        Rbac(store),
        clock,
        tokens=tokens,
        address=options.address,
    )
    client = Client(write_path)
    events = EventRecorder(clock)
    reconciler = Reconciler(client, events, clock, [AggregationController(client)], on_failure=options.on_failure)
    return LiveApi(store, write_path, context, Api(context, options.on_error), reconciler, Definitions(context))
