"""ReplicationController as Kubernetes 1.36 stores it: selector and labels default to the template's labels.

Source: `pkg/apis/core/v1/defaults.go`, `pkg/apis/core/validation` (ValidateReplicationController), printers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import Cause
from pilothouse.engines.rolling import cells
from pilothouse.engines.schema import counts, names, wording
from pilothouse.engines.schema.podspec import default_template, template_causes
from pilothouse.engines.schema.sharing import change, fill
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy


def default(obj: Object) -> Object:
    out: Object = change(obj, "spec", lambda spec: change(fill(spec, {"replicas": 1}), "template", default_template))
    labels = _template_labels(out.get("spec") or {})
    if not labels:
        return out
    if not (out.get("spec") or {}).get("selector"):
        out = {**out, "spec": {**out["spec"], "selector": labels}}
    if not out["metadata"].get("labels"):
        out = {**out, "metadata": {**out["metadata"], "labels": labels}}
    return out


def _template_labels(spec: Mapping[str, Any]) -> dict[str, str]:
    return dict(((spec.get("template") or {}).get("metadata") or {}).get("labels") or {})


def prepare(new: Object, old: Object | None) -> Object:
    return {**new, "status": {"replicas": 0}} if old is None else new


def validate(new: Object, old: Object | None) -> list[Cause]:  # noqa: ARG001 - the common signature
    spec: Mapping[str, Any] = new.get("spec") or {}
    causes = counts.negative_causes(spec, "minReadySeconds")
    selector = spec.get("selector")
    causes += names.label_causes(selector, "spec.selector") if selector else [wording.required("spec.selector")]
    causes += counts.negative_causes(spec, "replicas")
    template = spec.get("template")
    if template is None:
        return [*causes, wording.required("spec.template")]
    labels = _template_labels(spec)
    if selector and not selector.items() <= labels.items():
        text = "`selector` does not match template `labels`"
        causes.append(wording.invalid("spec.template.metadata.labels", labels, text))
    causes += template_causes(template, "spec.template")
    pod_spec = template.get("spec") or {}
    if pod_spec.get("restartPolicy", "Always") != "Always":
        field = "spec.template.spec.restartPolicy"
        causes.append(wording.unsupported(field, pod_spec["restartPolicy"], ("Always",)))
    if pod_spec.get("activeDeadlineSeconds") is not None:
        text = "activeDeadlineSeconds in ReplicationController is not Supported"
        causes.append(wording.forbidden("spec.template.spec.activeDeadlineSeconds", text))
    return causes


def _count(name: str) -> Any:
    def value(obj: Object, _now_s: float) -> int:
        count: int = (obj.get("status") or {}).get(name, 0)
        return count

    return value


def _selector(obj: Object, _now_s: float) -> str:
    return cells.selector_text({"matchLabels": obj["spec"].get("selector") or {}})


KIND = Kind(
    "",
    "v1",
    "ReplicationController",
    "replicationcontrollers",
    Component("api_v1.json", "io.k8s.api.core.v1.ReplicationController"),
    short_names=("rc",),
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
        Column("Selector", _selector, wide=True),
    ),
)
