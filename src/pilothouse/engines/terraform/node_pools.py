"""Node pools as Terraform files state them: `eks_managed_node_groups` and `self_managed_node_groups` of the module
terraform-aws-modules/eks, its submodule eks-managed-node-group, and plain `aws_eks_node_group` resources.

Everything symbolic stays symbolic: a note says what was assumed instead. One broken file or group stops no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.errors import Finding, Place
from pilothouse.engines.terraform import hcl
from pilothouse.engines.terraform.hcl import Block, Entries, Expression, HclError, Literal
from pilothouse.engines.terraform.instances import DEFAULT_DISK_GIB, Instance, instances, nearest
from pilothouse.engines.terraform.values import Scope, Symbol, Value, resolve, scope_of, text_of

DEFAULT_REGION = "us-east-1"
PRICED_REGION = "us-east-1"
ASSUMED_ZONES = ("a", "b", "c")
DEFAULT_TYPE = "t3.medium"
"""What EKS takes for a managed node group without instance types."""
_MODULE_DEFAULTS: Mapping[str, Value] = {"min_size": 1, "max_size": 3}
"""terraform-aws-modules/eks, modules/eks-managed-node-group/variables.tf."""
_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}


@dataclass(frozen=True, slots=True)
class NodePool:
    """One group of equal nodes. taints: (key, value, effect); allocatable: per node, cpu in milli-cores, bytes, counts.

    hourly_usd: one node, on-demand, us-east-1; place: where the group is written.
    """

    name: str
    instance_type: str
    min_size: int
    max_size: int
    desired_size: int
    place: Place
    capacity: Mapping[str, int] = field(default_factory=dict)
    allocatable: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[tuple[str, str, str], ...] = ()
    zones: tuple[str, ...] = ()
    hourly_usd: float = 0.0
    spot: bool = False


@dataclass(slots=True)
class _Report:
    """Findings of one reading, each with the line it speaks of."""

    findings: list[Finding] = field(default_factory=list)

    def say(self, severity: str, code: str, message: str, place: Place, remedy: str = "") -> None:
        self.findings.append(Finding(code, message, place, remedy, severity))


@dataclass(slots=True)
class _Module:
    """All files of one folder, as Terraform reads them together."""

    files: list[tuple[str, Block]]
    scope: Scope
    region: str
    report: _Report


def read_node_pools(files: Mapping[str, str]) -> tuple[list[NodePool], list[Finding]]:
    """Pools and findings of a folder's files: path → text of its .tf and .tfvars files (others are passed over).

    Findings: PH601 broken syntax, PH602 no node groups, PH603 unknown instance type, PH604 sizes that cannot be,
    PH605 a size only known when planned, PH606 assumption made, PH607 a taint that cannot be read.
    """
    report = _Report()
    parsed = [
        (path, block) for path in sorted(files) if path.endswith(".tf") and (block := _parsed(path, files, report))
    ]
    given: dict[str, Value] = {}
    for path in sorted(files):
        if path.endswith((".auto.tfvars", "terraform.tfvars")) and (block := _parsed(path, files, report)):
            given.update({name: resolve(value, Scope()) for name, value in block.attributes.items()})
    scope = scope_of([block for _path, block in parsed], given)
    module = _Module(parsed, scope, _region(parsed, scope), report)
    pools: list[NodePool] = []
    for path, file in parsed:
        for block in file.blocks:
            pools.extend(_pools_of(module, path, block))
    if parsed and not pools and not any(f.severity == "error" for f in report.findings):
        remedy = 'add eks_managed_node_groups to module "eks", or an aws_eks_node_group resource'
        report.say("note", "PH602", "no EKS node groups are written here", Place(parsed[0][0]), remedy)
    if pools:
        _note_assumptions(module, pools)
    return pools, report.findings


def _parsed(path: str, files: Mapping[str, str], report: _Report) -> Block | None:
    try:
        return hcl.parse(files[path])
    except HclError as error:
        place = Place(path, error.line, error.column)
        remedy = "correct the syntax; `terraform fmt -check` shows the same place"
        report.say("error", "PH601", f"cannot read this as Terraform: {error.message}", place, remedy)
        return None


def _region(files: Sequence[tuple[str, Block]], scope: Scope) -> str:
    """The region of `provider "aws"`, else of an S3 backend, else us-east-1."""
    for _path, file in files:
        for block in file.all("provider"):
            if block.labels == ("aws",) and isinstance(region := _attribute(block, "region", scope), str):
                return region
    for _path, file in files:
        for terraform in file.all("terraform"):
            for backend in terraform.all("backend"):
                if isinstance(region := _attribute(backend, "region", scope), str):
                    return region
    return DEFAULT_REGION


def _attribute(block: Block, name: str, scope: Scope) -> Value:
    expression = block.attributes.get(name)
    return None if expression is None else resolve(expression, scope)


def _pools_of(module: _Module, path: str, block: Block) -> list[NodePool]:
    if block.type == "resource" and len(block.labels) == 2 and block.labels[0] == "aws_eks_node_group":
        return _from_resource(module, path, block)
    if block.type != "module":
        return []
    source = _attribute(block, "source", module.scope)
    if isinstance(source, str) and "eks-managed-node-group" in source:
        settings = {name: resolve(value, module.scope) for name, value in block.attributes.items()}
        name = settings.get("name") if isinstance(settings.get("name"), str) else block.labels[0]
        return _built(module, str(name), settings, Place(path, block.line))
    pools: list[NodePool] = []
    for kind in ("eks_managed_node_groups", "self_managed_node_groups"):
        if kind in block.attributes:
            pools.extend(_from_module(module, path, block, kind))
    return pools


def _from_module(module: _Module, path: str, block: Block, kind: str) -> list[NodePool]:
    expression = block.attributes[kind]
    groups = resolve(expression, module.scope)
    place = Place(path, block.attribute_lines[kind])
    if not isinstance(groups, dict):
        remedy = f"write the groups as an object, or give {text_of(expression)} a literal default"
        module.report.say("warning", "PH605", f"{kind} is only known when planned", place, remedy)
        return []
    lines = _entry_lines(expression, module.scope)
    defaults = _attribute(block, kind[:-1] + "_defaults", module.scope)
    pools: list[NodePool] = []
    for name, settings in groups.items():
        at = Place(path, lines.get(name, place.line))
        if not isinstance(settings, dict):
            module.report.say("warning", "PH605", f"node group {name!r} is only known when planned", at)
            continue
        merged = {**_MODULE_DEFAULTS, **(defaults if isinstance(defaults, dict) else {}), **settings}
        given = merged.get("name")
        pools.extend(_built(module, given if isinstance(given, str) else str(name), merged, at))
    return pools


def _entry_lines(expression: Expression, scope: Scope) -> dict[str, int]:
    """The line of each key, through `local.…` and `merge(…)`."""
    if isinstance(expression, Entries):
        return {_key_of(key): line for key, _value, line in expression.entries}
    if isinstance(expression, hcl.Path) and expression.steps[0] == "local" and len(expression.steps) == 2:
        name = expression.steps[1]
        if isinstance(name, str) and name in scope.locals:
            return _entry_lines(scope.locals[name], scope)
    lines: dict[str, int] = {}
    if isinstance(expression, hcl.Call):
        for argument in expression.arguments:
            lines.update(_entry_lines(argument, scope))
    return lines


def _key_of(key: Expression) -> str:
    return str(key.value) if isinstance(key, Literal) else text_of(key)


def _from_resource(module: _Module, path: str, block: Block) -> list[NodePool]:
    settings = {name: resolve(value, module.scope) for name, value in block.attributes.items()}
    for scaling in block.all("scaling_config"):
        settings.update({name: resolve(value, module.scope) for name, value in scaling.attributes.items()})
    taints = [{n: resolve(v, module.scope) for n, v in taint.attributes.items()} for taint in block.all("taint")]
    name = settings.get("node_group_name")
    settings["taints"] = taints
    return _built(module, name if isinstance(name, str) else block.labels[1], settings, Place(path, block.line))


def _built(module: _Module, name: str, settings: Mapping[str, Value], place: Place) -> list[NodePool]:
    """The pool, or none when it cannot be used."""
    if settings.get("create") is False:
        return []
    known = _type_of(module, name, settings, place)
    sizes = _sizes(module, name, settings, place)
    if known is None or sizes is None:
        return []
    smallest, largest, wanted = sizes
    disk = settings.get("disk_size")
    disk_gib = disk if isinstance(disk, int) and disk > 0 else DEFAULT_DISK_GIB
    spot = settings.get("capacity_type") == "SPOT"
    if spot:
        text = f"node group {name!r} uses spot capacity; its cost is shown at the on-demand price, an upper bound"
        module.report.say("note", "PH606", text, place)
    labels = settings.get("labels")
    own = {k: str(v) for k, v in labels.items() if not isinstance(v, Symbol)} if isinstance(labels, dict) else {}
    return [
        NodePool(
            name,
            known.name,
            smallest,
            largest,
            wanted,
            place,
            known.capacity(disk_gib),
            known.allocatable(disk_gib),
            {**_standard_labels(name, known, module.region, spot=spot), **own},
            _taints(module, name, settings.get("taints"), place),
            _zones(settings, module.region),
            known.hourly_usd,
            spot,
        )
    ]


def _type_of(module: _Module, name: str, settings: Mapping[str, Value], place: Place) -> Instance | None:
    """The first instance type that is known; several are alternatives of the same size."""
    raw = settings.get("instance_types", settings.get("instance_type"))
    listed = raw if isinstance(raw, list) else [raw]
    types = [t for t in listed if isinstance(t, str)]
    if not types:
        reason = (
            f"its instance types are only known when planned ({raw.text})"
            if isinstance(raw, Symbol)
            else "it names none"
        )
        text = f"node group {name!r} is taken as {DEFAULT_TYPE}: {reason}"
        module.report.say("note", "PH606", text, place, "name the instance types, or give their variable a default")
        types = [DEFAULT_TYPE]
    for candidate in types:
        if candidate in instances():
            return instances()[candidate]
    options = ", ".join(nearest(types[0])[:4])
    remedy = f"use a type that is known, e.g. {options}" if options else "use a common type, e.g. m5.xlarge"
    module.report.say("error", "PH603", f"node group {name!r}: unknown instance type {types[0]!r}", place, remedy)
    return None


def _sizes(module: _Module, name: str, settings: Mapping[str, Value], place: Place) -> tuple[int, int, int] | None:
    """(min, max, desired), or None when they cannot be."""
    found: list[int] = []
    for key in ("min_size", "max_size", "desired_size"):
        value = settings.get(key)
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        if isinstance(value, Symbol) or value is None:
            fallback = max(1, found[0]) if key == "desired_size" else int(_MODULE_DEFAULTS[key])
            if isinstance(value, Symbol):
                text = f"node group {name!r}: {key} is only known when planned ({value.text}); taken as {fallback}"
                module.report.say("note", "PH606", text, place, f"give {value.text} a literal default")
            value = fallback
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            text = f"node group {name!r}: {key} is {value!r}"
            module.report.say("error", "PH604", text, place, "sizes are whole numbers from 0")
            return None
        found.append(value)
    smallest, largest, wanted = found
    if not smallest <= wanted <= largest or largest < 1:
        text = (
            f"node group {name!r}: min_size {smallest}, desired_size {wanted}, max_size {largest} do not fit together"
        )
        module.report.say(
            "error", "PH604", text, place, "keep min_size <= desired_size <= max_size, max_size at least 1"
        )
        return None
    return smallest, largest, wanted


def _taints(module: _Module, name: str, raw: Value, place: Place) -> tuple[tuple[str, str, str], ...]:
    """Taints from a list (module up to 20), an object by name (module 21) or blocks."""
    entries = list(raw.values()) if isinstance(raw, dict) else raw if isinstance(raw, list) else []
    taints: list[tuple[str, str, str]] = []
    for entry in entries:
        effect = entry.get("effect") if isinstance(entry, dict) else None
        known = _EFFECTS.get(effect, effect) if isinstance(effect, str) else None
        if known not in _EFFECTS.values() or not isinstance(entry.get("key"), str):
            remedy = "a taint has a key, a value and an effect: NO_SCHEDULE, NO_EXECUTE or PREFER_NO_SCHEDULE"
            module.report.say(
                "warning", "PH607", f"node group {name!r}: a taint is left out: {_shown(entry)}", place, remedy
            )
            continue
        value = entry.get("value")
        taints.append((entry["key"], value if isinstance(value, str) else "", str(known)))
    return tuple(taints)


def _shown(value: Any) -> str:
    return value.text if isinstance(value, Symbol) else str(value)


def _standard_labels(name: str, known: Instance, region: str, *, spot: bool) -> dict[str, str]:
    """What EKS and the kubelet put on such a node; zone and host name are per node."""
    return {
        "eks.amazonaws.com/nodegroup": name,
        "eks.amazonaws.com/capacityType": "SPOT" if spot else "ON_DEMAND",
        "node.kubernetes.io/instance-type": known.name,
        "topology.kubernetes.io/region": region,
        "kubernetes.io/arch": known.arch,
        "kubernetes.io/os": "linux",
    }


def _zones(settings: Mapping[str, Value], region: str) -> tuple[str, ...]:
    """Availability zones when they are written, else three of the region."""
    zones = settings.get("availability_zones")
    if isinstance(zones, list) and zones and all(isinstance(zone, str) for zone in zones):
        return tuple(zones)
    return tuple(f"{region}{letter}" for letter in ASSUMED_ZONES)


def _note_assumptions(module: _Module, pools: Sequence[NodePool]) -> None:
    place = Place(pools[0].place.file)
    zones = ", ".join(pools[0].zones)
    text = f"subnets are only known when planned; nodes are spread over {zones}"
    module.report.say("note", "PH606", text, place)
    if module.region != PRICED_REGION:
        text = f"costs are at {PRICED_REGION} on-demand prices; {module.region} differs"
        module.report.say("note", "PH606", text, place)
