"""Labels and annotations that pods carry only while they are canary or stable, preview or active.

Source: argo-rollouts 1.9 (9f8d111d8) `rollout/ephemeralmetadata.go`, `utils/replicaset/canary.go`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pilothouse.kinds.argoproj.rollout.reading import EPHEMERAL, SET_KIND, Member
from pilothouse.kinds.argoproj.rollout.run import Pass

Extra = Mapping[str, Any]
_PARTS = ("labels", "annotations")


def of_stable(run: Pass) -> Extra | None:
    key = "stableMetadata" if run.rollout.canary is not None else "activeMetadata"
    found: Extra | None = run.rollout.strategy.get(key)
    return found


def of_new(run: Pass) -> Extra | None:
    key = "canaryMetadata" if run.rollout.canary is not None else "previewMetadata"
    found: Extra | None = run.rollout.strategy.get(key)
    return found


def reconcile(run: Pass) -> None:
    """Gives each set and its pods what belongs to its part, and takes away what was given before."""
    if of_new(run) is None and of_stable(run) is None:
        return
    rollout = run.rollout
    if not rollout.stable_hash or rollout.stable_hash == run.new.hash:
        _sync(run, run.new, of_stable(run))
    else:
        _sync(run, run.new, of_new(run))
        if run.stable is not None:
            _sync(run, run.stable, of_stable(run))
    for member in run.others:
        _sync(run, member, None)


def given(member: Member) -> Extra:
    """What was given to a set before, from the note that was left on it."""
    try:
        found = json.loads(member.annotations.get(EPHEMERAL) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _sync(run: Pass, member: Member, wanted: Extra | None) -> None:
    before = given(member)
    of_template = _changes(member.view.spec.template.get("metadata") or {}, before, wanted)
    if of_template:
        note = json.dumps(wanted, separators=(",", ":")) if wanted is not None else None
        patch = {
            "metadata": {"annotations": {EPHEMERAL: note}},
            "spec": {"template": {"metadata": of_template}},
        }
        run.patch(SET_KIND, member.name, patch)
    if member.replicas == 0:
        return
    for pod in run.observed.pods_of(member.view.metadata.uid):
        metadata = {"labels": pod.metadata.labels, "annotations": pod.metadata.annotations}
        changes = _changes(metadata, before, wanted)
        if changes:
            run.patch("Pod", pod.metadata.name, {"metadata": changes})


def _changes(metadata: Mapping[str, Any], before: Extra, wanted: Extra | None) -> dict[str, dict[str, str | None]]:
    """What must change in the metadata, None for what must go."""
    out: dict[str, dict[str, str | None]] = {}
    for part in _PARTS:
        have, want = metadata.get(part) or {}, (wanted or {}).get(part) or {}
        changed: dict[str, str | None] = {k: v for k, v in want.items() if have.get(k) != v}
        changed |= {k: None for k in before.get(part) or {} if k not in want and k in have}
        if changed:
            out[part] = changed
    return out


def added_to(template: Mapping[str, Any], extra: Extra | None) -> dict[str, Any]:
    """A pod template that carries the extra metadata from the beginning."""
    metadata = dict(template.get("metadata") or {})
    for part in _PARTS:
        if (extra or {}).get(part):
            metadata[part] = {**(metadata.get(part) or {}), **(extra or {})[part]}
    return {**template, "metadata": metadata}
