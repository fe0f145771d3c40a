"""The kind apps/ReplicaSet: names, defaults, rules and columns.

Source: Kubernetes 1.36 `pkg/apis/apps/v1/defaults.go`, `pkg/apis/apps/validation`, `pkg/registry/apps/replicaset`.
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
from pilothouse.engines.schema.sharing import change, fill
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy


def default(obj: Object) -> Object:
    """One replica, and the pod template's defaults."""
    out: Object = change(obj, "spec", lambda spec: change(fill(spec, {"replicas": 1}), "template", default_template))
    return out


def prepare(new: Object, old: Object | None) -> Object:
    """A first status that counts no pods."""
    return {**new, "status": {"replicas": 0}} if old is None else new


def validate(new: Object, old: Object | None) -> list[Cause]:
    spec: Mapping[str, Any] = new.get("spec") or {}
    causes = counts.negative_causes(spec, "replicas", "minReadySeconds")
    selector = spec.get("selector")
    if selector is None:
        causes.append(wording.required("spec.selector"))
    else:
        causes += selector_causes(selector, "spec.selector")
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            text = "empty selector is invalid for deployment"
            causes.append(wording.invalid("spec.selector", selector, text))
    causes += _template_causes(spec)
    if old is not None and selector != old["spec"].get("selector"):
        causes.append(wording.invalid("spec.selector", selector, "field is immutable"))
    return causes


def _template_causes(spec: Mapping[str, Any]) -> list[Cause]:
    template: Mapping[str, Any] | None = spec.get("template")
    if template is None:
        return [wording.required("spec.template")]
    causes: list[Cause] = []
    selector = spec.get("selector")
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector and not selector_causes(selector, "spec.selector") and not matcher(selector)(labels):
        text = "`selector` does not match template `labels`"
        causes.append(wording.invalid("spec.template.metadata.labels", labels, text))
    causes += template_causes(template, "spec.template")
    pod_spec = template.get("spec") or {}
    if pod_spec.get("restartPolicy", "Always") != "Always":
        field = "spec.template.spec.restartPolicy"
        causes.append(wording.unsupported(field, pod_spec["restartPolicy"], ("Always",)))
    if pod_spec.get("activeDeadlineSeconds") is not None:
        text = "activeDeadlineSeconds in ReplicaSet is not Supported"
        causes.append(wording.forbidden("spec.template.spec.activeDeadlineSeconds", text))
    return causes


def _count(name: str) -> Any:
    def value(obj: Object, _now_s: float) -> int:
        count: int = (obj.get("status") or {}).get(name, 0)
        return count

    return value


KIND = Kind(
    group="apps",
    version="v1",
    kind="ReplicaSet",
    plural="replicasets",
    schema=Component("apis_apps_v1.json", "io.k8s.api.apps.v1.ReplicaSet"),
    short_names=("rs",),
    categories=("all",),
    default=default,
    validate=validate,
    strategy=Strategy(scale=True, prepare=prepare),
    columns=(
        NAME,
        Column("Desired", lambda obj, _now_s: obj["spec"].get("replicas", 1), type="integer"),
        Column("Current", _count("replicas"), type="integer"),
        Column("Ready", _count("readyReplicas"), type="integer"),
        AGE,
        Column("Containers", cells.container_names, wide=True),
        Column("Images", cells.container_images, wide=True),
        Column("Selector", cells.selector, wide=True),
    ),
)
