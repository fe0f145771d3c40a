"""Eviction: a deletion that the disruption budgets of a pod may refuse (kubernetes 1.36
`pkg/registry/core/pod/storage/eviction.go`)."""

from __future__ import annotations

from typing import Any

from pilothouse.base import selectors
from pilothouse.base.actions import Object
from pilothouse.base.errors import BadRequest
from pilothouse.store.memory import Stored
from pilothouse.wire.kubernetes import decode, options, reads, writes
from pilothouse.wire.kubernetes.answer import Answer, json_answer
from pilothouse.wire.kubernetes.context import Context
from pilothouse.wire.kubernetes.request import Request
from pilothouse.wire.kubernetes.resources import Resource
from pilothouse.wire.kubernetes.statuses import MethodNotAllowed, PlainInternal, TooManyRequests

_BUDGET = "policy/PodDisruptionBudget"


async def evict(context: Context, request: Request, resource: Resource) -> Answer:
    """POST pods/NAME/eviction."""
    if request.method != "POST":
        raise MethodNotAllowed()
    target = request.target
    assert target is not None
    sent, _ = decode.read(request.body, request.headers.get("content-type", ""), "Eviction")
    name = (sent.get("metadata") or {}).get("name", target.name)
    if name != target.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    stored = reads.existing(context, resource, target.namespace, target.name)
    wanted = options.read_delete(request, sent.get("deleteOptions"))
    if writes.is_dry(request):
        wanted.dry_run = True
    if _counted(stored.object):
        _spend(context, target.namespace, stored, wanted.dry_run)
    writes.delete_one(context, resource, target.namespace, target.name, wanted)
    await writes.settled(context)
    return json_answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)


def _counted(pod: Object) -> bool:
    """Budgets do not protect pods that ended, never started or are going anyway."""
    phase = (pod.get("status") or {}).get("phase")
    return phase not in ("Succeeded", "Failed", "Pending") and "deletionTimestamp" not in pod["metadata"]


def _spend(context: Context, namespace: str, pod: Stored, dry_run: bool) -> None:
    labels = pod.object["metadata"].get("labels") or {}
    budgets = [
        stored
        for stored in context.store.list(_BUDGET, namespace)
        if selectors.from_object((stored.object.get("spec") or {}).get("selector")).matches(labels)
    ]
    if not budgets:
        return
    if len(budgets) > 1:
        raise PlainInternal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    budget = budgets[0].object
    status: dict[str, Any] = budget.get("status") or {}
    allowed = status.get("disruptionsAllowed", 0)
    name = budget["metadata"]["name"]
    if allowed < 1:
        needs, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
        why = f"The disruption budget {name} needs {needs} healthy pods and has {healthy} currently"
        raise TooManyRequests(
            "Cannot evict pod as it would violate the pod's disruption budget.",
            details={"causes": [{"reason": "DisruptionBudget", "message": why}]},
        )
    if not dry_run:
        disrupted = {**(status.get("disruptedPods") or {}), pod.object["metadata"]["name"]: context.write_path.now()}
        context.write_path.put_status(
            _BUDGET, namespace, name, {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": disrupted}
        )
