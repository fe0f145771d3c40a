"""What the server says it serves: legacy and aggregated discovery, `/version`, OpenAPI v3 (apiserver 1.36
`endpoints/discovery`, `pkg/handler3`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from pilothouse.engines.schema.openapi import read_document
from pilothouse.wire.kubernetes.answer import Answer
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.resources import READ_WRITE, Resource

VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-06-09T00:00:00Z",
    "goVersion": "go1.26",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Discovery:
    """Answers about what is served; made again when custom resources come or go."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._generation = -1
        self._answers: dict[str, Answer] = {}

    def answer(self, path: str, accept: str) -> Answer | None:
        """The answer of /api, /apis and what is below them; None for another path."""
        registry = self._context.registry
        if self._generation != registry.generation:
            self._answers.clear()
            self._generation = registry.generation
        parts = [part for part in path.split("/") if part]
        aggregated = len(parts) == 1 and _wants_aggregated(accept)
        key = f"{'/'.join(parts)}{' aggregated' if aggregated else ''}"
        known = self._answers.get(key)
        if known is None:
            made = self._aggregated(parts[0]) if aggregated else self._legacy(parts)
            if made is None:
                return None
            content = _AGGREGATED if aggregated else "application/json"
            known = self._answers[key] = Answer(200, orjson.dumps(made), content)
        return known

    # Legacy

    def _legacy(self, parts: list[str]) -> Mapping[str, Any] | None:
        match parts:
            case ["api"]:
                address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": self._context.address}]
                return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address}
            case ["apis"]:
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [*map(_group, self._groups().items())]}
            case ["apis", group]:
                versions = self._groups().get(group)
                return {"kind": "APIGroup", "apiVersion": "v1", **_group((group, versions))} if versions else None
            case ["api", version]:
                return self._resource_list("", version)
            case ["apis", group, version]:
                return self._resource_list(group, version)
        return None

    def _groups(self) -> dict[str, list[str]]:
        """Versions of each named group, the preferred one first, in the order they are served."""
        out: dict[str, list[str]] = {}
        for resource in self._context.registry:
            if resource.group:
                versions = out.setdefault(resource.group, [])
                if resource.version not in versions:
                    versions.append(resource.version)
        custom = {resource.group for resource in self._context.registry.custom()}
        return {group: sorted(found, key=version_rank) if group in custom else found for group, found in out.items()}

    def _resource_list(self, group: str, version: str) -> Mapping[str, Any] | None:
        resources: list[dict[str, Any]] = []
        for resource in self._context.registry:
            if resource.group == group and resource.version == version:
                resources += _legacy_entries(resource)
        if not resources:
            return None
        resources.sort(key=lambda entry: str(entry["name"]))
        group_version = f"{group}/{version}" if group else version
        out: dict[str, Any] = {"kind": "APIResourceList", "groupVersion": group_version, "resources": resources}
        return {**out, "apiVersion": "v1"} if group else out

    # Aggregated

    def _aggregated(self, root: str) -> Mapping[str, Any]:
        items: list[dict[str, Any]] = []
        groups = {"": ["v1"]} if root == "api" else self._groups()
        for group, versions in groups.items():
            entries = [
                {
                    "version": version,
                    "resources": [
                        _aggregated_entry(resource)
                        for resource in self._context.registry
                        if resource.group == group and resource.version == version
                    ],
                    "freshness": "Current",
                }
                for version in versions
            ]
            items.append({"metadata": {"name": group} if group else {}, "versions": entries})
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": items,
        }


def _wants_aggregated(accept: str) -> bool:
    for clause in accept.split(","):
        words = {word.strip() for word in clause.split(";")}
        if {"application/json", "as=APIGroupDiscoveryList", "v=v2", "g=apidiscovery.k8s.io"} <= words:
            return True
        if words == {"application/json"}:
            return False
    return False


