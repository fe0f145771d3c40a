"""From the files a user pointed at to what a rehearsal needs: objects that can be written, rules, pools, a scenario.

Everything that cannot be used becomes a finding with its place and a remedy; the rest goes on. Codes PH300-PH319.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field

import msgspec

from pilothouse.assemble import made_up
from pilothouse.assemble.alertmanagers import is_config_object, read_config
from pilothouse.assemble.control_plane import build_core
from pilothouse.assemble.kinds import KINDS
from pilothouse.assemble.load_option import parse_load
from pilothouse.assemble.recorded import Recorded
from pilothouse.assemble.recorded_files import read_recorded
from pilothouse.base import manifests as manifest_files
from pilothouse.base.actions import Object
from pilothouse.base.clock import DEFAULT_EPOCH_S, ManualClock
from pilothouse.base.entropy import Entropy
from pilothouse.base.errors import ApiError, Finding, Invalid, Place
from pilothouse.base.manifests import Document, Manifests
from pilothouse.engines.alerting.alertmanager import Config
from pilothouse.engines.alerting.rule_file import parse_rule_groups
from pilothouse.engines.alerting.rules import RuleGroup
from pilothouse.engines.slo import Slo, rules_of, storable
from pilothouse.engines.terraform.node_pools import NodePool, read_node_pools
from pilothouse.kinds.pilothouse.scenario import default, inventory, read
from pilothouse.kinds.pilothouse.scenario.spec import AlertFires, Apply, Assumed, Delete, Load, ScenarioSpec
from pilothouse.machinery.kind import Kind
from pilothouse.report.model import RehearseRequest


@dataclass(frozen=True, slots=True)
class Placed:
    """An object of the user's, the kind it is and where it stands."""

    kind: Kind
    document: Document


@dataclass(slots=True)
class Inputs:
    """Everything a run is built from. Read once, shared by all seeds, never changed after."""

    manifests: Manifests
    inventory: inventory.Inventory
    scenario: ScenarioSpec
    made_up: bool
    objects: list[Placed] = field(default_factory=list)
    groups: list[RuleGroup] = field(default_factory=list)
    pools: list[NodePool] = field(default_factory=list)
    assumed: list[Assumed] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    alertmanager: Config | None = None
    slos: list[Slo] = field(default_factory=list)
    """The service level objectives; their rules are among the groups."""
    series: Recorded | None = None
    """Series given with --series, beginning at the start of the rehearsal."""
    files: dict[str, list[Document]] = field(default_factory=dict)
    """The documents of files that `apply` and `delete` events name."""

    @property
    def usable(self) -> bool:
        """Is anything left to rehearse? A scenario alone is not: it needs a workload or rules to act on."""
        return bool(self.groups) or any(placed.document.kind in inventory.WORKLOADS for placed in self.objects)

    def counts(self) -> dict[str, int]:
        """Objects by kind, in the order of first sight."""
        return dict(Counter(placed.kind.kind for placed in self.objects))


def read_inputs(request: RehearseRequest) -> Inputs:
    """Reads all paths, the scenario given with --scenario and the files a scenario uses. Never raises for an input."""
    scenario_document, manifests = _load(request)
    out = Inputs(
        manifests,
        inventory.Inventory(),
        ScenarioSpec(name=""),
        made_up=scenario_document is None,
        findings=list(manifests.findings),
    )
    _objectives(out)
    refused = _objects(out) + _check_writes(out)
    out.inventory = inventory.of(_without(manifests, refused))
    _rules(out)
    _scenario(out, request, scenario_document)
    out.series = _series(out, request)
    out.alertmanager, wrong = read_config(manifests.alertmanagers, _routing(out))
    out.findings += wrong
    _pools(out)
    _event_files(out)
    made_up.complete(out)
    return out


def _without(manifests: Manifests, refused: list[Document]) -> Manifests:
    """What is left to refer to: a workload that is refused or unknown runs no pods and gets no load."""
    gone = {id(document) for document in refused}
    objects = [d for d in manifests.objects if id(d) not in gone]
    return Manifests(objects=objects, rule_files=manifests.rule_files)


def _scenario(out: Inputs, request: RehearseRequest, document: Document | None) -> None:
    """The scenario that is given, or an ordinary day made from what is usable."""
    if document is None:
        out.scenario, out.assumed = default.scenario(out.inventory, request.duration_s, _load_given(out, request))
        _forget_broken_alerts(out)
        return
    if request.load:
        remedy = "write the load into the scenario, or leave the scenario out"
        out.findings.append(
            Finding("PH311", "--load is not used: the scenario has its own", Place(), remedy, "warning")
        )
    folder = os.path.dirname(document.file)
    out.scenario, findings = read.parse(document, out.inventory, lambda path: _read_text(folder, path))
    out.findings += findings
    if request.duration_s is not None:
        out.scenario = msgspec.structs.replace(out.scenario, duration_s=request.duration_s)


