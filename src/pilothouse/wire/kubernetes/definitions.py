"""Custom resources come and go with their definitions (apiextensions 1.36 `pkg/controller/{status,finalizer}`,
`pkg/apiserver/customresource_handler.go`).

Follows every CustomResourceDefinition: accepts its names, serves its versions, and when it is deleted removes its
objects before it lets it go. A definition is served as soon as it is seen: there is nothing to wait for here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import ApiError, NotFound
from pilothouse.engines.schema import openapi
from pilothouse.engines.schema.structure import Findings
from pilothouse.machinery import applying
from pilothouse.machinery.kind import Kind, Made, Strategy
from pilothouse.store.memory import Change
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.resources import Resource

DEFINITION = "apiextensions.k8s.io/CustomResourceDefinition"
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_MANAGER = "kube-apiserver"
_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


class Definitions:
    """Keeps the registry in step with the stored definitions."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._watch = context.store.watch(DEFINITION)
        for stored in context.store.list(DEFINITION):
            self._serve(stored.object)

    async def run(self) -> None:
        """Follow the definitions until cancelled or closed."""
        async for batch in self._watch:
            for change in batch:
                self._follow(change)

    def start(self) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(self.run(), name="definitions")

    def close(self) -> None:
        self._watch.close()

    def _follow(self, change: Change) -> None:
        obj = change.object
        name = obj["metadata"]["name"]
        if change.new is None:
            for kind in {resource.kind.name for resource in self._of(name) if resource.kind is not None}:
                self._context.registry.kinds.remove(kind)
            self._context.registry.set_custom(name, [])
            return
        current = self._context.store.get(DEFINITION, "", name)
        if current is not change.new:
            return  # A newer version follows.
        if "deletionTimestamp" in obj["metadata"]:
            self._clean(obj)
            return
        self._serve(obj)
        self._accept(obj)

    def _of(self, name: str) -> list[Resource]:
        return [one for one in self._context.registry.custom() if f"{one.plural}.{one.group}" == name]

    # Status

    def _accept(self, obj: Object) -> None:
        status: Mapping[str, Any] = obj.get("status") or {}
        now = self._context.write_path.now()
        conditions = [*(status.get("conditions") or ())]
        kept = {condition["type"]: condition for condition in conditions}
        for kind, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ):
            if kept.get(kind, {}).get("status") != "True":
                kept[kind] = {
                    "type": kind,
                    "status": "True",
                    "lastTransitionTime": now,
                    "reason": reason,
                    "message": message,
                }
        wanted = {**status, "conditions": [*kept.values()], "acceptedNames": obj["spec"]["names"]}
        if wanted == status:
            return
        try:
            self._context.write_path.replace(
                DEFINITION,
                {**obj, "status": wanted},
                subresource="status",
                finish=applying.finish(_MANAGER, now),
            )
        except ApiError:
            return  # It changed meanwhile; the next change says how.

    # Serving

    def _serve(self, obj: Object) -> None:
        spec: Mapping[str, Any] = obj["spec"]
        versions = spec["versions"]
        storage = next(version for version in versions if version.get("storage"))
        name = obj["metadata"]["name"]
        known = self._of(name)
        since = known[0].since if known else self._context.store.revision
        # What was stored under an older schema is read through today's.
        changed = obj["metadata"].get("generation", 1) > 1
        kind = self._kind(spec, storage)
        self._context.registry.kinds.add(kind)
        resources = [
            self._resource(spec, version, kind, storage, since, changed)
            for version in versions
            if version.get("served")
        ]
        self._context.registry.set_custom(name, resources)

    @staticmethod
    def _kind(spec: Mapping[str, Any], version: Mapping[str, Any]) -> Kind:
        names = spec["names"]
        subresources = version.get("subresources") or {}
        return Kind(
            spec["group"],
            version["name"],
            names["kind"],
            names["plural"],
            Made(_schema(version)),
            singular=names.get("singular", ""),
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            namespaced=spec["scope"] == "Namespaced",
            strategy=Strategy(status="status" in subresources, scale="scale" in subresources, unconditional=False),
        )

    @staticmethod
    def _resource(
        spec: Mapping[str, Any],
        version: Mapping[str, Any],
        kind: Kind,
        storage: Mapping[str, Any],
        since: int,
        changed: bool,
    ) -> Resource:
        names = spec["names"]
        stored = version["name"] == storage["name"]
        own = f"{spec['group']}/{version['name']}"
        answer = {"group": "", "version": "", "kind": names["kind"]}
        subresources: dict[str, Any] = {}
        asked = version.get("subresources") or {}
        if "scale" in asked:
            scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
            subresources["scale"] = {"responseKind": scale, "verbs": ["get", "patch", "update"]}
        if "status" in asked:
            subresources["status"] = {"responseKind": answer, "verbs": ["get", "patch", "update"]}
        schema = kind.schema if stored else Made(_schema(version))

        def to_served(obj: Object) -> Object:
            return schema.load().fit({**obj, "apiVersion": own}, Findings())

        return Resource(
            spec["group"],
            version["name"],
            names["plural"],
            names["kind"],
            spec["scope"] == "Namespaced",
            _VERBS,
            kind,
            names.get("singular", ""),
            tuple(names.get("shortNames") or ()),
            tuple(names.get("categories") or ()),
            subresources,
            schema,
            None if stored else lambda obj: {**obj, "apiVersion": kind.api_version},
            None if stored and not changed else to_served,
            {**version, "listKind": names.get("listKind")},
            since,
        )

    # Going

    def _clean(self, obj: Object) -> None:
        """Delete the objects of a definition that goes, then let it go."""
        spec = obj["spec"]
        kind = f"{spec['group']}/{spec['names']['kind']}"
        write_path, store = self._context.write_path, self._context.store
        if kind in write_path.kinds:
            for stored in store.list(kind):
                metadata = stored.object["metadata"]
                try:
                    write_path.delete(kind, metadata.get("namespace", ""), metadata["name"])
                except NotFound:
                    continue
            if store.list(kind):
                return
        metadata = obj["metadata"]
        rest = [name for name in metadata.get("finalizers", ()) if name != FINALIZER]
        try:
            write_path.patch(DEFINITION, "", metadata["name"], {"metadata": {"finalizers": rest or None}})
        except ApiError:
            return


def _schema(version: Mapping[str, Any]) -> openapi.Schema:
    root = (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}
    return openapi.custom_schema(root)
