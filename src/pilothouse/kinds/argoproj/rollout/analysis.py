"""The AnalysisRuns of a Rollout: which one must run now, what its outcome means, which are ended or forgotten.

Source: argo-rollouts 1.9 (9f8d111d8) `rollout/analysis.go`, `utils/analysis/filter.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pilothouse.base.actions import Delete, Object
from pilothouse.engines.delivery.arguments import for_rollout, gathered, run_spec
from pilothouse.engines.delivery.assessment import ended
from pilothouse.engines.rolling.views import controller_reference
from pilothouse.kinds.argoproj.rollout import sizes
from pilothouse.kinds.argoproj.rollout.reading import API_VERSION, HASH_LABEL, REVISION, RUN_KIND, Rollout
from pilothouse.kinds.argoproj.rollout.run import BLUE_GREEN, CANARY_STEP, INCONCLUSIVE_ANALYSIS, Pass

TYPE_LABEL = "rollout-type"
STEP_LABEL = "step-index"
_STATUS_KEYS = {
    "step": ("canary", "currentStepAnalysisRunStatus", "Step"),
    "background": ("canary", "currentBackgroundAnalysisRunStatus", "Background"),
    "pre": ("blueGreen", "prePromotionAnalysisRunStatus", "PrePromotion"),
    "post": ("blueGreen", "postPromotionAnalysisRunStatus", "PostPromotion"),
}
"""Role -> where its status stands, and the name of its type."""
_HISTORY = 5


def phase_of(run: Object | None) -> str:
    return str(((run or {}).get("status") or {}).get("phase") or "")


def stored_status(rollout: Rollout, role: str) -> Mapping[str, Any] | None:
    part, key, _ = _STATUS_KEYS[role]
    found: Mapping[str, Any] | None = (rollout.status.get(part) or {}).get(key)
    return found


class Analyses:
    """The runs of one pass by role, as stored at its beginning; `now` holds those that stay the current ones."""

    def __init__(self, run: Pass) -> None:
        self._run = run
        by_name = {r["metadata"]["name"]: r for r in run.observed.runs}
        self.stored: dict[str, Object] = {}
        for role in _STATUS_KEYS:
            known = stored_status(run.rollout, role)
            if known is not None and known.get("name") in by_name:
                self.stored[role] = by_name[known["name"]]
        self.now: dict[str, Object] = {}

    def succeeded(self, role: str) -> bool:
        return phase_of(self.stored.get(role)) == "Successful"

    def pre_promotion_done(self) -> bool:
        return not self._run.rollout.strategy.get("prePromotionAnalysis") or self.succeeded("pre")

    def reconcile(self, *, skip: bool) -> None:
        """Starts, ends and reads runs. skip: no analysis shall run in this state of the Rollout."""
        run = self._run
        if skip:
            self._end(self.stored.values())
            self.now = {role: r for role, r in self.stored.items() if role in ("pre", "post")}
        elif run.rollout.canary is not None:
            self._step()
            self._background()
        else:
            self._promotion("pre", "prePromotionAnalysis")
            self._promotion("post", "postPromotionAnalysis")
        current = [r["metadata"]["name"] for r in self.now.values()]
        others = [r for r in run.observed.runs if r["metadata"]["name"] not in current]
        self._end(others)
        self._forget(others)
        self._write_status()

    # -- canary --

    def _step(self) -> None:
        run, rollout = self._run, self._run.rollout
        stored, step = self.stored.get("step"), rollout.step
        if rollout.status.get("pauseConditions") or rollout.aborted:
            self._keep("step", stored)
            return
        spec = (step or {}).get("analysis") or {}
        if stored is not None and (stored["metadata"].get("labels") or {}).get(STEP_LABEL) != str(rollout.index):
            self._end([stored])
            stored = None
        if not spec.get("templates"):
            self._end([stored] if stored is not None else [])
            return
        if self._needs_new(stored):
            self._start("step", spec, str(rollout.index), {STEP_LABEL: str(rollout.index)})
            return
        self._keep("step", stored)
        self._judge(stored, "Step-based analysis phase error/failed")
        if run.pauses.added or run.pauses.aborted:
            run.notes.append("the step's analysis stops the rollout")

    def _background(self) -> None:
        rollout, stored = self._run.rollout, self.stored.get("background")
        spec = rollout.strategy.get("analysis") or {}
        if not spec.get("templates"):
            self._end([stored] if stored is not None else [])
            return
        starting = spec.get("startingStep")
        if not rollout.current_hash or (starting is not None and (rollout.index or 0) < int(starting)):
            return
        if rollout.pause_since_s(INCONCLUSIVE_ANALYSIS) is None:
            if self._needs_new(stored):
                self._start("background", spec, "", {})
                return
            self._judge(stored, "Background analysis phase error/failed")
        self._keep("background", stored)

    # -- blue-green --

    def _promotion(self, role: str, key: str) -> None:
        rollout, stored = self._run.rollout, self.stored.get(role)
        spec = rollout.strategy.get(key) or {}
        if not spec.get("templates"):
            self._end([stored] if stored is not None else [])
            return
        if self._too_early(role, stored):
            self._end([stored] if stored is not None else [])
        elif rollout.pause_since_s(INCONCLUSIVE_ANALYSIS) is None and self._needs_new(stored):
            self._start(role, spec, role, {})
            return
        self._keep(role, stored)
        self._judge(stored, f"Blue/green {role}-promotion analysis phase error/failed")

    def _too_early(self, role: str, stored: Object | None) -> bool:
        run, rollout = self._run, self._run.rollout
        new, active = run.new, rollout.of_blue_green.get("activeSelector") or ""
        if rollout.stable_hash == new.hash:
            return True
        if role == "pre" and active in ("", new.hash):
            return True
        if role == "post" and active != new.hash:
            return True
        if stored is not None:
            return False
        preview = rollout.strategy.get("previewReplicaCount")
        if role == "pre" and preview is not None:
            return not new.replicas == int(preview) == new.available
        return not sizes.saturated(rollout, new)

    # -- common --

    def _needs_new(self, stored: Object | None) -> bool:
        rollout = self._run.rollout
        if stored is None:
            return True
        pausing = any(rollout.pause_since_s(reason) is not None for reason in (CANARY_STEP, BLUE_GREEN))
        if rollout.status.get("controllerPause") and not pausing:
            # A person went on after an inconclusive run: it is measured anew.
            return phase_of(stored) == "Inconclusive"
        return rollout.status.get("abortedAt") is not None

    def _keep(self, role: str, stored: Object | None) -> None:
        if stored is not None:
            self.now[role] = stored

    def _judge(self, stored: Object | None, complaint: str) -> None:
        phase = phase_of(stored)
        if phase == "Inconclusive":
            self._run.pauses.add(INCONCLUSIVE_ANALYSIS)
        elif phase in ("Error", "Failed"):
            message = ((stored or {}).get("status") or {}).get("message") or ""
            self._run.pauses.abort(f"{complaint}: {message}" if message else complaint)

    def _start(self, role: str, spec: Mapping[str, Any], infix: str, labels: Mapping[str, str]) -> None:
        run, rollout = self._run, self._run.rollout
        stable = run.stable.hash if run.stable is not None else ""
        try:
            arguments = for_rollout(spec.get("args") or (), rollout.obj, run.new.hash, stable)
            templates = gathered(spec["templates"], run.observed.template)
            body = run_spec(templates, arguments, spec.get("dryRun") or (), spec.get("measurementRetention") or ())
        except ValueError as error:
            # Nothing can be measured: better to stop than to go on unseen.
            message = f"cannot start the analysis: {error}"
            run.emit("AnalysisRunError", message, warning=True)
            run.pauses.abort(message)
            return
        made = self._object(role, body, spec, infix, labels)
        run.create(RUN_KIND, made)
        self.now[role] = made

    def _object(
        self, role: str, body: Mapping[str, Any], spec: Mapping[str, Any], infix: str, labels: Mapping[str, str]
    ) -> dict[str, Any]:
        run, rollout = self._run, self._run.rollout
        parts = [rollout.name, run.new.hash, rollout.revision, *([infix] if infix else [])]
        extra = spec.get("analysisRunMetadata") or {}
        all_labels = {
            HASH_LABEL: run.new.hash,
            TYPE_LABEL: _STATUS_KEYS[role][2],
            **labels,
            **(extra.get("labels") or {}),
            **((rollout.selector or {}).get("matchLabels") or {}),
        }
        metadata = {
            "name": self._free_name("-".join(parts)),
            "namespace": rollout.namespace,
            "labels": all_labels,
            "annotations": {REVISION: rollout.revision, **(extra.get("annotations") or {})},
            "ownerReferences": [
                controller_reference(API_VERSION, "Rollout", rollout.name, rollout.metadata.get("uid", ""))
            ],
        }
        return {"apiVersion": API_VERSION, "kind": "AnalysisRun", "metadata": metadata, "spec": body}

    def _free_name(self, base: str) -> str:
        name, number = base, 0
        while self._run.observed.find(RUN_KIND, name) is not None:
            number += 1
            name = f"{base}.{number}"
        return name

    def _end(self, runs: Iterable[Object]) -> None:
        for stored in runs:
            if not (stored.get("spec") or {}).get("terminate") and not ended(phase_of(stored)):
                self._run.patch(RUN_KIND, stored["metadata"]["name"], {"spec": {"terminate": True}})

    def _forget(self, others: list[Object]) -> None:
        """Deletes runs beyond the history limits, oldest first, and runs of sets that are gone."""
        run = self._run
        limits = run.rollout.spec.get("analysis") or {}
        hashes = [m.hash for m in run.members]
        for keys, limit in (
            (("Successful",), limits.get("successfulRunHistoryLimit", _HISTORY)),
            (("Failed", "Error", "Inconclusive"), limits.get("unsuccessfulRunHistoryLimit", _HISTORY)),
        ):
            past = [r for r in others if phase_of(r) in keys]
            kept = past[max(len(past) - int(limit), 0) :]
            for old in past:
                gone = (old["metadata"].get("labels") or {}).get(HASH_LABEL) not in hashes
                if (gone or old not in kept) and "deletionTimestamp" not in old["metadata"]:
                    run.actions.append(Delete(RUN_KIND, run.rollout.namespace, old["metadata"]["name"]))

    def _write_status(self) -> None:
        run = self._run
        for role, (part, key, type_) in _STATUS_KEYS.items():
            current = self.now.get(role)
            if current is None:
                continue
            name, phase = current["metadata"]["name"], phase_of(current)
            entry: dict[str, Any] = {"name": name, "status": phase}
            if (current.get("status") or {}).get("message"):
                entry["message"] = current["status"]["message"]
            (run.canary_status if part == "canary" else run.blue_green_status)[key] = entry
            before = stored_status(run.rollout, role)
            if phase and (before is None or (before.get("name") == name and before.get("status") != phase)):
                told = "NoPreviousStatus" if before is None else before.get("status", "")
                run.emit(
                    f"AnalysisRun{phase}",
                    f"{type_} Analysis Run '{name}' Status New: '{phase}' Previous: '{told}'",
                    warning=phase in ("Failed", "Error"),
                )