def version_rank(version: str) -> tuple[int, int, int, str]:
    """Kubernetes' order of versions: v2, v1, v1beta2, v1alpha1, others by name."""
    import re

    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if found is None:
        return (3, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[found[2]]
    return (stage, -int(found[1]), -int(found[3] or 0), version)


def _group(item: tuple[str, list[str]]) -> dict[str, Any]:
    group, versions = item
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _legacy_entries(resource: Resource) -> list[dict[str, Any]]:
    entry: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind_name,
        "verbs": [*resource.verbs],
    }
    if resource.short_names:
        entry["shortNames"] = [*resource.short_names]
    if resource.categories:
        entry["categories"] = [*resource.categories]
    if set(READ_WRITE) <= set(resource.verbs):
        name = f"{resource.group}/{resource.version}/{resource.plural}"
        entry["storageVersionHash"] = hashlib.sha256(name.encode()).hexdigest()[:11] + "="
    out = [entry]
    for name, sub in resource.subresources.items():
        kind = sub["responseKind"]
        line: dict[str, Any] = {
            "name": f"{resource.plural}/{name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": kind["kind"],
            "verbs": [*sub["verbs"]],
        }
        if kind.get("version"):
            line |= {"group": kind.get("group", ""), "version": kind["version"]}
        out.append(line)
    return out


def _aggregated_entry(resource: Resource) -> dict[str, Any]:
    out: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind_name},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": [*resource.verbs],
    }
    if resource.short_names:
        out["shortNames"] = [*resource.short_names]
    if resource.categories:
        out["categories"] = [*resource.categories]
    if resource.subresources:
        out["subresources"] = [
            {
                "subresource": name,
                "responseKind": {
                    "group": sub["responseKind"].get("group") or resource.group,
                    "version": sub["responseKind"].get("version") or resource.version,
                    "kind": sub["responseKind"]["kind"],
                },
                "verbs": [*sub["verbs"]],
            }
            for name, sub in resource.subresources.items()
        ]
    return out


class OpenApi:
    """The hash-addressed OpenAPI v3 documents, made when they are first asked for."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._generation = -1
        self._documents: dict[str, bytes] = {}

    def answer(self, path: str, query: Mapping[str, str]) -> Answer | None:
        """The index, or one document; None for another path."""
        registry = self._context.registry
        if self._generation != registry.generation:
            self._documents.clear()
            self._generation = registry.generation
        name = path.removeprefix("/openapi/v3").strip("/")
        if not name:
            paths = {key: {"serverRelativeURL": f"/openapi/v3/{key}?hash={self._hash(key)}"} for key in self._names()}
            return Answer(200, orjson.dumps({"paths": paths}), "text/plain; charset=utf-8")
        if name not in self._names():
            return None
        body = self._document(name)
        right = self._hash(name)
        if query.get("hash") and query["hash"] != right:
            return Answer(301, b"", "", [(b"location", f"/openapi/v3/{name}?hash={right}".encode())])
        headers = [(b"etag", f'"{right}"'.encode())]
        if query.get("hash"):
            headers.append((b"cache-control", b"public, immutable"))
        return Answer(200, body, headers=headers)

    def _names(self) -> list[str]:
        names: list[str] = []
        for resource in self._context.registry:
            name = f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"
            if name not in names:
                names.append(name)
        return names

    def _hash(self, name: str) -> str:
        return hashlib.sha512(self._document(name)).hexdigest().upper()

    def _document(self, name: str) -> bytes:
        known = self._documents.get(name)
        if known is None:
            from pilothouse.wire.kubernetes.openapi_documents import document

            resources = [r for r in self._context.registry if name == _name_of(r)]
            known = self._documents[name] = orjson.dumps(document(name, resources))
        return known


def _name_of(resource: Resource) -> str:
    return f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"


def data_of(name: str) -> Mapping[str, Any]:
    """The recorded components of a group version, or {}."""
    try:
        return read_document(f"kubernetes-openapi/{name.replace('/', '_')}.json")
    except FileNotFoundError:
        return {}
