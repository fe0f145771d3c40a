"""The kind apps/DaemonSet: names, defaults, rules and columns.

Source: Kubernetes 1.36 `pkg/apis/apps/v1/defaults.go`, `pkg/apis/apps/validation` (ValidateDaemonSet), its strategy.
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
from pilothouse.kinds.apps.daemonset.views import GENERATION
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_SPEC_DEFAULTS = {"updateStrategy": {}, "revisionHistoryLimit": 10}
_FIRST_STATUS = dict.fromkeys(
    ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"), 0
)


def default(obj: Object) -> Object:
    out: Object = change(obj, "spec", _default_spec)
    return out


def _default_spec(spec: Any) -> Any:
    spec = change(fill(spec, _SPEC_DEFAULTS), "template", default_template)
    return change(spec, "updateStrategy", _default_strategy)


def _default_strategy(strategy: Any) -> Any:
    strategy = fill(strategy, {"type": "RollingUpdate"})
    if strategy["type"] != "RollingUpdate":
        return strategy
    steps = {"maxUnavailable": 1, "maxSurge": 0}
    return change(fill(strategy, {"rollingUpdate": {}}), "rollingUpdate", lambda given: fill(given, steps))


def prepare(new: Object, old: Object | None) -> Object:
    """An empty first status; a counter of templates among the annotations, kept by the server alone."""
    if old is None:
        return _with_generation({**new, "status": _FIRST_STATUS}, "1")
    before = (old["metadata"].get("annotations") or {}).get(GENERATION, "0")
    same = new["spec"].get("template") == old["spec"].get("template")
    return _with_generation(new, before if same or not before.isdigit() else str(int(before) + 1))


def _with_generation(obj: Object, number: str) -> Object:
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    if annotations.get(GENERATION) == number:
        return obj
    return {**obj, "metadata": {**metadata, "annotations": {**annotations, GENERATION: number}}}


def validate(new: Object, old: Object | None) -> list[Cause]:
    spec: Mapping[str, Any] = new.get("spec") or {}
    causes = _selector_causes(spec) + _template_causes(spec)
    causes += counts.negative_causes(spec, "minReadySeconds")
    causes += _strategy_causes(spec.get("updateStrategy") or {})
    causes += counts.negative_causes(spec, "revisionHistoryLimit")
    if old is not None and spec.get("selector") != old["spec"].get("selector"):
        causes.append(wording.invalid("spec.selector", spec.get("selector"), "field is immutable"))
    return causes


def _selector_causes(spec: Mapping[str, Any]) -> list[Cause]:
    selector = spec.get("selector")
    if selector is None:
        return [wording.required("spec.selector")]
    causes = selector_causes(selector, "spec.selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not causes and not matcher(selector)(labels):
        text = "`selector` does not match template `labels`"
        causes.append(wording.invalid("spec.template.metadata.labels", labels, text))
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        causes.append(wording.invalid("spec.selector", selector, "empty selector is invalid for daemonset"))
    return causes


def _template_causes(spec: Mapping[str, Any]) -> list[Cause]:
    template: Mapping[str, Any] = spec.get("template") or {}
    causes = template_causes(template, "spec.template")
    pod_spec = template.get("spec") or {}
    if pod_spec.get("restartPolicy", "Always") != "Always":
        field = "spec.template.spec.restartPolicy"
        causes.append(wording.unsupported(field, pod_spec["restartPolicy"], ("Always",)))
    if pod_spec.get("activeDeadlineSeconds") is not None:
        text = "activeDeadlineSeconds in DaemonSet is not Supported"
        causes.append(wording.forbidden("spec.template.spec.activeDeadlineSeconds", text))
    return causes


def _strategy_causes(strategy: Mapping[str, Any]) -> list[Cause]:
    field, type_, steps = "spec.updateStrategy", strategy.get("type", ""), strategy.get("rollingUpdate")
    if type_ == "OnDelete":
        return []
    if type_ != "RollingUpdate":
        return [wording.unsupported(f"{field}.type", type_, ("OnDelete", "RollingUpdate"))]
    if steps is None:
        return [wording.required(f"{field}.rollingUpdate")]
    down, up, at = steps.get("maxUnavailable"), steps.get("maxSurge"), f"{field}.rollingUpdate"
    causes: list[Cause] = []
    for name, value in (("maxUnavailable", down), ("maxSurge", up)):
        causes += counts.count_or_percent_causes(value, f"{at}.{name}")
        causes += counts.at_most_whole_causes(value, f"{at}.{name}")
    if counts.number_of(down) and counts.number_of(up):
        causes.append(wording.invalid(f"{at}.maxSurge", up, "may not be set when maxUnavailable is non-zero"))
    elif not counts.number_of(down) and not counts.number_of(up):
        causes.append(wording.required(f"{at}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return causes


def _count(name: str) -> Any:
    def value(obj: Object, _now_s: float) -> int:
        count: int = (obj.get("status") or {}).get(name, 0)
        return count

    return value


def _node_selector(obj: Object, _now_s: float) -> str:
    chosen = obj["spec"]["template"]["spec"].get("nodeSelector") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(chosen.items())) or "<none>"


KIND = Kind(
    group="apps",
    version="v1",
    kind="DaemonSet",
    plural="daemonsets",
    schema=Component("apis_apps_v1.json", "io.k8s.api.apps.v1.DaemonSet"),
    short_names=("ds",),
    categories=("all",),
    default=default,
    validate=validate,
    strategy=Strategy(prepare=prepare),
    columns=(
        NAME,
        Column("Desired", _count("desiredNumberScheduled"), type="integer"),
        Column("Current", _count("currentNumberScheduled"), type="integer"),
        Column("Ready", _count("numberReady"), type="integer"),
        Column("Up-to-date", _count("updatedNumberScheduled"), type="integer"),
        Column("Available", _count("numberAvailable"), type="integer"),
        Column("Node Selector", _node_selector),
        AGE,
        Column("Containers", cells.container_names, wide=True),
        Column("Images", cells.container_images, wide=True),
        Column("Selector", cells.selector, wide=True),
    ),
)
