"""What the user's manifests hold, as far as a scenario can refer to it: names and where they stand. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pilothouse.base import selectors
from pilothouse.base.errors import Place
from pilothouse.base.manifests import Document, Manifests
from pilothouse.base.yaml_dialect import PathPart

WORKLOADS = ("Deployment", "StatefulSet", "Rollout")
"""Kinds that run pods behind a service; Rollout is Argo's."""


@dataclass(slots=True)
class Inventory:
    """Documents by what they are. Built by `of`; lists keep the order of the files."""

    workloads: list[Document] = field(default_factory=list)
    services: list[Document] = field(default_factory=list)
    autoscalers: list[Document] = field(default_factory=list)
    alerts: dict[str, Place] = field(default_factory=dict)
    """Alert name to the place of its rule (the first one when several have it)."""
    rules: int = 0
    slos: list[str] = field(default_factory=list)
    _named: tuple[int, list[str], dict[str, Document]] = (-1, [], {})

    def names(self, *kinds: str) -> list[str]:
        """Names of the workloads of these kinds, each once, in order."""
        return list(dict.fromkeys(d.name for d in self.workloads if d.kind in kinds))

    @property
    def servable(self) -> list[str]:
        """Names a scenario may put under `services:`: Services and workloads."""
        return self._by_name()[1]

    def _by_name(self) -> tuple[int, list[str], dict[str, Document]]:
        """(documents seen, servable names, first workload of each name); made anew when documents were added."""
        size = len(self.services) + len(self.workloads)
        if self._named[0] != size:
            workloads: dict[str, Document] = {}
            for document in self.workloads:
                workloads.setdefault(document.name, document)
            names = list(dict.fromkeys([*(d.name for d in self.services), *workloads]))
            self._named = (size, names, workloads)
        return self._named

    def workload_of(self, name: str) -> Document | None:
        """The workload a service name stands for: of that name, else the one that the Service of that name selects."""
        found = self._by_name()[2].get(name)
        if found is not None:
            return found
        for service in self.services:
            if service.name == name:
                return next((w for w in self.workloads if _selects(service, w)), None)
        return None

    def service_of(self, workload: Document) -> Document | None:
        return next((s for s in self.services if _selects(s, workload)), None)

    def autoscaler_of(self, workload: Document) -> Document | None:
        for document in self.autoscalers:
            target = mapping(mapping(document.object.get("spec")).get("scaleTargetRef"))
            same = target.get("kind") == workload.kind and target.get("name") == workload.name
            if same and document.namespace == workload.namespace:
                return document
        return None


def of(manifests: Manifests) -> Inventory:
    """The inventory of everything that was read."""
    out = Inventory()
    for document in manifests.objects:
        if document.kind in WORKLOADS:
            out.workloads.append(document)
        elif document.kind == "Service" and document.api_version == "v1":
            out.services.append(document)
        elif document.kind == "HorizontalPodAutoscaler":
            out.autoscalers.append(document)
        elif document.kind == "PrometheusRule":
            _alerts(out, document, mapping(document.object.get("spec")).get("groups"))
        elif document.kind in ("SLO", "PrometheusServiceLevel", "ServiceLevelObjective"):
            out.slos.append(document.name)
    for document in manifests.rule_files:
        _alerts(out, document, document.object.get("groups"))
    return out


def _alerts(out: Inventory, document: Document, groups: Any) -> None:
    path: tuple[PathPart, ...] = ("spec", "groups") if document.kind else ("groups",)
    for at, group in enumerate(groups if isinstance(groups, list) else []):
        rules = mapping(group).get("rules")
        for index, rule in enumerate(rules if isinstance(rules, list) else []):
            out.rules += 1
            name = mapping(rule).get("alert")
            if isinstance(name, str) and name:
                out.alerts.setdefault(name, document.place_of((*path, at, "rules", index, "alert")))


def _selects(service: Document, workload: Document) -> bool:
    if service.namespace != workload.namespace:
        return False
    selector = mapping(mapping(service.object.get("spec")).get("selector"))
    template = mapping(mapping(workload.object.get("spec")).get("template"))
    labels = mapping(mapping(template.get("metadata")).get("labels"))
    return bool(selector) and selectors.from_labels(selector).matches(labels)


def mapping(value: Any) -> dict[str, Any]:
    """The value when it is a mapping, an empty one else: manifests are not yet validated here."""
    return value if isinstance(value, dict) else {}