def _load_given(out: Inputs, request: RehearseRequest) -> Load | None:
    """The load of --load, for a scenario that is made up."""
    load = parse_load(request.load) if request.load else None
    if isinstance(load, Finding):
        out.findings.append(load)
        return None
    return load


def _series(out: Inputs, request: RehearseRequest) -> Recorded | None:
    """What --series gives, each file moved so that its first sample is taken at the rehearsal's start."""
    if not request.series:
        return None
    start_ms = round(DEFAULT_EPOCH_S * 1000)
    series = Recorded()
    for path in request.series:
        one = Recorded()
        out.findings += read_recorded(path, one, start_ms)
        span = one.span_ms()
        if span is not None:
            series.take(one, start_ms - span[0])
    return series


def _load(request: RehearseRequest) -> tuple[Document | None, Manifests]:
    """The scenario document, if any, and the manifests of all paths and of what the scenario uses."""
    paths = list(request.paths)
    if request.scenario:
        paths.append(request.scenario)
    manifests = manifest_files.load_paths(paths, stdin=request.stdin)
    given = [d for d in manifests.scenarios if os.path.normpath(d.file) == os.path.normpath(request.scenario)]
    candidates = given if request.scenario else manifests.scenarios
    if request.scenario_name:
        candidates = [d for d in candidates if d.name == request.scenario_name]
    if request.scenario and not given:
        manifests.findings.append(
            Finding("PH300", f"{request.scenario} holds no Scenario", Place(request.scenario), "see `kind: Scenario`")
        )
    if len(candidates) > 1:
        names = ", ".join(f"{d.name} ({d.file})" for d in candidates)
        manifests.findings.append(
            Finding(
                "PH300",
                f"several scenarios were found: {names}; the first one is played",
                candidates[1].place_of(),
                "choose one with --scenario FILE",
                "note" if not request.scenario else "warning",
            )
        )
    scenario = candidates[0] if candidates else None
    if scenario is not None:
        _load_used(manifests, scenario)
    return scenario, manifests


def _load_used(manifests: Manifests, scenario: Document) -> None:
    """Adds the files named in `spec.use`, relative to the scenario, unless they were read already."""
    spec = scenario.object.get("spec")
    use = spec.get("use") if isinstance(spec, dict) else None
    folder = os.path.dirname(scenario.file)
    paths = [os.path.normpath(os.path.join(folder, u)) for u in use or () if isinstance(u, str)]
    if not paths:
        return
    seen = {os.path.normpath(f) for f in manifests.files}
    more = manifest_files.load_paths(paths)
    fresh = {f for f in more.files if os.path.normpath(f) not in seen}
    manifests.objects += [d for d in more.objects if d.file in fresh]
    manifests.rule_files += [d for d in more.rule_files if d.file in fresh]
    manifests.alertmanagers += [d for d in more.alertmanagers if d.file in fresh]
    manifests.slo_specs += [d for d in more.slo_specs if d.file in fresh]
    manifests.terraform += [f for f in more.terraform if f in fresh]
    manifests.files += [f for f in more.files if f in fresh]
    manifests.findings += [f for f in more.findings if f.place.file in fresh or not f.place.file]


