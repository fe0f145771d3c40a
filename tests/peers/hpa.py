"""Peer set `hpa`: what kube-controller-manager 1.36 decides for HorizontalPodAutoscalers: tables, traces.

Every sync of a trace is one case, replayed in order with the history of the syncs before it (open loop): desired
replicas, the write of the scale, conditions and currentMetrics must equal the recorded ones. Syncs that read no metrics
(the target is at zero or outside its bounds) are not recorded; they are replayed where the records leave a gap.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pilothouse.base import quantity
from pilothouse.base.actions import Emit, Patch
from pilothouse.base.clock import DEFAULT_EPOCH_S, rfc3339
from pilothouse.base.duration import parse_duration_s
from pilothouse.engines.autoscaling.behavior import (
    DEFAULT_DOWN,
    DEFAULT_UP,
    History,
    Policy,
    Recommendation,
    Rules,
    ScaleEvent,
    UpLimit,
    change_within,
    limit,
    limit_with_rules,
    stabilize,
    stabilize_with_rules,
    store_event,
)
from pilothouse.engines.autoscaling.metrics import PodMetric, PodUsage, Unavailable, resource_values
from pilothouse.engines.autoscaling.pods import ZERO_TIME_S, PodFacts, Readiness, facts_of
from pilothouse.engines.autoscaling.replicas import (
    Failure,
    Proposal,
    Tolerances,
    external_total,
    for_average,
    for_total,
    for_total_per_pod,
    for_utilization,
)
from pilothouse.kinds.autoscaling.horizontalpodautoscaler.decide import Options, Scale, Sync, decide
from pilothouse.kinds.autoscaling.horizontalpodautoscaler.sources import Answer, shown

NOW_S = DEFAULT_EPOCH_S
Json = Mapping[str, Any]


def run(folder: Path) -> Iterable[tuple[str, str | None]]:
    """(case, None or what differs) for every case of the folder."""
    calculator = _load(folder / "replica-calculator.json")
    for case in calculator["cases"]:
        yield _guarded("calculator", case, lambda c: _calculate(c, calculator["defaults"]))
    for case in _load(folder / "behavior-tables.json")["cases"]:
        yield _guarded("behavior", case, _behave)
    controller = _load(folder / "controller-cases.json")
    for case in controller["cases"]:
        yield _guarded("controller", case, lambda c: _control(c, controller["defaults"]))
    for path in sorted((folder / "traces").glob("*.json")):
        yield from _replay(_load(path))


def _load(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else {"cases": [], "defaults": {}}


def _guarded(table: str, case: Json, check: Callable[[Json], str | None]) -> tuple[str, str | None]:
    """A crash is a failure of its case, not of the run."""
    name = f"{table}/{case['name']}"
    try:
        return name, check(case)
    except Exception as problem:
        return name, f"{type(problem).__name__}: {problem}"


def _moment(value: Any) -> float | None:
    """A time of the set: None, the zero time, or seconds relative to the sync."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return NOW_S + float(value["secondsFromNow"])
    return ZERO_TIME_S


# --- replica-calculator.json


def _calculate(case: Json, defaults: Json) -> str | None:
    expect = case["expect"]
    result = _proposal(case, defaults)
    if isinstance(result, Failure):
        wanted = expect.get("errorContains")
        return None if wanted and wanted in result.message else f"error {result.message!r}, wanted {expect}"
    got: dict[str, Any] = {"replicas": result.replicas}
    for key in ("utilization", "rawValueMilli", "usageMilli"):
        if key in expect:
            got[key] = result.utilization_percent if key == "utilization" else result.usage_milli
    return None if got == dict(expect) else f"got {got}, wanted {expect}"


