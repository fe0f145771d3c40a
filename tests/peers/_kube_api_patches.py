"""Peer set `kube-api`, the cases that patch and apply, played straight on the write path: no HTTP, no authorization.

It holds the object, its owners and the refusals to what was recorded, for every case that patches a kind we have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pilothouse.assemble.kinds import KINDS
from pilothouse.base import yaml_dialect
from pilothouse.base.clock import ManualClock
from pilothouse.base.entropy import Entropy
from pilothouse.base.errors import ApiError
from pilothouse.machinery.kind import Inline, Kind, Kinds, Strategy
from pilothouse.machinery.write_path import WritePath
from pilothouse.store.memory import Store

FOLDER = "kube-api"
_PATCH_TYPES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
}
_APPLY = "application/apply-patch+yaml"
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_RECORDED_DAY = re.compile(r'"20\d\d-[01]\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"')
_VOLATILE = ("uid", "resourceVersion", "time", "creationTimestamp", "deletionTimestamp", "clusterIP", "clusterIPs")
_NO_PART = "not played here"


def run(folder: Path) -> Iterable[tuple[str, str | None]]:
    for file in sorted(folder.glob("*/*.json")):
        case = json.loads(file.read_text())
        if any(step.get("method") == "PATCH" for step in case["steps"]):
            yield from _case(f"{file.parent.name}/{file.stem}", case)


def _case(name: str, case: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    world = _World()
    for number, step in enumerate(case["steps"]):
        if "response" not in step:
            continue
        played = world.play(step)
        if played is None and step.get("method", "GET") == "GET":
            continue
        if played is None:
            return
        failure = _difference(step["response"], *played)
        if step.get("method") == "PATCH":
            yield f"{name} {number}", failure


class _World:
    """A store with the built-in kinds, the case's namespace, and kinds as definitions are created."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.kinds = Kinds(KINDS)
        self.path = WritePath(Store(), self.kinds, self.clock, Entropy(1), managed_fields=True)
        self.names = {"ns": "kc-case"}

    def play(self, step: Mapping[str, Any]) -> tuple[int, Any] | None:
        """(status, body) of a step; None when this player cannot go on."""
        if step.get("op", "request") != "request" or step.get("user", "admin") != "admin":
            return None
        self.clock.advance(1.0)
        try:
            played = self._request(step)
        except ApiError as error:
            return error.code, error.to_status()
        if played is not None:
            for variable, path in (step.get("capture") or {}).items():
                value: Any = played[1]
                for part in path.split("/"):
                    value = value[part]
                self.names[variable] = value
        return played

    def _request(self, step: Mapping[str, Any]) -> tuple[int, Any] | None:
        address = urlsplit(self._filled(step["path"]))
        query = dict(parse_qsl(address.query))
        if address.path.endswith("/customresourcedefinitions") and step.get("method") == "POST":
            self._define(json.loads(self._filled(json.dumps(step["body"]))))
            return 201, step["response"]["body"]
        place = self._place([unquote(part) for part in address.path.strip("/").split("/")])
        if place is None or query.keys() - {"fieldManager", "force", "dryRun", "fieldValidation"}:
            return None
        kind, namespace, name, subresource = place
        headers = step.get("headers") or {}
        manager = query.get("fieldManager") or headers.get("User-Agent", "apirec/1.0").split("/", 1)[0]
        options: dict[str, Any] = {"dry_run": query.get("dryRun") == "All", "manager": manager}
        body = self._body(step)
        match step.get("method", "GET"):
            case "GET" if name and not subresource:
                stored = self.path.store.get(kind.name, namespace, name)
                return None if stored is None else (200, stored.object)
            case "POST" if not name and isinstance(body, dict):
                if kind.namespaced:
                    body = {**body, "metadata": {**body["metadata"], "namespace": namespace}}
                return 201, self.path.create(kind.name, body, **options)
            case "PUT" if isinstance(body, dict):
                body = {**body, "metadata": {"namespace": namespace, **body["metadata"]}}
                body["apiVersion"], body["kind"] = kind.api_version, kind.kind
                return 200, self.path.replace(kind.name, body, subresource=subresource, **options)
            case "PATCH":
                return self._patch(kind, namespace, name, subresource, headers, query, body, options)
        return None

    def _patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        subresource: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        body: Any,
        options: dict[str, Any],
    ) -> tuple[int, Any] | None:
        media = headers.get("Content-Type", "")
        if media == _APPLY:
            if body is None:
                return None
            options["manager"] = query.get("fieldManager", "")
            absent = self.path.store.get(kind.name, namespace, name) is None
            force = query.get("force") == "true"
            made = self.path.apply(kind.name, namespace, name, body, force=force, subresource=subresource, **options)
            return (201 if absent else 200), made
        if media not in _PATCH_TYPES or query.keys() & {"force", "fieldValidation"}:
            return None
        patch_type = _PATCH_TYPES[media]
        made = self.path.patch(
            kind.name, namespace, name, body, patch_type=patch_type, subresource=subresource, **options
        )
        return 200, made

    def _body(self, step: Mapping[str, Any]) -> Any:
        if "body" in step:
            return json.loads(self._filled(json.dumps(step["body"])))
        if "body_text" not in step:
            return None
        try:
            return next(yaml_dialect.load(self._filled(step["body_text"]))).value
        except yaml_dialect.Broken:
            return None

    def _filled(self, text: str) -> str:
        for variable, value in self.names.items():
            text = text.replace("${" + variable + "}", str(value))
        return text

    def _place(self, parts: list[str]) -> tuple[Kind, str, str, str] | None:
        group = "" if parts[0] == "api" else parts[1]
        version, rest = (parts[1], parts[2:]) if parts[0] == "api" else (parts[2], parts[3:])
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        for kind in self.kinds:
            if (kind.group, kind.version, kind.plural) == (group, version, rest[0]):
                padded = [*rest[1:], "", ""]
                return kind, namespace, padded[0], padded[1]
        return None

    def _define(self, body: Mapping[str, Any]) -> None:
        """A definition brings its kind along: its first version, as far as patches care."""
        spec = body["spec"]
        version = spec["versions"][0]
        schema = version["schema"]["openAPIV3Schema"]
        made = Kind(
            spec["group"],
            version["name"],
            spec["names"]["kind"],
            spec["names"]["plural"],
            Inline(lambda: schema),
            namespaced=spec["scope"] == "Namespaced",
            strategy=Strategy(status="status" in version.get("subresources", {}), unconditional=False),
        )
        self.kinds.add(made)


