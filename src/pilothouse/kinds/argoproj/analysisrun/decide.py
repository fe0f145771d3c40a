"""What an AnalysisRun does next: measures what is due, judges, and says when to look again.

Source: argo-rollouts 1.9 (9f8d111d8) `analysis/analysis.go`. Called by `controller.py`; performs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.actions import Action, Decision, Delete, Emit, Object
from pilothouse.base.clock import parse_rfc3339, rfc3339
from pilothouse.engines.delivery import metrics
from pilothouse.engines.delivery.arguments import with_arguments
from pilothouse.engines.delivery.assessment import beyond_limits, ended, is_terminating, is_worse, metric_phase
from pilothouse.kinds.argoproj.analysisrun.measure import Measurer, Surroundings

KIND_NAME = "argoproj.io/AnalysisRun"
Result = dict[str, Any]
_COUNTS = {"Successful": "successful", "Failed": "failed", "Inconclusive": "inconclusive"}


@dataclass(frozen=True, slots=True)
class Observed:
    """What was read for one pass. secret(name, key): a secret's text, ValueError when it is not there."""

    secret: Callable[[str, str], str] = lambda name, _key: name
    around: Surroundings = field(default_factory=Surroundings)


def decide(obj: Object, observed: Observed, now_s: float) -> Decision:
    """One pass. obj: the AnalysisRun as stored."""
    if obj["metadata"].get("deletionTimestamp"):
        return Decision()
    if ended((obj.get("status") or {}).get("phase", "")):
        return _after_the_end(obj, now_s)
    return _Pass(obj, observed, now_s).decide()


def _after_the_end(obj: Object, now_s: float) -> Decision:
    """ttlStrategy: a run that is over is deleted after a while."""
    status, ttl = obj["status"], (obj.get("spec") or {}).get("ttlStrategy") or {}
    by_phase = {"Successful": "secondsAfterSuccess", "Failed": "secondsAfterFailure"}.get(status["phase"], "")
    seconds = ttl.get(by_phase, ttl.get("secondsAfterCompletion"))
    if seconds is None or not status.get("completedAt"):
        return Decision()
    left_s = parse_rfc3339(status["completedAt"]) + seconds - now_s
    if left_s > 0:
        return Decision(requeue_s=left_s)
    metadata = obj["metadata"]
    return Decision((Delete(KIND_NAME, metadata.get("namespace", ""), metadata["name"], uid=metadata.get("uid", "")),))


