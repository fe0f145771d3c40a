"""The small server and the scrape client against each other and against odd peers, over the loopback interface."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import TypeVar

import orjson
import pytest

from pilothouse.base.clock import ManualClock
from pilothouse.engines.tsdb import Database, make_labels
from pilothouse.signals.metrics.http_fetch import FetchError, FetchRequest, FetchResponse, fetch, scrape_headers
from pilothouse.wire.prometheus import Context, serve

Value = TypeVar("Value")
Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(*replies: bytes) -> Connected:
    """A peer that answers each connection with fixed bytes and closes."""
    left = list(replies)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(left.pop(0))
        await writer.drain()
        writer.close()

    return connected


async def settled(value: Value) -> Value:
    """The value, once both ends of a connection have had time to close."""
    await asyncio.sleep(0.01)
    return value


def fetched(connected: Connected, *, limit: int = 10_000, timeout_s: float = 5.0) -> FetchResponse:
    async def main() -> FetchResponse:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}/metrics"
            try:
                return await fetch(FetchRequest(url, timeout_s, limit, scrape_headers(timeout_s)))
            finally:
                await settled(None)

    return asyncio.run(main())


def reply(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", "Content-Type: text/plain", *headers)).encode() + b"\r\n\r\n" + body


def test_bodies_by_length_by_chunks_and_until_the_end() -> None:
    assert fetched(answering(reply(b"a 1\nxx", "Content-Length: 4"))).body == b"a 1\n"
    chunks = b"2\r\na \r\n2;x=y\r\n1\n\r\n0\r\n\r\n"
    assert fetched(answering(reply(chunks, "Transfer-Encoding: chunked"))).body == b"a 1\n"
    found = fetched(answering(reply(b"a 1\n")))
    assert (found.status, found.content_type, found.body) == (200, "text/plain", b"a 1\n")


def test_gzip_and_its_bombs() -> None:
    packed = gzip.compress(b"a 1\n" * 100)
    assert fetched(answering(reply(packed, "Content-Encoding: gzip"))).body == b"a 1\n" * 100
    with pytest.raises(FetchError, match="body size limit exceeded"):
        fetched(answering(reply(gzip.compress(bytes(5_000_000)), "Content-Encoding: gzip")))
    with pytest.raises(FetchError, match="unexpected EOF"):
        fetched(answering(reply(packed[:-12], "Content-Encoding: gzip")))


def test_redirects_are_followed_and_end() -> None:
    away = reply(b"", "Location: /other", "Content-Length: 0", status="302 Found")
    assert fetched(answering(away, reply(b"a 1\n"))).body == b"a 1\n"
    with pytest.raises(FetchError, match="stopped after 10 redirects"):
        fetched(answering(*[away] * 12))


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "EOF"),
        (b"SSH-2.0-x\r\n\r\n", "malformed HTTP response"),
        (reply(b"a", "Content-Length: 50"), "EOF"),
        (reply(b"x" * 20_000), "body size limit exceeded"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000, "EOF"),
        (reply(b"zz\r\n", "Transfer-Encoding: chunked"), "invalid literal"),
    ],
)
def test_broken_answers_are_errors_with_words(sent: bytes, why: str) -> None:
    with pytest.raises(FetchError, match=why):
        fetched(answering(sent))


def test_silence_ends_with_the_timeout() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    with pytest.raises(FetchError, match="context deadline exceeded"):
        fetched(silent, timeout_s=0.05)


def test_a_closed_port_refuses() -> None:
    async def main() -> None:
        server = await asyncio.start_server(answering(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        await fetch(FetchRequest(f"http://127.0.0.1:{port}/metrics", 5.0, 1000, {}))

    with pytest.raises(FetchError, match="refused"):
        asyncio.run(main())
    with pytest.raises(FetchError, match="unsupported protocol scheme"):
        asyncio.run(fetch(FetchRequest("file:///etc/passwd", 1.0, 10, {})))


# --- the server ---


def talk(*requests: bytes, prefix: str = "") -> bytes:
    """What the server says to these bytes on one connection, until it or we close."""
    database = Database()
    database.append(make_labels({}, "up"), 1_000, 1.0)

    async def main() -> bytes:
        server = await serve(Context(database, ManualClock(1.0)), prefix=prefix)
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"".join(requests))
            writer.write_eof()
            said = await reader.read()
            writer.close()
            return await settled(said)

    return asyncio.run(main())


def test_requests_share_a_connection() -> None:
    query = b"GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\n\r\n"
    said = talk(query, query)
    assert said.count(b"HTTP/1.1 200 OK") == 2
    assert orjson.loads(said.rpartition(b"\r\n\r\n")[2])["data"]["result"][0]["value"] == [1, "1"]


def test_forms_by_length_and_by_chunks() -> None:
    head = b"POST /api/v1/query HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    assert b'"1"' in talk(head + b"Content-Length: 8\r\n\r\nquery=up")
    assert b'"1"' in talk(head + b"Transfer-Encoding: chunked\r\n\r\n8\r\nquery=up\r\n0\r\n\r\n")


def test_a_prefix_is_a_mount_point() -> None:
    request = b"GET %s/-/healthy HTTP/1.1\r\nConnection: close\r\n\r\n"
    assert b"Healthy" in talk(request % b"/prometheus", prefix="/prometheus")
    assert b"404 Not Found" in talk(request % b"", prefix="/prometheus")


def test_head_has_no_body() -> None:
    said = talk(b"HEAD /-/ready HTTP/1.0\r\n\r\n")
    assert b"Content-Length: 28" in said
    assert said.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST /api/v1/query HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", b"413"),
        (b"POST /api/v1/query HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", b"431"),
    ],
)
def test_unreadable_requests_end_the_connection_with_a_status(request_bytes: bytes, status: bytes) -> None:
    said = talk(request_bytes)
    assert said.startswith(b"HTTP/1.1 " + status)
    assert b"Connection: close" in said