# Comparison


def _difference(recorded: Mapping[str, Any], status: int, body: Any) -> str | None:
    if recorded["status"] != status:
        shown = body.get("message", "") if isinstance(body, Mapping) else ""
        return f"status {status}, recorded {recorded['status']} {shown}"[:300]
    expected, actual = _plain(recorded["body"]), _plain(body)
    if isinstance(expected, dict) and expected.get("kind") in ("Status", "Scale"):
        keys = ("reason", "code", "message") if expected["kind"] == "Status" else ()
        expected = {key: expected.get(key) or "" for key in keys}
        actual = {key: actual.get(key) or "" for key in keys}
    return _first_difference(expected, actual, "")


def _plain(value: Any) -> Any:
    """Without what differs between any two runs."""
    if isinstance(value, Mapping):
        out: dict[str, Any] = {}
        for key, entry in value.items():
            if entry is None:
                continue
            if key == "managedFields":
                out[key] = sorted((_plain(one) for one in entry), key=lambda one: json.dumps(one, sort_keys=True))
            elif key == "time":
                out[key] = "set"
            elif key not in _VOLATILE:
                out[key] = _plain(entry)
        return out
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, str):
        text = _UID.sub("UID", value.replace("${ns}", "kc-case"))
        return re.sub(r'(resourceVersion\\*"?:\\*"?)\d+|20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ', r"\1_", text)
    return value


def _first_difference(expected: Any, actual: Any, path: str) -> str | None:
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in {**expected, **actual}:
            if expected.get(key) != actual.get(key):
                return _first_difference(expected.get(key), actual.get(key), f"{path}/{key}")
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for index, (left, right) in enumerate(zip(expected, actual)):
            if left != right:
                return _first_difference(left, right, f"{path}/{index}")
    if expected == actual:
        return None
    return f"{path}: {json.dumps(actual, default=str)[:160]}, recorded {json.dumps(expected)[:160]}"
