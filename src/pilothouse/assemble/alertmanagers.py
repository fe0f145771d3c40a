"""The Alertmanager configuration among the files: an alertmanager.yml, AlertmanagerConfig objects, or both. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.base.errors import Finding, Place
from pilothouse.base.manifests import Document
from pilothouse.engines.alerting.alertmanager import Config, parse_config
from pilothouse.engines.alerting.alertmanager.operator import combined_document
from pilothouse.engines.alerting.codes import finding
from pilothouse.engines.alerting.rule_file import Path

CONFIG_KIND = "AlertmanagerConfig"


def is_config_object(document: Document) -> bool:
    return document.kind == CONFIG_KIND and document.api_version.startswith("monitoring.coreos.com/")


def read_config(files: Sequence[Document], objects: Sequence[Document]) -> tuple[Config | None, list[Finding]]:
    """The configuration of the first file with all objects below its root route; None when there is none."""
    findings = [
        finding(
            "PH269",
            f"a second Alertmanager configuration; {files[0].file} is used",
            extra.place_of(),
            "keep one, or name the one that is meant",
            severity="warning",
        )
        for extra in files[1:]
    ]
    base = files[0] if files else None
    if not objects:
        if base is None:
            return None, findings
        config, wrong = parse_config(base.object, base.place_of)
        return config, findings + wrong
    ordered = sorted(objects, key=lambda d: (d.namespace or "default", d.name))
    try:
        whole = combined_document(None if base is None else base.object, [d.object for d in ordered])
    except (AttributeError, TypeError, KeyError):
        # Nobody has validated these objects: a list where a mapping belongs shows here first.
        names = ", ".join(d.name for d in ordered)
        remedy = "compare the spec with the operator's reference"
        findings.append(finding("PH260", f"{CONFIG_KIND} {names} is not of its form", ordered[0].place_of(), remedy))
        config, wrong = read_config(files[:1], [])
        return config, findings + wrong
    config, wrong = parse_config(whole, _Places(base, ordered).of)
    return config, findings + wrong


class _Places:
    """Where the parts of a combined configuration stand: the objects' routes come first, their receivers last."""

    def __init__(self, base: Document | None, objects: Sequence[Document]) -> None:
        self._base = base
        self._routes = [d for d in objects if (d.object.get("spec") or {}).get("route")]
        receivers = [] if base is None else base.object.get("receivers") or []
        self._receivers: list[tuple[Document | None, Path]] = [(base, ("receivers", i)) for i in range(len(receivers))]
        if base is None:
            self._receivers.append((None, ()))  # The operator's own empty one.
        for document in objects:
            for index, _receiver in enumerate((document.object.get("spec") or {}).get("receivers") or []):
                self._receivers.append((document, ("spec", "receivers", index)))

    def of(self, path: Path) -> Place:
        """The place of a value of the combined document."""
        index = path[2] if len(path) > 2 and path[:2] == ("route", "routes") else None
        if isinstance(index, int):
            if index < len(self._routes):
                return self._routes[index].place_of(("spec", "route", *path[3:]))
            path = ("route", "routes", index - len(self._routes), *path[3:])
        elif len(path) > 1 and path[0] == "receivers" and isinstance(path[1], int) and path[1] < len(self._receivers):
            document, inner = self._receivers[path[1]]
            return Place() if document is None else document.place_of((*inner, *path[2:]))
        return Place() if self._base is None else self._base.place_of(path)