def _read_text(folder: str, path: str) -> str | None:
    try:
        with open(os.path.join(folder, path), encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return None


def _objectives(out: Inputs) -> None:
    """SLO documents become rule files that stand where the SLO is written; of the documents those stay that an API
    server would keep, in the form in which it keeps them."""
    manifests = out.manifests
    made, findings, out.slos = rules_of([*manifests.slo_specs, *manifests.objects])
    manifests.rule_files += made
    out.findings += findings
    kept = [storable(document) for document in manifests.objects]
    manifests.objects = [document for document in kept if document is not None]


def _objects(out: Inputs) -> list[Document]:
    """Sorts documents into objects of known kinds and findings; a name given twice keeps the last, as apply does.
    Gives the workloads of unknown kinds."""
    seen: dict[tuple[str, str, str], int] = {}
    unknown = []
    for document in out.manifests.objects:
        kind = KINDS.of_type(document.api_version, document.kind)
        if kind is None:
            if not is_config_object(document):
                out.findings.append(_unknown(document))
            if document.kind in inventory.WORKLOADS:
                unknown.append(document)
            continue
        key = (kind.name, document.namespace, document.name)
        if key in seen:
            first = out.objects[seen[key]].document
            out.findings.append(
                Finding(
                    "PH302",
                    f"{document.kind} {document.name} is also written at {first.place_of()}; the later one is used",
                    document.place_of(("metadata", "name")),
                    "keep one of the two",
                    "warning",
                )
            )
            out.objects[seen[key]] = Placed(kind, document)
            continue
        seen[key] = len(out.objects)
        out.objects.append(Placed(kind, document))
    return unknown


def _unknown(document: Document) -> Finding:
    other = [k.api_version for k in KINDS if k.kind == document.kind]
    if other:
        message = f"{document.kind} is served as {', '.join(other)}, not as {document.api_version}"
        return Finding("PH301", message, document.place_of(("apiVersion",)), f"write apiVersion: {other[0]}", "warning")
    return Finding(
        "PH301",
        f"{document.api_version} {document.kind} is not a kind that can be rehearsed yet; it is left out",
        document.place_of(("kind",)),
        "nothing to do if it does not matter here; docs/kinds lists what is known",
        "warning",
    )


def _routing(out: Inputs) -> list[Document]:
    """AlertmanagerConfig objects: read after the run, not written into the store."""
    return [d for d in out.manifests.objects if is_config_object(d)]


def _rules(out: Inputs) -> None:
    documents = [p.document for p in out.objects if p.kind.kind == "PrometheusRule"] + out.manifests.rule_files
    for document in documents:
        groups, findings = parse_rule_groups(document.object, document.place_of)
        out.groups += groups
        out.findings += findings


def _forget_broken_alerts(out: Inputs) -> None:
    """A made-up day expects nothing of alerts whose rule cannot be used; their findings say why."""
    usable = {rule.name for group in out.groups for rule in group.alerting_rules()}
    expect = tuple(e for e in out.scenario.expect if not isinstance(e.check, AlertFires) or e.check.name in usable)
    out.scenario = msgspec.structs.replace(out.scenario, expect=expect)


def _event_files(out: Inputs) -> None:
    """Reads what `apply` and `delete` events name, relative to the scenario."""
    folder = os.path.dirname(out.scenario.at.file)
    for event in out.scenario.events:
        name = event.file if isinstance(event, (Apply, Delete)) else ""
        if name and name not in out.files:
            read_files = manifest_files.load_paths([os.path.normpath(os.path.join(folder, name))])
            out.files[name] = read_files.objects
            out.findings += read_files.findings
    for service in out.scenario.services:
        if service.pod is not None and service.pod.calibration:
            message = (
                f"{service.pod.calibration}: calibration files are not read yet; written values and defaults are used"
            )
            remedy = "write `service: {mean: …, sigma: …}` under `pod`"
            out.findings.append(Finding("PH309", message, service.pod.at, remedy, "warning"))


def _pools(out: Inputs) -> None:
    files = list(out.manifests.terraform)
    named = out.scenario.cluster.terraform
    if named:
        path = os.path.normpath(os.path.join(os.path.dirname(out.scenario.at.file), named))
        files = [path] + [f for f in files if os.path.normpath(f) != path]
    texts: dict[str, str] = {}
    for path in files:
        text = _read_text("", path)
        if text is None:
            out.findings.append(Finding("PH303", f"{path} cannot be read", Place(path), "check the path"))
        else:
            texts[path] = text
    out.pools, findings = read_node_pools(texts)
    out.findings += findings


_EARLY = ("Namespace", "ServiceAccount", "ConfigMap", "Secret", "Service", "PodDisruptionBudget")


def in_order(inputs: Inputs) -> list[Object]:
    """All objects of a run: what is made up, then the user's, namespaces and configuration before workloads."""
    own = sorted(inputs.objects, key=lambda p: _EARLY.index(p.kind.kind) if p.kind.kind in _EARLY else len(_EARLY))
    namespaces = [p.document.object for p in own if p.kind.kind == "Namespace"]
    rest = [p.document.object for p in own if p.kind.kind != "Namespace"]
    return [*namespaces, *made_up.objects(inputs), *rest]


def _check_writes(out: Inputs) -> list[Document]:
    """Writes everything once into a scratch store: what the write path refuses becomes a finding and is left out."""
    write_path = build_core(ManualClock(), Entropy(0)).client.write_path
    for obj in made_up.objects(out):
        kind = KINDS.of_object(obj)
        assert kind is not None, obj["kind"]
        write_path.create(kind.name, obj)
    refused = []
    for placed in sorted(out.objects, key=lambda p: p.kind.kind != "Namespace"):
        document = placed.document
        try:
            out.findings += [
                _dropped(document, path) for path in write_path.inspect(placed.kind.name, document.object).unknown
            ]
            write_path.create(placed.kind.name, document.object)
        except Invalid as error:
            refused.append(placed)
            out.findings += [_refused(document, f"{c.field}: {c.message}", c.field) for c in error.causes]
        except ApiError as error:
            refused.append(placed)
            out.findings.append(_refused(document, error.message, "metadata.name"))
    out.objects = [p for p in out.objects if p not in refused]
    return [p.document for p in refused]


def _refused(document: Document, message: str, field: str) -> Finding:
    return Finding(
        "PH307",
        f"{document.kind} {document.name} is refused, as the API server would: {message}",
        document.place_of_field(field),
        "correct the value; the object is left out until then",
    )


def _dropped(document: Document, field: str) -> Finding:
    return Finding(
        "PH308",
        f"{document.kind} {document.name}: unknown field {field!r} is dropped, as the API server would",
        document.place_of_field(field),
        "check the spelling and the indentation",
        "warning",
    )
