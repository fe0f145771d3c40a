"""From documents to SLOs to rules: which format a document is, who refers to whom, and which name is given twice.

`read` and `rules_of` are what `cli` and `assemble` call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.errors import Finding, Place
from pilothouse.base.manifests import Document
from pilothouse.base.yaml_dialect import PathPart
from pilothouse.engines.slo import openslo, pyrra, sloth
from pilothouse.engines.slo.codes import finding
from pilothouse.engines.slo.fields import Sink
from pilothouse.engines.slo.model import Slo, window_text
from pilothouse.engines.slo.openslo_rules import KINDS as OPENSLO_KINDS
from pilothouse.engines.slo.openslo_rules import VERSION as OPENSLO
from pilothouse.engines.slo.pyrra_rules import pyrra_groups
from pilothouse.engines.slo.rules import Options, rule_groups
from pilothouse.engines.slo.windows import MONTH_S, SHORTEST_WINDOW_S, windows_for


@dataclass(slots=True)
class Reading:
    """The usable SLOs of some documents, in order, and everything that is wrong."""

    slos: list[Slo] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def find(self, name: str) -> list[Slo]:
        """The SLOs that a name means: an SLO's own name, its id, or its document's."""
        return [slo for slo in self.slos if slo.answers_to(name)]


def is_slo_document(document: Document) -> bool:
    """Does this reading know the document: an SLO, or something that SLOs refer to?"""
    root = document.object
    if "kind" not in root and isinstance(root.get("version"), str):
        return "slos" in root
    version, kind = document.api_version, document.kind
    return (
        (version.startswith("openslo/") and kind in OPENSLO_KINDS)
        or (version == sloth.KUBERNETES_V1 and kind == "PrometheusServiceLevel")
        or (version == pyrra.VERSION and kind == "ServiceLevelObjective")
    )


def read(documents: Iterable[Document], *, default_period_s: int = MONTH_S) -> Reading:
    """The SLOs of all documents; others are passed over. Never raises for what is written in them."""
    known = [d for d in documents if is_slo_document(d)]
    library = openslo.Library()
    out = Reading()
    sinks = [Sink(document) for document in known]
    checked = []
    for sink in sinks:
        usable = sink.document.api_version != OPENSLO or openslo.report(sink)
        if usable and sink.document.api_version == OPENSLO:
            library.add(sink.document)
        checked.append(usable)
    seen: dict[str, Slo] = {}
    for number, (sink, usable) in enumerate(zip(sinks, checked)):
        slos = _slos(sink, library, default_period_s, number) if usable else []
        out.findings += sink.findings
        for slo in slos:
            if slo.id in seen:
                out.findings.append(_twice(slo, seen[slo.id]))
                continue
            seen[slo.id] = slo
            out.slos.append(slo)
            out.findings += _too_short(slo)
    return out


def _slos(sink: Sink, library: openslo.Library, default_period_s: int, number: int) -> list[Slo]:
    document = sink.document
    match document.api_version:
        case "":
            return sloth.read_prometheus(sink, default_period_s, number)
        case sloth.KUBERNETES_V1:
            return sloth.read_kubernetes(sink, default_period_s, number)
        case pyrra.VERSION:
            return pyrra.read(sink, number)
        case "openslo/v1":
            return openslo.read(sink, library, default_period_s, number) if document.kind == "SLO" else []
        case sloth.OPENSLO_ALPHA:
            return sloth.read_openslo_alpha(sink, default_period_s, number) if document.kind == "SLO" else []
    sink.wrong(("apiVersion",), f"{document.api_version!r} is not {OPENSLO}", f"write apiVersion: {OPENSLO}")
    return []


def _twice(slo: Slo, first: Slo) -> Finding:
    message = f"the SLO {slo.id} is also written at {first.source.place}; the later one is left out"
    return finding("PH721", message, slo.source.place, "rename one of the two, or remove it")


def _too_short(slo: Slo) -> list[Finding]:
    """A period whose shortest window would be below what scrapes can fill."""
    shortest = windows_for(slo.period_s).shortest_s
    if shortest > SHORTEST_WINDOW_S or slo.period_s >= 12 * 3600:
        return []
    message = (
        f"{slo.id}: over {window_text(slo.period_s)} the shortest alert window is {window_text(shortest)}, "
        "a few scrapes long"
    )
    return [finding("PH725", message, slo.source.place, "choose a period of days", severity="warning")]


def groups_of(slo: Slo, options: Options | None = None) -> list[dict[str, Any]]:
    """The rule groups of one SLO in the manner of its format: Pyrra's for Pyrra's objects, Sloth's for all others."""
    if slo.pyrra is not None:
        return pyrra_groups(slo, options or Options())
    return rule_groups(slo, options)


def rule_objects(slos: Sequence[Slo], options: Options | None = None) -> list[dict[str, Any]]:
    """One rule document per SLO document: a PrometheusRule for an object of Kubernetes, a rule file for the others."""
    by_document: dict[int, list[Slo]] = {}
    for slo in slos:
        by_document.setdefault(slo.source.document, []).append(slo)
    out = []
    for together in by_document.values():
        groups = [group for slo in together for group in groups_of(slo, options)]
        if groups:
            out.append(_rule_object(together[0], groups))
    return out


def _rule_object(slo: Slo, groups: list[dict[str, Any]]) -> dict[str, Any]:
    source = slo.source
    if source.spec not in (sloth.KUBERNETES_V1, pyrra.VERSION):
        return {"groups": groups}
    managed = {"app.kubernetes.io/component": "SLO", "app.kubernetes.io/managed-by": "pilothouse"}
    metadata: dict[str, Any] = {"name": source.object_name}
    if source.namespace:
        metadata["namespace"] = source.namespace
    metadata["labels"] = {**source.object_labels, **managed}
    if source.object_annotations:
        metadata["annotations"] = dict(source.object_annotations)
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata,
        "spec": {"groups": groups},
    }


@dataclass(frozen=True, slots=True)
class Derived(Document):
    """The rule file of an SLO. Its rules stand at the SLO's line; the column counts them, so that no two stand alike:
    the reader of alerts tells rules of one group apart by their place."""

    def place_of(self, path: Sequence[PathPart] = ()) -> Place:
        if len(path) < 4 or path[2] != "rules":
            return Place(self.file, self.line)
        before = self.object["groups"][: int(path[1])]
        return Place(self.file, self.line, sum(len(group["rules"]) for group in before) + int(path[3]) + 1)


def rules_of(
    documents: Iterable[Document], options: Options | None = None
) -> tuple[list[Document], list[Finding], list[Slo]]:
    """(rule files as documents that stand where their SLO is written, findings, the SLOs themselves)."""
    reading = read(documents)
    out: list[Document] = []
    for slo in reading.slos:
        place = slo.source.place
        out.append(Derived({"groups": groups_of(slo, options)}, place.file, place.line, place.line))
    return out, reading.findings, reading.slos
