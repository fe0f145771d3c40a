"""The Kubernetes API under load, over TLS: durable creates, reads, a long list, many watchers.

    python -m bench.api                                        a server of ours with a store on disk
    python -m bench.api --url https://127.0.0.1:6443 --token T any server, e.g. a kube-apiserver beside etcd

Prints requests per second and seconds; the client is one process, so its own cost bounds what it can see.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from tests.peers._api_server import api_server

PATH = "/api/v1/namespaces/{}/configmaps"
NAMESPACE = "bench-api"
CLIENTS, CREATES, READS = 16, 2_000, 4_000
LISTED, BYTES = 10_000, 1_100
WATCHERS, UPDATES = 100, 200


class Connection:
    """One keep-alive connection."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._host, self._port, self._token = host, port, token

    async def open(self) -> Connection:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.reader, self.writer = await asyncio.open_connection(self._host, self._port, ssl=context, limit=1 << 26)
        return self

    def send(self, method: str, path: str, body: bytes = b"", content: str = "application/json") -> None:
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {self._token}\r\n"
        if body:
            head += f"Content-Type: {content}\r\nContent-Length: {len(body)}\r\n"
        self.writer.write(head.encode() + b"\r\n" + body)

    async def request(self, method: str, path: str, body: bytes = b"", content: str = "application/json") -> bytes:
        self.send(method, path, body, content)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        if b"content-length:" in head:
            return await self.reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        parts = []
        while size := int(await self.reader.readline(), 16):
            parts.append(await self.reader.readexactly(size))
            await self.reader.readline()
        await self.reader.readline()
        return b"".join(parts)


def config_map(name: str, size: int = 100) -> bytes:
    return json.dumps({"metadata": {"name": name}, "data": {"k": "x" * size}}).encode()


async def rate(connections: list[Connection], total: int, one: Callable[[Connection, int], Awaitable[bytes]]) -> float:
    """Requests per second when the connections share `total` of them."""
    numbers = iter(range(total))

    async def worker(connection: Connection) -> None:
        for number in numbers:
            await one(connection, number)

    started = time.perf_counter()
    await asyncio.gather(*map(worker, connections))
    return total / (time.perf_counter() - started)


async def watchers(make: Callable[[], Connection], connection: Connection, path: str) -> float:
    """Seconds until every watcher has seen every update."""
    opened = [await make().open() for _ in range(WATCHERS)]
    for one in opened:
        one.send("GET", f"{path}?watch=1&fieldSelector=metadata.name%3Dwatched")
        await one.reader.readuntil(b"\r\n\r\n")

    async def follow(one: Connection) -> None:
        wanted = b'"n":"%d"' % (UPDATES - 1)
        while wanted not in await one.reader.readline():
            pass

    following = [asyncio.ensure_future(follow(one)) for one in opened]
    started = time.perf_counter()
    for number in range(UPDATES):
        patch = json.dumps({"data": {"n": str(number)}}).encode()
        await connection.request("PATCH", f"{path}/watched", patch, "application/merge-patch+json")
    await asyncio.gather(*following)
    for one in opened:
        one.writer.close()
    return time.perf_counter() - started


async def measure(host: str, port: int, token: str) -> None:
    def make() -> Connection:
        return Connection(host, port, token)

    path = PATH.format(NAMESPACE)
    connections = [await make().open() for _ in range(CLIENTS)]
    first = connections[0]
    body = json.dumps({"metadata": {"name": NAMESPACE}}).encode()
    await first.request("POST", "/api/v1/namespaces", body)
    creates = await rate(connections, CREATES, lambda c, n: c.request("POST", path, config_map(f"c{n}")))
    print(f"creates, {CLIENTS} clients: {creates:,.0f}/s")
    reads = await rate(connections, READS, lambda c, n: c.request("GET", f"{path}/c{n % CREATES}"))
    print(f"reads, {CLIENTS} clients: {reads:,.0f}/s")
    await first.request("POST", path, config_map("watched"))
    print(f"{WATCHERS} watchers x {UPDATES} updates: {await watchers(make, first, path):.2f} s")
    await rate(connections, LISTED - CREATES, lambda c, n: c.request("POST", path, config_map(f"l{n}", BYTES)))
    times = []
    for _ in range(5):
        started = time.perf_counter()
        size = len(await first.request("GET", path))
        times.append(time.perf_counter() - started)
    print(f"list of {LISTED:,} ({size / 1e6:.1f} MB): {statistics.median(times):.3f} s")
    await first.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--url")
    parser.add_argument("--token", default="bench-token")
    given = parser.parse_args()
    if given.url:
        url = urlsplit(given.url)
        asyncio.run(measure(url.hostname or "127.0.0.1", url.port or 443, given.token))
        return
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "tokens.csv"
        tokens.write_text(f'{given.token},bench,1,"system:masters"\n')
        arguments = ["--api-only", "--data", f"{folder}/data", "--token-auth-file", str(tokens)]
        started = time.perf_counter()
        with api_server(Path(folder), arguments) as server:
            print(f"ready: {time.perf_counter() - started:.2f} s, {_resident_mb(server.process.pid):.0f} MB")
            asyncio.run(measure(server.host, server.port, given.token))
            print(f"resident with {LISTED:,} ConfigMaps: {_resident_mb(server.process.pid):.0f} MB")


if __name__ == "__main__":
    main()