def _proposal(case: Json, defaults: Json) -> Proposal | Failure:
    metric, current = case["metric"], case["currentReplicas"]
    tolerance = case["tolerance"]
    tolerances = Tolerances(tolerance["scaleDown"], tolerance["scaleUp"])
    readiness = Readiness(defaults["cpuInitializationPeriodSeconds"], defaults["initialReadinessDelaySeconds"])
    pods = [_pod(pod, case["containersPerPod"]) for pod in case["pods"]]
    kind, values = metric["type"], tuple(case.get("valuesMilli") or ())
    if kind in ("object", "external"):
        usage = values[0] if kind == "object" else external_total(values)
        return for_total(current, metric["targetUsageMilli"], usage, pods, tolerances)
    if kind in ("objectPerPod", "externalPerPod"):
        usage = values[0] if kind == "objectPerPod" else external_total(values)
        return for_total_per_pod(current, metric["perPodTargetUsageMilli"], usage, tolerances)
    timestamp_s, window_s = _moment(case["metricTimestamp"]), float(case["metricWindowSeconds"])
    assert timestamp_s is not None
    if kind == "pods":
        custom = {m["pod"]: PodMetric(m["milli"], timestamp_s, window_s) for m in case.get("podMetrics") or ()}
        return for_average(current, metric["targetUsageMilli"], "", custom, pods, tolerances, readiness, NOW_S)
    name, container = metric["name"], metric.get("container", "")
    usages = [
        PodUsage(m["pod"], timestamp_s, window_s, {c: {name: v} for c, v in m["containersMilli"].items()})
        for m in case.get("podMetrics") or ()
    ]
    resource = resource_values(usages, name, container)
    if isinstance(resource, Unavailable):
        return Failure(resource.message)
    if "targetUtilization" in metric:
        target = metric["targetUtilization"]
        return for_utilization(current, target, name, container, resource, pods, tolerances, readiness, NOW_S)
    return for_average(current, metric["targetUsageMilli"], name, resource, pods, tolerances, readiness, NOW_S)


def _pod(pod: Json, containers: Sequence[str]) -> PodFacts:
    requests = {name: quantity.milli(value) for name, value in (pod.get("requestPerContainer") or {}).items()}
    since = _moment(pod.get("readyLastTransitionTime"))
    return PodFacts(
        pod["name"],
        phase=pod.get("phase", ""),
        ready=pod.get("ready") or "",
        ready_since_s=ZERO_TIME_S if since is None else since,
        start_s=_moment(pod.get("startTime")),
        deleting=bool(pod.get("deleting")),
        containers=dict.fromkeys(containers, requests),
    )


# --- behavior-tables.json


def _behave(case: Json) -> str | None:
    table = case["name"].split("/")[0]
    got = {
        "rate": _rate,
        "norules": _norules,
        "stabilize": _stabilize,
        "stabilize-behavior": _stabilize_behavior,
        "events": _events,
        "quantity": _quantity,
    }[table](case)
    return None if got == case["expect"] else f"got {got}, wanted {case['expect']}"


def _quantity(case: Json) -> Json:
    return {"quantity": shown(case["resource"], case["milli"])}


def _rules(raw: Json | None, otherwise: Rules) -> Rules:
    if raw is None:
        return otherwise
    policies = tuple(Policy(p["type"], p["value"], p["periodSeconds"]) for p in raw.get("policies") or ())
    window = raw.get("stabilizationWindowSeconds")
    return Rules(policies, raw.get("selectPolicy") or "Max", float(window or 0))


def _scale_events(raw: Iterable[Json]) -> tuple[ScaleEvent, ...]:
    return tuple(ScaleEvent(e["replicaChange"], NOW_S + e["secondsFromNow"], e["outdated"]) for e in raw)


def _recommendations(raw: Iterable[Json]) -> tuple[Recommendation, ...]:
    return tuple(Recommendation(e["recommendation"], NOW_S + e["secondsFromNow"]) for e in raw)


