"""What a request asks for: path, query and headers read once (apiserver 1.36 `endpoints/request/requestinfo.go`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from pilothouse.machinery.authn import User

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES = ("status", "finalize")


@dataclass(slots=True)
class Target:
    """The resource a path names. verb: get, list, watch, create, update, patch, delete, deletecollection."""

    verb: str
    group: str
    version: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    """What follows a subresource: the path of `proxy`."""


@dataclass(slots=True)
class Request:
    """One request. headers: lower-case names; query: the last value of each name; target: None for other paths."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    target: Target | None
    body: bytes = b""
    user: User = field(default_factory=User)
    warnings: list[str] = field(default_factory=list)
    query_lists: dict[str, list[str]] = field(default_factory=dict)

    def manager(self) -> str:
        """The field manager of a write: what was asked, else the first word of the User-Agent."""
        given = self.query.get("fieldManager")
        if given:
            return given
        agent = self.headers.get("user-agent", "")
        return agent.split("/", 1)[0][:128] or "unknown"


def parse(method: str, raw_path: str, query_string: str, headers: Mapping[str, str]) -> Request:
    """Read the request line."""
    pairs = parse_qsl(query_string, keep_blank_values=True) if query_string else []
    lists: dict[str, list[str]] = {}
    for key, value in pairs:
        lists.setdefault(key, []).append(value)
    query = {key: values[0] for key, values in lists.items()}
    path = unquote(raw_path) if "%" in raw_path else raw_path
    return Request(method, path, query, headers, _target(method, path, query), query_lists=lists)


def _target(method: str, path: str, query: Mapping[str, str]) -> Target | None:
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    legacy_watch = rest[0] == "watch" and len(rest) > 1
    if legacy_watch:
        rest = rest[1:]
    target = Target(_VERBS.get(method, method.lower()), group, version, "")
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in _NAMESPACE_SUBRESOURCES):
        target.namespace = rest[1]
        rest = rest[2:]
    target.resource = rest[0]
    if len(rest) > 1:
        target.name = rest[1]
    if len(rest) > 2:
        target.subresource = rest[2]
        target.rest = "/".join(rest[3:])
    if target.resource == "namespaces" and target.name:
        target.namespace = target.name
    _collection_verb(target, query, legacy_watch)
    return target


def _collection_verb(target: Target, query: Mapping[str, str], legacy_watch: bool) -> None:
    watching = legacy_watch or query.get("watch", "false").lower() in ("1", "true", "t", "")
    if target.verb == "get" and not target.subresource:
        if legacy_watch or ("watch" in query and watching and not target.name):
            target.verb = "watch"
        elif not target.name:
            target.verb = "list"
    elif target.verb == "delete" and not target.name:
        target.verb = "deletecollection"


def is_true(text: Any) -> bool:
    """A boolean of a query, as upstream's conversion reads it: anything but "false" and "0" that is present."""
    return text is not None and str(text).lower() not in ("false", "0")
