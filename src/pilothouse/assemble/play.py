"""Plays a scenario's events: writes through the client, or tells the world. What happened is kept as `Played`."""

from __future__ import annotations

import math
from typing import Any

from pilothouse.assemble.facts import Played
from pilothouse.base.duration import format_span
from pilothouse.base.errors import ApiError
from pilothouse.base.manifests import Document
from pilothouse.kinds.pilothouse.scenario.spec import Apply, Delete, Deploy, Event, Fault, LoadChange, Scale
from pilothouse.machinery.client import Client
from pilothouse.store.memory import Stored
from pilothouse.worlds.rehearsal.faults import parse_fault
from pilothouse.worlds.rehearsal.spec import SpecError
from pilothouse.worlds.rehearsal.world import ChangeLoad, RehearsalWorld, StartFault

_WORKLOAD_KINDS = {"Deployment": "apps/Deployment", "Rollout": "argoproj.io/Rollout"}


class Player:
    """without: the kind of the faults that a control run leaves out. files: the documents of `apply` and `delete`
    events."""

    def __init__(
        self, client: Client, world: RehearsalWorld, without: str, files: dict[str, list[Document]] | None = None
    ) -> None:
        self._client = client
        self._world = world
        self._without = without
        self._files = files or {}
        self.played: list[Played] = []

    async def play(self, event: Event, at_s: float) -> None:
        """Carries the event out now; an event that cannot be is told, it does not stop the run."""
        try:
            played = await self._carry_out(event, at_s)
        except (ApiError, SpecError) as error:
            played = Played(_sort(event), at_s, "", f"could not be played: {error}", event.at)
        if played is not None:
            self.played.append(played)

    async def _carry_out(self, event: Event, at_s: float) -> Played | None:
        match event:
            case Deploy():
                return await self._deploy(event, at_s)
            case Fault():
                return self._fault(event, at_s)
            case LoadChange():
                return self._load(event, at_s)
            case Scale():
                await self._patch(event.kind, event.name, {"spec": {"replicas": event.replicas}})
                return Played("scale", at_s, event.name, f"{event.name} is set to {event.replicas} replicas", event.at)
            case Apply():
                return await self._apply(event, at_s)
            case Delete():
                return await self._delete(event, at_s)

    def _fault(self, event: Fault, at_s: float) -> Played | None:
        if event.kind == self._without:
            return None
        fault = parse_fault({"kind": event.kind, **event.params})
        self._world.apply(StartFault(fault, math.inf if event.for_s is None else event.for_s))
        words = ", ".join(f"{k} {v}" for k, v in event.params.items())
        ended = None if event.for_s is None else at_s + event.for_s
        return Played("fault", at_s, event.kind, f"{event.kind} begins ({words})", event.at, ended)

    def _load(self, event: LoadChange, at_s: float) -> Played:
        for_s = math.inf if event.for_s is None else event.for_s
        times = 1.0 if event.times is None else event.times
        self._world.apply(ChangeLoad(event.service, times, event.rps, for_s, event.ramp_s))
        what = f"{event.rps:g} req/s" if event.rps is not None else f"{times:g}x the load"
        lasting = "" if event.for_s is None else f" for {format_span(event.for_s)}"
        ended = None if event.for_s is None else at_s + event.for_s
        return Played("load", at_s, event.service, f"{what} on {event.service}{lasting}", event.at, ended)

    async def _deploy(self, event: Deploy, at_s: float) -> Played:
        stored = self._find(event.kind, event.name)
        containers = [dict(c) for c in stored.object["spec"]["template"]["spec"]["containers"]]
        chosen = next((c for c in containers if c["name"] == event.container), containers[0])
        before = chosen["image"]
        chosen["image"] = event.image
        await self._patch(event.kind, event.name, {"spec": {"template": {"spec": {"containers": containers}}}})
        text = f"{event.name}: {_tag(before)} → {_tag(event.image)}"
        return Played("deploy", at_s, event.name, text, event.at)

    async def _apply(self, event: Apply, at_s: float) -> Played:
        documents = self._files.get(event.file, [])
        for document in documents:
            kind = self._client.kinds.of_type(document.api_version, document.kind)
            if kind is None:
                continue
            namespace = (document.namespace or "default") if kind.namespaced else ""
            if self._client.get(kind.name, namespace, document.name) is None:
                await self._client.create(kind.name, document.object)
            else:
                patch = {k: v for k, v in document.object.items() if k not in ("apiVersion", "kind", "status")}
                await self._client.patch(kind.name, namespace, document.name, patch)
        return Played("apply", at_s, event.file, f"{event.file} is applied ({len(documents)} objects)", event.at)

    async def _delete(self, event: Delete, at_s: float) -> Played:
        if event.file:
            for document in self._files.get(event.file, []):
                kind = self._client.kinds.of_type(document.api_version, document.kind)
                if kind is not None:
                    namespace = (document.namespace or "default") if kind.namespaced else ""
                    await self._client.delete(kind.name, namespace, document.name)
            return Played("delete", at_s, event.file, f"what {event.file} describes is deleted", event.at)
        kind_name = next((k.name for k in self._client.kinds if k.kind == event.kind), event.kind)
        for stored in self._client.list(kind_name, event.namespace):
            metadata = stored.object["metadata"]
            if metadata["name"] == event.name:
                await self._client.delete(kind_name, metadata.get("namespace", ""), event.name)
        return Played("delete", at_s, event.name, f"{event.kind} {event.name} is deleted", event.at)

    def _find(self, kind: str, name: str) -> Stored:
        kind_name = _WORKLOAD_KINDS.get(kind, kind)
        for stored in self._client.list(kind_name):
            if stored.object["metadata"]["name"] == name:
                return stored
        raise SpecError("event", f"there is no {kind} {name}")

    async def _patch(self, kind: str, name: str, patch: dict[str, Any]) -> None:
        namespace = self._find(kind, name).object["metadata"].get("namespace", "")
        await self._client.patch(_WORKLOAD_KINDS.get(kind, kind), namespace, name, patch)


def _sort(event: Event) -> str:
    return {Deploy: "deploy", Fault: "fault", LoadChange: "load", Scale: "scale", Apply: "apply", Delete: "delete"}[
        type(event)
    ]


def _tag(image: str) -> str:
    return image.rpartition("/")[2]
