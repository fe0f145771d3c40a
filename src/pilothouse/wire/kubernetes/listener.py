"""The socket side: TLS with our own authority, HTTP/1.1 by uvicorn, client certificates as users."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pilothouse.wire.kubernetes import statuses

_KEEP_ALIVE_S = 300
_BACKLOG = 1_024


_ODD_METHOD = re.compile(rb"[A-Z]{1,20} /[^\r\n]* HTTP/1\.1\r\n")
_REFUSED = orjson.dumps(statuses.body(statuses.MethodNotAllowed()))


class CertifiedProtocol(HttpToolsProtocol):
    """uvicorn's protocol that also says whose certificate the client showed."""

    _certified: Any = None
    _latest = b""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        found = connection.getpeercert() if connection is not None else None
        if found:
            self._certified = user_of(found)

    def data_received(self, data: bytes) -> None:
        self._latest = data
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """A method that the parser does not know is refused as the API refuses methods, not as broken HTTP."""
        if _ODD_METHOD.match(self._latest) is None or self.transport.is_closing():
            super().send_400_response(msg)
            return
        head = (
            f"HTTP/1.1 405 Method Not Allowed\r\ncontent-type: application/json\r\ncontent-length: {len(_REFUSED)}\r\n"
        )
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + _REFUSED)
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._certified is not None:
            self.scope["extensions"] = {"tls": {"client_cert_user": self._certified}}


def user_of(certificate: Any) -> tuple[str, tuple[str, ...]] | None:
    """(common name, organizations) of a verified client certificate."""
    name, groups = "", []
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.append(value)
    return (name, tuple(groups)) if name else None


def tls_context(certificate: Path, key: Path, ca: Path) -> ssl.SSLContext:
    """Server side TLS; client certificates of our authority are welcome, not demanded."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def bound_socket(address: str, port: int) -> socket.socket:
    """A listening socket; OSError when the place is taken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, port))
    made.listen(_BACKLOG)
    made.setblocking(False)
    return made


class Listener:
    """One uvicorn server over a bound socket and a TLS context."""

    def __init__(self, app: Any, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        config = uvicorn.Config(
            app,
            http=CertifiedProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=True,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=1,
            proxy_headers=False,
        )
        config.load()
        self._config = config
        self._sock = sock
        self._tls = tls
        self._state = uvicorn.Server(config).server_state
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Accept connections from now on."""
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            return CertifiedProtocol(config=self._config, server_state=self._state, app_state={}, _loop=loop)

        self._server = await loop.create_server(protocol, sock=self._sock, ssl=self._tls)

    async def stop(self) -> None:
        """Accept nothing more and end what is open."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        await asyncio.sleep(0)
        for connection in list(self._state.connections):
            connection.transport.abort()
