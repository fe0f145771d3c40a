"""Peer set `kube-api`: recorded HTTP conversations with kube-apiserver 1.36, replayed on `up --no-node --api-only`.

One entry per case: every step's status, media type, warnings and body must be as recorded, apart from what is volatile
(`_recorded_http`). Messages and, where a case does not ask for them, managedFields are not judged here.
"""

from __future__ import annotations

import csv
import http.client
import json
import random
import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.peers._api_server import Server, api_server
from tests.peers._recorded_http import Bindings, Comparison

_VARIABLE = re.compile(r"\$\{([A-Za-z0-9_.]+)\}")
_END = "k8s.io/initial-events-end"
_BIG = 1_100_000


def run(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Replays every case of every group."""
    tokens = {row[1]: row[0] for row in csv.reader((folder / "tokens.csv").read_text().splitlines()) if len(row) > 1}
    with tempfile.TemporaryDirectory() as state:
        arguments = ["--api-only", "--token-auth-file", str(folder / "tokens.csv")]
        with api_server(Path(state), arguments) as server:
            for file in sorted(folder.glob("*/*.json")):
                case = json.loads(file.read_text())
                with suppress(http.client.HTTPException):
                    yield f"{case['group']}/{case['name']}", _Case(server, tokens, case).failure()


class _Watch(threading.Thread):
    """Reads a watch while other steps run."""

    def __init__(self, connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> None:
        super().__init__(daemon=True)
        self.events: list[Any] = []
        self.raw = b""
        self._connection = connection
        connection.request("GET", path, headers=dict(headers))
        self.response = connection.getresponse()
        self.start()

    def run(self) -> None:
        with suppress(OSError, http.client.HTTPException, ValueError, AttributeError):
            while line := self.response.readline():
                if self.response.status == 200:
                    self.events.append(json.loads(line))
                else:
                    self.raw += line

    def close(self) -> None:
        with suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self.join(2)

    def answer(self) -> dict[str, Any]:
        headers = self.response.getheaders()
        if self.response.status != 200:
            return {"status": self.response.status, "headers": headers, "body": _body(self.raw)}
        kept = [event for event in self.events if event.get("type") != "BOOKMARK" or _is_end(event)]
        return {"status": 200, "headers": headers, "events": kept}


def _is_end(event: Mapping[str, Any]) -> bool:
    metadata = (event.get("object") or {}).get("metadata") or {}
    return _END in (metadata.get("annotations") or {})


class _Case:
    """One case against one server."""

    def __init__(self, server: Server, tokens: Mapping[str, str], case: Mapping[str, Any]) -> None:
        self._server = server
        self._tokens = tokens
        self._case = case
        letters = "bcdfghjklmnpqrstvwxz2456789"
        self._variables = {"ns": "kc-" + "".join(random.choices(letters, k=8)), "big1100k": "x" * _BIG}
        self._bindings = Bindings(str(case.get("recorded", "")))
        self._watches: dict[str, _Watch] = {}
        self._connection = server.connect()

    def failure(self) -> str | None:
        """The first difference of the first step that differs."""
        namespaced = self._case.get("namespace", True)
        try:
            if namespaced:
                made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._variables["ns"]}}
                self._send({"method": "POST", "path": "/api/v1/namespaces", "body": made})
            for number, step in enumerate(self._case["steps"], 1):
                found = self._step(step)
                if found:
                    return f"step {number} {step.get('method', 'GET')} {step.get('path', '')}: {found}"
            return None
        finally:
            for watch in self._watches.values():
                watch.close()
            paths = [*self._case.get("cleanup", ())]
            if namespaced:
                paths.append("/api/v1/namespaces/${ns}")
            for path in paths:
                self._send({"method": "DELETE", "path": path})
            self._connection.close()

    # Steps

    def _step(self, step: Mapping[str, Any]) -> str:
        match step.get("op", "request"):
            case "sleep":
                time.sleep(step["seconds"])
            case "wait":
                self._wait(step)
            case "watch-start":
                self._watches[step["id"]] = self._open(step)
                time.sleep(0.3)
            case "watch-collect":
                return self._judged(step, self._collected(step))
            case "stream":
                watch = self._open(step)
                watch.join(step.get("seconds", 4) + 6)
                watch.close()
                return self._judged(step, watch.answer())
            case _:
                return self._judged(step, self._settled(step))
        return ""

    def _settled(self, step: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._send(step)
        ends = time.monotonic() + max(3.0, step.get("settle", 0) * 4)
        while (
            step.get("settle")
            and time.monotonic() < ends
            and self._difference(step, answer, Bindings(self._bindings.day))
        ):
            time.sleep(0.1)
            answer = self._send(step)
        return answer

    def _wait(self, step: Mapping[str, Any]) -> None:
        ends = time.monotonic() + step.get("timeout", 15)
        while True:
            answer = self._send(step)
            wanted: Mapping[str, Any] = step.get("until") or {}
            good = answer["status"] == step.get("status", 200)
            if good and all(_at(answer["body"], path) == self._filled(value) for path, value in wanted.items()):
                break
            if time.monotonic() > ends:
                break
            time.sleep(0.05)
        self._capture(step, answer["body"])

    def _collected(self, step: Mapping[str, Any]) -> dict[str, Any]:
        watch = self._watches[step["id"]]
        ends = time.monotonic() + 5
        wanted = len(step["response"].get("events", ()))
        while time.monotonic() < ends and watch.is_alive() and len(watch.answer().get("events", ())) < wanted:
            time.sleep(0.05)
        time.sleep(0.2)
        watch.close()
        return watch.answer()

    # Requests

    def _send(self, step: Mapping[str, Any]) -> dict[str, Any]:
        body: bytes | None = None
        if "body_text" in step:
            body = self._filled(step["body_text"]).encode()
        elif "body" in step:
            body = json.dumps(self._filled(step["body"])).encode()
        headers = self._headers(step)
        if body is not None and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
        path = self._filled(step["path"]).replace(" ", "%20")
        self._connection.request(step.get("method", "GET"), path, body, headers)
        response = self._connection.getresponse()
        data = response.read()
        return {"status": response.status, "headers": response.getheaders(), "body": _body(data)}

    def _headers(self, step: Mapping[str, Any]) -> dict[str, str]:
        headers = {"User-Agent": "apirec/1.0", "Accept": "application/json"}
        user = step.get("user", "admin")
        if user != "anonymous":
            headers["Authorization"] = f"Bearer {self._tokens.get(user, 'unknown')}"
        for name, value in self._filled(dict(step.get("headers") or {})).items():
            headers = {key: kept for key, kept in headers.items() if key.lower() != name.lower()}
            if value is not None:
                headers[name] = value
        return headers

    def _open(self, step: Mapping[str, Any]) -> _Watch:
        path = self._filled(step["path"]).replace(" ", "%20")
        return _Watch(self._server.connect(60), path, self._headers(step))

    def _filled(self, value: Any) -> Any:
        """Variables replaced everywhere in a value."""
        if isinstance(value, str):
            known = self._variables
            return _VARIABLE.sub(lambda found: str(known.get(found[1], found[0])), value)
        if isinstance(value, list):
            return [self._filled(entry) for entry in value]
        if isinstance(value, dict):
            return {self._filled(key): self._filled(entry) for key, entry in value.items()}
        return value

    def _capture(self, step: Mapping[str, Any], source: Any) -> None:
        for name, path in (step.get("capture") or {}).items():
            found = _at(source, path)
            if found is not None:
                self._variables[name] = found

    # Judging

    def _judged(self, step: Mapping[str, Any], answer: dict[str, Any]) -> str:
        self._capture(step, answer.get("events", answer.get("body")))
        return self._difference(step, answer, self._bindings) if "response" in step else ""

    def _difference(self, step: Mapping[str, Any], answer: Mapping[str, Any], bindings: Bindings) -> str:
        recorded: Mapping[str, Any] = self._only_namespace(step["response"])
        mode = step.get("compare", "full")
        ignored = [*self._case.get("ignore", ()), *step.get("ignore", ())]
        owners = self._case.get("managed_fields") == "strict"
        comparison = Comparison(bindings, ignored, mode == "subset", owners)
        if recorded["status"] != answer["status"]:
            comparison.differs("status", recorded["status"], answer["status"])
        if mode == "status":
            return comparison.first
        self._judge_headers(comparison, recorded["headers"], answer["headers"], mode, ignored)
        wanted = recorded.get("events", recorded.get("body"))
        if isinstance(wanted, dict) and "$text" in wanted:
            return comparison.first
        comparison.compare(wanted, answer.get("events", answer.get("body")))
        return comparison.first

    def _only_namespace(self, value: Any) -> Any:
        kept, self._variables = self._variables, {"ns": self._variables["ns"]}
        try:
            return self._filled(value)
        finally:
            self._variables = kept

    @staticmethod
    def _judge_headers(
        comparison: Comparison,
        recorded: Mapping[str, Any],
        pairs: Iterable[tuple[str, str]],
        mode: str,
        ignored: list[str],
    ) -> None:
        found: dict[str, list[str]] = {}
        for name, value in pairs:
            found.setdefault(name.lower(), []).append(value)
        media: Callable[[str], str] = lambda text: text.split(";", 1)[0]  # noqa: E731
        wanted, got = media(recorded.get("content-type", "")), media(found.get("content-type", [""])[0])
        if wanted != got and "content-type" not in ignored:
            comparison.differs("content-type", wanted, got)
        if mode == "subset":
            return
        if len(recorded.get("warning", ())) != len(found.get("warning", ())):
            comparison.differs("warnings", recorded.get("warning", []), found.get("warning", []))
        if ("retry-after" in recorded) != ("retry-after" in found):
            comparison.differs("retry-after", recorded.get("retry-after"), found.get("retry-after"))


def _body(data: bytes) -> Any:
    try:
        return json.loads(data) if data else None
    except ValueError:
        return {"$text": data.decode("utf-8", "replace")}


def _at(value: Any, path: str) -> Any:
    for part in path.split("/"):
        if isinstance(value, list):
            value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value
