"""An API server without sockets: requests go into the ASGI application and come back as status, headers and body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.assemble.live import LiveApi, LiveOptions, build
from pilothouse.base.clock import ManualClock
from pilothouse.base.entropy import Entropy
from pilothouse.machinery.authn import MASTERS, authenticated

TOKENS = {"root": authenticated("root", "0", (MASTERS,)), "ann": authenticated("ann", "1", ())}


@dataclass
class Reply:
    status: int
    headers: list[tuple[str, str]]
    data: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.data)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.data.splitlines()]

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


class Server:
    """`call` sends one request as `user` ("" is nobody). Definitions are followed between calls."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.errors: list[Exception] = []
        self.live: LiveApi = build(self.clock, Entropy(1), LiveOptions(TOKENS, on_error=self.errors.append))

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str = "root",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        reply = asyncio.run(self._call(method, path, body, user, dict(headers or {})))
        assert not self.errors, self.errors
        return reply

    async def _call(self, method: str, path: str, body: Any, user: str, headers: dict[str, str]) -> Reply:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if body is not None:
            headers.setdefault("content-type", "application/json")
        if user:
            headers.setdefault("authorization", f"Bearer {user}")
        route, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": route,
            "raw_path": route.encode(),
            "query_string": query.encode(),
            "headers": [(key.lower().encode(), value.encode()) for key, value in headers.items()],
        }
        sent: list[Mapping[str, Any]] = []
        asked = False

        async def receive() -> Mapping[str, Any]:
            nonlocal asked
            if method != "GET" and not asked:
                asked = True
                return {"type": "http.request", "body": data, "more_body": False}
            for _ in range(20):
                await asyncio.sleep(0)
            # The client leaves: a watch ends.
            return {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        following = self.live.definitions.start()
        await self.live.api(scope, receive, send)
        await asyncio.sleep(0)
        following.cancel()
        start = sent[0]
        pairs = [(key.decode(), value.decode()) for key, value in start["headers"]]
        return Reply(start["status"], pairs, b"".join(message.get("body", b"") for message in sent[1:]))


def config_map(name: str, data: Mapping[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": dict(data or {})}


CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = {"content-type": "application/merge-patch+json"}
