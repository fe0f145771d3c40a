"""Takes one measurement of one metric: starts it, looks at one that is under way, or ends it.

A measurement is the JSON of `status.metricResults[].measurements[]`. Source: argo-rollouts 1.9 (9f8d111d8)
`metricproviders/{prometheus,web,job}`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pilothouse.base.actions import Action, Create, Delete, Object
from pilothouse.base.clock import parse_rfc3339, rfc3339
from pilothouse.base.duration import parse_duration_s
from pilothouse.engines import expr
from pilothouse.engines.rolling.views import controller_reference
from pilothouse.kinds.argoproj.analysisrun import jsonpath
from pilothouse.kinds.argoproj.analysisrun.providers import NoProviders, ProviderError, Providers, WebRequest

JOB_KIND = "batch/Job"
UID_LABEL = "analysisrun.argoproj.io/uid"
_NAME_LIMIT = 63
_CANNOT_START = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName")
Measurement = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What measurements are taken from. job(name): a Job of the namespace; pods_of(job uid): its pods; has_jobs:
    whether Jobs exist here at all; jobs: the Jobs of this run, oldest first."""

    providers: Providers = field(default_factory=NoProviders)
    job: Callable[[str], Object | None] = lambda _name: None
    pods_of: Callable[[str], Iterable[Object]] = lambda _uid: ()
    has_jobs: bool = False
    jobs: Sequence[Object] = ()


@dataclass(slots=True)
class Measurer:
    """Measures for one run at one moment; what must be written comes into `actions`."""

    run: Object
    around: Surroundings
    now_s: float
    actions: list[Action] = field(default_factory=list)

    def start(self, metric: Mapping[str, Any], number: int) -> Measurement:
        """A new measurement, the number-th of its metric."""
        provider, begun = metric.get("provider") or {}, {"startedAt": rfc3339(self.now_s)}
        try:
            if provider.get("job") is not None:
                return self._start_job(metric, number, begun)
            if provider.get("prometheus") is not None:
                return self._ended(begun, metric, *self._queried(provider["prometheus"]))
            if provider.get("web") is not None:
                return self._ended(begun, metric, *self._fetched(provider["web"]))
        except (ProviderError, ValueError) as error:
            return self._error(begun, str(error))
        except expr.ExprError as error:
            return self._error(begun, error.message)
        named = next(iter(provider), "")
        return self._error(begun, f"the provider {named!r} cannot be asked here; use prometheus, web or job")

    def resume(self, measurement: Measurement) -> Measurement:
        """A measurement under way, looked at again."""
        job = self._job_of(measurement)
        if job is None:
            return self._error(measurement, "the job of this measurement is gone")
        for condition in (job.get("status") or {}).get("conditions") or ():
            if condition.get("status", "True") == "True" and condition["type"] in ("Complete", "Failed"):
                phase = "Successful" if condition["type"] == "Complete" else "Failed"
                return {**measurement, "phase": phase, "finishedAt": rfc3339(self.now_s)}
        stuck = self._cannot_start(job)
        if stuck:
            return {**measurement, "phase": "Inconclusive", "message": stuck, "finishedAt": rfc3339(self.now_s)}
        return measurement

    def look_again_s(self, measurement: Measurement) -> float:
        """Seconds until a job's pods are worth another look: rarer the longer it runs."""
        elapsed_s = max(self.now_s - parse_rfc3339(measurement["startedAt"]), 0.5)
        return math.sqrt(2 * elapsed_s)

    def terminate(self, measurement: Measurement) -> Measurement:
        """Ends a measurement under way, and its job."""
        name = (measurement.get("metadata") or {}).get("job-name")
        if name and self.around.job(name) is not None:
            self.actions.append(Delete(JOB_KIND, self._namespace, name))
        done = {**measurement, "phase": "Inconclusive", "message": "Metric Terminated"}
        return {**done, "finishedAt": rfc3339(self.now_s)}

    def forget_jobs(self, kept: int) -> None:
        """Deletes the oldest jobs beyond as many as measurements are kept."""
        jobs = [j for j in self.around.jobs if "deletionTimestamp" not in j["metadata"]]
        for job in jobs[: max(len(jobs) - kept, 0)]:
            self.actions.append(Delete(JOB_KIND, self._namespace, job["metadata"]["name"]))

    # -- the providers --

    @property
    def _namespace(self) -> str:
        return str(self.run["metadata"].get("namespace", ""))

    def _queried(self, spec: Mapping[str, Any]) -> tuple[Any, str]:
        text, window = spec.get("query", ""), spec.get("rangeQuery")
        if window:
            moments = [_moment(window.get(key, "now()"), self.now_s) for key in ("start", "end")]
            step_s = parse_duration_s(window.get("step", "1m"))
            values = self.around.providers.query_range(text, moments[0], moments[1], step_s)
            return values, _listed(values)
        found = self.around.providers.query(text, self.now_s)
        if isinstance(found, list):
            return found, _listed(found)
        return found, _number(found)

    def _fetched(self, spec: Mapping[str, Any]) -> tuple[Any, str]:
        method, body = spec.get("method") or "GET", spec.get("body") or ""
        if body and spec.get("jsonBody") is not None:
            raise ValueError("use either Body or JSONBody; both cannot exists for WebMetric payload")
        headers = [(h["key"], h["value"]) for h in spec.get("headers") or ()]
        if spec.get("jsonBody") is not None:
            body = json.dumps(spec["jsonBody"])
            headers.append(("Content-Type", "application/json"))
        if body and method == "GET":
            raise ValueError("Body/JSONBody can only be used with POST or PUT WebMetric Method types")
        timeout_s = float(spec.get("timeoutSeconds") or 10)
        request = WebRequest(spec.get("url", ""), method, headers, body, timeout_s, bool(spec.get("insecure")))
        answer = self.around.providers.fetch(request)
        if not 200 <= answer.status < 300:
            raise ValueError(f"received non 2xx response code: {answer.status}")
        try:
            data = json.loads(answer.body)
        except ValueError:
            return answer.body, answer.body
        value = jsonpath.first(spec.get("jsonPath") or "{$}", data)
        return value, json.dumps(value, separators=(",", ":"), ensure_ascii=False)

    def _start_job(self, metric: Mapping[str, Any], number: int, begun: Measurement) -> Measurement:
        if not self.around.has_jobs:
            return self._error(begun, "there are no Jobs here to measure with")
        job = _job(self.run, metric, number)
        name = job["metadata"]["name"]
        if self.around.job(name) is None:
            self.actions.append(Create(JOB_KIND, job))
        metadata = {"job-name": name, "job-namespace": self._namespace}
        return {**begun, "phase": "Running", "metadata": metadata, "resumeAt": begun["startedAt"]}

    def _job_of(self, measurement: Measurement) -> Object | None:
        name = (measurement.get("metadata") or {}).get("job-name")
        return self.around.job(name) if name else None

    def _cannot_start(self, job: Object) -> str:
        for pod in self.around.pods_of(job["metadata"].get("uid", "")):
            status = pod.get("status") or {}
            for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
                waiting = (container.get("state") or {}).get("waiting") or {}
                if waiting.get("reason") in _CANNOT_START:
                    return (
                        f"Pod {pod['metadata']['name']}, container {container.get('name')} has terminal error"
                        f" ({waiting['reason']}): {waiting.get('message', '')}"
                    )
        return ""

    def _ended(self, begun: Measurement, metric: Mapping[str, Any], value: Any, text: str) -> Measurement:
        phase = expr.verdict(value, metric.get("successCondition") or "", metric.get("failureCondition") or "")
        return {**begun, "phase": phase, "value": text, "finishedAt": rfc3339(self.now_s)}

    def _error(self, begun: Measurement, message: str) -> Measurement:
        return {**begun, "phase": "Error", "message": message, "finishedAt": rfc3339(self.now_s)}


