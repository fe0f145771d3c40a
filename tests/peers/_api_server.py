"""An API server of ours in a process of its own, on a free loopback port, for tests that speak to it as clients do."""

from __future__ import annotations

import http.client
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

READY_WITHIN_S = 30.0


@dataclass(frozen=True)
class Server:
    """host and port of a server that is ready; kubeconfig: the administrator's file."""

    host: str
    port: int
    kubeconfig: Path
    process: subprocess.Popen[str]

    def connect(self, timeout: float = 30.0) -> http.client.HTTPSConnection:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=context)


@contextmanager
def api_server(folder: Path, arguments: Sequence[str] = ()) -> Iterator[Server]:
    """`pilothouse up --no-node` with these arguments, stopped at the end; `folder` takes its kubeconfig."""
    kubeconfig = folder / "kubeconfig"
    command = [sys.executable, "-m", "pilothouse.cli.main", "up", "--no-node", "--api-port", "0"]
    command += ["--kubeconfig", str(kubeconfig), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield Server("127.0.0.1", _port_of(process), kubeconfig, process)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _port_of(process: subprocess.Popen[str]) -> int:
    """Waits for the line that says where it serves."""
    assert process.stdout is not None
    started = time.monotonic()
    line = process.stdout.readline()
    if not line.startswith("serving on "):
        process.kill()
        assert process.stderr is not None
        raise RuntimeError(f"the server did not start: {line}{process.stderr.read()}")
    assert time.monotonic() - started < READY_WITHIN_S
    return int(line.strip().rsplit(":", 1)[1])
