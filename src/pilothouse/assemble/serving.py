"""`up`: from options to a served API and back to a clean end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pilothouse.base.clock import Clock, WallClock
from pilothouse.base.entropy import Entropy
from pilothouse.base.errors import Finding, InputError, Place
from pilothouse.machinery.authn import User, read_tokens
from pilothouse.machinery.service_tokens import ServiceTokens
from pilothouse.store.memory import Store


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What to serve. data: folder of the state, None for memory; controllers: run them; say: prints a line."""

    bind_address: str = "127.0.0.1"
    port: int = 6443
    data: str | None = None
    token_auth_file: str | None = None
    kubeconfig: str | None = None
    controllers: bool = True
    say: Callable[[str], None] = print


def serve(options: ServeOptions) -> int:
    """Serve until SIGINT or SIGTERM; gives the exit code. InputError names what cannot be used."""
    import uvloop

    clock = WallClock()
    tokens = _tokens(options.token_auth_file)
    with _state_folder(options.data) as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(options, clock, tokens, Path(folder)))
    return 0


class _state_folder:
    """The folder of the state: the given one, made when needed, or one that goes away at the end."""

    def __init__(self, data: str | None) -> None:
        self._data = data
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> str:
        if self._data is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="pilothouse-")
            return self._temporary.name
        try:
            os.makedirs(self._data, mode=0o700, exist_ok=True)
        except OSError as error:
            raise InputError(
                Finding(
                    "PH511",
                    f"cannot keep data in {self._data}: {error.strerror}",
                    Place(self._data),
                    "give a folder that can be written",
                )
            ) from None
        return self._data

    def __exit__(self, *_: object) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()


def _tokens(file: str | None) -> dict[str, User]:
    if file is None:
        return {}
    try:
        text = Path(file).read_text()
    except OSError as error:
        raise InputError(
            Finding("PH512", f"cannot read the token file: {error.strerror}", Place(file), "give a readable file")
        ) from None
    return read_tokens(text, file)


async def _serve(options: ServeOptions, clock: Clock, tokens: dict[str, User], folder: Path) -> None:
    from pilothouse.assemble import live
    from pilothouse.wire.kubernetes import certificates, listener

    try:
        sock = listener.bound_socket(options.bind_address, options.port)
    except OSError as error:
        where = f"{options.bind_address}:{options.port}"
        raise InputError(
            Finding(
                "PH513",
                f"cannot listen on {where}: {error.strerror}",
                remedy="stop what listens there or give --api-port 0",
            )
        ) from None
    port = sock.getsockname()[1]
    pki = folder / "pki"
    names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1", "::1", "10.96.0.1")
    addresses = dict.fromkeys((*names, options.bind_address))
    made = certificates.load_or_make(pki, clock, tuple(addresses))
    entropy = Entropy(int.from_bytes(os.getrandom(8)))
    key = certificates.SigningKey(pki / "service-accounts.key")

    def service_tokens(store: Store) -> ServiceTokens:
        key_id = certificates.fingerprint(made.ca)
        return ServiceTokens(store, clock, key_id, key.sign, key.check, entropy.uid)

    host = f"[{options.bind_address}]" if ":" in options.bind_address else options.bind_address
    server = f"https://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    wanted = live.LiveOptions(tokens, f"{host}:{port}", service_tokens, _complain, controllers=options.controllers)
    disk, store = None, None
    if options.data is not None:
        from pilothouse.store.disk import Disk

        disk = Disk(folder / "store.db")
        store = disk.restore(live.indexes_of(wanted))
    world = live.build(clock, entropy, wanted, store)
    if disk is not None:
        disk.start(world.store, _complain)
        world.context.durable = disk.durable
    gc.freeze()
    tls = listener.tls_context(pki / "serving.crt", pki / "serving.key", pki / "ca.crt")
    serving = listener.Listener(world.api, sock, tls)
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, ending.set)
    world.start()
    await serving.start()
    if options.kubeconfig:
        _write_kubeconfig(options.kubeconfig, certificates.kubeconfig(made, server))
    options.say(f"serving on {server}")
    await ending.wait()
    await serving.stop()
    await world.stop()
    if disk is not None:
        await disk.stop()


def _write_kubeconfig(file: str, text: str) -> None:
    path = Path(file)
    path.touch(mode=0o600)
    path.write_text(text)


def _complain(error: Exception) -> None:
    import sys
    import traceback

    traceback.print_exception(error, file=sys.stderr)
