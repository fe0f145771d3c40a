"""The kind apps/Deployment: names, defaults, rules and columns.

Source: Kubernetes 1.36 `pkg/apis/apps/v1/defaults.go`, `pkg/apis/apps/validation`, `pkg/registry/apps/deployment`.
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
from pilothouse.kinds.apps.deployment.views import REVISION
from pilothouse.machinery.columns import AGE, NAME
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_SPEC_DEFAULTS = {"replicas": 1, "strategy": {}, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
_STEP_DEFAULTS = {"maxUnavailable": "25%", "maxSurge": "25%"}
_STRATEGIES = ("Recreate", "RollingUpdate")


def default(obj: Object) -> Object:
    out: Object = change(obj, "spec", _default_spec)
    return out


def _default_spec(spec: Any) -> Any:
    spec = change(fill(spec, _SPEC_DEFAULTS), "template", default_template)
    return change(spec, "strategy", _default_strategy)


def _default_strategy(strategy: Any) -> Any:
    strategy = fill(strategy, {"type": "RollingUpdate"})
    if strategy["type"] != "RollingUpdate":
        return strategy
    return change(fill(strategy, {"rollingUpdate": {}}), "rollingUpdate", lambda steps: fill(steps, _STEP_DEFAULTS))


def prepare(new: Object, old: Object | None) -> Object:
    """An empty status at first; a change of annotations counts as a new generation, the controller's own mark aside."""
    if old is None:
        return {**new, "status": {}}
    if _annotations(new) == _annotations(old):
        return new
    metadata = new["metadata"]
    return {**new, "metadata": {**metadata, "generation": old["metadata"].get("generation", 0) + 1}}


def _annotations(obj: Object) -> dict[str, str]:
    # Upstream's controller writes the revision through the status subresource, where generations do not count.
    return {k: v for k, v in (obj["metadata"].get("annotations") or {}).items() if k != REVISION}


def validate(new: Object, old: Object | None) -> list[Cause]:
    spec: Mapping[str, Any] = new.get("spec") or {}
    causes = counts.negative_causes(spec, "replicas")
    causes += _selector_causes(spec)
    causes += _template_causes(spec)
    causes += _strategy_causes(spec.get("strategy") or {})
    causes += counts.negative_causes(spec, "minReadySeconds", "revisionHistoryLimit")
    causes += _deadline_causes(spec)
    if old is not None and spec.get("selector") != old["spec"].get("selector"):
        causes.append(wording.invalid("spec.selector", spec.get("selector"), "field is immutable"))
    return causes


def _selector_causes(spec: Mapping[str, Any]) -> list[Cause]:
    selector = spec.get("selector")
    if selector is None:
        return [wording.required("spec.selector")]
    causes = selector_causes(selector, "spec.selector")
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        causes.append(wording.invalid("spec.selector", selector, "empty selector is invalid for deployment"))
    return causes


def _template_causes(spec: Mapping[str, Any]) -> list[Cause]:
    template: Mapping[str, Any] = spec.get("template") or {}
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


def _strategy_causes(strategy: Mapping[str, Any]) -> list[Cause]:
    type_, steps = strategy.get("type", ""), strategy.get("rollingUpdate")
    if type_ == "Recreate":
        if steps is None:
            return []
        text = "may not be specified when strategy `type` is 'Recreate'"
        return [wording.forbidden("spec.strategy.rollingUpdate", text)]
    if type_ != "RollingUpdate":
        return [wording.unsupported("spec.strategy", strategy, _STRATEGIES)]
    if steps is None:
        return [wording.required("spec.strategy.rollingUpdate", "this should be defaulted and never be nil")]
    field = "spec.strategy.rollingUpdate"
    down, up = steps.get("maxUnavailable"), steps.get("maxSurge")
    causes = counts.count_or_percent_causes(down, f"{field}.maxUnavailable")
    causes += counts.count_or_percent_causes(up, f"{field}.maxSurge")
    if counts.number_of(down) == 0 and counts.number_of(up) == 0:
        causes.append(wording.invalid(f"{field}.maxUnavailable", down, "may not be 0 when `maxSurge` is 0"))
    return causes + counts.at_most_whole_causes(down, f"{field}.maxUnavailable")


def _deadline_causes(spec: Mapping[str, Any]) -> list[Cause]:
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is None:
        return []
    field = "spec.progressDeadlineSeconds"
    causes = [wording.negative(field, deadline)] if deadline < 0 else []
    if deadline <= spec.get("minReadySeconds", 0):
        causes.append(wording.invalid(field, deadline, "must be greater than minReadySeconds"))
    return causes


def _ready(obj: Object, _now_s: float) -> str:
    return f"{(obj.get('status') or {}).get('readyReplicas', 0)}/{obj['spec'].get('replicas', 1)}"


def _updated(obj: Object, _now_s: float) -> int:
    count: int = (obj.get("status") or {}).get("updatedReplicas", 0)
    return count


def _available(obj: Object, _now_s: float) -> int:
    count: int = (obj.get("status") or {}).get("availableReplicas", 0)
    return count


KIND = Kind(
    group="apps",
    version="v1",
    kind="Deployment",
    plural="deployments",
    schema=Component("apis_apps_v1.json", "io.k8s.api.apps.v1.Deployment"),
    short_names=("deploy",),
    categories=("all",),
    default=default,
    validate=validate,
    strategy=Strategy(scale=True, prepare=prepare),
    columns=(
        NAME,
        Column("Ready", _ready),
        Column("Up-to-date", _updated),
        Column("Available", _available),
        AGE,
        Column("Containers", cells.container_names, wide=True),
        Column("Images", cells.container_images, wide=True),
        Column("Selector", cells.selector, wide=True),
    ),
)
