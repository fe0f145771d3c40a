"""kill -9 under a load of writes: what was acknowledged is there, nothing is torn, versions never go back."""

from __future__ import annotations

import http.client
import json
import signal
import ssl
import threading
from pathlib import Path

import pytest
from tests.peers._api_server import Server, api_server

pytestmark = pytest.mark.slow

ROUNDS, WRITERS = 4, 4
PATH = "/api/v1/namespaces/default/configmaps"
TOKENS = 'root-token,root,1,"system:masters"\n'


class Writer(threading.Thread):
    """Creates ConfigMaps until the server is gone; remembers which were acknowledged."""

    def __init__(self, server: Server, name: str) -> None:
        super().__init__(daemon=True)
        self._connection = server.connect(5)
        self._name = name
        self.acknowledged: dict[str, int] = {}

    def run(self) -> None:
        number = 0
        headers = {"Authorization": "Bearer root-token", "Content-Type": "application/json"}
        try:
            while True:
                name = f"{self._name}-{number}"
                body = {"metadata": {"name": name}, "data": {"n": str(number), "fill": "x" * 200}}
                self._connection.request("POST", PATH, json.dumps(body), headers)
                with self._connection.getresponse() as response:
                    answer = json.loads(response.read())
                if response.status == 201:
                    self.acknowledged[name] = int(answer["metadata"]["resourceVersion"])
                number += 1
        except (OSError, http.client.HTTPException, ssl.SSLError, ValueError):
            return
        finally:
            self._connection.close()


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.csv"
    tokens.write_text(TOKENS)
    arguments = ["--api-only", "--data", str(tmp_path / "data"), "--token-auth-file", str(tokens)]
    acknowledged: dict[str, int] = {}
    for turn in range(ROUNDS):
        with api_server(tmp_path, arguments) as server:
            writers = [Writer(server, f"t{turn}-w{number}") for number in range(WRITERS)]
            for writer in writers:
                writer.start()
            writers[0].join(0.2 + 0.13 * turn)
            server.process.send_signal(signal.SIGKILL)
            for writer in writers:
                writer.join(10)
                acknowledged |= writer.acknowledged
    assert len(acknowledged) > ROUNDS * WRITERS
    with api_server(tmp_path, arguments) as server:
        connection = server.connect()
        connection.request("GET", PATH, headers={"Authorization": "Bearer root-token"})
        listed = json.loads(connection.getresponse().read())
        connection.close()
    found = {item["metadata"]["name"]: item for item in listed["items"]}
    assert {name: int(found[name]["metadata"]["resourceVersion"]) for name in acknowledged} == acknowledged
    assert all(len(item["data"]["fill"]) == 200 for item in found.values())
    versions = [int(item["metadata"]["resourceVersion"]) for item in found.values()]
    assert len(set(versions)) == len(versions)
    assert int(listed["metadata"]["resourceVersion"]) >= max(versions)
