"""The live control plane: store, write path and the Kubernetes API over them, with or without controllers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pilothouse.assemble import bootstrap
from pilothouse.assemble.api_kinds import served_kinds
from pilothouse.assemble.served_versions import conversions
from pilothouse.assemble.stored_events import StoredEvents
from pilothouse.base.clock import Clock
from pilothouse.base.entropy import Entropy
from pilothouse.base.selectors import Selector
from pilothouse.kinds.core.limitrange.admission import limit_ranger
from pilothouse.kinds.core.persistentvolume.admission import storage_protection
from pilothouse.kinds.core.persistentvolume.controller import ClaimProtection, VolumeProtection
from pilothouse.kinds.core.resourcequota.admission import resource_quota
from pilothouse.kinds.rbac.clusterrole.controller import AggregationController
from pilothouse.machinery.admission import namespace_lifecycle
from pilothouse.machinery.authn import Authenticator, TokenCheck, User
from pilothouse.machinery.authz import Rbac
from pilothouse.machinery.client import Client
from pilothouse.machinery.events import EventRecorder
from pilothouse.machinery.ports import MetricValue, PodMetrics
from pilothouse.machinery.reconcile import Controller, Failure, Reconciler
from pilothouse.machinery.service_tokens import ServiceTokens
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import IndexFunction, Store
from pilothouse.wire.kubernetes.app import Api
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.definitions import Definitions
from pilothouse.wire.kubernetes.resources import Registry

if TYPE_CHECKING:
    from pilothouse.assemble.control_plane import ControlPlane

HOOKS = (namespace_lifecycle, limit_ranger, storage_protection, resource_quota)
"""The admission plug-ins of the API, in upstream's order."""


@dataclass(slots=True)
class LiveOptions:
    """What an API server is made with. tokens: users by bearer token; durable: waits until a revision is on disk."""

    tokens: Mapping[str, User] = field(default_factory=dict)
    address: str = ""
    service_tokens: Callable[[Store], ServiceTokens] | None = None
    on_error: Callable[[Exception], None] | None = None
    on_failure: Callable[[Failure], None] | None = None
    controllers: bool = False


@dataclass(slots=True)
class LiveApi:
    """An API server's parts, ready to be served."""

    store: Store
    write_path: WritePath
    context: Context
    api: Api
    reconciler: Reconciler
    definitions: Definitions
    control: ControlPlane | None
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Start what works in the background."""
        self._tasks = [*self.reconciler.start(), self.definitions.start()]
        if self.control is not None:
            self.control.start()

    async def stop(self) -> None:
        """End it, after what it is doing."""
        if self.control is not None:
            await self.control.stop()
        await self.reconciler.stop()
        self.definitions.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class NoMetrics:
    """The metrics APIs of a cluster in which nothing measures: no answers."""

    def pod_metrics(self, namespace: str, selector: Selector) -> Sequence[PodMetrics]:  # noqa: ARG002
        return ()

    def pods_metric(
        self,
        namespace: str,  # noqa: ARG002
        metric: str,  # noqa: ARG002
        pods: Selector,  # noqa: ARG002
        metric_selector: Selector,  # noqa: ARG002
    ) -> Sequence[MetricValue]:
        return ()

    def object_metric(
        self,
        namespace: str,  # noqa: ARG002
        kind: str,  # noqa: ARG002
        name: str,  # noqa: ARG002
        metric: str,  # noqa: ARG002
        metric_selector: Selector,  # noqa: ARG002
    ) -> MetricValue | None:
        return None

    def external_metric(
        self,
        namespace: str,  # noqa: ARG002
        metric: str,  # noqa: ARG002
        selector: Selector,  # noqa: ARG002
    ) -> Sequence[MetricValue]:
        return ()


def indexes_of(options: LiveOptions) -> dict[str, dict[str, IndexFunction]]:
    """The indexes a store needs for this server: those of its controllers, which are loaded only when they run."""
    if not options.controllers:
        return {}
    from pilothouse.assemble.controllers import indexes

    return indexes()


def build(clock: Clock, entropy: Entropy, options: LiveOptions, store: Store | None = None) -> LiveApi:
    """An API over an empty or restored store, with its first objects written."""
    store = Store(indexes_of(options)) if store is None else store
    kinds = served_kinds()
    write_path = WritePath(store, kinds, clock, entropy, hooks=HOOKS, managed_fields=True)
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
    own: list[Controller] = [AggregationController(client)]
    if options.controllers:
        own += [ClaimProtection(), VolumeProtection()]
    reconciler = Reconciler(client, events, clock, own, on_failure=options.on_failure)
    control = None
    if options.controllers:
        from pilothouse.assemble.control_plane import ControlPlane, Core

        events.subscribe(StoredEvents(write_path).write)
        control = ControlPlane(Core(clock, entropy, store, client, events), NoMetrics(), options.on_failure)
    return LiveApi(
        store, write_path, context, Api(context, options.on_error), reconciler, Definitions(context), control
    )
