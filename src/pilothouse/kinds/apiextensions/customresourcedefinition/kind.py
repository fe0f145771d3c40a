"""CustomResourceDefinition as Kubernetes 1.36 stores it (apiextensions `pkg/apis/apiextensions`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.schema import names, wording
from pilothouse.engines.schema.sharing import fill
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_SCOPES = ("Cluster", "Namespaced")


def default(obj: Object) -> Object:
    """Names and conversion that were left out (`SetDefaults_CustomResourceDefinitionSpec`)."""
    spec: Mapping[str, Any] = obj.get("spec") or {}
    given: Mapping[str, Any] = spec.get("names") or {}
    word = given.get("kind", "")
    filled = fill(given, {"singular": word.lower(), "listKind": f"{word}List"}) if word else given
    spec = {**spec, "names": filled}
    if not (spec.get("conversion") or {}).get("strategy"):
        spec["conversion"] = {**(spec.get("conversion") or {}), "strategy": "None"}
    return {**obj, "spec": spec}


def prepare(new: Object, old: Object | None) -> Object:
    """A new definition has accepted nothing yet; one that is deleted waits for its objects to go."""
    if old is None:
        stored = [version["name"] for version in new["spec"].get("versions") or () if version.get("storage")]
        status = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}
        return {**new, "status": status}
    metadata = new["metadata"]
    if "deletionTimestamp" in metadata and "deletionTimestamp" not in old["metadata"]:
        metadata = {key: value for key, value in metadata.items() if key != "deletionGracePeriodSeconds"}
        metadata["generation"] = old["metadata"].get("generation", 1)
        finalizers = [*metadata.get("finalizers", ())]
        if FINALIZER not in finalizers:
            finalizers.append(FINALIZER)
        return {**new, "metadata": {**metadata, "finalizers": finalizers}, "status": _terminating(new)}
    return _with_stored_version(new)


def _terminating(obj: Object) -> Object:
    status: Mapping[str, Any] = obj.get("status") or {}
    condition = {
        "type": "Terminating",
        "status": "True",
        "lastTransitionTime": obj["metadata"]["deletionTimestamp"],
        "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    }
    others = [one for one in status.get("conditions") or () if one.get("type") != "Terminating"]
    return {**status, "conditions": [*others, condition]}


def _with_stored_version(obj: Object) -> Object:
    """A version that becomes the storage version joins the stored ones."""
    status: Mapping[str, Any] = obj.get("status") or {}
    stored = [*status.get("storedVersions", ())]
    for version in obj["spec"].get("versions") or ():
        if version.get("storage") and version["name"] not in stored:
            return {**obj, "status": {**status, "storedVersions": [*stored, version["name"]]}}
    return obj


def held(obj: Object) -> bool:
    """A deletion never goes through at once: first the objects go."""
    return "deletionTimestamp" not in obj["metadata"]


def validate(new: Object, old: Object | None) -> list[Cause]:
    """`ValidateCustomResourceDefinition`, as far as definitions of real projects meet it."""
    spec: Mapping[str, Any] = new.get("spec") or {}
    given: Mapping[str, Any] = spec.get("names") or {}
    out: list[Cause] = []
    plural, group = given.get("plural", ""), spec.get("group", "")
    if not group:
        out.append(wording.required("spec.group"))
    elif "." not in group:
        out.append(wording.invalid("spec.group", group, "should be a domain with at least one dot"))
    else:
        out += [wording.invalid("spec.group", group, text) for text in names.dns_subdomain(group)]
    wanted = f"{plural}.{group}"
    if new["metadata"]["name"] != wanted:
        text = 'must be spec.names.plural+"."+spec.group'
        out.append(wording.invalid("metadata.name", new["metadata"]["name"], text))
    if not spec.get("scope"):
        out.append(wording.required("spec.scope"))
    elif spec["scope"] not in _SCOPES:
        out.append(wording.unsupported("spec.scope", spec["scope"], _SCOPES))
    out += _name_causes(given) + _version_causes(spec.get("versions") or [])
    if old is not None:
        out += _immutable_causes(spec, old["spec"])
    return out


def _name_causes(given: Mapping[str, Any]) -> list[Cause]:
    out: list[Cause] = []
    for field in ("plural", "singular", "kind", "listKind"):
        name = given.get(field, "")
        if not name:
            if field in ("plural", "kind"):
                out.append(wording.required(f"spec.names.{field}"))
            continue
        out += [wording.invalid(f"spec.names.{field}", name, text) for text in names.dns1035_label(name.lower())]
    return out


def _version_causes(versions: list[Mapping[str, Any]]) -> list[Cause]:
    out: list[Cause] = []
    if sum(bool(version.get("storage")) for version in versions) != 1:
        text = "must have exactly one version marked as storage version"
        out.append(wording.invalid("spec.versions", versions, text))
    seen: list[str] = []
    for index, version in enumerate(versions):
        field = f"spec.versions[{index}]"
        name = version.get("name", "")
        out += [wording.invalid(f"{field}.name", name, text) for text in names.dns1035_label(name)]
        if name in seen:
            out.append(wording.invalid("spec.versions", versions, "must contain unique version names"))
        seen.append(name)
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            out.append(wording.required(f"{field}.schema.openAPIV3Schema", "schemas are required"))
        elif schema.get("type") != "object":
            out.append(
                wording.invalid(f"{field}.schema.openAPIV3Schema.type", schema.get("type", ""), "must be object")
            )
    return out


def _immutable_causes(spec: Mapping[str, Any], old: Mapping[str, Any]) -> list[Cause]:
    out: list[Cause] = []
    for field in ("scope", "group"):
        if spec.get(field) != old.get(field):
            out.append(wording.invalid(f"spec.{field}", spec.get(field), "field is immutable"))
    for field in ("plural", "kind"):
        value = (spec.get("names") or {}).get(field)
        if value != (old.get("names") or {}).get(field):
            out.append(wording.invalid(f"spec.names.{field}", value, "field is immutable"))
    return out


KIND = Kind(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    Component(
        "apis_apiextensions.k8s.io_v1.json",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    ),
    singular="customresourcedefinition",
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    namespaced=False,
    default=default,
    validate=validate,
    strategy=Strategy(prepare=prepare, held=held),
    columns=(
        Column("Name", lambda obj, _now: obj["metadata"]["name"], format="name"),
        Column("Created At", lambda obj, _now: obj["metadata"]["creationTimestamp"], "date"),
    ),
)
