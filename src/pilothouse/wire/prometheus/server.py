"""A small HTTP/1.1 server over asyncio streams for `handle`: keep-alive, bounded, one request at a time per connection.

The live server mounts `handle` in its own router; this one serves tests, promtool and the stand-alone command.
"""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

from pilothouse.wire.prometheus.api import handle
from pilothouse.wire.prometheus.context import Context
from pilothouse.wire.prometheus.exchange import Request, Response, text

HEADER_BYTES = 64 * 1024
BODY_BYTES = 64 * 1024 * 1024
IDLE_S = 300.0
"""A connection without a request for this long is closed (--web.read-timeout)."""


class _Refused(Exception):
    """The request cannot be read; the connection ends with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def serve(context: Context, host: str = "127.0.0.1", port: int = 0, prefix: str = "") -> asyncio.Server:
    """A listening server (port 0: any free one); requests outside `prefix` get 404."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            await _connection(reader, writer, context, prefix)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    return await asyncio.start_server(connected, host, port, limit=HEADER_BYTES)


async def _connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: Context, prefix: str
) -> None:
    keep = True
    while keep:
        try:
            async with asyncio.timeout(IDLE_S):
                request, keep = await _request(reader, prefix)
        except _Refused as refused:
            request, keep = None, False
            response = text(refused.status, HTTPStatus(refused.status).phrase + "\n")
        if request is not None:
            response = handle(request, context)
        _write(writer, response, head_only=request is not None and request.method == "HEAD", keep=keep)
        await writer.drain()


def _write(writer: asyncio.StreamWriter, response: Response, *, head_only: bool, keep: bool) -> None:
    phrase = HTTPStatus(response.status).phrase if response.status in HTTPStatus._value2member_map_ else "Error"
    lines = [f"HTTP/1.1 {response.status} {phrase}"]
    headers = {"Content-Type": response.content_type, "Content-Length": str(len(response.body)), **response.headers}
    headers["Connection"] = "keep-alive" if keep else "close"
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (b"" if head_only else response.body))


async def _request(reader: asyncio.StreamReader, prefix: str) -> tuple[Request, bool]:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.LimitOverrunError:
        raise _Refused(431) from None
    first, *lines = head.split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _Refused(400)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    body = await _body(reader, headers)
    url = urlsplit(parts[1])
    # The encoded path stays for the push gateway, whose labels may hold an encoded slash.
    path = url.path.removeprefix(prefix) if url.path.startswith(prefix) else "/404"
    path = path if path.startswith("/metrics/") else unquote(path)
    params = parse_qsl(url.query, keep_blank_values=True)
    keep = parts[2] != "HTTP/1.0" and headers.get("connection", "").lower() != "close"
    return Request(parts[0], path, params, body, headers), keep


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _chunked(reader)
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        raise _Refused(400)
    if int(length) > BODY_BYTES:
        raise _Refused(413)
    return await reader.readexactly(int(length))


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    parts, total = [], 0
    while True:
        try:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0].strip(), 16)
        except (ValueError, asyncio.LimitOverrunError):
            raise _Refused(400) from None
        total += size
        if size < 0 or total > BODY_BYTES:
            raise _Refused(413)
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
        if size == 0:
            return b"".join(parts)