def _rate(case: Json) -> Json:
    history = History((), _scale_events(case["scaleUpEvents"]), _scale_events(case["scaleDownEvents"]))
    limited = limit_with_rules(
        case["currentReplicas"],
        case["desiredReplicasBefore"],
        case["minReplicas"],
        case["maxReplicas"],
        _rules(case["scaleUp"], DEFAULT_UP),
        _rules(case["scaleDown"], DEFAULT_DOWN),
        history,
        NOW_S,
    )
    return {"replicas": limited.replicas, "condition": limited.reason}


def _norules(case: Json) -> Json:
    up = UpLimit(case["scaleUpLimitFactor"], case["scaleUpLimitMinimum"])
    limited = limit(
        case["currentReplicas"], case["desiredReplicasBefore"], case["minReplicas"], case["maxReplicas"], up
    )
    return {"replicas": limited.replicas, "condition": limited.reason}


def _stabilize(case: Json) -> Json:
    log = _recommendations(case["recommendations"])
    replicas, after = stabilize(log, case["desiredReplicasBefore"], case["windowSeconds"], NOW_S)
    return {"replicas": replicas, "recommendationLogLength": len(after)}


def _stabilize_behavior(case: Json) -> Json:
    up_s, down_s = case["scaleUpWindowSeconds"], case["scaleDownWindowSeconds"]
    log = _recommendations(case["recommendations"])
    replicas, after = stabilize_with_rules(
        log, case["currentReplicas"], case["desiredReplicasBefore"], up_s, down_s, NOW_S
    )
    # A log is never empty after a recommendation: an empty list means that the case leaves it open.
    values = [entry.replicas for entry in after] if case["expect"]["recommendationValuesAfter"] else []
    return {"replicas": replicas, "recommendationValuesAfter": values}


def _events(case: Json) -> Json:
    before = _scale_events(case["previousEvents"])
    after = before
    if case["rules"] is not None:
        period_s = _rules(case["rules"], DEFAULT_UP).longest_period_s
        after = store_event(before, case["replicaChange"], period_s, NOW_S)
    shown_after = [{"replicaChange": event.change, "outdated": event.outdated} for event in after]
    return {"changeInLast60sBefore": change_within(before, 60, NOW_S), "eventsAfter": shown_after}


# --- controller-cases.json


def _control(case: Json, defaults: Json) -> str | None:
    spec, raw = case["hpa"]["spec"], case["scale"]
    scale = Scale(
        spec["scaleTargetRef"]["kind"],
        "test-namespace",
        spec["scaleTargetRef"]["name"],
        raw["specReplicas"],
        raw["statusReplicas"],
        raw["selector"],
    )
    hpa = {"metadata": {"name": "hpa", "namespace": "test-namespace"}, **case["hpa"]}
    pods = [facts_of(_wire_pod(pod)) for pod in case["pods"]]
    answers = [_answer(metric, case) for metric in spec.get("metrics") or ()]
    options = Options(
        tolerance=defaults["tolerance"],
        readiness=Readiness(defaults["cpuInitializationPeriodSeconds"], defaults["initialReadinessDelaySeconds"]),
        downscale_stabilization_s=defaults["downscaleStabilizationSeconds"],
        up_limit=UpLimit(defaults["scaleUpLimitFactor"], defaults["scaleUpLimitMinimum"]),
        # The two feature switches that the set states in the names of cases.
        scale_to_zero=case["name"].endswith("HPAScaleToZero=true"),
        configurable_tolerance="feature_gate_is_disabled" not in case["name"],
    )
    problem = None
    for history in _histories(case):
        sync = decide(hpa, scale, pods, answers, history, NOW_S, options)
        problem = _compare(_outcome(sync, scale, case["hpa"].get("status") or {}), case["expect"])
        if problem is None:
            break
    return problem


def _histories(case: Json) -> list[History]:
    """Where a case may start from. Without earlier recommendations the set does not say whether the autoscaler is new
    or merely has none in its log, and it has pairs of cases that differ in nothing else: both are tried."""
    if "priorRecommendations" in case:
        return [History(_recommendations(case["priorRecommendations"]))]
    return [History(), History(())]


