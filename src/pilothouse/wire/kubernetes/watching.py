"""Watches: changes as a stream of JSON lines (apiserver 1.36 `endpoints/handlers/watch.go`, `storage/cacher`)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson

from pilothouse.base.actions import Object
from pilothouse.base.errors import Gone
from pilothouse.base.limits import WATCH_BOOKMARK_S, WATCH_DEFAULT_S, WATCH_GATHER_S
from pilothouse.store.memory import Change, Stored
from pilothouse.store.watch import Watch
from pilothouse.wire.kubernetes import negotiation, options, reads, render, statuses, tables
from pilothouse.wire.kubernetes.answer import Receive, Send
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.negotiation import Form
from pilothouse.wire.kubernetes.request import Request
from pilothouse.wire.kubernetes.resources import Resource

_END = {"k8s.io/initial-events-end": "true"}


class WatchStream:
    """One open watch. `run` ends when its time is over, the client has gone or the watch fell behind."""

    def __init__(self, context: Context, request: Request, resource: Resource) -> None:
        assert request.target is not None
        assert resource.kind is not None
        self._context = context
        self._resource = resource
        self._kind = resource.kind.name
        self._namespace = request.target.namespace if resource.namespaced else ""
        self._form: Form = negotiation.choose(request.headers.get("accept", ""))
        self._include = reads.include_of(request, self._form)
        self._options = options.read_list(request, resource, watching=True)
        self._plain = not self._form.shape and resource.to_served is None
        self._headed = False
        if self._options.revision not in ("", "0"):
            reads.not_too_new(context, self._options.revision)

    async def run(self, receive: Receive, send: Send) -> None:
        """Stream until the end."""
        head = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", self._form.media.encode()), (b"cache-control", b"no-cache, private")],
        }
        try:
            watch, first = self._open()
        except Gone as error:
            await send(head)
            await send({"type": "http.response.body", "body": self._line("ERROR", orjson.dumps(statuses.body(error)))})
            return
        loop = asyncio.get_running_loop()
        ending = loop.call_later(self._options.timeout_s or WATCH_DEFAULT_S, watch.close)
        leaving = loop.create_task(_until_gone(receive, watch))
        try:
            await send(head)
            await send({"type": "http.response.body", "body": b"".join(first), "more_body": True})
            await self._follow(watch, send)
            await send({"type": "http.response.body", "body": b""})
        finally:
            ending.cancel()
            leaving.cancel()
            watch.close()

    async def _follow(self, watch: Watch, send: Send) -> None:
        loop = asyncio.get_running_loop()
        sent_at = loop.time() - WATCH_GATHER_S
        while True:
            bookmark = loop.call_later(WATCH_BOOKMARK_S, watch.wake) if self._options.bookmarks else None
            await watch.wait_changed()
            if bookmark is not None:
                bookmark.cancel()
            early_s = sent_at + WATCH_GATHER_S - loop.time()
            if early_s > 0 and not watch.closed:
                await asyncio.sleep(early_s)
            changes = watch.take()
            if changes and self._context.durable is not None:
                await self._context.durable(changes[-1].revision)
            lines = [line for change in changes for line in self._lines_of(change)]
            if not changes and not watch.closed and self._options.bookmarks:
                lines = [self._bookmark({})]
            if lines:
                await send({"type": "http.response.body", "body": b"".join(lines), "more_body": True})
                sent_at = loop.time()
            if watch.closed and not changes:
                return

    # The beginning

    def _open(self) -> tuple[Watch, list[bytes]]:
        """The watch, and the events of what exists already."""
        store, wanted = self._context.store, self._options
        revision = wanted.revision
        if wanted.initial:
            return store.watch(self._kind), [*self._present(), self._bookmark(_END)]
        if revision in ("", "0") and wanted.initial is None:
            return store.watch(self._kind), [*self._present()]
        since = store.revision if revision in ("", "0") else int(revision)
        if since < self._resource.since:
            raise Gone(f"too old resource version: {since} ({self._resource.since})")
        return store.watch(self._kind, since=since), []

    def _present(self) -> Iterator[bytes]:
        match = self._options.match
        for stored in reads.in_order(self._context.store.list(self._kind, self._namespace)):
            if match is None or match(stored.object):
                yield self._event("ADDED", stored)

    # Events

    def _lines_of(self, change: Change) -> list[bytes]:
        old, new = change.old, change.new
        some = new if new is not None else old
        assert some is not None
        if self._namespace and some.object["metadata"].get("namespace") != self._namespace:
            return []
        match = self._options.match
        before = old is not None and (match is None or match(old.object))
        after = new is not None and (match is None or match(new.object))
        if after:
            assert new is not None
            return [self._event("MODIFIED" if before else "ADDED", new)]
        if before:
            assert old is not None
            return [self._event("DELETED", at_revision(old, change.revision))]
        return []

    def _event(self, kind: str, stored: Stored) -> bytes:
        if self._plain:
            return self._line(kind, stored.json())
        return self._line(kind, orjson.dumps(self._shaped(render.served(self._resource, stored.object))))

    def _shaped(self, obj: Object) -> Object:
        if self._form.shape == "Table":
            made: Any = tables.table(
                self._resource,
                [obj],
                self._form.version,
                self._include,
                self._context.clock.time(),
                {"resourceVersion": obj["metadata"].get("resourceVersion", "")},
            )
            if self._headed:
                made["columnDefinitions"] = None
            self._headed = True
            return made  # type: ignore[no-any-return]
        return tables.partial(obj, self._form.version) if self._form.shape else obj

    def _bookmark(self, annotations: dict[str, str]) -> bytes:
        metadata: dict[str, Any] = {"resourceVersion": str(self._context.store.revision)}
        if annotations:
            metadata["annotations"] = annotations
        empty = self._resource.schema().root.zero if self._resource.custom is None else {}
        obj: Object = {
            "kind": self._resource.kind_name,
            "apiVersion": self._resource.api_version,
            **(empty or {}),
            "metadata": metadata,
        }
        if self._form.shape == "Table":
            obj = {
                "kind": "Table",
                "apiVersion": f"meta.k8s.io/{self._form.version}",
                "metadata": metadata,
                "columnDefinitions": None,
                "rows": [{"cells": [], "object": tables.partial(obj, self._form.version)}],
            }
        elif self._form.shape:
            obj = tables.partial(obj, self._form.version)
        return self._line("BOOKMARK", orjson.dumps(obj))

    @staticmethod
    def _line(kind: str, body: bytes) -> bytes:
        return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"


_deleted: dict[int, Stored] = {}


def at_revision(stored: Stored, revision: int) -> Stored:
    """The last form of a deleted object, with the revision of its deletion; made once for all watchers."""
    known = _deleted.get(revision)
    if known is not None and known.object["metadata"]["uid"] == stored.object["metadata"]["uid"]:
        return known
    obj = stored.object
    made = Stored({**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}, revision)
    if len(_deleted) > 64:
        _deleted.clear()
    _deleted[revision] = made
    return made


async def _until_gone(receive: Receive, watch: Watch) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            watch.close()
            return
