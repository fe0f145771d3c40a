"""The kind batch/Job: names, defaults, generated selector, rules and columns.

Source: Kubernetes 1.36 `pkg/apis/batch/v1/defaults.go`, `pkg/registry/batch/job/strategy.go`, printers.
"""

from __future__ import annotations

from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.clock import parse_rfc3339
from pilothouse.engines.rolling import cells
from pilothouse.engines.schema.podspec import default_template
from pilothouse.engines.schema.sharing import change, each, fill
from pilothouse.kinds.batch.job.rules import validate
from pilothouse.kinds.batch.job.views import JOB_LABEL, UID_LABEL
from pilothouse.machinery.columns import AGE, NAME, human_duration
from pilothouse.machinery.kind import Column, Component, Kind, Strategy

_SPEC_DEFAULTS = {"manualSelector": False, "completionMode": "NonIndexed", "suspend": False}
_NO_LIMIT = 2**31 - 1
_OLD_LABELS = ("controller-uid", "job-name")


def default(obj: Object) -> Object:
    out: Object = change(obj, "spec", _default_spec)
    labels = ((out.get("spec") or {}).get("template") or {}).get("metadata", {}).get("labels")
    if labels and not out["metadata"].get("labels"):
        out = {**out, "metadata": {**out["metadata"], "labels": labels}}
    return out


def _default_spec(spec: Any) -> Any:
    if "completions" not in spec and "parallelism" not in spec:
        spec = {**spec, "completions": 1}
    limit = 6 if spec.get("backoffLimitPerIndex") is None else _NO_LIMIT
    replacement = "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"
    more = {"parallelism": 1, "backoffLimit": limit, "podReplacementPolicy": replacement}
    spec = change(fill(spec, {**more, **_SPEC_DEFAULTS}), "template", default_template)
    return change(spec, "podFailurePolicy", lambda policy: change(policy, "rules", each(_default_rule)))


def _default_rule(rule: Any) -> Any:
    return change(rule, "onPodConditions", each(lambda pattern: fill(pattern, {"status": "True"})))


def prepare(new: Object, old: Object | None) -> Object:
    """Labels and selector by the Job's own uid, unless somebody chose them by hand; an empty first status."""
    if old is not None:
        return new
    new = {**new, "status": {}}
    spec, metadata = new.get("spec") or {}, new["metadata"]
    if spec.get("manualSelector") or not spec.get("template"):
        return new
    uid, name = metadata["uid"], metadata.get("name", "")
    given = spec["template"].get("metadata") or {}
    labels = {**(given.get("labels") or {}), UID_LABEL: uid, JOB_LABEL: name}
    labels.update(zip(_OLD_LABELS, (uid, name), strict=True))
    selector = dict(spec.get("selector") or {})
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), UID_LABEL: uid}
    template = {**spec["template"], "metadata": {**given, "labels": labels}}
    new = {**new, "spec": {**spec, "selector": selector, "template": template}}
    return new if metadata.get("labels") else {**new, "metadata": {**metadata, "labels": labels}}


def _status(obj: Object, _now_s: float) -> str:
    held = {c["type"] for c in (obj.get("status") or {}).get("conditions") or () if c["status"] == "True"}
    if "deletionTimestamp" in obj["metadata"] and not held & {"Complete", "Failed"}:
        return "Terminating"
    for type_ in ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if type_ in held:
            return type_
    return "Running"


def _completions(obj: Object, _now_s: float) -> str:
    succeeded, spec = (obj.get("status") or {}).get("succeeded", 0), obj["spec"]
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(obj: Object, now_s: float) -> str:
    status = obj.get("status") or {}
    if not status.get("startTime"):
        return ""
    ends = [c["lastTransitionTime"] for c in status.get("conditions") or () if c["type"] == "Failed"]
    end = status.get("completionTime") or (ends[0] if ends else None)
    until_s = now_s if end is None else parse_rfc3339(end)
    return human_duration(until_s - parse_rfc3339(status["startTime"]))


KIND = Kind(
    group="batch",
    version="v1",
    kind="Job",
    plural="jobs",
    schema=Component("apis_batch_v1.json", "io.k8s.api.batch.v1.Job"),
    categories=("all",),
    default=default,
    validate=validate,
    strategy=Strategy(prepare=prepare, status_writes_labels=True),
    columns=(
        NAME,
        Column("Status", _status),
        Column("Completions", _completions),
        Column("Duration", _duration),
        AGE,
        Column("Containers", cells.container_names, wide=True),
        Column("Images", cells.container_images, wide=True),
        Column("Selector", cells.selector, wide=True),
    ),
)