def _wire_pod(pod: Json) -> dict[str, Any]:
    """The set's pod as a wire object; its times are written relative to the sync."""

    def text(value: Any) -> Any:
        return rfc3339(NOW_S + value["secondsFromNow"]) if isinstance(value, Mapping) else value

    status = dict(pod["status"])
    if "startTime" in status:
        status["startTime"] = text(status["startTime"])
    status["conditions"] = [
        {**c, "lastTransitionTime": text(c.get("lastTransitionTime"))} for c in status.get("conditions") or ()
    ]
    metadata: dict[str, Any] = {"name": pod["name"]}
    if pod.get("deleting"):
        metadata["deletionTimestamp"] = rfc3339(NOW_S)
    return {"metadata": metadata, "spec": pod["spec"], "status": status}


def _answer(metric: Json, case: Json) -> Answer:
    match metric["type"]:
        case "Resource" | "ContainerResource":
            return [_usage(entry) for entry in case.get("podMetrics") or ()]
        case "Pods":
            return {v["pod"]: PodMetric(v["milli"], NOW_S, 60.0) for v in case.get("podsMetricMilli") or ()}
        case "Object":
            value = case.get("objectMetricMilli")
            return int(value) if value is not None else Unavailable("no answer")
        case "External":
            return tuple(case.get("externalMetricMilli") or ())
    return None


def _usage(entry: Json) -> PodUsage:
    containers = {
        c["name"]: {resource: quantity.milli(value) for resource, value in c["usage"].items()}
        for c in entry["containers"]
    }
    timestamp_s = _moment(entry["timestamp"])
    assert timestamp_s is not None
    return PodUsage(entry["name"], timestamp_s, parse_duration_s(entry["window"]), containers)


def _outcome(sync: Sync, scale: Scale, before: Json) -> dict[str, Any]:
    status = sync.decision.status or before
    written = any(isinstance(action, Patch) for action in sync.decision.actions)
    direction = "none"
    if sync.replicas is not None:
        direction = "scale_up" if sync.replicas > scale.spec_replicas else "scale_down"
    return {
        "desiredReplicas": status["desiredReplicas"],
        "scaleWritten": written,
        "conditions": [{key: c[key] for key in ("type", "status", "reason", "message")} for c in status["conditions"]],
        "currentMetrics": status.get("currentMetrics"),
        "action": direction,
        "error": "internal" if sync.error else "none",
    }


def _compare(got: Json, expect: Json) -> str | None:
    wanted = {"currentMetrics": None, **expect}
    for key in got:
        if key in wanted and json.dumps(got[key], sort_keys=True) != json.dumps(wanted[key], sort_keys=True):
            return f"{key}: got {json.dumps(got[key])}, wanted {json.dumps(wanted[key])}"
    return None


# --- traces


SYNC_S = 15.0


def _replay(trace: Json) -> Iterable[tuple[str, str | None]]:
    spec = trace["hpaSpecStored"]
    requests = {"main": {name: quantity.milli(value) for name, value in trace["podRequests"].items()}}
    reasons = {round(c["t"]): c["reason"] for c in trace.get("replicaChanges") or () if "reason" in c}
    history, status = History(), {"desiredReplicas": 0}
    starts = [sync["t"] for sync in trace["syncs"]]
    for sync, following in zip(trace["syncs"], [*starts[1:], starts[-1]], strict=True):
        pods = [_trace_pod(pod, requests) for pod in sync["pods"]]
        answers = [_trace_answer(metric, sync) for metric in spec["metrics"]]
        result = _trace_sync(spec, sync["specReplicas"], pods, answers, history, status, sync["t"])
        results = [result]
        for t in _unrecorded(sync["t"], following):
            last = results[-1]
            size = _size_at(trace, t)
            nothing = [Unavailable("not recorded")] * len(answers)
            results.append(_trace_sync(spec, size, [], nothing, last.history, dict(last.decision.status or {}), t))
        history, status = results[-1].history, dict(results[-1].decision.status or {})
        yield f"trace/{trace['name']}@{sync['t']}", _compare_sync(results, sync, reasons)