class _Pass:
    """One pass: results as they will be, and what is to be said and written."""

    def __init__(self, obj: Object, observed: Observed, now_s: float) -> None:
        self.obj = obj
        self.spec: Mapping[str, Any] = obj.get("spec") or {}
        self.observed = observed
        self.now_s = now_s
        self.status: dict[str, Any] = dict(obj.get("status") or {})
        self.results: dict[str, Result] = {r["name"]: dict(r) for r in self.status.get("metricResults") or ()}
        self.measurer = Measurer(obj, observed.around, now_s)
        self.events: list[Action] = []
        self._again_s: list[float] = []

    def decide(self) -> Decision:
        try:
            plain = self._resolved(lambda _name, _key: "temp-for-secret")
            fault = metrics.faults(plain)
            if fault:
                return self._broken(f"Analysis spec invalid: {fault}")
            dry = self._matching("dryRun", plain)
            kept = self._matching("measurementRetention", plain)
        except ValueError as error:
            return self._broken(f"Analysis spec invalid: {error}")
        try:
            real = self._resolved(self.observed.secret)
        except ValueError as error:
            return self._broken(f"Unable to resolve metric arguments: {error}")
        started = self.status.get("startedAt")
        started_s = parse_rfc3339(started) if started else None
        self.status.setdefault("startedAt", rfc3339(self.now_s))
        terminating = is_terminating(bool(self.spec.get("terminate")), self.results.values())
        for metric in real:
            self._measure(metric, started_s, dry=metric["name"] in dry, terminating=terminating)
        self._assess(plain, dry, terminating)
        self._trim(kept)
        self._plan(plain)
        return self._finish()

    def _resolved(self, secret: Callable[[str, str], str]) -> list[Mapping[str, Any]]:
        resolved = with_arguments(list(self.spec.get("metrics") or ()), self.spec.get("args") or (), secret)
        return list(resolved)

    def _broken(self, message: str) -> Decision:
        """What cannot even begin: Error, with the reason as message and Event."""
        self.status |= {"phase": "Error", "message": message}
        self.events.append(Emit(self.obj, "Warning", "AnalysisRunError", message))
        return self._finish()

    def _matching(self, key: str, plain: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        """{metric: rule} of the rules under `key`, whose names are regular expressions."""
        out: dict[str, Mapping[str, Any]] = {}
        for index, rule in enumerate(self.spec.get(key) or ()):
            try:
                found = [m["name"] for m in plain if re.search(rule["metricName"], m["name"])]
            except re.error as error:
                raise ValueError(f"{key}[{index}]: {error}") from None
            if not found:
                raise ValueError(f"{key}[{index}]: Rule didn't match any metric name(s)")
            out |= dict.fromkeys(found, rule)
        return out

    # -- measuring --

    def _measure(self, metric: Mapping[str, Any], started_s: float | None, *, dry: bool, terminating: bool) -> None:
        result = self.results.get(metric["name"])
        if result is not None and ended(result.get("phase", "")):
            return
        last = ((result or {}).get("measurements") or [None])[-1]
        if last is not None and last.get("finishedAt") is None:
            done = self.measurer.terminate(last) if terminating else self.measurer.resume(last)
            if done is not last:
                self._note(metric, done, replace=True, dry=dry)
            else:
                self._again_s.append(self.measurer.look_again_s(last))
            return
        due_s = metrics.next_due_s(metric, result, started_s, self.now_s)
        if terminating or due_s is None or due_s > self.now_s:
            return
        number = (result or {}).get("count", 0) + (result or {}).get("error", 0) + 1
        self._note(metric, self.measurer.start(metric, number), replace=False, dry=dry)

    def _note(self, metric: Mapping[str, Any], measurement: Mapping[str, Any], *, replace: bool, dry: bool) -> None:
        result = self.results.get(metric["name"]) or {"name": metric["name"], "phase": "Running"}
        if dry:
            result["dryRun"] = True
        query = ((metric.get("provider") or {}).get("prometheus") or {}).get("query")
        if query:
            result.setdefault("metadata", {"ResolvedPrometheusQuery": query})
        phase = measurement["phase"]
        if phase in _COUNTS:
            for key in (_COUNTS[phase], "count"):
                result[key] = result.get(key, 0) + 1
            result["consecutiveError"] = 0
            result["consecutiveSuccess"] = result.get("consecutiveSuccess", 0) + 1 if phase == "Successful" else 0
        elif phase == "Error":
            for key in ("error", "consecutiveError"):
                result[key] = result.get(key, 0) + 1
            result["consecutiveSuccess"] = 0
            if result["consecutiveError"] == 1:
                self._warn(metric, measurement.get("message", ""))
        before = list(result.get("measurements") or ())
        result["measurements"] = [*(before[:-1] if replace else before), dict(measurement)]
        self.results[metric["name"]] = {k: v for k, v in result.items() if v not in (0, "", None)}

    def _warn(self, metric: Mapping[str, Any], message: str) -> None:
        """The first error of a row is told with what to do about it."""
        remedy = "it is tried again every 10 s until consecutiveErrorLimit is passed; check the provider and the query"
        if "no data returned" in message:
            remedy = (
                "the query finds no series: check its labels, that these pods have traffic and are scraped, or say what"
                " no data means, e.g. `len(result) == 0 || result[0] < 0.05`, and give initialDelay time for traffic"
            )
        text = f"Metric '{metric['name']}' could not be measured: {message}; {remedy}"
        self.events.append(Emit(self.obj, "Warning", "MeasurementError", text))

    # -- judging --

    def _assess(self, plain: Sequence[Mapping[str, Any]], dry: Mapping[str, Any], terminating: bool) -> None:
        worst, message, all_done = "", "Run Terminated" if self.spec.get("terminate") else "", True
        summaries = {False: dict.fromkeys(("count", *_COUNTS.values(), "error"), 0)}
        summaries[True] = dict(summaries[False])
        terminating = terminating or is_terminating(False, self.results.values())
        for metric in plain:
            is_dry = metric["name"] in dry
            summaries[is_dry]["count"] += 1
            result = self.results.get(metric["name"])
            if result is None:
                all_done = False
                continue
            phase = self._judge(metric, result, terminating)
            if not ended(phase):
                all_done = False
                continue
            outcome, why = beyond_limits(metric, result)
            key = "error" if outcome == "Error" else _COUNTS.get(outcome, "successful")
            summaries[is_dry][key] += 1
            if is_dry:
                worst = worst or "Successful"
                if why:
                    result["message"] = f"Metric assessed {phase} due to {why}"
            elif not worst or is_worse(worst, phase):
                worst = phase
                if why:
                    detail = f': "Error Message: {result["message"]}"' if result.get("message") else ""
                    message = f'Metric "{metric["name"]}" assessed {phase} due to {why}{detail}'
        self.status["runSummary"] = {k: v for k, v in summaries[False].items() if v}
        self.status["dryRunSummary"] = {k: v for k, v in summaries[True].items() if v}
        self._set_phase(worst, message, all_done=all_done, terminating=terminating)

    def _judge(self, metric: Mapping[str, Any], result: Result, terminating: bool) -> str:
        phase = metric_phase(metric, result, terminating=terminating)
        if result.get("phase") != phase:
            if ended(phase):
                text = f"Metric '{metric['name']}' Completed. Result: {phase}"
                kind = "Warning" if phase in ("Error", "Failed") else "Normal"
                self.events.append(Emit(self.obj, kind, f"Metric{phase}", text))
            last = (result.get("measurements") or [{}])[-1]
            if last.get("message"):
                result["message"] = last["message"]
            result["phase"] = phase
        return phase

    def _set_phase(self, worst: str, message: str, *, all_done: bool, terminating: bool) -> None:
        if terminating and (all_done or not self._under_way()):
            phase = worst or "Successful"
        elif not all_done or not worst:
            phase, message = "Running", ""
        else:
            phase = worst
        if self.status.get("phase") == phase:
            return
        self.status["phase"] = phase
        self.status["message"] = message
        if ended(phase):
            self.status.setdefault("completedAt", rfc3339(self.now_s))
            kind = "Warning" if phase in ("Error", "Failed") else "Normal"
            self.events.append(Emit(self.obj, kind, f"AnalysisRun{phase}", f"Analysis Completed. Result: {phase}"))

    def _under_way(self) -> bool:
        return any(r["measurements"][-1].get("finishedAt") is None for r in self.results.values())

    # -- afterwards --

    def _trim(self, kept: Mapping[str, Mapping[str, Any]]) -> None:
        for name, result in self.results.items():
            limit = int((kept.get(name) or {}).get("limit") or metrics.MEASUREMENTS_KEPT)
            if len(result.get("measurements") or ()) > limit:
                result["measurements"] = result["measurements"][-limit:]
                if any((m.get("provider") or {}).get("job") for m in self.spec["metrics"] if m["name"] == name):
                    self.measurer.forget_jobs(limit)

    def _plan(self, plain: Sequence[Mapping[str, Any]]) -> None:
        """When the next metric is due."""
        started_s = parse_rfc3339(self.status["startedAt"])
        for metric in plain:
            result = self.results.get(metric["name"])
            if result is not None and ended(result.get("phase", "")):
                continue
            last = ((result or {}).get("measurements") or [None])[-1]
            if last is not None and last.get("finishedAt") is None:
                if last.get("startedAt"):
                    self._again_s.append(self.measurer.look_again_s(last))
                continue
            due_s = metrics.next_due_s(metric, result, started_s, self.now_s)
            if due_s is not None:
                self._again_s.append(max(due_s - self.now_s, 0.001))

    def _finish(self) -> Decision:
        self.status["metricResults"] = list(self.results.values())
        status = {key: value for key, value in self.status.items() if value not in ("", None, [])}
        over = ended(status["phase"])
        again_s = min(self._again_s) if self._again_s and not over else None
        if over and self.spec.get("ttlStrategy"):
            again_s = 1.0
        return Decision((*self.measurer.actions, *self.events), status, again_s)