def _job(run: Object, metric: Mapping[str, Any], number: int) -> dict[str, Any]:
    metadata, wanted = run["metadata"], metric["provider"]["job"]
    uid, name = metadata.get("uid", ""), metric["name"]
    room = _NAME_LIMIT - len(f"{uid}..{number}")
    extra, template = wanted.get("metadata") or {}, wanted["spec"].get("template") or {}
    of_pods = dict(template.get("metadata") or {})
    of_pods["labels"] = {**(of_pods.get("labels") or {}), UID_LABEL: uid}
    annotations = {
        **(extra.get("annotations") or {}),
        "analysisrun.argoproj.io/name": metadata["name"],
        "analysisrun.argoproj.io/namespace": metadata.get("namespace", ""),
        "analysisrun.argoproj.io/metric-name": name,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{uid}.{name[:room]}.{number}",
            "namespace": metadata.get("namespace", ""),
            "labels": {**(extra.get("labels") or {}), UID_LABEL: uid},
            "annotations": annotations,
            "ownerReferences": [controller_reference("argoproj.io/v1alpha1", "AnalysisRun", metadata["name"], uid)],
        },
        "spec": {**wanted["spec"], "template": {**template, "metadata": of_pods}},
    }


def _moment(text: str, now_s: float) -> float:
    """`now()`, `now() - duration("5m")`: Unix seconds."""
    value = expr.compile(text).run({"now": lambda: now_s, "duration": parse_duration_s})
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"failed to parse {text!r} as a time")
    return float(value)


def _number(value: float) -> str:
    """A sample's value as Prometheus prints it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = format(Decimal(repr(float(value))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _listed(values: Sequence[float]) -> str:
    return "[" + ",".join(map(_number, values)) + "]"