def _trace_sync(
    spec: Json,
    size: int,
    pods: Sequence[PodFacts],
    answers: Sequence[Answer],
    history: History,
    status: Json,
    t: float,
) -> Sync:
    scale = Scale("apps/Deployment", "default", "web", size, size, "app=web")
    hpa = {"metadata": {"name": "web", "namespace": "default"}, "spec": spec, "status": status}
    return decide(hpa, scale, pods, answers, history, NOW_S + t)


def _unrecorded(t: float, following: float) -> list[float]:
    """The moments of syncs that read no metrics, between two recorded ones."""
    missing = round((following - t) / SYNC_S) - 1
    return [t + SYNC_S * (index + 1) for index in range(missing)]


def _size_at(trace: Json, t: float) -> int:
    size = int(trace["initialReplicas"])
    for change in trace["replicaChanges"]:
        # A change by the controller at this very sync has not happened yet.
        if change["t"] < t - (0 if "by" in change else 2):
            size = int(change["to"])
    return size


def _trace_pod(pod: Json, requests: Mapping[str, Mapping[str, int]]) -> PodFacts:
    started, since = pod.get("startTime"), pod.get("readyLastTransition")
    return PodFacts(
        pod["name"],
        phase=pod["phase"],
        ready=pod.get("ready") or "",
        ready_since_s=ZERO_TIME_S if since is None else NOW_S + since,
        start_s=None if started is None else NOW_S + started,
        deleting=bool(pod.get("deleting")),
        containers=requests,
    )


def _trace_answer(metric: Json, sync: Json) -> Answer:
    source = sync.get("custom" if metric["type"] == "Pods" else "resource") or {"values": {}}
    if "httpError" in source:
        return Unavailable(f"the server answered {source['httpError']}")
    timestamp_s = NOW_S + source.get("timestamp", 0.0)
    if metric["type"] == "Pods":
        return {pod: PodMetric(v["rps_m"], timestamp_s, 15.0) for pod, v in source["values"].items()}
    return [
        PodUsage(pod, timestamp_s, 15.0, {"main": {"cpu": v["cpu_m"], "memory": v["mem_Mi"] * 2**20 * 1000}})
        for pod, v in source["values"].items()
    ]


def _compare_sync(results: Sequence[Sync], sync: Json, reasons: Mapping[int, str]) -> str | None:
    """The first result is the recorded sync's; the status may have been read after the unrecorded ones that follow."""
    result = results[0]
    if result.replicas != sync.get("scaledTo"):
        return f"scaled to {result.replicas}, wanted {sync.get('scaledTo')}"
    if result.replicas is not None:
        said = next(a.message for a in result.decision.actions if isinstance(a, Emit) and a.type == "Normal")
        known = [text for t, text in reasons.items() if abs(t - sync["t"]) <= 2]
        if known and said not in known:
            return f"event: got {said!r}, wanted {known}"
    problems = [_compare_status(other, sync["statusAfter"]) for other in results]
    return None if None in problems else problems[0]


def _compare_status(result: Sync, after: Json) -> str | None:
    status = result.decision.status or {}
    for key in ("desiredReplicas", "currentReplicas", "currentMetrics"):
        if status.get(key) != after.get(key):
            return f"{key}: got {status.get(key)}, wanted {after.get(key)}"
    keys = ("type", "status", "reason", "message")
    got = [{key: c[key] for key in keys} for c in status["conditions"]]
    wanted = [{key: c[key] for key in keys} for c in after["conditions"]]
    return None if got == wanted else f"conditions: got {got}, wanted {wanted}"
