"""Which way an update goes: whether the template or the steps changed, whether it is a rollback and a fast one.

Source: argo-rollouts 1.9 (9f8d111d8) `rollout/sync.go`, `utils/conditions`.
"""

from __future__ import annotations

import hashlib

import orjson

from pilothouse.engines.rolling.template import safe_encode
from pilothouse.kinds.argoproj.rollout.reading import Member, Rollout
from pilothouse.kinds.argoproj.rollout.run import Pass


def step_hash(rollout: Rollout) -> str:
    """A short text that changes with the steps; "" for blue-green. Its value differs from upstream's FNV sum."""
    if rollout.canary is None:
        return ""
    digest = hashlib.blake2b(orjson.dumps(list(rollout.steps), option=orjson.OPT_SORT_KEYS), digest_size=4)
    return safe_encode(str(int.from_bytes(digest.digest(), "big")))


def steps_changed(rollout: Rollout) -> bool:
    return rollout.status.get("currentStepHash") != step_hash(rollout)


def pod_spec_changed(run: Pass) -> bool:
    """Whether the current template is another than the one the status speaks of."""
    if not run.rollout.current_hash:
        return False
    new = run.new_or_none
    return run.rollout.current_hash != (new.hash if new is not None else run.rollout.template_hash())


def _before(left: Member, right: Member) -> bool:
    """Made in an earlier second."""
    return left.view.metadata.creationTimestamp < right.view.metadata.creationTimestamp


def is_rollback(run: Pass) -> bool:
    """Whether the current template is the stable one or older. Only meaningful while an update is under way."""
    new, stable = run.new_or_none, run.stable
    if new is None or stable is None:
        return False
    return run.rollout.stable_hash == new.hash or _before(new, stable)


def is_fast_rollback(run: Pass) -> bool:
    """A rollback that may skip steps: to the stable set, to a warm one, or within the rollback window."""
    if not is_rollback(run):
        return False
    warm = run.new_within_delay and run.rollout.blue_green is not None
    return within_window(run) or warm or run.rollout.stable_hash == run.new.hash


def within_window(run: Pass) -> bool:
    """Whether fewer sets than spec.rollbackWindow.revisions were made between the wanted and the stable one."""
    new, stable = run.new_or_none, run.stable
    window = int((run.rollout.spec.get("rollbackWindow") or {}).get("revisions") or 0)
    if new is None or stable is None or window <= 0 or not _before(new, stable):
        return False
    between = sum(_before(m, stable) and _before(new, m) for m in run.members)
    return between < window
