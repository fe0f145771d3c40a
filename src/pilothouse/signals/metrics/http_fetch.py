"""Fetches a page over HTTP/1.1: the live world's side of scraping. The only file here that opens connections.

Everything is bounded: header bytes, body bytes before and after decompression, redirects, and the whole by a timeout.
`scrape` knows only the `Fetch` signature, so that tests and the rehearsal give pages without a socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from pilothouse import __version__

ACCEPT = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
HEADER_BYTES = 64 * 1024
"""Status line and headers together; more is hostile or broken."""
REDIRECTS = 10
_CHUNK = 256 * 1024


class FetchError(Exception):
    """The page could not be had; the text is what a target's lastError shows."""


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """One page to get. body_limit counts decompressed bytes."""

    url: str
    timeout_s: float
    body_limit: int
    headers: Mapping[str, str]
    follow_redirects: bool = True


@dataclass(frozen=True, slots=True)
class FetchResponse:
    status: int
    reason: str
    content_type: str
    body: bytes


Fetch = Callable[[FetchRequest], Awaitable[FetchResponse]]


def scrape_headers(timeout_s: float, *, compressed: bool = True, authorization: str = "") -> dict[str, str]:
    """The headers of a scrape: formats in order of preference, encoding, the time that is left."""
    headers = {
        "Accept": ACCEPT,
        "Accept-Encoding": "gzip" if compressed else "identity",
        "User-Agent": f"Pilothouse/{__version__}",
        "X-Prometheus-Scrape-Timeout-Seconds": f"{timeout_s:g}",
    }
    if authorization:
        headers["Authorization"] = authorization
    return headers


async def fetch(request: FetchRequest) -> FetchResponse:
    """The response to a GET, redirects followed; FetchError when there is none within the timeout and the limits."""
    try:
        async with asyncio.timeout(request.timeout_s):
            return await _follow(request)
    except TimeoutError:
        raise FetchError(f'Get "{request.url}": context deadline exceeded') from None
    except ssl.SSLError as why:
        raise FetchError(f'Get "{request.url}": tls: {why.reason or why}') from None
    except OSError as why:
        raise FetchError(f'Get "{request.url}": {_network_reason(why, request.url)}') from None
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, EOFError):
        raise FetchError(f'Get "{request.url}": EOF') from None
    except (ValueError, zlib.error) as why:
        raise FetchError(f'Get "{request.url}": {why}') from None


def _network_reason(why: OSError, url: str) -> str:
    """Go's words for a connection that was not made; a negative number is the resolver's."""
    parts = urlsplit(url)
    if why.errno is None or why.errno < 0:
        return f"dial tcp: lookup {parts.hostname}: no such host"
    return f"dial tcp {parts.netloc}: connect: {os.strerror(why.errno).lower()}"


async def _follow(request: FetchRequest) -> FetchResponse:
    url = request.url
    for _ in range(REDIRECTS + 1):
        status, reason, headers, body = await _exchange(url, request)
        location = headers.get("location", "")
        if status not in (301, 302, 303, 307, 308) or not location or not request.follow_redirects:
            return FetchResponse(status, reason, headers.get("content-type", ""), body)
        url = urljoin(url, location)
    raise FetchError(f'Get "{request.url}": stopped after {REDIRECTS} redirects')


async def _exchange(url: str, request: FetchRequest) -> tuple[int, str, dict[str, str], bytes]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchError(f'Get "{url}": unsupported protocol scheme "{parts.scheme}"')
    port = parts.port or (443 if parts.scheme == "https" else 80)
    context = ssl.create_default_context() if parts.scheme == "https" else None
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context, limit=HEADER_BYTES)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
        head += [f"{name}: {value}" for name, value in request.headers.items()]
        writer.write(("\r\n".join(head) + "\r\n\r\n").encode("latin-1", "replace"))
        await writer.drain()
        status, reason, headers = _head((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
        body = await _body(reader, headers, request.body_limit) if status not in (204, 304) else b""
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return status, reason, headers, body


def _head(text: str) -> tuple[int, str, dict[str, str]]:
    first, _, rest = text.partition("\r\n")
    version, _, status = first.partition(" ")
    code, _, reason = status.partition(" ")
    if not version.startswith("HTTP/") or not code.isdigit():
        raise ValueError(f"malformed HTTP response {first!r}")
    headers = {}
    for line in rest.split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return int(code), reason, headers


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str], limit: int) -> bytes:
    inflate = zlib.decompressobj(wbits=31) if headers.get("content-encoding", "").lower() == "gzip" else None
    parts: list[bytes] = []
    size = 0
    async for piece in _pieces(reader, headers):
        # One byte over the limit is enough to know; a decompression bomb never unfolds further.
        data = inflate.decompress(piece, limit - size + 1) if inflate else piece
        size += len(data)
        if size > limit:
            raise FetchError("body size limit exceeded")
        parts.append(data)
    if inflate and not inflate.eof:
        raise ValueError("gzip: unexpected EOF")
    return b"".join(parts)


async def _pieces(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0].strip() or b"0", 16):
            while size > 0:
                piece = await reader.read(min(size, _CHUNK))
                if not piece:
                    raise EOFError
                size -= len(piece)
                yield piece
            await reader.readexactly(2)
        return
    left = int(headers["content-length"]) if "content-length" in headers else -1
    while left:
        piece = await reader.read(_CHUNK if left < 0 else min(left, _CHUNK))
        if not piece:
            if left > 0:
                raise EOFError
            return
        left -= len(piece) if left > 0 else 0
        yield piece
