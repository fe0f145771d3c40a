"""The admission hook: while a policy is frozen, the templates of its workloads stay as they are.

What passes: anything but a change of the pod template (scaling, pausing, labels), a restart, a way back to a
template that the workload has run before, and a change marked as a reliability fix. A mark counts for the write that
sets it: one that was there before does not open the door for the next release. `assemble` lists the hook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.errors import ForbiddenWrite
from pilothouse.kinds.pilothouse.errorbudgetpolicy.spec import APPROVED, FIX, covers, phase_of
from pilothouse.machinery.admission import UPDATE, Request
from pilothouse.store.memory import Store

POLICIES = "pilothouse.dev/ErrorBudgetPolicy"
_COVERED = ("apps/Deployment", "apps/StatefulSet", "apps/DaemonSet", "argoproj.io/Rollout")
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
_HASHES = ("pod-template-hash", "rollouts-pod-template-hash")


def error_budget(request: Request, store: Store) -> Object:
    """The hook. Raises ForbiddenWrite with the budget's state and the remedy."""
    old = request.old
    if request.operation != UPDATE or request.subresource or old is None or request.kind.name not in _COVERED:
        return request.object
    template = _template(request.object)
    if template == _template(old):
        return request.object
    for record in store.list(POLICIES, request.object["metadata"].get("namespace", "")):
        policy = record.object
        phase = phase_of(policy)
        if phase not in ("ApprovalRequired", "Frozen") or not _covers(policy, request):
            continue
        if _marked(request.object, old, FIX) or _ran_before(request.object, template, store):
            continue
        if phase == "ApprovalRequired" and _marked(request.object, old, APPROVED):
            continue
        raise _refusal(request, policy, phase)
    return request.object


def _covers(policy: Object, request: Request) -> bool:
    """By the labels before or after: taking a label away does not open the door."""
    assert request.old is not None
    kind = request.kind.kind
    return covers(policy, kind, request.object) or covers(policy, kind, request.old)


def _template(workload: Object) -> Mapping[str, Any]:
    """The pod template without what a restart changes and controllers add."""
    template = (workload.get("spec") or {}).get("template") or {}
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k not in _HASHES}
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != _RESTARTED}
    return {"labels": labels, "annotations": annotations, "spec": template.get("spec") or {}}


def _marked(new: Object, old: Object, annotation: str) -> bool:
    """Was the mark set, or given another value, by this very write?"""
    value = (new["metadata"].get("annotations") or {}).get(annotation, "")
    return bool(value.strip()) and value != (old["metadata"].get("annotations") or {}).get(annotation)


def _ran_before(workload: Object, template: Mapping[str, Any], store: Store) -> bool:
    """Is it the template of a revision that the workload still has? Then it is a rollback."""
    uid = workload["metadata"].get("uid", "")
    sets = [_template(record.object) for record in store.owned("apps/ReplicaSet", uid)]
    revisions = [_template(record.object.get("data") or {}) for record in store.owned("apps/ControllerRevision", uid)]
    if workload.get("kind") == "Rollout":
        # A Rollout's template is stored as written; the one of its ReplicaSets has the defaults as well.
        return any(_within(template, earlier) for earlier in sets)
    return template in [*sets, *revisions]


def _within(part: Any, whole: Any) -> bool:
    """Is everything of the part in the whole? Mappings may have more keys there, lists are as long."""
    if isinstance(part, Mapping) and isinstance(whole, Mapping):
        return all(key in whole and _within(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(_within, part, whole))
    return bool(part == whole)


def _refusal(request: Request, policy: Object, phase: str) -> ForbiddenWrite:
    kind, name = request.kind, request.object["metadata"]["name"]
    status, policy_name = policy.get("status") or {}, policy["metadata"]["name"]
    marks = f'annotate it with {FIX}="how it helps" if it is a reliability fix'
    if phase == "ApprovalRequired":
        marks = f'annotate it with {APPROVED}="who" once it is approved, or {marks}'
    message = (
        f'{kind.resource} "{name}" is forbidden: ErrorBudgetPolicy {policy_name} is {phase} since '
        f"{status.get('since', 'now')}: {status.get('message', 'the error budget is used up')}. To go on, {marks}; "
        "a rollback to an earlier template passes as it is"
    )
    details: dict[str, Any] = {"name": name, "kind": kind.plural}
    if kind.group:
        details["group"] = kind.group
    details["causes"] = [{"reason": "ErrorBudget", "message": f"{policy_name} is {phase}", "field": "spec.template"}]
    return ForbiddenWrite(message, details=details)
