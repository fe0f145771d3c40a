"""What makes a Rollout's spec invalid: the first broken rule, with what to do about it.

The API server stores such a Rollout; its condition InvalidSpec says what is wrong. Rules and words: argo-rollouts 1.9
(9f8d111d8) `pkg/apis/rollouts/validation`; the remedies are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pilothouse.engines.delivery import metrics, steps
from pilothouse.engines.delivery.arguments import gathered
from pilothouse.engines.rolling.lookup import matcher
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.podspec import default_template, template_causes
from pilothouse.engines.schema.selector_rules import selector_causes
from pilothouse.kinds.argoproj.rollout import sizes
from pilothouse.kinds.argoproj.rollout.reading import HASH_LABEL, MANAGED_BY, Observed, Rollout

_STEP = "Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause"
_STEP_KEYS = (
    "setWeight", "pause", "experiment", "analysis", "setCanaryScale", "setHeaderRoute", "setMirrorRoute", "plugin",
)  # fmt: skip
_EXCLUSIVE = ("setWeight", "pause", "experiment", "analysis")


def first_fault(rollout: Rollout, observed: Observed) -> str:
    """`spec.field: what is wrong; what to do`, "" when the Rollout can be worked on."""
    return next(_faults(rollout, observed), "")


def _faults(rollout: Rollout, observed: Observed) -> Iterator[str]:
    yield from _spec(rollout)
    if rollout.blue_green is not None:
        yield from _blue_green(rollout)
    else:
        yield from _canary(rollout)
    yield from _services(rollout, observed)
    yield from _ingresses(rollout, observed)
    yield from _analyses(rollout, observed)


def _invalid(field: str, value: Any, detail: str) -> str:
    return f"{field}: {wording.invalid(field, value, detail).message}"


def _spec(rollout: Rollout) -> Iterator[str]:
    spec, strategy = rollout.spec, rollout.spec.get("strategy") or {}
    for key in ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        if isinstance(spec.get(key), int) and spec[key] < 0:
            yield _invalid(f"spec.{key}", spec[key], "must be greater than or equal to 0")
    if rollout.selector is None:
        yield "spec.selector: Required value: Rollout has missing field '.spec.selector'"
        return
    for cause in selector_causes(rollout.selector, "spec.selector"):
        yield f"{cause.field}: {cause.message}"
        return
    if not rollout.selector.get("matchLabels") and not rollout.selector.get("matchExpressions"):
        yield _invalid("spec.selector", {}, "empty selector is invalid for deployment")
    template = default_template(rollout.template)
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not matcher(rollout.selector)(labels):
        detail = "`selector` does not match template `labels`"
        yield _invalid("spec.template.metadata.labels", labels, detail)
    for cause in template_causes(template, "spec.template"):
        yield f"{cause.field}: {cause.message}"
    ready_s = spec.get("minReadySeconds", 0)
    if rollout.deadline_s <= ready_s:
        yield _invalid("spec.progressDeadlineSeconds", rollout.deadline_s, "must be greater than minReadySeconds")
    if strategy.get("canary") is None and strategy.get("blueGreen") is None:
        field = "spec.strategy.strategy"
        missing = ".spec.strategy.canary or .spec.strategy.blueGreen"
        yield f"{field}: Required value: Rollout has missing field '{missing}'"
    elif strategy.get("canary") is not None and strategy.get("blueGreen") is not None:
        yield _invalid(
            "spec.strategy.strategy", "blueGreen: true canary: true", "Multiple Strategies can not be listed"
        )


def _blue_green(rollout: Rollout) -> Iterator[str]:
    spec, field = rollout.strategy, "spec.strategy"
    if spec.get("activeService", "") == spec.get("previewService", ""):
        detail = (
            "This rollout uses the same service for the active and preview services,"
            " but two different services are required."
        )
        yield _invalid(f"{field}.activeService", spec.get("activeService", ""), detail)
    limit = spec.get("scaleDownDelayRevisionLimit")
    if limit is not None and rollout.history_limit < limit:
        detail = "This rollout's revision history limit can not be smaller than the rollout's scale down limit"
        yield _invalid(f"{field}.scaleDownDelayRevisionLimit", limit, detail)


def _canary(rollout: Rollout) -> Iterator[str]:
    spec, field = rollout.strategy, "spec.strategy"
    if sizes.is_zero(spec.get("maxSurge", "25%")) and sizes.is_zero(spec.get("maxUnavailable", "25%")):
        yield _invalid(f"{field}.maxSurge", spec.get("maxSurge"), "MaxSurge and MaxUnavailable both can not be zero")
    stable, canary = spec.get("stableService", ""), spec.get("canaryService", "")
    if stable and stable == canary:
        detail = (
            "This rollout uses the same service for the stable and canary services,"
            " but two different services are required."
        )
        yield _invalid(f"{field}.stableService", stable, detail)
    yield from _routing(rollout, field)
    for index, step in enumerate(rollout.steps):
        yield from _step(rollout, step, f"{field}.steps[{index}]")


def _routing(rollout: Rollout, field: str) -> Iterator[str]:
    spec, routing = rollout.strategy, rollout.routing
    if routing is None:
        if spec.get("scaleDownDelaySeconds") is not None:
            detail = "Canary scaleDownDelaySeconds can only be used with traffic routing"
            yield _invalid(f"{field}.scaleDownDelaySeconds", spec["scaleDownDelaySeconds"], detail)
        if rollout.dynamic:
            detail = "Canary dynamicStableScale can only be used with traffic routing"
            yield _invalid(f"{field}.dynamicStableScale", True, detail)
        return
    needs_services = any(
        key in routing for key in ("alb", "smi", "nginx", "ambassador", "appMesh", "traefik", "apisix")
    )
    for key in ("stableService", "canaryService"):
        if needs_services and not spec.get(key) and "pingPong" not in spec:
            detail = "Canary service and Stable service must to be set to use Traffic Routing"
            yield _invalid(f"{field}.{key}", "", detail)
    if spec.get("scaleDownDelaySeconds") is not None and rollout.dynamic:
        detail = "Canary dynamicStableScale cannot be used with scaleDownDelaySeconds"
        yield _invalid(f"{field}.dynamicStableScale", True, detail)
    if routing.get("maxTrafficWeight") is not None and "nginx" not in routing and not routing.get("plugins"):
        detail = "Canary maxTrafficWeight in traffic routing only supported in Nginx and Plugins"
        yield _invalid(f"{field}.trafficRouting.maxTrafficWeight", routing["maxTrafficWeight"], detail)


def _step(rollout: Rollout, step: Mapping[str, Any], field: str) -> Iterator[str]:
    given = [key for key in _STEP_KEYS if step.get(key) is not None]
    if not given or sum(key in _EXCLUSIVE for key in given) > 1:
        yield _invalid(field, dict(step), _STEP)
    weight = step.get("setWeight")
    if weight is not None and not 0 <= weight <= rollout.max_weight:
        detail = f"SetWeight needs to be between 0 and {rollout.max_weight}"
        yield _invalid(f"{field}.setWeight", weight, detail)
    if step.get("pause") is not None:
        try:
            negative = (steps.pause_s(step) or 0) < 0
        except ValueError:
            negative = True
        if negative:
            yield _invalid(f"{field}.pause.duration", step["pause"]["duration"], "Duration needs to be greater than 0")
    if step.get("setCanaryScale") is not None and rollout.routing is None:
        yield "spec.strategy.trafficRouting: Required value: SetCanaryScale requires TrafficRouting to be set"
    for key in ("setHeaderRoute", "setMirrorRoute"):
        if step.get(key) is not None:
            yield from _header_route(rollout, step[key], f"{field}.{key}")


def _header_route(rollout: Rollout, route: Mapping[str, Any], field: str) -> Iterator[str]:
    routing = rollout.routing
    if routing is None or not any(key in routing for key in ("istio", "alb", "apisix", "plugins")):
        detail = "SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix and Plugins"
        yield _invalid(field, dict(route), detail)
        return
    managed = routing.get("managedRoutes")
    if managed is None:
        missing = "spec.strategy.canary.trafficRouting.managedRoutes"
        yield f"spec.strategy.trafficRouting.managedRoutes: Required value: Rollout has missing field '{missing}'"
    elif route.get("name") not in [m.get("name") for m in managed]:
        detail = "Steps define a route that does not exist in spec.strategy.canary.trafficRouting.managedRoutes"
        yield _invalid(field, route.get("name"), detail)


def _services(rollout: Rollout, observed: Observed) -> Iterator[str]:
    part = "canary" if rollout.canary is not None else "blueGreen"
    keys = ("stableService", "canaryService") if rollout.canary is not None else ("activeService", "previewService")
    labels = ((default_template(rollout.template).get("metadata") or {}).get("labels")) or {}
    for key in keys:
        name = rollout.strategy.get(key)
        if not name:
            continue
        field = f"spec.strategy.{part}.{key}"
        service = observed.find("Service", name)
        if service is None:
            yield _invalid(
                field, name, f'service "{name}" not found; create the Service, or name the one that leads to these pods'
            )
            continue
        owner = (service["metadata"].get("annotations") or {}).get(MANAGED_BY)
        if owner not in (None, rollout.name):
            yield _invalid(field, name, f'Service "{name}" is managed by another Rollout')
        selector = (service.get("spec") or {}).get("selector") or {}
        for label, value in selector.items():
            if label != HASH_LABEL and labels.get(label) != value:
                detail = (
                    f'Service "{name}" has unmatched label "{label}" in rollout:'
                    f" its selector would select none of the pods; make it match spec.template.metadata.labels"
                )
                yield _invalid(field, name, detail)


def _ingresses(rollout: Rollout, observed: Observed) -> Iterator[str]:
    routing = rollout.routing or {}
    for router, one, many in (("nginx", "stableIngress", "stableIngresses"), ("alb", "ingress", "ingresses")):
        spec = routing.get(router)
        if spec is None:
            continue
        names = [*([spec[one]] if spec.get(one) else []), *(spec.get(many) or ())]
        field = f"spec.strategy.canary.trafficRouting.{router}.{one}"
        if not names:
            yield f"{field}: Required value: name the Ingress whose traffic is to be weighed"
        for name in names:
            ingress = observed.find("networking.k8s.io/Ingress", name)
            if ingress is None:
                yield _invalid(field, name, f'ingress "{name}" not found; create the Ingress that leads to the Service')
                continue
            wanted = spec.get("rootService") or rollout.strategy.get("stableService")
            if not _leads_to(ingress, wanted):
                yield _invalid(field, name, f'ingress "{name}" has no rules using service {wanted} backend')


def _leads_to(ingress: Mapping[str, Any], service: str | None) -> bool:
    spec = ingress.get("spec") or {}
    backends = [spec.get("defaultBackend") or {}]
    for rule in spec.get("rules") or ():
        backends += [path.get("backend") or {} for path in (rule.get("http") or {}).get("paths") or ()]
    return any((backend.get("service") or {}).get("name") == service for backend in backends)


def _analyses(rollout: Rollout, observed: Observed) -> Iterator[str]:
    spec = rollout.strategy
    if rollout.blue_green is not None:
        places = [(f"spec.strategy.blueGreen.{key}", spec.get(key))
                  for key in ("prePromotionAnalysis", "postPromotionAnalysis")]  # fmt: skip
    else:
        places = [("spec.strategy.canary.analysis", spec.get("analysis"))]
        places += [
            (f"spec.strategy.canary.steps[{i}].analysis", s.get("analysis")) for i, s in enumerate(rollout.steps)
        ]
    for field, analysis in places:
        for index, reference in enumerate((analysis or {}).get("templates") or ()):
            where, name = f"{field}.templates[{index}].templateName", reference.get("templateName", "")
            try:
                found = gathered([reference], observed.template)
            except ValueError as error:
                yield _invalid(where, name, f"{error}; create the template, or name one that is there")
                continue
            fault = metrics.faults([m for t in found for m in (t.get("spec") or {}).get("metrics") or ()])
            # Numbers that come from arguments are only known when a run begins.
            if fault and "{{" not in str([t.get("spec") for t in found]):
                yield _invalid(where, name, f"AnalysisTemplate {name}: {fault}")
