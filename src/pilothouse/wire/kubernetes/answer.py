"""An answer on its way out, and the two ASGI messages that carry it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]

_CHUNK_BYTES = 256 * 1024
_JSON = (b"content-type", b"application/json")


@dataclass(slots=True)
class Answer:
    """status, body and headers beyond the content type; content: the content type, "" for none.

    parts: a long body piece by piece instead, of `length` bytes: it is never in memory as a whole.
    """

    status: int
    body: bytes = b""
    content: str = "application/json"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    parts: Iterable[bytes] | None = None
    length: int = 0

    async def send(self, send: Send, warnings: Iterable[str] = ()) -> None:
        headers = [(b"cache-control", b"no-cache, private")]
        if self.content:
            headers.append(_JSON if self.content == "application/json" else (b"content-type", self.content.encode()))
        headers.append((b"content-length", str(len(self.body) if self.parts is None else self.length).encode()))
        headers += self.headers
        headers += warning_headers(warnings)
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if self.parts is None:
            await send({"type": "http.response.body", "body": self.body})
            return
        gathered: list[bytes] = []
        size = 0
        for part in self.parts:
            gathered.append(part)
            size += len(part)
            if size >= _CHUNK_BYTES:
                await send({"type": "http.response.body", "body": b"".join(gathered), "more_body": True})
                gathered, size = [], 0
        await send({"type": "http.response.body", "body": b"".join(gathered)})


def warning_headers(warnings: Iterable[str]) -> list[tuple[bytes, bytes]]:
    """`Warning: 299 - "…"`, one per text (RFC 7234)."""
    out = []
    for text in warnings:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        out.append((b"warning", f'299 - "{escaped}"'.encode("latin-1", "replace")))
    return out


def json_answer(value: Any, status: int = 200) -> Answer:
    return Answer(status, orjson.dumps(value))


def text_answer(text: str, status: int = 200) -> Answer:
    return Answer(status, text.encode(), "text/plain; charset=utf-8")
