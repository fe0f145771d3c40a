"""Traffic weights of a canary: what the router shall do now, and the Ingress annotations that make it do it.

nginx: a second Ingress with canary annotations. ALB: an action annotation on the Ingress itself. For other routers the
weights are kept in the status only, which an Event says. Source: argo-rollouts 1.9 (9f8d111d8)
`rollout/trafficrouting.go`, `rollout/trafficrouting/nginx`, `rollout/trafficrouting/alb`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.engines.delivery import steps
from pilothouse.kinds.argoproj.rollout import sizes
from pilothouse.kinds.argoproj.rollout.reading import API_VERSION, Rollout
from pilothouse.kinds.argoproj.rollout.run import Pass
from pilothouse.kinds.argoproj.rollout.services import ensure_targets, rolling_back_dynamically

INGRESS = "networking.k8s.io/Ingress"
SERVED = ("nginx", "alb")
_NAME_CHARACTERS = 253


def reconcile(run: Pass) -> None:
    """Sets the weight for this moment; `run.weights` says what the router does afterwards."""
    rollout = run.rollout
    if rollout.routing is None:
        run.weights = None
        return
    weight, canary_hash = _desired(run)
    stable_weight = rollout.max_weight - weight
    if run.stable is None or not _can_carry(run, stable_weight):
        # Nothing is moved onto a stable set that is too small for it.
        run.weights = dict(rollout.weights) if rollout.weights is not None else None
        return
    spec = rollout.strategy
    weights: dict[str, Any] = {
        "canary": _destination(weight, canary_hash, spec.get("canaryService")),
        "stable": _destination(stable_weight, run.stable.hash, spec.get("stableService")),
    }
    _write_ingresses(run, weight)
    before = rollout.weights
    if before is None or any(before.get(key) != weights[key] for key in weights):
        run.emit("TrafficWeightUpdated", f"Traffic weight updated {_moved(before, weight)}")
    run.weights = weights


def _destination(weight: int, hash_: str, service: str | None) -> dict[str, Any]:
    out: dict[str, Any] = {"weight": weight}
    if service:
        out["serviceName"] = service
    if hash_:
        out["podTemplateHash"] = hash_
    return out


def _moved(before: Mapping[str, Any] | None, weight: int) -> str:
    if before is None:
        return f"to {weight}"
    old = before["canary"].get("weight", 0)
    return f"from {old} to {weight}" if old != weight else ""


def _can_carry(run: Pass, weight: int) -> bool:
    assert run.stable is not None
    wanted = weight * run.rollout.replicas // run.rollout.max_weight
    return run.stable.available >= wanted or sizes.threshold_met(run.rollout, run.stable, wanted)


def _desired(run: Pass) -> tuple[int, str]:
    """(the canary's weight, the hash it stands for)."""
    rollout, new = run.rollout, run.new
    back = rolling_back_dynamically(rollout, new)
    if back:
        return _weight_on_the_way_back(run), back
    if rollout.fully_promoted:
        return 0, new.hash
    if run.pauses.aborted:
        weight = _weight_on_the_way_back(run)
        if weight == 0 or not rollout.dynamic:
            ensure_targets(run, rollout.strategy.get("canaryService"), run.stable, check=False)
        return weight, new.hash
    if new.available == 0:
        return 0, new.hash
    if rollout.promote_full:
        if rollout.dynamic:
            return rollout.max_weight * new.available // max(rollout.replicas, 1), new.hash
        return int(((rollout.weights or {}).get("canary") or {}).get("weight", 0)), new.hash
    return _weight_of_step(run), new.hash


def _weight_of_step(run: Pass) -> int:
    rollout, index = run.rollout, run.rollout.index
    if index is None:
        # A canary without steps goes over at once when it is whole.
        return rollout.max_weight if run.new.available >= rollout.replicas else 0
    if not sizes.canary_settled(rollout, run.new, run.stable, run.others, None):
        return steps.weight_before(rollout.steps, index)
    return steps.weight_at(rollout.steps, index, rollout.max_weight)


def _weight_on_the_way_back(run: Pass) -> int:
    """After an abort: 0 at once, or with dynamicStableScale no faster than the stable set grows."""
    rollout = run.rollout
    if not rollout.dynamic or run.stable is None or rollout.replicas == 0:
        return 0
    top, available = rollout.max_weight, run.stable.available
    desired = sizes.canary_weight(rollout, run.new, run.stable)
    expected = max(0, top - top * available // rollout.replicas)
    if rollout.weights is None:
        return max(expected, desired)
    current = int((rollout.weights.get("canary") or {}).get("weight", 0))
    if desired <= 0:
        return min(expected, current)
    if top * available // rollout.replicas < top - desired:
        return current
    return min(desired, current)


# -- the Ingresses --


def _write_ingresses(run: Pass, weight: int) -> None:
    routing = run.rollout.routing or {}
    nginx, alb = routing.get("nginx"), routing.get("alb")
    if nginx is not None:
        names = [nginx["stableIngress"]] if nginx.get("stableIngress") else []
        for name in [*names, *(nginx.get("stableIngresses") or ())]:
            _write_canary_ingress(run, nginx, name, weight)
    if alb is not None:
        names = [alb["ingress"]] if alb.get("ingress") else []
        for name in [*names, *(alb.get("ingresses") or ())]:
            _write_action(run, alb, name, weight)
    others = [key for key, value in routing.items() if isinstance(value, Mapping) and key not in SERVED]
    if others and run.rollout.weights is None:
        run.emit(
            "TrafficRoutingError",
            f"trafficRouting.{others[0]} is not served here: weights are kept in the status and move no traffic;"
            " use trafficRouting.nginx, or leave trafficRouting out to weigh by replicas",
            warning=True,
        )


def canary_ingress_name(rollout: Rollout, stable_ingress: str) -> str:
    """The name of the Ingress that carries the canary annotations."""
    prefix = f"{rollout.name}-{stable_ingress}"
    return f"{prefix[: _NAME_CHARACTERS - len('-canary')]}-canary"


def _annotations(run: Pass, nginx: Mapping[str, Any], weight: int) -> dict[str, str]:
    prefix = nginx.get("annotationPrefix") or "nginx.ingress.kubernetes.io"
    out = {
        f"{prefix}/{key if key.startswith('canary') else f'canary-{key}'}": str(value)
        for key, value in (nginx.get("additionalIngressAnnotations") or {}).items()
    }
    out |= {f"{prefix}/canary": "true", f"{prefix}/canary-weight": str(weight)}
    if run.rollout.max_weight != 100:
        out[f"{prefix}/canary-weight-total"] = str(run.rollout.max_weight)
    return out


def _write_canary_ingress(run: Pass, nginx: Mapping[str, Any], stable_name: str, weight: int) -> None:
    stable = run.observed.find(INGRESS, stable_name)
    if stable is None:
        return
    name = canary_ingress_name(run.rollout, stable_name)
    canary = run.observed.find(INGRESS, name)
    wanted = _annotations(run, nginx, weight)
    if canary is None:
        # Made at once, also with nothing to send: the first weight then is a change of one annotation.
        run.create(INGRESS, _canary_ingress(run.rollout, stable, name, wanted))
        return
    have = canary["metadata"].get("annotations") or {}
    changes = {key: value for key, value in wanted.items() if have.get(key) != value}
    if changes:
        run.patch(INGRESS, name, {"metadata": {"annotations": changes}})


def _canary_ingress(rollout: Rollout, stable: Object, name: str, annotations: Mapping[str, str]) -> dict[str, Any]:
    """The stable Ingress' rules for the stable Service, sent to the canary Service."""
    spec = rollout.strategy
    rules = []
    for rule in (stable.get("spec") or {}).get("rules") or ():
        paths = [_to_canary(p, spec["canaryService"]) for p in (rule.get("http") or {}).get("paths") or ()
                 if _service_of(p).get("name") == spec.get("stableService")]  # fmt: skip
        if paths:
            rules.append({**rule, "http": {"paths": paths}})
    new_spec: dict[str, Any] = {"rules": rules}
    class_name = (stable.get("spec") or {}).get("ingressClassName")
    if class_name:
        new_spec["ingressClassName"] = class_name
    kept = {
        key: value
        for key, value in (stable["metadata"].get("annotations") or {}).items()
        if key != "kubectl.kubernetes.io/last-applied-configuration"
    }
    owner = {
        "apiVersion": API_VERSION,
        "kind": "Rollout",
        "name": rollout.name,
        "uid": rollout.metadata.get("uid", ""),
        "controller": True,
        "blockOwnerDeletion": True,
    }
    metadata = {
        "name": name,
        "namespace": rollout.namespace,
        "annotations": {**kept, **annotations},
        "ownerReferences": [owner],
    }
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": new_spec}


def _service_of(path: Mapping[str, Any]) -> Mapping[str, Any]:
    return (path.get("backend") or {}).get("service") or {}


def _to_canary(path: Mapping[str, Any], service: str) -> dict[str, Any]:
    return {**path, "backend": {"service": {**_service_of(path), "name": service}}}


def _write_action(run: Pass, alb: Mapping[str, Any], name: str, weight: int) -> None:
    """The forward action of an AWS load balancer: two target groups and their weights."""
    ingress = run.observed.find(INGRESS, name)
    if ingress is None:
        return
    spec = run.rollout.strategy
    port = str(alb.get("servicePort", 80))
    groups = [
        {"ServiceName": spec.get("canaryService"), "ServicePort": port, "Weight": weight},
        {"ServiceName": spec.get("stableService"), "ServicePort": port, "Weight": run.rollout.max_weight - weight},
    ]
    action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
    prefix = alb.get("annotationPrefix") or "alb.ingress.kubernetes.io"
    key = f"{prefix}/actions.{alb.get('rootService') or spec.get('stableService')}"
    text = json.dumps(action, separators=(",", ":"))
    if (ingress["metadata"].get("annotations") or {}).get(key) != text:
        run.patch(INGRESS, name, {"metadata": {"annotations": {key: text}}})
