"""The kind apps/StatefulSet: names, defaults, rules and columns.

Source: Kubernetes 1.36 `pkg/apis/apps/v1/defaults.go`, `pkg/apis/apps/validation` (ValidateStatefulSet and its
update), `pkg/registry/apps/statefulset`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.rolling import cells
from pilothouse.engines.rolling.lookup import matcher
from pilothouse.engines.schema import counts, wording
from pilothouse.engines.schema.podspec import default_template, template_causes
from pilothouse.engines.schema.selector_rules import selector_causes
from pilothouse.engines.schema.sharing import change, each, fill
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_SPEC_DEFAULTS = {
    "replicas": 1,
    "podManagementPolicy": "OrderedReady",
    "updateStrategy": {},
    "revisionHistoryLimit": 10,
    "persistentVolumeClaimRetentionPolicy": {},
}
_RETENTION = {"whenDeleted": "Retain", "whenScaled": "Retain"}
_MAY_CHANGE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_FIXED = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def default(obj: Object) -> Object:
    out: Object = change(obj, "spec", _default_spec)
    return out


def _default_spec(spec: Any) -> Any:
    spec = change(fill(spec, _SPEC_DEFAULTS), "template", default_template)
    spec = change(spec, "updateStrategy", _default_strategy)
    spec = change(spec, "volumeClaimTemplates", each(_default_claim))
    return change(spec, "persistentVolumeClaimRetentionPolicy", lambda policy: fill(policy, _RETENTION))


def _default_claim(claim: Any) -> Any:
    claim = fill(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {}})
    claim = change(claim, "status", lambda status: fill(status, {"phase": "Pending"}))
    return change(claim, "spec", lambda spec: fill(spec, {"volumeMode": "Filesystem"}))


def _default_strategy(strategy: Any) -> Any:
    strategy = fill(strategy, {"type": "RollingUpdate"})
    if strategy["type"] != "RollingUpdate":
        return strategy
    return change(fill(strategy, {"rollingUpdate": {}}), "rollingUpdate", lambda given: fill(given, {"partition": 0}))


def prepare(new: Object, old: Object | None) -> Object:
    return {**new, "status": {"replicas": 0, "availableReplicas": 0}} if old is None else new


def validate(new: Object, old: Object | None) -> list[Cause]:
    spec: Mapping[str, Any] = new.get("spec") or {}
    causes = _policy_causes(spec)
    causes += counts.negative_causes(spec, "replicas", "minReadySeconds")
    start = (spec.get("ordinals") or {}).get("start", 0)
    if start < 0:
        causes.append(wording.negative("spec.ordinals.start", start))
    causes += _selector_causes(spec) + _template_causes(spec)
    if spec.get("revisionHistoryLimit", 0) < 0:
        causes.append(wording.negative("spec.revisionHistoryLimit", spec["revisionHistoryLimit"]))
    if old is not None and _fixed(spec) != _fixed(old["spec"]):
        causes.append(wording.forbidden("spec", _FIXED))
    return causes


def _fixed(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key not in _MAY_CHANGE}


def _policy_causes(spec: Mapping[str, Any]) -> list[Cause]:
    causes: list[Cause] = []
    policy = spec.get("podManagementPolicy", "")
    if policy not in ("OrderedReady", "Parallel"):
        text = "must be 'OrderedReady' or 'Parallel'"
        causes.append(wording.invalid("spec.podManagementPolicy", policy, text))
    causes += _strategy_causes(spec.get("updateStrategy") or {})
    for key, value in (spec.get("persistentVolumeClaimRetentionPolicy") or {}).items():
        if value not in ("Retain", "Delete"):
            field = f"spec.persistentVolumeClaimRetentionPolicy.{key}"
            causes.append(wording.unsupported(field, value, ("Retain", "Delete")))
    return causes


def _strategy_causes(strategy: Mapping[str, Any]) -> list[Cause]:
    field, type_, steps = "spec.updateStrategy", strategy.get("type", ""), strategy.get("rollingUpdate")
    if type_ == "OnDelete":
        if steps is None:
            return []
        text = "only allowed for updateStrategy 'RollingUpdate'"
        return [wording.invalid(f"{field}.rollingUpdate", steps, text)]
    if type_ != "RollingUpdate":
        return [wording.invalid(field, strategy, "must be 'RollingUpdate' or 'OnDelete'")]
    steps = steps or {}
    causes: list[Cause] = []
    if (steps.get("partition") or 0) < 0:
        causes.append(wording.negative(f"{field}.rollingUpdate.partition", steps["partition"]))
    most = steps.get("maxUnavailable")
    if most is None:
        return causes
    at = f"{field}.rollingUpdate.maxUnavailable"
    causes += counts.count_or_percent_causes(most, at)
    if counts.number_of(most) == 0 and most in (0, "0%"):
        causes.append(wording.invalid(at, most, "cannot be 0"))
    return causes + counts.at_most_whole_causes(most, at)


def _selector_causes(spec: Mapping[str, Any]) -> list[Cause]:
    selector = spec.get("selector")
    if selector is None:
        return [wording.required("spec.selector")]
    causes = selector_causes(selector, "spec.selector")
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        causes.append(wording.invalid("spec.selector", selector, "empty selector is invalid for statefulset"))
    return causes


def _template_causes(spec: Mapping[str, Any]) -> list[Cause]:
    template: Mapping[str, Any] = spec.get("template") or {}
    causes: list[Cause] = []
    selector = spec.get("selector")
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector and not selector_causes(selector, "spec.selector") and not matcher(selector)(labels):
        text = "`selector` does not match template `labels`"
        causes.append(wording.invalid("spec.template.metadata.labels", labels, text))
    causes += template_causes(_with_claims(spec, template), "spec.template")
    pod_spec = template.get("spec") or {}
    if pod_spec.get("restartPolicy", "Always") != "Always":
        field = "spec.template.spec.restartPolicy"
        causes.append(wording.unsupported(field, pod_spec["restartPolicy"], ("Always",)))
    if pod_spec.get("activeDeadlineSeconds") is not None:
        text = "activeDeadlineSeconds in StatefulSet is not Supported"
        causes.append(wording.forbidden("spec.template.spec.activeDeadlineSeconds", text))
    return causes


def _with_claims(spec: Mapping[str, Any], template: Mapping[str, Any]) -> Mapping[str, Any]:
    """The template as its pods will be: claims are volumes that containers may mount."""
    claims = spec.get("volumeClaimTemplates")
    if not claims or not template.get("spec"):
        return template
    names = [(claim.get("metadata") or {}).get("name", "") for claim in claims]
    given = template["spec"].get("volumes") or ()
    volumes = [volume for volume in given if volume.get("name") not in names]
    volumes += [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names]
    return {**template, "spec": {**template["spec"], "volumes": volumes}}


def _ready(obj: Object, _now_s: float) -> str:
    return f"{(obj.get('status') or {}).get('readyReplicas', 0)}/{obj['spec'].get('replicas', 1)}"


KIND = Kind(
    group="apps",
    version="v1",
    kind="StatefulSet",
    plural="statefulsets",
    schema=Component("apis_apps_v1.json", "io.k8s.api.apps.v1.StatefulSet"),
    short_names=("sts",),
    categories=("all",),
    default=default,
    validate=validate,
    strategy=Strategy(scale=True, prepare=prepare),
    columns=(
        NAME,
        Column("Ready", _ready),
        AGE,
        Column("Containers", cells.container_names, wide=True),
        Column("Images", cells.container_images, wide=True),
    ),
)
